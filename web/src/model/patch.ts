// Puts a frame's change into a layout that is there, where that can be done without moving other bars: it
// ends, goes on, or begins where there is room for it. Nothing is looked at but the bar's own row, so a
// change costs as little in a large chart as in a small one, and what one looks at stays where it is.
// Pure: it writes into the layout's arrays.

import type { FrameTable } from "./columns.ts";
import { FUTURE, PAST, endOfPast, kindOf, packedEnd, packedStart } from "./layout.ts";
import type { Layout } from "./layout.ts";

type Mutable = { -readonly [F in keyof Layout]: Layout[F] };

/**
 * Takes in how a bar's frame stands. `shown` is the order of children that was shown last, and stays as it is.
 * Says false where only a new layout shows it as it should be; what is
 * there holds what a layout promises all the same: no two bars overlap, rows are in order.
 */
export function patch(
  layout: Mutable,
  frames: FrameTable,
  bar: number,
  shown: Int32Array,
): boolean {
  if (bar >= layout.count || frames.parent.row(bar) !== layout.parent[bar]) return false;
  const [status, started] = [frames.status.codes[bar]!, frames.started.values[bar]!];
  const kind = kindOf(status, started);
  const before = layout.kind[bar]!;
  if (kind === FUTURE) return before === FUTURE;
  const end = endOfPast(status, started, frames.ended.values[bar]!);
  if (before === FUTURE) {
    begin(layout, bar, kind, started, end, shown);
    // Those that waited for it can be nearer now.
    return false;
  }
  if (started !== layout.start[bar]) return false;
  if (kind === before && end === layout.end[bar]) return true;
  const next = nextInRow(layout, bar);
  const [kindBefore, endBefore] = [layout.kind[bar]!, layout.end[bar]!];
  [layout.kind[bar], layout.end[bar]] = [kind, end];
  if (
    next >= 0 &&
    packedEnd(layout.kind, layout.end, bar) > packedStart(layout.kind, layout.start, next)
  ) {
    [layout.kind[bar], layout.end[bar]] = [kindBefore, endBefore];
    return false;
  }
  if (kind === PAST) layout.to = Math.max(layout.to, end);
  // Where what ended last goes on, or ended earlier, only all others tell what did now.
  return kindBefore !== PAST || endBefore < layout.to || end === layout.to;
}

/** Moves a bar from the future to where its row is free, if it is. */
function begin(
  layout: Mutable,
  bar: number,
  kind: number,
  start: number,
  end: number,
  shown: Int32Array,
): void {
  const { byRow, rowStart, y } = layout;
  const row = y[bar]!;
  if (row >= 0) {
    const place = firstAfter(layout, byRow, rowStart[row]!, rowStart[row + 1]!, start);
    const own = byRow.indexOf(bar, place);
    const after = place === own ? place + 1 : place;
    if (place > rowStart[row]! && packedEnd(layout.kind, layout.end, byRow[place - 1]!) > start)
      return;
    if (
      kind === PAST &&
      after < rowStart[row + 1]! &&
      packedStart(layout.kind, layout.start, byRow[after]!) < end
    )
      return;
    move(byRow, own, place);
  }
  // In a copy, so that whoever keeps what is made of the order of children knows by it.
  const owner = layout.parent[bar]! < 0 ? layout.count : layout.parent[bar]!;
  const place = firstAfter(
    layout,
    layout.children,
    layout.childStart[owner]!,
    layout.childStart[owner + 1]!,
    start,
  );
  const own = layout.children.indexOf(bar, layout.childStart[owner]!);
  if (own > place) {
    if (layout.children === shown) layout.children = shown.slice();
    move(layout.children, own, place);
  }
  if (layout.childStart[bar + 1]! > layout.childStart[bar]!) layout.reach[bar] = layout.end[bar]!;
  layout.kind[bar] = kind;
  layout.start[bar] = start;
  layout.end[bar] = end;
  layout.from = Math.min(layout.from, start);
  layout.to = Math.max(layout.to, kind === PAST ? end : start + 1);
}

/** The first place of a stretch of bars, sorted by start, whose bar begins after a moment. */
function firstAfter(
  layout: Layout,
  bars: Int32Array,
  from: number,
  to: number,
  moment: number,
): number {
  while (from < to) {
    const middle = (from + to) >> 1;
    if (packedStart(layout.kind, layout.start, bars[middle]!) > moment) to = middle;
    else from = middle + 1;
  }
  return from;
}

/** The bar after one in its row; -1 for none, or where it has no row. */
function nextInRow(layout: Layout, bar: number): number {
  const row = layout.y[bar]!;
  if (row < 0) return -1;
  // Starts differ within a row: no bar is without length.
  const to = layout.rowStart[row + 1]!;
  const place = firstAfter(
    layout,
    layout.byRow,
    layout.rowStart[row]!,
    to,
    packedStart(layout.kind, layout.start, bar),
  );
  return place < to ? layout.byRow[place]! : -1;
}

/** Moves what is at one place of a list to an earlier one. */
function move(list: Int32Array, from: number, to: number): void {
  const item = list[from]!;
  list.copyWithin(to + 1, to, from);
  list[to] = item;
}
