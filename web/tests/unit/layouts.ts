// What a layout promises, looked at on a scale.

import { STRAIGHT } from "../../src/model/idle.ts";
import { FUTURE } from "../../src/model/layout.ts";
import type { Layout } from "../../src/model/layout.ts";
import { endOf, startOf } from "../../src/model/lod.ts";
import type { Scale } from "../../src/model/lod.ts";
import { T0 } from "./views.ts";

export function scaleOf(layout: Layout, now_ms: number, width = 1_000): Scale {
  const slot_ms = 50;
  const span = Math.max(now_ms - T0, 1) + layout.slots * slot_ms;
  return { axis: STRAIGHT, left: T0, perPixel: span / width, width, now_ms, slot_ms };
}

/** What is wrong with a layout, at a moment. */
export function faults(layout: Layout, scale: Scale, hidden?: Uint8Array): string[] {
  const wrong: string[] = [];
  for (let row = 0; row < layout.rows; row++) {
    for (let i = layout.rowStart[row]! + 1; i < layout.rowStart[row + 1]!; i++) {
      const [before, bar] = [layout.byRow[i - 1]!, layout.byRow[i]!];
      if (endOf(layout, before, scale) > startOf(layout, bar, scale))
        wrong.push(`${before} overlaps ${bar} in row ${row}`);
    }
  }
  for (let bar = 0; bar < layout.count; bar++) {
    if (hidden?.[bar] === 1) continue;
    const parent = layout.parent[bar]!;
    if (!(endOf(layout, bar, scale) > startOf(layout, bar, scale)))
      wrong.push(`${bar} has no length`);
    if (parent >= 0 && layout.y[bar]! <= layout.y[parent]!)
      wrong.push(`${bar} is not below its parent ${parent}`);
    if (layout.kind[bar] === FUTURE && startOf(layout, bar, scale) < scale.now_ms)
      wrong.push(`${bar} is planned before now`);
  }
  return wrong;
}
