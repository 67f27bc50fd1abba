// The panel below the chart: Details, Log or Events of the chosen frame, or of the run.

import { createSignal, For, Match, Show, Switch } from "solid-js";
import type { RunView } from "../api/types.gen.ts";
import { FrameLog } from "../logs/FrameLog.tsx";
import type { RunContent } from "../sync/apply.ts";
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
            <FrameLog project={props.run.project} content={props.content} frame={props.selected} chosen={task()} onChoose={setTask} />
          </Match>
          <Match when={tab() === "Events"}>
            <Events run={props.run} content={props.content} frame={props.selected} />
          </Match>
        </Switch>
      </div>
    </section>
  );
}
