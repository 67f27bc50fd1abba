// Draws the chart: the axis, the rows in sight, what is chosen. Reads everything, changes nothing.

import { clock, duration } from "../format.ts";
import type { FrameTable } from "../model/columns.ts";
import { FUTURE, RUNNING } from "../model/layout.ts";
import type { Layout } from "../model/layout.ts";
import { endOf, paintRow, startOf, toPixel } from "../model/lod.ts";
import type { Scale } from "../model/lod.ts";
import { FRAME_STATUSES, INVALIDATED, glyph } from "../model/status.ts";
import { ticks } from "./axis.ts";
import type { Palette } from "./palette.ts";

/** Height of a chart row, its gap included. */
export const ROW_PX = 22;
/** Height of the axis. */
export const AXIS_PX = 26;
const BAR_PX = ROW_PX - 3;
const TICK_SPACING_PX = 96;
/** Bars narrower than that bear no text. */
const LABELLED_PX = 26;

export interface Scene {
  readonly layout: Layout;
  readonly frames: FrameTable;
  readonly scale: Scale;
  /** The chart's height and how far it is scrolled down. */
  readonly height: number;
  readonly top: number;
  readonly palette: Palette;
  readonly selected: number;
  readonly hovered: number;
  /** Whether the run goes on, so that the line stands for now and not for its end. */
  readonly live: boolean;
}

type Brush = CanvasRenderingContext2D;

/** Draws over all of the canvas; the brush is scaled to CSS pixels. */
export function draw(brush: Brush, scene: Scene): void {
  const { palette, scale, height } = scene;
  brush.globalAlpha = 1;
  brush.fillStyle = palette.background;
  brush.fillRect(0, 0, scale.width, height);
  drawFuture(brush, scene);
  drawGrid(brush, scene);
  brush.save();
  brush.beginPath();
  brush.rect(0, AXIS_PX, scale.width, height - AXIS_PX);
  brush.clip();
  brush.font = `12px ${palette.font}`;
  brush.textBaseline = "middle";
  const first = Math.max(0, Math.floor(scene.top / ROW_PX));
  const last = Math.min(scene.layout.rows - 1, Math.floor((scene.top + height - AXIS_PX) / ROW_PX));
  for (let row = first; row <= last; row++) drawRow(brush, scene, row);
  if (scene.hovered >= 0 && scene.hovered !== scene.selected) drawHover(brush, scene);
  if (scene.selected >= 0) drawRing(brush, scene);
  brush.restore();
  drawNow(brush, scene);
}

function drawRow(brush: Brush, scene: Scene, row: number): void {
  const { layout, frames, scale, palette } = scene;
  const y = rowTop(scene, row);
  drawReaches(brush, scene, row, y);
  paintRow(layout, frames.status.codes, row, scale, {
    wide: (bar, left, right) => drawBar(brush, scene, bar, left, Math.max(right - 1, left + 2), y),
    joined(status, left, right) {
      brush.fillStyle = palette.fills[status]!;
      brush.fillRect(left, y, right - left, BAR_PX);
    },
  });
}

/** Above what is planned within a frame that has begun: that it belongs there. */
function drawReaches(brush: Brush, scene: Scene, row: number, y: number): void {
  const { layout, frames, scale, palette } = scene;
  for (let i = layout.rowStart[row]!; i < layout.rowStart[row + 1]!; i++) {
    const bar = layout.byRow[i]!;
    if (layout.reach[bar] === 0) continue;
    const left = Math.max(Math.round(toPixel(scale.now_ms, scale)), -9);
    const right = Math.min(Math.round(toPixel(scale.now_ms + layout.reach[bar]! * scale.slot_ms, scale)), scale.width + 9);
    if (right - left < 2) continue;
    brush.fillStyle = palette.fills[frames.status.codes[bar]!]!;
    brush.globalAlpha = 0.09;
    brush.fillRect(left, y, right - left - 1, BAR_PX);
    brush.globalAlpha = 1;
  }
}

function drawBar(brush: Brush, scene: Scene, bar: number, left: number, right: number, y: number): void {
  const { layout, frames, palette } = scene;
  const status = frames.status.codes[bar]!;
  const fill = palette.fills[status]!;
  const isGroup = frames.group.bits[bar] === 1;
  const notRun = layout.kind[bar] === FUTURE;
  const width = right - left;
  brush.fillStyle = fill;
  const ground: Ground = {
    fill,
    strength: notRun ? 0.1 : isGroup ? 0.2 : 1,
    texture: (isGroup || notRun ? palette.faintTextures : palette.textures)[status]!,
    ink: isGroup || notRun ? palette.text : palette.onFill,
  };
  tint(brush, scene, ground, left, y, width);
  if (ground.texture) {
    brush.fillStyle = ground.texture;
    brush.fillRect(left, y, width, BAR_PX);
  }
  if (notRun) outline(brush, fill, left, y, width);
  else if (isGroup) {
    brush.fillStyle = fill;
    brush.fillRect(left, y, Math.min(3, width), BAR_PX);
  }
  if (layout.kind[bar] === RUNNING && !isGroup) {
    brush.fillStyle = palette.text;
    brush.fillRect(right - 2, y, 2, BAR_PX);
  }
  if (width >= LABELLED_PX) label(brush, scene, bar, left, right, y, ground);
}

/** What a bar's text stands on. */
interface Ground {
  fill: string;
  strength: number;
  texture: CanvasPattern | null;
  ink: string;
}

function tint(brush: Brush, scene: Scene, ground: Ground, left: number, y: number, width: number): void {
  if (ground.strength < 1) {
    brush.fillStyle = scene.palette.background;
    brush.fillRect(left, y, width, BAR_PX);
  }
  brush.globalAlpha = ground.strength;
  brush.fillStyle = ground.fill;
  brush.fillRect(left, y, width, BAR_PX);
  brush.globalAlpha = 1;
}

/** Text, with no texture behind it. */
function write(brush: Brush, scene: Scene, ground: Ground, text: string, left: number, y: number): void {
  if (ground.texture) {
    const length = measure(brush, text);
    brush.save();
    brush.beginPath();
    brush.rect(left - 3, y + 2, length + 6, BAR_PX - 4);
    brush.clip();
    tint(brush, scene, ground, left - 3, y, length + 6);
    brush.restore();
  }
  brush.fillStyle = ground.ink;
  brush.fillText(text, left, y + BAR_PX / 2 + 0.5);
}

function outline(brush: Brush, colour: string, left: number, y: number, width: number): void {
  brush.strokeStyle = colour;
  brush.lineWidth = 1;
  brush.setLineDash([4, 3]);
  brush.strokeRect(left + 0.5, y + 0.5, Math.max(width - 1, 1), BAR_PX - 1);
  brush.setLineDash([]);
}

function label(brush: Brush, scene: Scene, bar: number, left: number, right: number, y: number, ground: Ground): void {
  const { frames, layout, scale } = scene;
  const status = frames.status.codes[bar]!;
  // A bar that begins out of sight keeps its name in sight.
  const from = Math.max(left, 0) + 7;
  const room = Math.min(right, scale.width) - from - 5;
  const sign = glyph(FRAME_STATUSES[status]!);
  const text = shorten(brush, `${sign} ${frames.title.get(bar)}`, room);
  if (text === "") return;
  write(brush, scene, ground, text, from, y);
  const length = measure(brush, text);
  if (status === INVALIDATED) brush.fillRect(from + 14, Math.round(y + BAR_PX / 2), Math.max(length - 14, 0), 1);
  if (layout.kind[bar] === FUTURE) return;
  const took = duration(endOf(layout, bar, scale) - startOf(layout, bar, scale));
  const tookLength = measure(brush, took);
  if (length + tookLength + 14 > room) return;
  write(brush, scene, ground, took, from + room - tookLength, y);
}

const lengths = new Map<string, number>();
const KEPT_LENGTHS = 20_000;

function measure(brush: Brush, text: string): number {
  const key = `${brush.font}\n${text}`;
  let length = lengths.get(key);
  if (length === undefined) {
    if (lengths.size >= KEPT_LENGTHS) lengths.clear();
    length = brush.measureText(text).width;
    lengths.set(key, length);
  }
  return length;
}

/** As much of a text as there is room for; empty where that would say nothing. */
function shorten(brush: Brush, text: string, room: number): string {
  // Longer than any bar; a text may be of any length.
  const whole = text.length > 400 ? text.slice(0, 400) : text;
  const length = measure(brush, whole);
  if (length <= room) return whole;
  if (room < 12) return "";
  let keep = Math.floor((whole.length * room) / length);
  while (keep > 2 && measure(brush, `${whole.slice(0, keep)}…`) > room) keep -= 1;
  return keep <= 3 ? whole.slice(0, 1) : `${whole.slice(0, keep)}…`;
}

function drawGrid(brush: Brush, scene: Scene): void {
  const { palette, scale, height } = scene;
  const to_ms = Math.min(scale.from_ms + scale.width * scale.msPerPixel, scale.now_ms);
  const offset_ms = -new Date(scale.now_ms).getTimezoneOffset() * 60_000;
  brush.font = `11px ${palette.font}`;
  brush.textBaseline = "middle";
  for (const tick of ticks(scale.from_ms, to_ms, TICK_SPACING_PX * scale.msPerPixel, offset_ms)) {
    const x = Math.round(toPixel(tick.at_ms, scale));
    brush.fillStyle = palette.line;
    brush.fillRect(x, AXIS_PX - 5, 1, height);
    brush.fillStyle = palette.muted;
    if (x + 60 < scale.width) brush.fillText(tick.label, x + 5, AXIS_PX / 2 - 1);
  }
  brush.fillStyle = palette.line;
  brush.fillRect(0, AXIS_PX - 1, scale.width, 1);
}

/** What has not been run stands on other ground. */
function drawFuture(brush: Brush, scene: Scene): void {
  const { palette, scale, height } = scene;
  const x = Math.max(toPixel(scale.now_ms, scale), 0);
  if (x >= scale.width || scene.layout.slots === 0) return;
  brush.fillStyle = palette.surface;
  brush.fillRect(x, 0, scale.width - x, height);
}

function drawNow(brush: Brush, scene: Scene): void {
  const { palette, scale, height, live } = scene;
  const x = Math.round(toPixel(scale.now_ms, scale));
  if (x < 0 || x > scale.width) return;
  brush.fillStyle = live ? palette.focus : palette.muted;
  brush.fillRect(x, 0, 1, height);
  const text = live ? `now ${clock(scale.now_ms)}` : "end";
  brush.font = `600 11px ${palette.font}`;
  const length = measure(brush, text) + 10;
  const left = x + length > scale.width ? x - length : x;
  brush.fillRect(left, 3, length, 16);
  brush.fillStyle = palette.background;
  brush.fillText(text, left + 5, 11.5);
}

/** The bar's box in pixels, cut a little outside of the chart. */
function boxOf(scene: Scene, bar: number): [left: number, y: number, width: number] {
  const { layout, scale } = scene;
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

/** Two tones, so that it is seen on any colour. */
function drawRing(brush: Brush, scene: Scene): void {
  const [left, y, width] = boxOf(scene, scene.selected);
  brush.lineWidth = 2;
  brush.strokeStyle = scene.palette.background;
  brush.strokeRect(left, y, width, BAR_PX);
  brush.strokeStyle = scene.palette.focus;
  brush.strokeRect(left - 1.5, y - 1.5, width + 3, BAR_PX + 3);
}

function rowTop(scene: Scene, row: number): number {
  return AXIS_PX + 3 + row * ROW_PX - scene.top;
}
