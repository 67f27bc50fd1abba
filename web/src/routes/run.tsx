// A run: its chart, its frames, and about one of them its details, log and events.

import { createMemo, For, lazy, Show, Suspense } from "solid-js";
import type { Component } from "solid-js";
import { Dynamic } from "solid-js/web";
import type { RunView } from "../api/types.gen.ts";
import { sayKeys } from "../commands/keys.ts";
import { useCommands } from "../commands/registry.ts";
import type { RunDocument } from "../export/document.ts";
import { plural } from "../format.ts";
import { matching, parseFilter } from "../model/filter.ts";
import type { Layout } from "../model/layout.ts";
import { inOrder } from "../model/order.ts";
import { glyph, standing } from "../model/status.ts";
import { comparePath } from "../paths.ts";
import { navigate, place, setQuery } from "../router.ts";
import { now } from "../state.ts";
import { sparing } from "../sparing.ts";
import { isOpen, runKey } from "../sync/apply.ts";
import { Missing } from "../ui/Empty.tsx";
import { useTitle } from "../ui/title.ts";
import { useContent } from "./content.ts";
import type { Content } from "./content.ts";
import { FilterBar } from "./filter.tsx";
import { FlameView } from "./flame.tsx";
import { RunHeader } from "./header.tsx";
import { createLaidOut } from "./laidout.ts";
import { Panel } from "./panel.tsx";
import type { ViewProps } from "./view.ts";

export function RunPage(props: { project: string; run: string }) {
  const { run, content, error } = useContent(props.project, props.run);
  useTitle(
    createMemo(() => {
      const shown = run();
      return shown ? `${glyph(standing(shown))} ${shown.name}` : props.run;
    }),
  );

  return (
    <Show
      when={run() && content()}
      fallback={
        <Show
          when={error()}
          fallback={
            <p class="empty muted" role="status">
              Loading {props.run}…
            </p>
          }
        >
          {(problem) => <Missing problem={problem()} what="run" href="/" all="All runs" />}
        </Show>
      }
    >
      <Loaded run={run()!} content={content()!} />
    </Show>
  );
}

const ExportMenu = lazy(async () => ({ default: (await import("../export/Menu.tsx")).ExportMenu }));
const ImportedPanel = lazy(() => import("../export/ImportedPanel.tsx"));

/** The ways to look at a run. Those that are seldom asked for are loaded when they are. */
const VIEWS: Record<string, { title: string; keys: string; view: Component<ViewProps> }> = {
  flame: { title: "Flame", keys: "v f", view: FlameView },
  graph: {
    title: "Graph",
    keys: "v g",
    view: lazy(async () => ({ default: (await import("../graph/View.tsx")).GraphView })),
  },
  table: {
    title: "Table",
    keys: "v t",
    view: lazy(async () => ({ default: (await import("./table.tsx")).TableView })),
  },
  cost: {
    title: "Cost",
    keys: "v c",
    view: lazy(async () => ({ default: (await import("./cost.tsx")).CostView })),
  },
};

/** A run with its content; `imported`, where both are of a file: then nothing can be done with it. */
export function Loaded(props: { run: RunView; content: Content; imported?: RunDocument }) {
  let panel: HTMLElement | undefined;
  const frames = () => props.content.content.frames;
  const isLive = () => isOpen(props.run) && !props.imported;
  const until = () => props.run.ended_ms ?? props.imported?.at_ms ?? now();
  const view = createMemo(() => place().query.get("view") ?? "flame");
  const filterText = createMemo(() => place().query.get("filter") ?? "");
  const filter = createMemo(() => parseFilter(filterText()));
  const toSearch = createMemo(() => ({
    frames: frames(),
    version: props.content.version,
    filter: filter(),
  }));
  const found = sparing(
    toSearch,
    (now) => matching(now.frames, now.filter),
    () => [frames(), filter()],
  );
  const selected = createMemo(() => {
    const wanted = place().query.get("frame");
    return wanted !== null && frames().row(wanted) !== undefined ? wanted : null;
  });
  const { laidOut, fold, unfoldAll } = createLaidOut(
    `${props.imported ? "a file's " : ""}${runKey(props.run.project, props.run.id)}`,
    frames,
    () => props.content.version,
    selected,
  );
  const matches = createMemo(() => matchesOf(laidOut()?.layout ?? null, found()));
  const chosenMatch = () =>
    selected() === null ? -1 : matches().indexOf(frames().row(selected()!)!);
  const choose = (frame: string | null) => setQuery("frame", frame);
  const chooseMatch = (step: 1 | -1) => {
    const count = matches().length;
    if (count === 0) return;
    const from = chosenMatch() < 0 && step < 0 ? 0 : chosenMatch();
    choose(frames().id.get(matches()[(from + step + count) % count]!));
  };
  useCommands(() => [
    ...Object.entries(VIEWS).map(([name, { title, keys }]) => ({
      id: `view.${name}`,
      title: `Show the run as ${title.toLowerCase()}`,
      group: "Run",
      keys: [keys],
      run: () => showAs(name),
    })),
    ...(props.imported
      ? []
      : [
          {
            id: "run.compare",
            title: "Compare the run with others",
            group: "Run",
            keys: ["r c"],
            run: () => navigate(comparePath([props.run])),
          },
        ]),
  ]);
  const open = () => panel?.querySelector<HTMLElement>("[role=tab][aria-selected=true]")?.focus();

  return (
    <div class="run">
      <RunHeader run={props.run} asOf_ms={props.imported?.at_ms ?? null}>
        <Show when={!props.imported}>
          <a class="button" href={comparePath([props.run])}>
            Compare
          </a>
        </Show>
        <Suspense>
          <ExportMenu
            run={props.run}
            content={props.content}
            now={() => props.imported?.at_ms ?? now()}
            events={props.imported?.events ?? null}
            chart={view() === "flame"}
          />
        </Suspense>
      </RunHeader>
      <div class="run-bar">
        <ViewChooser view={view()} />
        <FilterBar
          frames={frames()}
          version={props.content.version}
          filter={filter()}
          found={matches().length}
          chosen={chosenMatch() + 1}
          onMatch={chooseMatch}
        />
      </div>
      <div class="run-body">
        <Suspense
          fallback={
            <p class="hint" role="status">
              Loading…
            </p>
          }
        >
          <Show
            when={laidOut()}
            fallback={
              <p class="hint" role="status">
                Laying out {plural(frames().length, "frame")}…
              </p>
            }
          >
            {(at) => (
              <Dynamic
                component={(VIEWS[view()] ?? VIEWS.flame!).view}
                run={props.run}
                frames={at().frames}
                tasks={props.content.content.tasks}
                version={props.content.version}
                layout={at().layout}
                fold={at().fold}
                onFold={fold}
                onUnfoldAll={unfoldAll}
                matching={found()}
                live={isLive()}
                now={until}
                selected={selected()}
                onSelect={choose}
                onMatch={chooseMatch}
                onOpen={open}
              />
            )}
          </Show>
        </Suspense>
        <Show
          when={props.imported}
          fallback={
            <Panel
              ref={(element) => (panel = element)}
              run={props.run}
              content={props.content}
              selected={selected()}
            />
          }
        >
          {(document) => (
            <Suspense>
              <ImportedPanel document={document()} selected={selected()} />
            </Suspense>
          )}
        </Show>
      </div>
    </div>
  );
}

function showAs(view: string): void {
  setQuery("view", view === "flame" ? null : view);
}

function ViewChooser(props: { view: string }) {
  return (
    <Show when={Object.keys(VIEWS).length > 1}>
      <nav class="views" aria-label="Views of the run">
        <For each={Object.entries(VIEWS)}>
          {([name, { title, keys }]) => (
            <button
              class="quiet"
              aria-pressed={props.view === name}
              onClick={() => showAs(name)}
              title={sayKeys(keys)}
            >
              {title}
            </button>
          )}
        </For>
      </nav>
    </Show>
  );
}

/** What the filter finds, from top to bottom. */
function matchesOf(layout: Layout | null, found: Uint8Array | null): Int32Array {
  return layout === null || found === null
    ? new Int32Array(0)
    : inOrder(layout).filter((bar) => found[bar] === 1);
}
