// The log of a frame's task: the newest attempt, until another is chosen; one of its outputs.

import { createMemo, createSignal, For, Show } from "solid-js";
import type { TaskView } from "../api/types.gen.ts";
import { word } from "../model/status.ts";
import type { RunContent } from "../sync/apply.ts";
import type { Stream } from "./source.ts";
import { LogViewer } from "./Viewer.tsx";

interface Props {
  project: string;
  content: { content: RunContent; version: number };
  frame: string | null;
  /** The task whose log was asked for; null for the newest of the frame. */
  chosen: string | null;
  onChoose(task: string): void;
}

export function FrameLog(props: Props) {
  const [stream, setStream] = createSignal<Stream>("stdout");
  const tasks = createMemo((): TaskView[] => {
    const { tasks: table } = props.content.content;
    const mine: TaskView[] = [];
    for (let row = 0; row < table.length; row++) {
      if (table.frame.get(row) === props.frame && !Number.isNaN(table.started.values[row]!)) mine.push(table.get(row));
    }
    return mine.sort((a, b) => a.attempt - b.attempt);
  });
  const task = () => tasks().find((each) => each.id === props.chosen) ?? tasks().at(-1);
  const taskId = createMemo(() => task()?.id);

  return (
    <Show when={taskId()} keyed fallback={<p class="hint">{whyNone()}</p>}>
      {(id) => (
        <>
          <div class="log-head">
            <div class="tabs small" role="tablist" aria-label="Which output">
              <For each={["stdout", "stderr"] as const}>
                {(name) => (
                  <button role="tab" aria-selected={stream() === name} onClick={() => setStream(name)}>{name}</button>
                )}
              </For>
            </div>
            <Show when={tasks().length > 1} fallback={<span class="mono muted">{id}</span>}>
              <select aria-label="Attempt" onChange={(event) => props.onChoose(event.currentTarget.value)}>
                <For each={tasks()}>
                  {(each) => <option value={each.id} selected={each.id === id}>attempt {each.attempt}: {word(each.state)}</option>}
                </For>
              </select>
            </Show>
          </div>
          <LogViewer project={props.project} task={id} stream={stream()} running={task()?.state === "running"} />
        </>
      )}
    </Show>
  );

  function whyNone(): string {
    const { frames } = props.content.content;
    const row = props.frame === null ? undefined : frames.row(props.frame);
    if (row === undefined) return "Choose a frame to read what its task writes.";
    if (frames.group.bits[row] === 1) return "This frame holds others together and has no task of its own. Choose one within it.";
    return "No task of this frame has started yet, so there is nothing to read.";
  }
}
