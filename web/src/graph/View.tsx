// A run as a graph: what waits for what, and what holds what. The layout is made by a worker and only when
// frames come or go; what happens to them shows at once.

import { createMemo, createSignal, Match, Show, Switch } from "solid-js";
import type { FrameTable } from "../model/columns.ts";
import type { Layout } from "../model/layout.ts";
import type { ViewProps } from "../routes/view.ts";
import { Canvas } from "./Canvas.tsx";
import { createPlacing } from "./places.ts";
import { countNodes, graphOf, holdsOthers, openAtFirst, within } from "./structure.ts";
import "../styles/graph.css";

/** So many nodes are shown at first, and so many at the most: more is no picture any more. */
const NODES_AT_FIRST = 600;
const MOST_NODES = 3_000;

export function GraphView(props: ViewProps) {
  const structure = createStructure(() => [props.frames, props.layout]);
  /** What a person opened and closed, by frame. */
  const [folds, setFolds] = createSignal<ReadonlyMap<string, boolean>>(new Map());
  /** Of a run too large to be shown whole, a filter shows a part. */
  const shown = createMemo(() => {
    const { layout } = structure();
    if (props.matching === null || layout.count <= NODES_AT_FIRST) return null;
    const reached = aboutMatching(layout, props.matching);
    return (row: number) => reached[row] === 1;
  });
  const open = createMemo(() => {
    const { frames, layout } = structure();
    const rows = openAtFirst(layout, shown(), NODES_AT_FIRST);
    for (const [id, isOpen] of folds()) {
      const row = frames.row(id);
      if (row !== undefined && holdsOthers(layout, row)) rows[isOpen ? "add" : "delete"](row);
    }
    return rows;
  });
  const nodes = createMemo(() => countNodes(structure().layout, open(), shown()));
  const graph = createMemo(() =>
    nodes() > MOST_NODES ? null : graphOf(structure().frames, structure().layout, open(), shown()),
  );
  const placing = createPlacing(graph);
  const sums = createMemo(() => within(props.frames, props.layout));

  function fold(row: number): void {
    const id = props.frames.id.get(row);
    if (!holdsOthers(props.layout, row)) return;
    setFolds((before) => new Map(before).set(id, !open().has(row)));
  }

  function foldAll(isOpen: boolean): void {
    if (isOpen) setFolds(new Map());
    else
      setFolds(
        new Map(
          [...open()]
            .filter((row) => props.layout.parent[row]! >= 0)
            .map((row) => [props.frames.id.get(row), false]),
        ),
      );
  }

  return (
    <section class="graph" aria-label="Graph">
      <Show when={props.layout.count > 0} fallback={<p class="hint">There are no frames yet.</p>}>
        <Show when={placing.placed()}>
          {(placed) => (
            <Canvas
              {...props}
              placed={placed()}
              sums={sums()}
              onFoldNode={fold}
              onFoldAll={foldAll}
              note={note()}
            />
          )}
        </Show>
        <Progress
          placing={placing}
          tooMany={nodes() > MOST_NODES ? nodes() : 0}
          onCloseAll={() => foldAll(false)}
          onUndo={() => setFolds(new Map())}
        />
      </Show>
    </section>
  );

  function note(): string {
    const all = props.layout.count;
    if (nodes() === all) return "";
    const part = `${nodes().toLocaleString()} of ${all.toLocaleString()} frames.`;
    return shown()
      ? `${part} The others do not match the filter.`
      : `${part} A closed group stands for what is within it.`;
  }
}

/** What goes on where there is nothing to see yet, or nothing new. */
function Progress(props: {
  placing: ReturnType<typeof createPlacing>;
  tooMany: number;
  onCloseAll(): void;
  onUndo(): void;
}) {
  return (
    <Switch>
      <Match when={props.tooMany > 0}>
        <p class="graph-notice" role="status">
          {props.tooMany.toLocaleString()} frames are too many for a picture. Filter them, or leave
          groups closed. <button onClick={() => props.onUndo()}>Close what was opened</button>
        </p>
      </Match>
      <Match when={props.placing.failed()}>
        {(why) => (
          <p class="graph-notice" role="status">
            There is no new picture: {why()}.{" "}
            <button onClick={() => props.onCloseAll()}>Close all groups</button>
          </p>
        )}
      </Match>
      <Match when={props.placing.progress()}>
        {(progress) => (
          <p class="graph-notice graph-progress" role="status">
            <label>
              Laying out {progress().of.toLocaleString()} frames{" "}
              <progress max={progress().of} value={progress().done} />
            </label>
            <button onClick={() => props.placing.cancel()}>Cancel</button>
          </p>
        )}
      </Match>
    </Switch>
  );
}

interface Structure {
  readonly frames: FrameTable;
  readonly layout: Layout;
}

/** Frames and layout as they were when a frame last came, went, or waited for something else. */
function createStructure(now: () => [FrameTable, Layout]): () => Structure {
  let dependencies = 0;
  return createMemo<Structure>((before) => {
    const [frames, layout] = now();
    const isSame =
      before !== undefined &&
      before.frames === frames &&
      before.layout.count === layout.count &&
      dependencies === frames.dependsOn.changes &&
      layout.parent.every((up, row) => up === before.layout.parent[row]);
    if (isSame) return before;
    dependencies = frames.dependsOn.changes;
    return { frames, layout };
  });
}

/** By row: 1 for frames that match, and for those that hold one that does. */
function aboutMatching(layout: Layout, matching: Uint8Array): Uint8Array {
  const reached = new Uint8Array(layout.count);
  matching.forEach((found, row) => {
    for (let up = found === 1 ? row : -1; up >= 0 && reached[up] === 0; up = layout.parent[up]!)
      reached[up] = 1;
  });
  return reached;
}
