// Which stretch of time the chart shows. Pure: each move makes a new viewport from the old one.

import type { Layout } from "../model/layout.ts";

export interface Viewport {
  /** `fit`: all there is, and all that comes. `follow`: a stretch that ends with now. `free`: as set. */
  readonly mode: "fit" | "follow" | "free";
  readonly from_ms: number;
  readonly span_ms: number;
}

/** What there is to see. */
export interface Extent {
  readonly from_ms: number;
  readonly now_ms: number;
  /** The end of what is planned. */
  readonly to_ms: number;
}

const SHORTEST_SPAN_MS = 5;
/** How much of the width stays free on both sides when all is shown. */
const MARGIN = 0.012;
/** How much of the time that has passed, all that is planned may take. */
const FUTURE_SHARE = 0.45;
/** How much of it a single slot may take. */
const SLOT_SHARE = 0.1;

export const WHOLE: Viewport = { mode: "fit", from_ms: 0, span_ms: 1 };

/** How long a slot of the future is drawn. */
export function slotLength(layout: Layout, now_ms: number): number {
  const passed_ms = Math.max(now_ms - Math.min(layout.from, now_ms - 1_000), 1);
  return passed_ms * Math.min(SLOT_SHARE, FUTURE_SHARE / Math.max(layout.slots, 1));
}

export function extentOf(layout: Layout, now_ms: number): Extent {
  const from_ms = Math.min(layout.from, now_ms - 1);
  return { from_ms, now_ms, to_ms: now_ms + layout.slots * slotLength(layout, now_ms) };
}

/** The viewport at this moment: one that fits or follows moves by itself. */
export function resolve(viewport: Viewport, extent: Extent): Viewport {
  if (viewport.mode === "fit") {
    const span_ms = Math.max(extent.to_ms - extent.from_ms, SHORTEST_SPAN_MS);
    return { mode: "fit", from_ms: extent.from_ms - span_ms * MARGIN, span_ms: span_ms * (1 + 2 * MARGIN) };
  }
  if (viewport.mode === "follow") {
    return { ...viewport, from_ms: extent.now_ms - viewport.span_ms * 0.85 };
  }
  return viewport;
}

/** Makes the stretch `factor` times as long, while `at_ms` keeps its place. */
export function zoom(viewport: Viewport, extent: Extent, factor: number, at_ms: number): Viewport {
  const longest = (extent.to_ms - extent.from_ms) * 3 + 1_000;
  const span_ms = Math.min(Math.max(viewport.span_ms * factor, SHORTEST_SPAN_MS), longest);
  const from_ms = at_ms - (at_ms - viewport.from_ms) * (span_ms / viewport.span_ms);
  const mode = viewport.mode === "follow" ? "follow" : "free";
  return within({ mode, from_ms, span_ms }, extent);
}

export function pan(viewport: Viewport, extent: Extent, by_ms: number): Viewport {
  return within({ mode: "free", from_ms: viewport.from_ms + by_ms, span_ms: viewport.span_ms }, extent);
}

/** Shows the stretch from one moment to another. */
export function fit(extent: Extent, from_ms: number, to_ms: number): Viewport {
  const span_ms = Math.max(to_ms - from_ms, SHORTEST_SPAN_MS);
  return within({ mode: "free", from_ms: from_ms - span_ms * 0.06, span_ms: span_ms * 1.12 }, extent);
}

/** Moves the stretch as little as shows at least the begin of what is from one moment to another. */
export function reveal(viewport: Viewport, extent: Extent, from_ms: number, to_ms: number): Viewport {
  const end_ms = viewport.from_ms + viewport.span_ms;
  if (to_ms > viewport.from_ms && from_ms < end_ms) return viewport;
  return pan(viewport, extent, from_ms - viewport.from_ms - viewport.span_ms * 0.1);
}

/** Something of the run stays in sight. */
function within(viewport: Viewport, extent: Extent): Viewport {
  const least = extent.from_ms - viewport.span_ms * 0.8;
  const most = extent.to_ms - viewport.span_ms * 0.2;
  return { ...viewport, from_ms: Math.min(Math.max(viewport.from_ms, least), Math.max(most, least)) };
}
