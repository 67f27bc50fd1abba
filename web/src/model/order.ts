// Frames from top to bottom, as a tree shows them. Pure.

import type { Layout } from "./layout.ts";

/** All bars with parents before what is within them; what is within some can be left out. */
export function inOrder(layout: Layout, isFolded: (bar: number) => boolean = () => false): number[] {
  const { childStart, children, count } = layout;
  const bars: number[] = [];
  const stack: number[] = [];
  const below = (owner: number) => {
    for (let i = childStart[owner + 1]! - 1; i >= childStart[owner]!; i--) stack.push(children[i]!);
  };
  below(count);
  while (stack.length > 0) {
    const bar = stack.pop()!;
    bars.push(bar);
    if (!isFolded(bar)) below(bar);
  }
  return bars;
}
