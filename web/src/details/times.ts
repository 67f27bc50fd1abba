// How the time of a frame went.

import type { Doing, FrameView } from "../api/types.gen.ts";

/** How long each thing was done in a frame, up to its end or a moment. */
export function times(
  frame: Pick<FrameView, "spans" | "started_ms" | "ended_ms">,
  now_ms: number,
): [Doing, number][] {
  if (frame.started_ms === null) return [];
  const spans =
    frame.spans.length > 0
      ? frame.spans
      : [{ doing: "working" as const, from_ms: frame.started_ms }];
  const end_ms = frame.ended_ms ?? now_ms;
  const sums = new Map<Doing, number>();
  for (const [i, span] of spans.entries()) {
    const took = Math.max(0, Math.min(end_ms, spans[i + 1]?.from_ms ?? end_ms) - span.from_ms);
    sums.set(span.doing, (sums.get(span.doing) ?? 0) + took);
  }
  return [...sums].sort((a, b) => b[1] - a[1]);
}
