// Which stretch of the axis the chart shows. Pure: each move makes a new stretch from the old one.

import type { Axis } from "../model/idle.ts";
import type { Layout } from "../model/layout.ts";

/** What is kept of what is shown: the left edge as a moment, so that it stays when something is folded. */
export interface Viewport {
  /** `fit`: all there is, and all that comes. `follow`: a stretch that ends with now. `free`: as set. */
  readonly mode: "fit" | "follow" | "free";
  readonly from_ms: number;
  /** On the axis. */
  readonly span: number;
}

/** What is shown, in places of the axis. */
export interface View {
  readonly mode: Viewport["mode"];
  readonly from: number;
  readonly span: number;
}

/** What there is to see, in places of the axis. */
export interface Extent {
  readonly from: number;
  readonly now: number;
  /** The end of what is planned. */
  readonly to: number;
}

/** Nothing shorter is shown: five milliseconds, or a part of what there is where that is less. */
const SHORTEST_SPAN_MS = 5;
const SHORTEST_PART = 1e-4;
/** How much of the width stays free on both sides when all is shown. */
const MARGIN = 0.012;
/** How much of the time that has passed, all that is planned may take. */
const FUTURE_SHARE = 0.45;
/** How much of it a single slot may take. */
const SLOT_SHARE = 0.1;

export const WHOLE: Viewport = { mode: "fit", from_ms: 0, span: 1 };

/** How long a slot of the future is drawn. */
export function slotLength(layout: Layout, axis: Axis, now_ms: number): number {
  const passed = Math.max(axis.at(now_ms) - axis.at(Math.min(layout.from, now_ms - 1_000)), 1);
  return passed * Math.min(SLOT_SHARE, FUTURE_SHARE / Math.max(layout.slots, 1));
}

export function extentOf(layout: Layout, axis: Axis, now_ms: number): Extent {
  const from = axis.at(Math.min(layout.from, now_ms - 1));
  const now = axis.at(now_ms);
  return { from, now, to: now + layout.slots * slotLength(layout, axis, now_ms) };
}

/** What is shown at this moment: what fits or follows moves by itself. */
export function resolve(viewport: Viewport, extent: Extent, axis: Axis): View {
  const { mode } = viewport;
  if (mode === "fit") {
    const span = Math.max(extent.to - extent.from, shortest(extent));
    return { mode, from: extent.from - span * MARGIN, span: span * (1 + 2 * MARGIN) };
  }
  if (mode === "follow")
    return { mode, from: extent.now - viewport.span * 0.85, span: viewport.span };
  return { mode, from: axis.at(viewport.from_ms), span: viewport.span };
}

/** What is to be kept of what is shown. */
export function keep(view: View, axis: Axis): Viewport {
  return { mode: view.mode, from_ms: axis.moment(view.from), span: view.span };
}

/** Makes the stretch `factor` times as long, while `at` keeps its place. */
export function zoom(view: View, extent: Extent, factor: number, at: number): View {
  const longest = Math.max((extent.to - extent.from) * 3, SHORTEST_SPAN_MS);
  const span = Math.min(Math.max(view.span * factor, shortest(extent)), longest);
  const from = at - (at - view.from) * (span / view.span);
  const mode = view.mode === "follow" ? "follow" : "free";
  return within({ mode, from, span }, extent);
}

export function pan(view: View, extent: Extent, by: number): View {
  return within({ mode: "free", from: view.from + by, span: view.span }, extent);
}

/** Shows the stretch from one place to another, with some room on both sides. */
export function fit(extent: Extent, from: number, to: number): View {
  const span = Math.max(to - from, shortest(extent));
  return within({ mode: "free", from: from - span * 0.06, span: span * 1.12 }, extent);
}

/** Shows just the stretch from one place to another. */
export function between(extent: Extent, from: number, to: number): View {
  return within(
    {
      mode: "free",
      from: Math.min(from, to),
      span: Math.max(Math.abs(to - from), shortest(extent)),
    },
    extent,
  );
}

/** Moves the stretch as little as shows at least the begin of what is from one place to another. */
export function reveal(view: View, extent: Extent, from: number, to: number): View {
  if (to > view.from && from < view.from + view.span) return view;
  return pan(view, extent, from - view.from - view.span * 0.1);
}

function shortest(extent: Extent): number {
  return Math.min(
    SHORTEST_SPAN_MS,
    Math.max(extent.to - extent.from, Number.MIN_VALUE) * SHORTEST_PART,
  );
}

/** Something of the run stays in sight. */
function within(view: View, extent: Extent): View {
  const least = extent.from - view.span * 0.8;
  const most = extent.to - view.span * 0.2;
  return { ...view, from: Math.min(Math.max(view.from, least), Math.max(most, least)) };
}
