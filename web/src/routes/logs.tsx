// The tasks that run now, each with what it wrote last.

import { createEffect, createMemo, createSignal, For, onCleanup, Show } from "solid-js";
import type { TaskView } from "../api/types.gen.ts";
import { PLAIN, parseLine } from "../logs/ansi.ts";
import { STREAMS, LogSource } from "../logs/source.ts";
import { LogWindow } from "../logs/window.ts";
import { logPath } from "../paths.ts";
import { chosenProject } from "../project.ts";
import { contentOf, runs, second, snapshots } from "../state.ts";
import { duration } from "../format.ts";
import { Asking } from "../ui/Empty.tsx";
import { useTitle } from "../ui/title.ts";
import { titleOf } from "./log.tsx";

/** How often a last line is looked at again, while the page is in sight. */
const AGAIN_MS = 2_000;

interface Running {
  readonly project: string;
  readonly run: string;
  readonly task: TaskView;
}

export default function LogsPage() {
  useTitle(() => "Logs");
  const running = createMemo((): Running[] => {
    const found: Running[] = [];
    for (const [key, run] of Object.entries(runs)) {
      if (run.ended_ms !== null || (chosenProject() ?? run.project) !== run.project) continue;
      const tasks = contentOf(key)?.content.tasks;
      for (let row = 0; row < (tasks?.length ?? 0); row++) {
        if (tasks!.state.get(row) === "running")
          found.push({ project: run.project, run: run.name, task: tasks!.get(row) });
      }
    }
    return found.sort((a, b) => (b.task.started_ms ?? 0) - (a.task.started_ms ?? 0));
  });
  const keys = createMemo(() => running().map(({ project, task }) => `${project}/${task.id}`), [], {
    equals: (a, b) => a.join() === b.join(),
  });
  return (
    <Show when={snapshots() > 0} fallback={<Asking />}>
      <div class="page logs">
        <h1>Logs</h1>
        <p class="muted">
          What runs now, the newest first. The log of any other task is in its run.
        </p>
        <ul class="logs-list">
          <For each={keys()} fallback={<li class="hint">No task runs.</li>}>
            {(key) => (
              <Show when={running().find(({ project, task }) => `${project}/${task.id}` === key)}>
                {(each) => <RunningLog {...each()} />}
              </Show>
            )}
          </For>
        </ul>
      </div>
    </Show>
  );
}

function RunningLog(props: Running) {
  const [last, setLast] = createSignal("");
  const source = new LogSource(props.project, props.task.id, STREAMS[0]);
  createEffect(() => {
    const abort = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const look = async () => {
      try {
        if (!document.hidden) setLast(lastLine(await source.last(abort.signal)));
      } catch {
        // It is asked again; that the daemon is gone is said at the top.
      }
      if (!abort.signal.aborted) timer = setTimeout(() => void look(), AGAIN_MS);
    };
    void look();
    onCleanup(() => {
      abort.abort();
      clearTimeout(timer);
    });
  });
  return (
    <li>
      <p class="logs-title">
        <a href={logPath(props.project, props.task.id)}>{titleOf(props.project, props.task)}</a>
        <span class="muted">{props.run}</span>
        <span class="spacer" />
        <span class="muted mono">
          {props.task.started_ms === null ? "" : duration(second() - props.task.started_ms)}
        </span>
      </p>
      <p class="logs-last mono">{last() || "Nothing written yet."}</p>
    </li>
  );
}

/** The last line in which anything stands. */
function lastLine(bytes: Uint8Array): string {
  const log = new LogWindow(0);
  log.append(bytes);
  for (let index = log.lines - 1; index >= 0; index--) {
    const text = parseLine(log.line(index).text, PLAIN)
      .spans.map((span) => span.text)
      .join("")
      .trim();
    if (text !== "") return text;
  }
  return "";
}
