// A task's log on a page of its own, as high as the page.

import { createEffect, createMemo, createSignal, on, onCleanup, Show } from "solid-js";
import type { TaskView } from "../api/types.gen.ts";
import { asApiError, getTask } from "../api/client.ts";
import type { ApiError } from "../api/client.ts";
import { goTo } from "../logs/address.ts";
import { streamOf, StreamTabs } from "../logs/FrameLog.tsx";
import { readLines } from "../logs/lines.ts";
import { LogViewer } from "../logs/Viewer.tsx";
import { word } from "../model/status.ts";
import { runPath } from "../paths.ts";
import { place } from "../router.ts";
import { contentOf, runs, snapshots } from "../state.ts";
import { runKey } from "../sync/apply.ts";
import { Missing } from "../ui/Empty.tsx";
import { useTitle } from "../ui/title.ts";
import type { RouteProps } from "./routes.ts";

export default function LogPage(props: RouteProps) {
  const project = () => props.parts[0]!;
  const id = () => props.parts[1]!;
  const [asked, setAsked] = createSignal<TaskView | null>(null);
  const [error, setError] = createSignal<ApiError | null>(null);
  // Of a run that goes on the page is told; what has ended stays as it was.
  const task = createMemo((): TaskView | null => {
    const known = asked();
    const held = known === null ? null : contentOf(runKey(project(), known.run))?.content.tasks;
    const row = held?.row(id());
    return row === undefined ? known : held!.get(row);
  });
  useTitle(() => `Log of ${id()}`);

  createEffect(
    on(snapshots, () => {
      const abort = new AbortController();
      onCleanup(() => abort.abort());
      getTask(project(), id(), abort.signal).then(
        ({ task: found }) => {
          setAsked(found);
          setError(null);
        },
        (reason: unknown) => {
          if (!abort.signal.aborted) setError(asApiError(reason));
        },
      );
    }),
  );

  return (
    <Show
      when={task()}
      fallback={
        <Show
          when={error()}
          fallback={
            <p class="empty muted" role="status">
              Loading {id()}…
            </p>
          }
        >
          {(problem) => <Missing problem={problem()} what="task" href="/logs" all="All logs" />}
        </Show>
      }
    >
      {(found) => (
        <section class="log-page" aria-label={`Log of ${found().id}`}>
          <header class="log-head">
            <h1>{titleOf(project(), found())}</h1>
            <span class="muted">
              attempt {found().attempt}: {word(found().state)}
            </span>
            <a href={runPath(project(), found().run, found().frame)}>
              {runs[runKey(project(), found().run)]?.name ?? found().run}
            </a>
            <span class="spacer" />
            <StreamTabs
              stream={streamOf()}
              onChoose={(stream) => goTo({ stream: stream === "stdout" ? null : stream }, null)}
            />
          </header>
          <LogViewer
            project={project()}
            task={found().id}
            stream={streamOf()}
            running={found().state === "running"}
            lines={readLines(place().hash)}
            onLines={(lines) => goTo({}, lines)}
            own={null}
          />
        </section>
      )}
    </Show>
  );
}

/** What the task's frame is called, where that is known. */
export function titleOf(project: string, task: TaskView): string {
  const frames = contentOf(runKey(project, task.run))?.content.frames;
  const row = frames?.row(task.frame);
  return row === undefined ? task.id : frames!.title.get(row);
}
