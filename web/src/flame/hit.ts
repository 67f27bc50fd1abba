// Which bar is at a place of the chart.

import type { Layout } from "../model/layout.ts";
import { endOf, firstVisible, startOf, toPixel } from "../model/lod.ts";
import type { Scale } from "../model/lod.ts";
import { RANK } from "../model/status.ts";

/** A hand is not more exact than this, in pixels. */
const REACH_PX = 2;

/** The bar at `x` in a chart row; where several are as close, the worst of them; -1 for none. */
export function barAt(
  layout: Layout,
  codes: Uint8Array,
  scale: Scale,
  x: number,
  row: number,
): number {
  if (row < 0 || row >= layout.rows) return -1;
  const about = { ...scale, left: scale.left + (x - REACH_PX) * scale.perPixel };
  let found = -1;
  let away = Infinity;
  for (let i = firstVisible(layout, row, about); i < layout.rowStart[row + 1]!; i++) {
    const bar = layout.byRow[i]!;
    const left = toPixel(startOf(layout, bar, scale), scale);
    if (left > x + REACH_PX) break;
    const right = Math.max(toPixel(endOf(layout, bar, scale), scale), left + 1);
    const distance = Math.max(left - x, x - right, 0);
    const worse = found < 0 || RANK[codes[bar]!]! > RANK[codes[found]!]!;
    if (distance < away || (distance === away && worse)) [found, away] = [bar, distance];
  }
  return found;
}
