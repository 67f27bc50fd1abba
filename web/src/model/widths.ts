// Widths by something other than time: a frame is as wide as what it used itself and all within it, its
// children side by side below it in the order in which they began. Pure.

import type { FrameTable } from "./columns.ts";
import type { Layout } from "./layout.ts";

/** What a bar's width stands for. */
export const WIDTHS = ["time", "tokens", "cost", "messages", "artifacts", "equal"] as const;
export type Width = (typeof WIDTHS)[number];
/** What is counted, which time is not. */
export type Unit = Exclude<Width, "time">;

export function readWidth(text: string | null): Width {
  return WIDTHS.find((each) => each === text) ?? "time";
}

/** What is counted of a frame itself. */
export function ownOf(frames: FrameTable, bar: number, unit: Unit): number {
  if (unit === "messages") return frames.turns.values[bar]!;
  if (unit === "artifacts") return frames.artifacts.values[bar]!;
  if (unit === "equal") return 1;
  return unit === "cost" ? frames.usage.costOf(bar) : frames.usage.tokens(bar);
}

export interface Counted {
  /** By bar: what is counted of it and all within it. */
  readonly within: Float64Array;
  /** The same layout with counts for moments, one row for each level of the tree. */
  readonly layout: Layout;
}

/** How much of the whole, those of which nothing is counted may take, each and together. */
const NOTHING_SHARE = 0.004;
const ALL_NOTHINGS_SHARE = 0.1;

/** Lays the same frames out by what is counted of them. */
export function layByWidth(frames: FrameTable, layout: Layout, unit: Unit): Counted {
  const { count, parent, children, childStart, depth } = layout;
  const order = parentsFirst(layout);
  const within = new Float64Array(count);
  let total = 0;
  for (let i = order.length - 1; i >= 0; i--) {
    const bar = order[i]!;
    within[bar]! += ownOf(frames, bar, unit);
    if (parent[bar]! < 0) total += within[bar]!;
    else within[parent[bar]!]! += within[bar]!;
  }
  const { width, whole } = widths(layout, order, within, total);
  const start = new Float64Array(count);
  const end = new Float64Array(count);
  let at = 0;
  for (let i = childStart[count]!; i < childStart[count + 1]!; i++) at = place(children[i]!, at);
  for (const bar of order) {
    let next = start[bar]!;
    for (let i = childStart[bar]!; i < childStart[bar + 1]!; i++) next = place(children[i]!, next);
  }
  const y = new Int32Array(count).map((_, bar) => (layout.y[bar]! < 0 ? -1 : depth[bar]!));
  const shape = {
    kind: new Uint8Array(count),
    start,
    end,
    reach: new Float64Array(count),
    y,
    slots: 0,
    from: 0,
    to: whole,
  };
  return {
    within,
    layout: { count, parent, depth, children, childStart, ...shape, ...byRows(order, y) },
  };

  function place(bar: number, from: number): number {
    start[bar] = from;
    end[bar] = from + width[bar]!;
    return end[bar]!;
  }
}

/** A frame of which nothing is counted is still there to be seen, if only just. */
function widths(layout: Layout, order: Int32Array, within: Float64Array, total: number) {
  const { count, parent, childStart } = layout;
  const isEmptyLeaf = (bar: number) => within[bar] === 0 && childStart[bar + 1] === childStart[bar];
  let empty = 0;
  for (let bar = 0; bar < count; bar++) if (isEmptyLeaf(bar)) empty += 1;
  const least = total === 0 ? 1 : total * Math.min(NOTHING_SHARE, ALL_NOTHINGS_SHARE / empty);
  const width = new Float64Array(count);
  // What is below a bar, then, with what is its own, the bar.
  const below = new Float64Array(count);
  let whole = 0;
  for (let i = order.length - 1; i >= 0; i--) {
    const bar = order[i]!;
    const up = parent[bar]!;
    width[bar] = isEmptyLeaf(bar) ? least : below[bar]! + own(bar);
    if (up < 0) whole += width[bar]!;
    else below[up]! += width[bar]!;
  }
  return { width, whole };

  function own(bar: number): number {
    let rest = within[bar]!;
    for (let i = childStart[bar]!; i < childStart[bar + 1]!; i++)
      rest -= within[layout.children[i]!]!;
    return Math.max(rest, 0);
  }
}

function parentsFirst(layout: Layout): Int32Array {
  const { count, children, childStart } = layout;
  const order = new Int32Array(children.length);
  let filled = 0;
  for (let i = childStart[count]!; i < childStart[count + 1]!; i++) order[filled++] = children[i]!;
  for (let read = 0; read < filled; read++) {
    const bar = order[read]!;
    for (let i = childStart[bar]!; i < childStart[bar + 1]!; i++) order[filled++] = children[i]!;
  }
  return order.subarray(0, filled);
}

/** Parents come first and siblings in their order, so each row is filled from left to right. */
function byRows(order: Int32Array, y: Int32Array) {
  let rows = 0;
  for (const bar of order) rows = Math.max(rows, y[bar]! + 1);
  const rowStart = new Int32Array(rows + 1);
  let shown = 0;
  for (const bar of order) {
    if (y[bar]! < 0) continue;
    rowStart[y[bar]! + 1]! += 1;
    shown += 1;
  }
  for (let row = 0; row < rows; row++) rowStart[row + 1]! += rowStart[row]!;
  const next = rowStart.slice();
  const byRow = new Int32Array(shown);
  for (const bar of order) if (y[bar]! >= 0) byRow[next[y[bar]!]!++] = bar;
  return { rows, rowStart, byRow };
}
