// The panel below the chart: Details, Log or Events of the chosen frame, or of the run.

import { createMemo, createSignal, For, Match, Show, Switch } from "solid-js";
import type { RunView, TaskView } from "../api/types.gen.ts";
import { LogViewer } from "../logs/Viewer.tsx";
import type { Stream } from "../logs/source.ts";
import type { RunContent } from "../sync/apply.ts";
import { word } from "../model/status.ts";
import { FrameDetails, RunDetails } from "./details.tsx";
import { Events } from "./events.tsx";

interface Props {
  run: RunView;
  content: { content: RunContent; version: number };
  selected: string | null;
  ref(element: HTMLElement): void;
}

const TABS = ["Details", "Log", "Events"] as const;
type Tab = (typeof TABS)[number];

export function Panel(props: Props) {
  const [tab, setTab] = createSignal<Tab>("Details");
  /** The task whose log was asked for; null for the newest of the frame. */
  const [task, setTask] = createSignal<string | null>(null);
  const tabs: HTMLButtonElement[] = [];

  function showLog(asked: string): void {
    setTask(asked);
    setTab("Log");
  }

  function onKeyDown(event: KeyboardEvent): void {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (step === undefined) return;
    event.preventDefault();
    const next = (TABS.indexOf(tab()) + step + TABS.length) % TABS.length;
    setTab(TABS[next]!);
    tabs[next]!.focus();
  }

  return (
    <section class="panel" ref={props.ref} aria-label={props.selected === null ? "About the run" : "About the frame"}>
      <div class="tabs" role="tablist" onKeyDown={onKeyDown}>
        <For each={TABS}>
          {(name, i) => (
            <button
              ref={(element) => (tabs[i()] = element)}
              role="tab"
              id={`tab-${name}`}
              aria-selected={tab() === name}
              aria-controls="panel-body"
              tabindex={tab() === name ? 0 : -1}
              onClick={() => setTab(name)}
            >
              {name}
            </button>
          )}
        </For>
      </div>
      <div class="panel-body" id="panel-body" role="tabpanel" aria-labelledby={`tab-${tab()}`}>
        <Switch>
          <Match when={tab() === "Details"}>
            <Show when={props.selected} keyed fallback={<RunDetails run={props.run} content={props.content} />}>
              {(frame) => <FrameDetails run={props.run} content={props.content} frame={frame} onLog={showLog} />}
            </Show>
          </Match>
          <Match when={tab() === "Log"}>
            <FrameLog run={props.run} content={props.content} frame={props.selected} chosen={task()} onChoose={setTask} />
          </Match>
          <Match when={tab() === "Events"}>
            <Events run={props.run} content={props.content} frame={props.selected} />
          </Match>
        </Switch>
      </div>
    </section>
  );
}

/** The log of a frame's task: the newest attempt, until another is chosen. */
function FrameLog(props: {
  run: RunView;
  content: Props["content"];
  frame: string | null;
  chosen: string | null;
  onChoose(task: string): void;
}) {
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
          <LogViewer project={props.run.project} task={id} stream={stream()} running={task()?.state === "running"} />
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
