// The log of a frame's task: the newest attempt, until another is chosen; one of its outputs, or both. What
// is chosen stands in the address, with the lines that a link names.

import { createMemo, For, Show } from "solid-js";
import type { TaskView } from "../api/types.gen.ts";
import { word } from "../model/status.ts";
import { logPath } from "../paths.ts";
import { place } from "../router.ts";
import type { RunContent } from "../sync/apply.ts";
import { showLog } from "./address.ts";
import { hashOf, readLines } from "./lines.ts";
import { STREAMS } from "./source.ts";
import type { Stream } from "./source.ts";
import { LogViewer } from "./Viewer.tsx";

interface Props {
  project: string;
  content: { content: RunContent; version: number };
  frame: string | null;
}

export function FrameLog(props: Props) {
  const tasks = createMemo((): TaskView[] => {
    const { tasks: table } = props.content.content;
    const rows = props.frame === null ? [] : table.rowsOf(props.frame);
    const begun = rows.map((row) => table.get(row)).filter((task) => task.started_ms !== null);
    return begun.sort((a, b) => a.attempt - b.attempt);
  });
  const named = () => tasks().find(({ id }) => id === place().query.get("task"));
  const task = () => named() ?? tasks().at(-1);
  const taskId = createMemo(() => task()?.id);
  // Lines are those of a certain log: of another they would be other lines.
  const lines = createMemo(() => (named() ? readLines(place().hash) : null), null, {
    equals: (a, b) => JSON.stringify(a) === JSON.stringify(b),
  });

  return (
    <Show when={taskId()} keyed fallback={<p class="hint">{whyNone()}</p>}>
      {(id) => (
        <>
          <div class="log-head">
            <StreamTabs stream={streamOf()} onChoose={(stream) => showLog(id, stream)} />
            <Show when={tasks().length > 1} fallback={<span class="mono muted">{id}</span>}>
              <select
                aria-label="Attempt"
                onChange={(event) => showLog(event.currentTarget.value, streamOf())}
              >
                <For each={tasks()}>
                  {(each) => (
                    <option value={each.id} selected={each.id === id}>
                      attempt {each.attempt}: {word(each.state)}
                    </option>
                  )}
                </For>
              </select>
            </Show>
          </div>
          <LogViewer
            project={props.project}
            task={id}
            stream={streamOf()}
            running={task()?.state === "running"}
            lines={lines()}
            onLines={(chosen) => showLog(id, streamOf(), chosen)}
            own={logPath(props.project, id, streamOf()) + (lines() ? hashOf(lines()!) : "")}
          />
        </>
      )}
    </Show>
  );

  function whyNone(): string {
    const { frames } = props.content.content;
    const row = props.frame === null ? undefined : frames.row(props.frame);
    if (row === undefined) return "Choose a frame to read what its task writes.";
    if (frames.group.bits[row] === 1)
      return "This frame holds others together and has no task of its own. Choose one within it.";
    return "No task of this frame has started yet, so there is nothing to read.";
  }
}

/** Which output the address names. */
export function streamOf(): Stream {
  const named = place().query.get("stream");
  return STREAMS.find((stream) => stream === named) ?? "stdout";
}

const TITLES: Record<Stream, string> = { stdout: "stdout", stderr: "stderr", merged: "both" };

export function StreamTabs(props: { stream: Stream; onChoose(stream: Stream): void }) {
  function onKeyDown(event: KeyboardEvent & { currentTarget: HTMLElement }): void {
    const step = { ArrowRight: 1, ArrowLeft: STREAMS.length - 1 }[event.key];
    if (step === undefined) return;
    event.preventDefault();
    const next = (STREAMS.indexOf(props.stream) + step) % STREAMS.length;
    props.onChoose(STREAMS[next]!);
    event.currentTarget.querySelectorAll<HTMLElement>("[role=tab]")[next]!.focus();
  }

  return (
    <div class="tabs small" role="tablist" aria-label="Which output" onKeyDown={onKeyDown}>
      <For each={STREAMS}>
        {(name) => (
          <button
            role="tab"
            aria-selected={props.stream === name}
            tabindex={props.stream === name ? 0 : -1}
            onClick={() => props.onChoose(name)}
          >
            {TITLES[name]}
          </button>
        )}
      </For>
    </div>
  );
}
