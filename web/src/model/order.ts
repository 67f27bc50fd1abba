// Frames from top to bottom, as a tree shows them. Pure.

import type { Layout } from "./layout.ts";

/** All bars with parents before what is within them; what is within those that are `folded`, 1 by bar, is left out. */
export function inOrder(layout: Layout, folded: Uint8Array | null = null): Int32Array {
  const { childStart, children, count } = layout;
  const bars = new Int32Array(count);
  const stack = new Int32Array(count);
  let [shown, high] = [0, 0];
  const below = (owner: number) => {
    for (let i = childStart[owner + 1]! - 1; i >= childStart[owner]!; i--)
      stack[high++] = children[i]!;
  };
  below(count);
  while (high > 0) {
    const bar = stack[--high]!;
    bars[shown++] = bar;
    if (folded === null || folded[bar] !== 1) below(bar);
  }
  return bars.subarray(0, shown);
}
