// Draws a bar: its status, what was done in it, its name.

import { FUTURE, RUNNING } from "../model/layout.ts";
import { endOf, startOf, toPixel } from "../model/lod.ts";
import {
  BADNESS,
  DIMMED,
  FRAME_STATUSES,
  INVALIDATED,
  NOT_WORKING,
  doingGlyph,
  doingWord,
  glyph,
} from "../model/status.ts";
import { BAR_PX, amount } from "./scene.ts";
import type { Brush, Scene } from "./scene.ts";
import { measure, shorten } from "./text.ts";

/** Bars narrower than that bear no text. */
const LABELLED_PX = 26;
/** How much of a stretch that is not worked in shows the frame's status in full. */
const FOOT_PX = 4;
/** Shorter stretches are drawn with their neighbours. */
const SHORTEST_STRETCH_PX = 2;

/** What a stretch of a bar, and its text, stand on. */
interface Ground {
  fill: string;
  strength: number;
  texture: CanvasPattern | null;
  ink: string;
}

interface Stretch {
  left: number;
  right: number;
  doing: (typeof NOT_WORKING)[number] | "working";
}

export function drawBar(
  brush: Brush,
  scene: Scene,
  bar: number,
  left: number,
  right: number,
  y: number,
): void {
  const { palette, shown } = scene;
  const status = shown.frames.status.codes[bar]!;
  const fill = palette.fills[status]!;
  const isGroup = shown.frames.group.bits[bar] === 1;
  const notRun = shown.layout.kind[bar] === FUTURE;
  const width = right - left;
  const ground: Ground = {
    fill,
    strength: notRun ? 0.1 : isGroup ? 0.2 : 1,
    texture: isGroup || notRun ? palette.faintTexture(status) : palette.texture(status),
    ink: isGroup || notRun ? palette.text : palette.onFill,
  };
  const stretches = notRun ? [] : stretchesOf(scene, bar, left, right);
  cover(brush, scene, ground, left, y, width);
  for (const stretch of stretches)
    if (stretch.doing !== "working") drawStretch(brush, scene, ground, stretch, y);
  if (notRun) outline(brush, fill, left, y, width);
  else if (isGroup) {
    brush.fillStyle = fill;
    brush.fillRect(left, y, Math.min(3, width), BAR_PX);
  }
  if (shown.layout.kind[bar] === RUNNING && !isGroup) {
    brush.fillStyle = palette.text;
    brush.fillRect(right - 2, y, 2, BAR_PX);
  }
  const room = shown.fold.count[bar] === 0 ? right : drawFolded(brush, scene, bar, left, right, y);
  if (room - left >= LABELLED_PX) labelOver(brush, scene, bar, left, room, y, ground, stretches);
  if (shown.codes[bar]! >= DIMMED) dim(brush, scene, left, y, width);
}

function cover(
  brush: Brush,
  scene: Scene,
  ground: Ground,
  left: number,
  y: number,
  width: number,
): void {
  tint(brush, scene, ground, left, y, width);
  if (!ground.texture) return;
  brush.fillStyle = ground.texture;
  brush.fillRect(left, y, width, BAR_PX);
}

function tint(
  brush: Brush,
  scene: Scene,
  ground: Ground,
  left: number,
  y: number,
  width: number,
): void {
  if (ground.strength < 1) {
    brush.fillStyle = scene.palette.background;
    brush.fillRect(left, y, width, BAR_PX);
  }
  brush.globalAlpha = ground.strength;
  brush.fillStyle = ground.fill;
  brush.fillRect(left, y, width, BAR_PX);
  brush.globalAlpha = 1;
}

/** What a filter does not find steps back. */
export function dim(brush: Brush, scene: Scene, left: number, y: number, width: number): void {
  brush.globalAlpha = 0.72;
  brush.fillStyle = scene.palette.background;
  brush.fillRect(left, y, width, BAR_PX);
  brush.globalAlpha = 1;
}

function outline(brush: Brush, colour: string, left: number, y: number, width: number): void {
  brush.strokeStyle = colour;
  brush.lineWidth = 1;
  brush.setLineDash([4, 3]);
  brush.strokeRect(left + 0.5, y + 0.5, Math.max(width - 1, 1), BAR_PX - 1);
  brush.setLineDash([]);
}

/** What was done in a bar from left to right; empty where it was worked on all the time. */
function stretchesOf(scene: Scene, bar: number, left: number, right: number): Stretch[] {
  const { shown, scale } = scene;
  const spans = shown.frames.spans.isEmpty(bar) ? [] : shown.frames.spans.get(bar);
  if (spans.length === 0 || shown.width !== "time") return [];
  const made: Stretch[] = [];
  let at = left;
  for (let i = 0; i < spans.length; i++) {
    const end = i + 1 < spans.length ? Math.round(toPixel(spans[i + 1]!.from_ms, scale)) : right;
    const to = Math.min(end, right);
    if (to - at < SHORTEST_STRETCH_PX && i + 1 < spans.length) continue;
    if (to > at) made.push({ left: at, right: to, doing: spans[i]!.doing });
    at = Math.max(at, to);
    if (at >= right) break;
  }
  return made;
}

/** The ground of a stretch that was not worked in. */
function restingGround(scene: Scene, ground: Ground, stretch: Stretch): Ground {
  const texture = stretch.doing === "working" ? null : scene.palette.resting(stretch.doing);
  return { fill: ground.fill, strength: 0.26, texture, ink: scene.palette.text };
}

function drawStretch(
  brush: Brush,
  scene: Scene,
  ground: Ground,
  stretch: Stretch,
  y: number,
): void {
  const width = stretch.right - stretch.left;
  cover(brush, scene, restingGround(scene, ground, stretch), stretch.left, y, width);
  brush.fillStyle = ground.fill;
  brush.fillRect(stretch.left, y + BAR_PX - FOOT_PX, width, FOOT_PX);
}

/** That frames are folded into this one, and the worst of them. Returns how far its text may go. */
function drawFolded(
  brush: Brush,
  scene: Scene,
  bar: number,
  left: number,
  right: number,
  y: number,
): number {
  const { palette, shown } = scene;
  const own = shown.frames.status.codes[bar]!;
  const worst = shown.fold.worst[bar]!;
  const isWorse = BADNESS[worst]! > BADNESS[own]!;
  const text = `▸${shown.fold.count[bar]}${isWorse ? ` ${glyph(FRAME_STATUSES[worst]!)}` : ""}`;
  const length = measure(brush, text) + 10;
  const hasRoom = right - left >= length + LABELLED_PX;
  if (!hasRoom && !isWorse) return right;
  const width = hasRoom ? length : Math.min(5, right - left);
  brush.fillStyle = isWorse ? palette.fills[worst]! : palette.raised;
  brush.fillRect(right - width, y, width, BAR_PX);
  if (!hasRoom) return right - width;
  brush.fillStyle = isWorse ? palette.onFill : palette.text;
  brush.fillText(text, right - width + 5, y + BAR_PX / 2 + 0.5);
  return right - width;
}

/** The bar's text, with the ink that each stretch calls for. */
function labelOver(
  brush: Brush,
  scene: Scene,
  bar: number,
  left: number,
  right: number,
  y: number,
  ground: Ground,
  stretches: Stretch[],
): void {
  if (stretches.length === 0) {
    label(brush, scene, bar, left, right, y, ground);
    return;
  }
  let free = { from: right, to: right };
  for (const stretch of stretches) {
    const isResting = stretch.doing !== "working";
    brush.save();
    brush.beginPath();
    brush.rect(
      stretch.left,
      y,
      Math.min(stretch.right, right) - stretch.left,
      isResting ? BAR_PX - FOOT_PX : BAR_PX,
    );
    brush.clip();
    free = label(
      brush,
      scene,
      bar,
      left,
      right,
      y,
      isResting ? restingGround(scene, ground, stretch) : ground,
    );
    brush.restore();
  }
  for (const stretch of stretches) nameStretch(brush, scene, stretch, free, y, ground);
}

/** What was done in a stretch, where the bar's own text leaves room. */
function nameStretch(
  brush: Brush,
  scene: Scene,
  stretch: Stretch,
  free: { from: number; to: number },
  y: number,
  ground: Ground,
): void {
  if (stretch.doing === "working") return;
  const from = Math.max(stretch.left, free.from) + 5;
  const room = Math.min(stretch.right, free.to) - from - 4;
  const words = `${doingGlyph(stretch.doing)} ${doingWord(stretch.doing)}`;
  const text = measure(brush, words) <= room ? words : doingGlyph(stretch.doing);
  if (measure(brush, text) > room) return;
  write(brush, scene, restingGround(scene, ground, stretch), text, from, y);
}

/** Text, with no texture behind it. */
function write(
  brush: Brush,
  scene: Scene,
  ground: Ground,
  text: string,
  left: number,
  y: number,
): void {
  if (ground.texture) {
    const length = measure(brush, text);
    brush.save();
    brush.beginPath();
    brush.rect(left - 3, y + 2, length + 6, BAR_PX - 2 - FOOT_PX);
    brush.clip();
    tint(brush, scene, ground, left - 3, y, length + 6);
    brush.restore();
  }
  brush.fillStyle = ground.ink;
  brush.fillText(text, left, y + BAR_PX / 2 + 0.5);
}

/** The frame's sign, name and size. Returns from where to where there is no text. */
function label(
  brush: Brush,
  scene: Scene,
  bar: number,
  left: number,
  right: number,
  y: number,
  ground: Ground,
): { from: number; to: number } {
  const { shown, scale } = scene;
  const status = shown.frames.status.codes[bar]!;
  // A bar that begins out of sight keeps its name in sight.
  const from = Math.max(left, 0) + 7;
  const room = Math.min(right, scale.width) - from - 5;
  const text = shorten(
    brush,
    `${glyph(FRAME_STATUSES[status]!)} ${shown.frames.title.get(bar)}`,
    room,
  );
  if (text === "") return { from: left, to: right };
  write(brush, scene, ground, text, from, y);
  const length = measure(brush, text);
  if (status === INVALIDATED)
    brush.fillRect(from + 14, Math.round(y + BAR_PX / 2), Math.max(length - 14, 0), 1);
  const free = { from: from + length, to: right };
  if (shown.layout.kind[bar] === FUTURE) return free;
  const size = sizeOf(scene, bar);
  const sizeLength = measure(brush, size);
  if (length + sizeLength + 14 > room) return free;
  write(brush, scene, ground, size, from + room - sizeLength, y);
  return { from: free.from, to: from + room - sizeLength };
}

/** How long it took, or how much of what the widths stand for. */
function sizeOf({ shown, scale }: Scene, bar: number): string {
  if (shown.counts) return amount(shown.counts[bar]!, shown.width);
  return amount(endOf(shown.layout, bar, scale) - startOf(shown.layout, bar, scale), "time");
}
