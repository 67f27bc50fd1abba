// What of a chart row is drawn at a given zoom. Bars too narrow to tell apart are joined by the pixel,
// and there the worst status is shown: red never vanishes. Pure.

import type { Axis } from "./idle.ts";
import type { Layout } from "./layout.ts";
import { FUTURE, RUNNING } from "./layout.ts";
import { RANK } from "./status.ts";

/** What is shown of the axis, and on how many pixels. Where a width is not time, moments are counts. */
export interface Scale {
  readonly axis: Axis;
  /** The place at the left edge. */
  readonly left: number;
  /** How much of the axis a pixel shows. */
  readonly perPixel: number;
  /** Pixels. */
  readonly width: number;
  /** Not before the layout's last moment. */
  readonly now_ms: number;
  /** How long a slot of the future is. */
  readonly slot_ms: number;
}

/** Bars narrower than so many pixels are joined with their neighbours. */
export const WIDE_PX = 4;

export function startOf(layout: Layout, bar: number, scale: Scale): number {
  return layout.kind[bar] === FUTURE
    ? scale.now_ms + layout.start[bar]! * scale.slot_ms
    : layout.start[bar]!;
}

export function endOf(layout: Layout, bar: number, scale: Scale): number {
  if (layout.kind[bar] === FUTURE) return scale.now_ms + layout.end[bar]! * scale.slot_ms;
  return layout.kind[bar] === RUNNING ? scale.now_ms : layout.end[bar]!;
}

export function toPixel(moment_ms: number, scale: Scale): number {
  return (scale.axis.at(moment_ms) - scale.left) / scale.perPixel;
}

export function toMoment(x: number, scale: Scale): number {
  return scale.axis.moment(scale.left + x * scale.perPixel);
}

/** What is to be drawn of a row, in pixels; `right` is not included. */
export interface RowPainter {
  /** A bar wide enough to stand for itself. */
  wide(bar: number, left: number, right: number): void;
  /** A stretch where the worst of the bars has this code. Comes after all wide ones; what comes later is drawn
   *  over what came before. */
  joined(code: number, left: number, right: number): void;
}

/** Draws a chart row. `codes` are the statuses of the bars, with DIMMED for those not looked for. */
export function paintRow(
  layout: Layout,
  codes: Uint8Array,
  row: number,
  scale: Scale,
  painter: RowPainter,
): void {
  const width = Math.ceil(scale.width);
  const worst = scratch(width);
  let joined = false;
  const last = layout.rowStart[row + 1]!;
  for (let i = firstVisible(layout, row, scale); i < last; i++) {
    const bar = layout.byRow[i]!;
    const x0 = toPixel(startOf(layout, bar, scale), scale);
    if (x0 >= width) break;
    const x1 = toPixel(endOf(layout, bar, scale), scale);
    if (x1 - x0 >= WIDE_PX) {
      painter.wide(
        bar,
        Math.max(Math.round(x0), -WIDE_PX),
        Math.min(Math.round(x1), width + WIDE_PX),
      );
      continue;
    }
    joined = true;
    const code = codes[bar]!;
    const left = Math.max(Math.floor(x0), 0);
    const right = Math.min(Math.max(Math.ceil(x1), left + 1), width);
    for (let x = left; x < right; x++) {
      if (worst[x] === 0 || RANK[code]! > RANK[worst[x]! - 1]!) worst[x] = code + 1;
    }
  }
  if (joined) paintJoined(worst, width, painter);
}

/** The first bar of the row, as a place in `byRow`, that ends after the left edge. */
export function firstVisible(layout: Layout, row: number, scale: Scale): number {
  const from_ms = toMoment(0, scale);
  let low = layout.rowStart[row]!;
  let high = layout.rowStart[row + 1]!;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (endOf(layout, layout.byRow[middle]!, scale) <= from_ms) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Each stretch without a gap as a whole in the code that it has most of, and over that what is otherwise: where
 *  codes alternate from pixel to pixel, half of what is drawn is saved. */
function paintJoined(worst: Uint8Array, width: number, painter: RowPainter): void {
  for (let from = 0; from < width;) {
    let to = from + 1;
    if (worst[from] === 0) {
      from = to;
      continue;
    }
    while (to < width && worst[to] !== 0) to += 1;
    const most = mostOf(worst, from, to);
    painter.joined(most - 1, from, to);
    for (let left = from; left < to;) {
      const code = worst[left]!;
      let right = left + 1;
      while (right < to && worst[right] === code) right += 1;
      if (code !== most) painter.joined(code - 1, left, right);
      left = right;
    }
    from = to;
  }
}

const counts = new Uint32Array(256);

/** What there is most of in a stretch. */
function mostOf(values: Uint8Array, from: number, to: number): number {
  counts.fill(0);
  let most = values[from]!;
  for (let i = from; i < to; i++) {
    const value = values[i]!;
    if ((counts[value]! += 1) > counts[most]!) most = value;
  }
  return most;
}

let pixels = new Uint8Array(0);

/** Zeroes, one for each pixel: a code and 1, or 0 for none. Used again for each row. */
function scratch(width: number): Uint8Array {
  if (pixels.length < width) pixels = new Uint8Array(width * 2);
  else pixels.fill(0, 0, width);
  return pixels;
}
