// What was used in each frame and all within it. Pure.

import type { FrameTable } from "./columns.ts";
import type { Layout } from "./layout.ts";
import { inOrder } from "./order.ts";

export interface Sums {
  /** By bar. */
  readonly tokens: Float64Array;
  readonly cost_usd: Float64Array;
  /** 1 where some of the cost is reckoned from list prices. */
  readonly estimated: Uint8Array;
}

export function sumsOf(frames: FrameTable, layout: Layout): Sums {
  const { count, parent } = layout;
  const sums = { tokens: new Float64Array(count), cost_usd: new Float64Array(count), estimated: new Uint8Array(count) };
  const order = inOrder(layout);
  for (let i = order.length - 1; i >= 0; i--) {
    const bar = order[i]!;
    sums.tokens[bar]! += frames.usage.tokens(bar);
    sums.cost_usd[bar]! += frames.usage.costOf(bar);
    if (frames.usage.estimated.bits[bar] === 1) sums.estimated[bar] = 1;
    const up = parent[bar]!;
    if (up < 0) continue;
    sums.tokens[up]! += sums.tokens[bar]!;
    sums.cost_usd[up]! += sums.cost_usd[bar]!;
    if (sums.estimated[bar] === 1) sums.estimated[up] = 1;
  }
  return sums;
}
