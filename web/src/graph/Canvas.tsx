// The graph as a drawing: how mouse, fingers and keys move it, and what of it is in sight.

import {
  createMemo,
  createSignal,
  For,
  on,
  createEffect,
  onCleanup,
  onMount,
  Show,
} from "solid-js";
import { FRAME_STATUSES, word } from "../model/status.ts";
import type { ViewProps } from "../routes/view.ts";
import { Edge, Node, Textures } from "./Node.tsx";
import { actionOf } from "./keys.ts";
import type { KeyAction } from "./keys.ts";
import type { Placed } from "./places.ts";
import { HEAD } from "./structure.ts";
import type { Within } from "./structure.ts";
import { fitAll, pan, reveal, zoom } from "./viewport.ts";
import type { Size, Viewport } from "./viewport.ts";
import { nodeAt, step } from "./walk.ts";

interface Props extends Omit<ViewProps, "onFold"> {
  placed: Placed;
  sums: Within;
  /** What is not in the picture. */
  note: string;
  onFoldNode(row: number): void;
  onFoldAll(open: boolean): void;
}

/** Movement under this is a click. */
const DRAG_PX = 4;
/** Smaller than so, only titles are written, and large; and smaller than that, nothing. */
const WHOLE_TEXT = 0.62;
const TITLES_ONLY = 0.2;
const FIRST_SCALE = 0.3;
/** The place of the triangle at the begin of a group. */
const FOLD_WIDTH = 26;

/** A role that the types of JSX do not know. */
const DOCUMENT = "graphics-document" as "document";

/** Where the person left off: kept while frames come and go. No viewport: all of it. */
let kept: { root: string; viewport: Viewport | null } | null = null;

export function Canvas(props: Props) {
  let box!: HTMLDivElement;
  const graph = () => props.placed.graph;
  const places = () => props.placed.places;
  const root = props.run.root;
  const [size, setSize] = createSignal<Size>([0, 0]);
  /** Null: all of it, whatever the size. */
  const [free, setFree] = createSignal<Viewport | null>(kept?.root === root ? kept.viewport : null);
  const viewport = createMemo(() => free() ?? fitAll(places().size, size()));
  const move = (to: Viewport | null) => {
    kept = { root, viewport: to };
    setFree(to);
  };
  const nodeOf = createMemo(() => new Map(Array.from(graph().rows, (row, node) => [row, node])));
  /** The chosen frame's node, or that of the closed group it is in. */
  const chosen = createMemo(() => {
    let row = props.selected === null ? -1 : (props.frames.row(props.selected) ?? -1);
    while (row >= 0 && !nodeOf().has(row)) row = props.layout.parent[row]!;
    return row < 0 ? -1 : nodeOf().get(row)!;
  });

  onMount(() => {
    const resized = new ResizeObserver(() => setSize([box.clientWidth, box.clientHeight]));
    resized.observe(box);
    box.addEventListener("wheel", onWheel, { passive: false });
    onCleanup(() => resized.disconnect());
  });
  // At first, what could be read: of a large graph its begin.
  createEffect(
    on(size, ([width, height]) => {
      if (kept?.root === root || width === 0) return;
      const whole = fitAll(places().size, [width, height]);
      move(
        whole.scale >= FIRST_SCALE
          ? null
          : {
              x: -20 / FIRST_SCALE,
              y: places().size[1] / 2 - height / 2 / FIRST_SCALE,
              scale: FIRST_SCALE,
            },
      );
    }),
  );
  // What is chosen elsewhere is brought into sight.
  createEffect(
    on([chosen, size], ([node]) => {
      if (node < 0 || free() === null || size()[0] === 0) return;
      const at = places();
      const shown = reveal(
        viewport(),
        size(),
        at.x[node]!,
        at.y[node]!,
        at.width[node]!,
        at.height[node]!,
      );
      if (shown.x !== viewport().x || shown.y !== viewport().y) move(shown);
    }),
  );

  const choose = (node: number) =>
    props.onSelect(node < 0 ? null : props.frames.id.get(graph().rows[node]!));
  const at = (event: MouseEvent) => {
    const { left, top } = box.getBoundingClientRect();
    return [event.clientX - left, event.clientY - top] as const;
  };
  const zoomAt = (factor: number, x: number, y: number) =>
    move(zoom(viewport(), places().size, size(), factor, x, y));

  function onWheel(event: WheelEvent): void {
    event.preventDefault();
    const unit = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 16 : event.ctrlKey ? 5 : 1;
    const [dx, dy] = [event.deltaX * unit, event.deltaY * unit];
    if (event.shiftKey || Math.abs(dx) > Math.abs(dy))
      move(pan(viewport(), places().size, size(), dx || dy, 0));
    else zoomAt(Math.exp(-Math.min(Math.max(dy, -300), 300) * 0.0018), ...at(event));
  }

  /** The node at a place of the box, and the place within it. */
  function under(x: number, y: number) {
    const [gx, gy] = [viewport().x + x / viewport().scale, viewport().y + y / viewport().scale];
    const node = nodeAt(places(), gx, gy);
    return {
      node,
      row: graph().rows[node] ?? -1,
      left: gx - places().x[node]!,
      top: gy - places().y[node]!,
    };
  }

  function press(x: number, y: number): void {
    const { node, row, left, top } = under(x, y);
    const isFold =
      row >= 0 &&
      props.sums.count[row]! > 0 &&
      left < FOLD_WIDTH &&
      (graph().open[node] === 0 || top < HEAD);
    if (isFold) props.onFoldNode(row);
    else choose(node);
  }

  const pointers = createPointers({
    pan: (dx, dy) => move(pan(viewport(), places().size, size(), dx, dy)),
    zoom: (factor, event) => zoomAt(factor, ...at(event)),
    press: (event) => press(...at(event)),
  });

  function act(action: KeyAction): void {
    const [width, height] = size();
    switch (action.do) {
      case "walk": {
        choose(step(graph(), places(), chosen(), action.way));
        return;
      }
      case "zoom":
        zoomAt(action.factor, width / 2, height / 2);
        return;
      case "pan":
        move(pan(viewport(), places().size, size(), action.x * width, action.y * height));
        return;
      case "fit":
        move(null);
        return;
      case "fold":
        if (chosen() >= 0) props.onFoldNode(graph().rows[chosen()]!);
        return;
      case "open":
        if (chosen() >= 0) props.onOpen();
        return;
      case "close":
        props.onSelect(null);
    }
  }

  function onKeyDown(event: KeyboardEvent): void {
    const action = actionOf(event);
    if (!action) return;
    event.preventDefault();
    act(action);
  }

  return (
    <>
      <div class="chart-tools">
        <span class="muted graph-note">{props.note}</span>
        <span class="spacer" />
        <button class="quiet" onClick={() => props.onFoldAll(false)}>
          Close groups
        </button>
        <button class="quiet" onClick={() => props.onFoldAll(true)}>
          Open groups
        </button>
        <button
          class="quiet"
          title="Zoom out (−)"
          aria-label="Zoom out"
          onClick={() => act({ do: "zoom", factor: 1 / 1.4 })}
        >
          −
        </button>
        <button
          class="quiet"
          title="Zoom in (+)"
          aria-label="Zoom in"
          onClick={() => act({ do: "zoom", factor: 1.4 })}
        >
          +
        </button>
        <button
          class="quiet"
          title="Show the whole graph (0)"
          aria-pressed={free() === null}
          onClick={() => act({ do: "fit" })}
        >
          Fit
        </button>
      </div>
      <div
        ref={box}
        class="graph-box"
        tabindex="0"
        role="application"
        aria-label="Graph. Left and right follow what waits for what, up and down go to what lies there, Page Up to the group around, Space opens and closes a group. W, A, S, D move, + and − zoom, 0 shows everything."
        onKeyDown={onKeyDown}
        onDblClick={(event) => {
          const { row } = under(...at(event));
          if (row >= 0) props.onFoldNode(row);
        }}
        {...pointers}
      >
        <svg
          role={DOCUMENT}
          aria-roledescription="graph"
          aria-label="What waits for what"
          width={size()[0]}
          height={size()[1]}
        >
          <Textures />
          <g transform={`scale(${viewport().scale}) translate(${-viewport().x} ${-viewport().y})`}>
            <Show when={props.placed} keyed>
              {(placed) => (
                <Drawing
                  {...props}
                  placed={placed}
                  viewport={viewport()}
                  size={size()}
                  chosen={chosen()}
                />
              )}
            </Show>
          </g>
        </svg>
      </div>
      <p class="unseen" aria-live="polite">
        <Show when={chosen() >= 0}>{spoken(props, graph().rows[chosen()]!)}</Show>
      </p>
    </>
  );
}

/** What is in sight of a graph at its places: boxes below the lines, nodes above. */
function Drawing(props: Props & { viewport: Viewport; size: Size; chosen: number }) {
  const { graph, places } = props.placed;
  const isDim = (node: number) =>
    props.matching !== null && props.matching[graph.rows[node]!] !== 1;
  const text = createMemo(() =>
    props.viewport.scale >= WHOLE_TEXT
      ? "whole"
      : props.viewport.scale >= TITLES_ONLY
        ? "title"
        : "none",
  );
  const inSight = createMemo(() => {
    const { x, y, scale } = props.viewport;
    const [right, lower] = [x + props.size[0] / scale, y + props.size[1] / scale];
    return Array.from(graph.rows.keys()).filter((node) => {
      const [left, top] = [places.x[node]!, places.y[node]!];
      return (
        left < right &&
        left + places.width[node]! > x &&
        top < lower &&
        top + places.height[node]! > y
      );
    });
  });
  const edges = Array.from(places.lines.keys());
  const edgesInSight = createMemo(() => {
    const sight = new Set(inSight());
    return sight.size === graph.rows.length
      ? edges
      : edges.filter(
          (edge) => sight.has(graph.edges[edge * 2]!) || sight.has(graph.edges[edge * 2 + 1]!),
        );
  });
  const nodes = (open: number) => (
    <For each={inSight().filter((node) => graph.open[node] === open)}>
      {(node) => (
        <Node
          {...props}
          node={node}
          chosen={props.chosen === node}
          dim={isDim(node)}
          text={text()}
        />
      )}
    </For>
  );
  return (
    <>
      {nodes(1)}
      <For each={edgesInSight()}>
        {(edge) => (
          <Edge
            placed={props.placed}
            edge={edge}
            chosen={props.chosen}
            dim={isDim(graph.edges[edge * 2]!) || isDim(graph.edges[edge * 2 + 1]!)}
          />
        )}
      </For>
      {nodes(0)}
    </>
  );
}

function spoken(props: Props, row: number): string {
  void props.layout;
  return `${props.frames.title.get(row)}, ${word(FRAME_STATUSES[props.frames.status.codes[row]!]!)}`;
}

/** One pointer drags, two pinch, and one that does not move presses. */
function createPointers(does: {
  pan(dx: number, dy: number): void;
  zoom(factor: number, at: PointerEvent): void;
  press(event: PointerEvent): void;
}) {
  const down = new Map<number, { x: number; y: number }>();
  let travelled = 0;
  const spread = () => {
    const [one, other] = [...down.values()];
    return one && other ? Math.hypot(one.x - other.x, one.y - other.y) : 0;
  };
  return {
    onPointerDown(event: PointerEvent & { currentTarget: HTMLElement }) {
      if (event.button !== 0) return;
      event.currentTarget.setPointerCapture(event.pointerId);
      if (down.size === 0) travelled = 0;
      down.set(event.pointerId, { x: event.clientX, y: event.clientY });
    },
    onPointerMove(event: PointerEvent) {
      const from = down.get(event.pointerId);
      if (!from) return;
      const before = spread();
      const [dx, dy] = [event.clientX - from.x, event.clientY - from.y];
      down.set(event.pointerId, { x: event.clientX, y: event.clientY });
      travelled += Math.abs(dx) + Math.abs(dy);
      if (travelled < DRAG_PX) return;
      if (down.size === 1) does.pan(-dx, -dy);
      else if (before > 0) does.zoom(spread() / before, event);
    },
    onPointerUp(event: PointerEvent) {
      const wasDown = down.delete(event.pointerId);
      if (wasDown && down.size === 0 && travelled < DRAG_PX) does.press(event);
    },
    onPointerCancel(event: PointerEvent) {
      down.delete(event.pointerId);
    },
  };
}
