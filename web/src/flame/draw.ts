// Draws the chart: the axis, the rows in sight, what is chosen. Reads everything, changes nothing.

import { clock, day } from "../format.ts";
import type { Gap } from "../model/idle.ts";
import { RUNNING } from "../model/layout.ts";
import { endOf, paintRow, startOf, toMoment, toPixel } from "../model/lod.ts";
import type { Scale } from "../model/lod.ts";
import { DIMMED } from "../model/status.ts";
import { countTicks, ticks } from "./axis.ts";
import type { Tick } from "./axis.ts";
import { dim, drawBar } from "./bars.ts";
import { AXIS_PX, BAR_PX, ROW_PX, amount, rowTop } from "./scene.ts";
import type { Brush, Scene } from "./scene.ts";
import { measure, setFont } from "./text.ts";

const TICK_SPACING_PX = 96;
/** An active frame narrower than that bears no ring. */
const RINGED_PX = 10;

/** Draws over all of the canvas; the brush is scaled to CSS pixels. */
export function draw(brush: Brush, scene: Scene): void {
  const { palette, scale, height, shown } = scene;
  brush.globalAlpha = 1;
  brush.fillStyle = palette.background;
  brush.fillRect(0, 0, scale.width, height);
  // One for all: to set another one takes as long as to draw a hundred bars.
  setFont(brush, `12px ${palette.font}`);
  brush.textBaseline = "middle";
  const gaps = gapsInSight(scale).filter(({ gap }) => gap.folded);
  drawFuture(brush, scene);
  drawGrid(brush, scene, gaps);
  brush.save();
  brush.beginPath();
  brush.rect(0, AXIS_PX, scale.width, height - AXIS_PX);
  brush.clip();
  const first = Math.max(0, Math.floor(scene.top / ROW_PX));
  const last = Math.min(shown.layout.rows - 1, Math.floor((scene.top + height - AXIS_PX) / ROW_PX));
  for (let row = first; row <= last; row++) drawRow(brush, scene, row);
  for (const gap of gaps) drawBreak(brush, scene, gap);
  if (scene.hovered >= 0 && scene.hovered !== scene.selected) drawHover(brush, scene);
  if (scene.selected >= 0 && shown.layout.y[scene.selected]! >= 0)
    drawRing(brush, scene, scene.selected, 2);
  brush.restore();
  if (shown.width === "time") drawNow(brush, scene);
}

export interface GapInSight {
  readonly gap: Gap;
  /** Pixels. */
  readonly left: number;
  readonly right: number;
}

/** The idle stretches that are in sight, folded or not. */
export function gapsInSight(scale: Scale): GapInSight[] {
  const from_ms = toMoment(0, scale);
  const to_ms = toMoment(scale.width, scale);
  return scale.axis.gaps
    .filter((gap) => gap.to_ms > from_ms && gap.from_ms < to_ms)
    .map((gap) => ({ gap, left: toPixel(gap.from_ms, scale), right: toPixel(gap.to_ms, scale) }));
}

function drawRow(brush: Brush, scene: Scene, row: number): void {
  const { shown, scale, palette } = scene;
  const y = rowTop(scene, row);
  drawReaches(brush, scene, row, y);
  const active: number[] = [];
  paintRow(shown.layout, shown.codes, row, scale, {
    wide(bar, left, right) {
      drawBar(brush, scene, bar, left, Math.max(right - 1, left + 2), y);
      if (scene.live && right - left >= RINGED_PX && isActive(scene, bar)) active.push(bar);
    },
    joined(code, left, right) {
      brush.fillStyle = palette.fills[code % DIMMED]!;
      brush.fillRect(left, y, right - left, BAR_PX);
      if (code >= DIMMED) dim(brush, scene, left, y, right - left);
    },
  });
  for (const bar of active) drawRing(brush, scene, bar, 1);
}

/** Whether it is worked in: under way, and nothing within it is. */
function isActive({ shown: { layout, frames } }: Scene, bar: number): boolean {
  if (layout.kind[bar] !== RUNNING || frames.group.bits[bar] === 1) return false;
  for (let i = layout.childStart[bar]!; i < layout.childStart[bar + 1]!; i++) {
    if (layout.kind[layout.children[i]!] === RUNNING) return false;
  }
  return true;
}

/** Above what is planned within a frame that has begun: that it belongs there. */
function drawReaches(brush: Brush, scene: Scene, row: number, y: number): void {
  const {
    shown: { layout, frames },
    scale,
    palette,
  } = scene;
  if (layout.slots === 0) return;
  const left = Math.max(Math.round(toPixel(scale.now_ms, scale)), -9);
  if (left >= scale.width) return;
  for (let i = layout.rowStart[row]!; i < layout.rowStart[row + 1]!; i++) {
    const bar = layout.byRow[i]!;
    if (layout.reach[bar] === 0) continue;
    const right = Math.min(
      Math.round(toPixel(scale.now_ms + layout.reach[bar]! * scale.slot_ms, scale)),
      scale.width + 9,
    );
    if (right - left < 2) continue;
    brush.fillStyle = palette.fills[frames.status.codes[bar]!]!;
    brush.globalAlpha = 0.09;
    brush.fillRect(left, y, right - left - 1, BAR_PX);
    brush.globalAlpha = 1;
  }
}

function drawGrid(brush: Brush, scene: Scene, gaps: readonly GapInSight[]): void {
  const { palette, scale, height } = scene;
  const now = scene.shown.width === "time" ? toPixel(scale.now_ms, scale) : Infinity;
  for (const { at, label } of ticksOf(scene, gaps)) {
    const x = Math.round(toPixel(at, scale));
    brush.fillStyle = palette.line;
    brush.fillRect(x, AXIS_PX - 5, 1, height);
    brush.fillStyle = palette.muted;
    const length = measure(brush, label);
    const end = x + 8 + length;
    const isInGap = gaps.some((gap) => gap.left < end && gap.right > x);
    if (end < Math.min(scale.width, now) && !isInGap) brush.fillText(label, x + 5, AXIS_PX / 2 - 1);
  }
  brush.fillStyle = palette.line;
  brush.fillRect(0, AXIS_PX - 1, scale.width, 1);
}

/** Ticks of the axis; none where it is folded, and the first one after that says the day if it is another. */
function ticksOf({ shown, scale }: Scene, gaps: readonly GapInSight[]): Tick[] {
  const spacing = TICK_SPACING_PX * scale.perPixel;
  const [from, to] = [toMoment(0, scale), toMoment(scale.width, scale)];
  if (shown.width !== "time") {
    const { width } = shown;
    return countTicks(from, Math.min(to, shown.layout.to), spacing, (value) =>
      amount(value, width),
    );
  }
  const offset_ms = -new Date(scale.now_ms).getTimezoneOffset() * 60_000;
  const made: Tick[] = [];
  let at = from;
  for (const { gap } of [...gaps, null].map((each) => each ?? { gap: null })) {
    const end = Math.min(gap?.from_ms ?? Infinity, to, scale.now_ms);
    const found = end > at ? ticks(at, end, spacing, offset_ms) : [];
    const isOtherDay = at > from && day(at) !== day(made.at(-1)?.at ?? from);
    found.forEach((tick, i) =>
      made.push(
        i === 0 && isOtherDay && !tick.label.startsWith(day(tick.at))
          ? { at: tick.at, label: `${day(tick.at)} ${tick.label}` }
          : tick,
      ),
    );
    if (gap) at = Math.max(gap.to_ms, from);
  }
  return made;
}

/** What has not been run stands on other ground. */
function drawFuture(brush: Brush, scene: Scene): void {
  const { palette, scale, height, shown } = scene;
  const x = Math.max(toPixel(scale.now_ms, scale), 0);
  if (x >= scale.width || shown.layout.slots === 0) return;
  brush.fillStyle = palette.surface;
  brush.fillRect(x, 0, scale.width - x, height);
}

/** Two strokes through all that spans folded time. */
function drawBreak(brush: Brush, scene: Scene, { left, right }: GapInSight): void {
  const { palette, height, shown } = scene;
  const middle = (left + right) / 2;
  const width = Math.min(right - left, 16);
  const rows = Math.min(shown.layout.rows, Math.ceil((scene.top + height - AXIS_PX) / ROW_PX));
  for (let row = Math.max(0, Math.floor(scene.top / ROW_PX)); row < rows; row++) {
    const y = rowTop(scene, row);
    brush.beginPath();
    for (const x of [middle - width / 4, middle + width / 4]) {
      brush.moveTo(x - 3.5, y + BAR_PX + 1);
      brush.lineTo(x + 3.5, y - 1);
    }
    brush.lineWidth = Math.max(width / 5, 1.5);
    brush.strokeStyle = palette.background;
    brush.stroke();
  }
}

function drawNow(brush: Brush, scene: Scene): void {
  const { palette, scale, height, live } = scene;
  const x = Math.round(toPixel(scale.now_ms, scale));
  if (x < 0 || x > scale.width) return;
  brush.fillStyle = live ? palette.focus : palette.muted;
  brush.fillRect(x, 0, 1, height);
  const text = live ? `now ${clock(scale.now_ms)}` : "end";
  const length = measure(brush, text) + 10;
  const left = x + length > scale.width ? x - length : x;
  brush.fillRect(left, 3, length, 16);
  brush.fillStyle = palette.background;
  brush.fillText(text, left + 5, 11.5);
}

/** The bar's box in pixels, cut a little outside of the chart. */
function boxOf(scene: Scene, bar: number): [left: number, y: number, width: number] {
  const {
    shown: { layout },
    scale,
  } = scene;
  const left = Math.max(Math.round(toPixel(startOf(layout, bar, scale), scale)), -9);
  const right = Math.min(Math.round(toPixel(endOf(layout, bar, scale), scale)), scale.width + 9);
  return [left, rowTop(scene, layout.y[bar]!), Math.max(right - left - 1, 3)];
}

function drawHover(brush: Brush, scene: Scene): void {
  const [left, y, width] = boxOf(scene, scene.hovered);
  brush.strokeStyle = scene.palette.text;
  brush.lineWidth = 1.5;
  brush.strokeRect(left - 0.5, y - 0.5, width + 1, BAR_PX + 1);
}

/** Two tones, so that it is seen on any colour: around the chosen frame, and thinner around those in which
 *  somebody works. */
function drawRing(brush: Brush, scene: Scene, bar: number, strength: 1 | 2): void {
  const [left, y, width] = boxOf(scene, bar);
  const inner = strength / 2;
  brush.lineWidth = strength;
  brush.strokeStyle = scene.palette.background;
  brush.strokeRect(
    left + inner - 0.5,
    y + inner - 0.5,
    Math.max(width - strength + 1, 1),
    BAR_PX - strength + 1,
  );
  brush.strokeStyle = scene.palette.focus;
  brush.strokeRect(left - inner, y - inner, width + strength, BAR_PX + strength);
}
