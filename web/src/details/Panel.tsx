// What is told of the chosen frame, or of the run: below the chart, beside it, or in its place.

import { createMemo, ErrorBoundary, For, lazy, Show, Suspense } from "solid-js";
import type { Component } from "solid-js";
import { Dynamic } from "solid-js/web";
import type { RunView } from "../api/types.gen.ts";
import { FRAME_ACTIONS } from "../actions/frame.ts";
import { TASK_ACTIONS } from "../actions/task.ts";
import { RUN_ACTIONS } from "../actions/run.ts";
import { useActions } from "../actions/commands.ts";
import { guarded } from "../actions/action.ts";
import type { Action, Subject } from "../actions/action.ts";
import { useCommands } from "../commands/registry.ts";
import type { Command } from "../commands/registry.ts";
import { RunDetails } from "./RunDetails.tsx";
import { useFrame } from "./frame.ts";
import type { Known } from "./frame.ts";
import type { Content } from "./parts.tsx";
import { showLog } from "../logs/address.ts";
import { place, setQuery } from "../router.ts";
import { LAYOUTS, layout, Separator, setLayout, size } from "./layout.tsx";

const FrameDetails = lazy(async () => ({
  default: (await import("./FrameDetails.tsx")).FrameDetails,
}));
const FrameLog = lazy(async () => ({ default: (await import("../logs/FrameLog.tsx")).FrameLog }));

export interface PanelProps {
  run: RunView;
  content: Content;
  selected: string | null;
  ref(element: HTMLElement): void;
}

/** What each tab is given. */
export interface TabProps {
  run: RunView;
  content: Content;
  frame: string | null;
  known: Known | null;
  subject: Subject;
  onLog(task: string): void;
}

/** By name in the address. Those that are seldom asked for are loaded when they are. */
const TABS: Record<string, { title: string; keys: string; view: Component<TabProps> }> = {
  details: { title: "Details", keys: "p d", view: Details },
  log: { title: "Log", keys: "p l", view: Log },
  diff: { title: "Diff", keys: "p i", view: lazy(() => import("../artifacts/DiffTab.tsx")) },
  artifacts: {
    title: "Artifacts",
    keys: "p a",
    view: lazy(() => import("../artifacts/ArtifactsTab.tsx")),
  },
  events: { title: "Events", keys: "p e", view: lazy(() => import("./Events.tsx")) },
};

const EDIT_GOAL: Action = {
  id: "frame.goal",
  title: "Edit its goal",
  label: "Edit goal",
  group: "Frame",
  keys: ["f g"],
  why: (subject) =>
    subject.frame === null
      ? "Choose a frame first."
      : subject.frame.status === "invalidated"
        ? "The frame is invalidated."
        : null,
  async send(subject) {
    showTab("details");
    const { editGoal } = await import("./Goal.tsx");
    editGoal(subject.frame!.id);
    return null;
  },
};

const ACTIONS: readonly Action[] = [...guarded([EDIT_GOAL]), ...FRAME_ACTIONS, ...TASK_ACTIONS];

const tab = () => {
  const asked = place().query.get("tab") ?? "details";
  return asked in TABS ? asked : "details";
};
const showTab = (name: string) => setQuery("tab", name === "details" ? null : name);

export default function Panel(props: PanelProps) {
  let panel!: HTMLElement;
  const known = createMemo(() => {
    const frame = props.selected;
    return frame === null
      ? null
      : useFrame(
          props.run.project,
          frame,
          () => props.content.content,
          () => props.content.version,
        );
  });
  const subject = createMemo(() => subjectOf(props.run, props.content, props.selected, known()));
  useActions(ACTIONS, subject);
  useActions(RUN_ACTIONS, () => ({ run: props.run }));
  useCommands(() => PANEL_COMMANDS);

  return (
    <section
      class={`panel panel-${layout()}`}
      ref={(element) => {
        panel = element;
        props.ref(element);
      }}
      style={{ "flex-basis": layout() === "full" ? "100%" : `${size() * 100}%` }}
      aria-label={props.selected === null ? "About the run" : "About the frame"}
    >
      <Show when={layout() !== "full"}>
        <Separator panel={() => panel} />
      </Show>
      <div class="panel-head">
        <TabList />
        <LayoutButtons />
      </div>
      <div class="panel-body" id="panel-body" role="tabpanel" aria-labelledby={`tab-${tab()}`}>
        <ErrorBoundary
          fallback={(error) => (
            <p class="hint" role="alert">
              This part of the page could not be loaded: {String(error)}
            </p>
          )}
        >
          <Suspense fallback={<p class="hint">Loading…</p>}>
            <Dynamic
              component={TABS[tab()]!.view}
              run={props.run}
              content={props.content}
              frame={props.selected}
              known={known()}
              subject={subject()}
              onLog={(asked: string) => showLog(asked)}
            />
          </Suspense>
        </ErrorBoundary>
      </div>
    </section>
  );
}

function subjectOf(
  run: RunView,
  { content, version }: Content,
  selected: string | null,
  known: Known | null,
): Subject {
  void version;
  const { frames, tasks } = content;
  const row = selected === null ? undefined : frames.row(selected);
  const newest = row === undefined ? null : frames.task.get(row);
  const taskRow = newest === null ? undefined : tasks.row(newest);
  return {
    run,
    frame: row === undefined ? null : frames.get(row),
    task: taskRow === undefined ? null : tasks.get(taskRow),
    detail: known?.detail() ?? null,
    title(id) {
      const at = frames.row(id);
      return at === undefined ? id : frames.title.get(at);
    },
  };
}

const PANEL_COMMANDS: readonly Command[] = [
  ...Object.entries(TABS).map(([name, { title, keys }]) => ({
    id: `panel.${name}`,
    title: `Show ${title.toLowerCase()}`,
    group: "Panel",
    keys: [keys],
    run: () => openTab(name),
  })),
  ...LAYOUTS.map(({ name, title, keys }) => ({
    id: `panel.${name}`,
    title,
    group: "Panel",
    keys: [keys],
    run: () => setLayout(name),
  })),
];

function openTab(name: string): void {
  showTab(name);
  document.getElementById(`tab-${name}`)?.focus();
}

function TabList() {
  const names = Object.keys(TABS);

  function onKeyDown(event: KeyboardEvent): void {
    const at = names.indexOf(tab());
    const next = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: names.length - 1 }[
      event.key
    ];
    if (next === undefined) return;
    event.preventDefault();
    openTab(names.at(next % names.length)!);
  }

  return (
    <div class="tabs" role="tablist" aria-label="About it" onKeyDown={onKeyDown}>
      <For each={names}>
        {(name) => (
          <button
            role="tab"
            id={`tab-${name}`}
            aria-selected={tab() === name}
            aria-controls="panel-body"
            tabindex={tab() === name ? 0 : -1}
            onClick={() => showTab(name)}
          >
            {TABS[name]!.title}
          </button>
        )}
      </For>
    </div>
  );
}

function LayoutButtons() {
  return (
    <div class="layouts" role="group" aria-label="Where this is shown">
      <For each={LAYOUTS}>
        {({ name, title, glyph }) => (
          <button
            class="quiet"
            aria-pressed={layout() === name}
            aria-label={title}
            title={title}
            onClick={() => setLayout(name)}
          >
            {glyph}
          </button>
        )}
      </For>
    </div>
  );
}

function Details(props: TabProps) {
  return (
    <Show
      when={props.known}
      keyed
      fallback={<RunDetails run={props.run} content={props.content} />}
    >
      {(known) => (
        <FrameDetails
          run={props.run}
          content={props.content}
          known={known}
          subject={props.subject}
          actions={ACTIONS}
          onLog={props.onLog}
        />
      )}
    </Show>
  );
}

function Log(props: TabProps) {
  return <FrameLog project={props.run.project} content={props.content} frame={props.frame} />;
}
