// The chart's colours and textures, from the page's theme.

import { BLOCKED, FAILED, FRAME_STATUSES, INVALIDATED, NOT_WORKING } from "../model/status.ts";

type Resting = (typeof NOT_WORKING)[number];

export interface Palette {
  /** By status. */
  readonly fills: readonly string[];
  /** Text on a fill. */
  readonly onFill: string;
  readonly background: string;
  readonly surface: string;
  readonly raised: string;
  readonly line: string;
  readonly text: string;
  readonly muted: string;
  readonly focus: string;
  readonly font: string;
  /** By status: drawn over the fill; null for a plain one. */
  readonly textures: readonly (CanvasPattern | null)[];
  /** By status: the same for frames that only hold others, in the status's own colour. */
  readonly faintTextures: readonly (CanvasPattern | null)[];
  /** Drawn over a stretch in which a frame was not worked on. */
  readonly doings: Readonly<Record<Resting, CanvasPattern>>;
}

/** Reads the theme in force. `pixelRatio` is how many pixels the screen has to one of CSS. */
export function readPalette(element: Element, pixelRatio: number): Palette {
  const { fontFamily } = getComputedStyle(element);
  // Through an element, as the colours may be those of the system, which a canvas does not know.
  const probe = element.appendChild(document.createElement("i"));
  const computed = getComputedStyle(probe);
  const colour = (name: string) => {
    probe.style.color = `var(--${name})`;
    return computed.color;
  };
  const fills = FRAME_STATUSES.map((status) => colour(`status-${status.replace("_", "-")}`));
  const onFill = colour("on-status");
  const text = colour("text");
  const palette: Palette = {
    fills,
    onFill,
    background: colour("background"),
    surface: colour("surface"),
    raised: colour("raised"),
    line: colour("line"),
    text,
    muted: colour("muted"),
    focus: colour("focus"),
    font: fontFamily,
    textures: FRAME_STATUSES.map((_, status) => texture(statusStrokes(status), onFill, 0.3, pixelRatio)),
    faintTextures: FRAME_STATUSES.map((_, status) => texture(statusStrokes(status), fills[status]!, 0.45, pixelRatio)),
    doings: Object.fromEntries(NOT_WORKING.map((doing) => [doing, texture(DOING_STROKES[doing], text, 0.34, pixelRatio)])) as Record<Resting, CanvasPattern>,
  };
  probe.remove();
  return palette;
}

const TILE_PX = 8;

type Strokes = (brush: CanvasRenderingContext2D) => void;

/** Cross-hatch for failed, diagonals for blocked, dots for invalidated. */
function statusStrokes(status: number): Strokes | null {
  if (status === FAILED) return (brush) => [1, -1].forEach((slope) => diagonal(brush, slope));
  if (status === BLOCKED) return (brush) => diagonal(brush, 1);
  if (status === INVALIDATED) return dots;
  return null;
}

/** Lines across for waiting, diagonals for blocked, upright ones for paused, dots for queued. */
const DOING_STROKES: Record<Resting, Strokes> = {
  waiting: (brush) => [2, 6].forEach((y) => line(brush, 0, y, TILE_PX, y)),
  blocked: (brush) => diagonal(brush, 1),
  paused: (brush) => [2, 6].forEach((x) => line(brush, x, 0, x, TILE_PX)),
  queued: dots,
};

function texture(strokes: Strokes, ink: string, strength: number, pixelRatio: number): CanvasPattern;
function texture(strokes: Strokes | null, ink: string, strength: number, pixelRatio: number): CanvasPattern | null;
function texture(strokes: Strokes | null, ink: string, strength: number, pixelRatio: number): CanvasPattern | null {
  if (strokes === null) return null;
  const tile = document.createElement("canvas");
  tile.width = tile.height = Math.round(TILE_PX * pixelRatio);
  const scale = tile.width / TILE_PX;
  const brush = tile.getContext("2d")!;
  brush.scale(scale, scale);
  brush.strokeStyle = brush.fillStyle = ink;
  brush.globalAlpha = strength;
  brush.lineWidth = 1.4;
  strokes(brush);
  const pattern = brush.createPattern(tile, "repeat")!;
  pattern.setTransform(new DOMMatrix().scale(1 / scale));
  return pattern;
}

function dots(brush: CanvasRenderingContext2D): void {
  for (const at of [2, 6]) {
    brush.beginPath();
    brush.arc(at, at, 1.1, 0, 7);
    brush.fill();
  }
}

/** Lines through the tile at 45 degrees that meet their likes in the next tile. */
function diagonal(brush: CanvasRenderingContext2D, slope: number): void {
  for (const shift of [-TILE_PX, 0, TILE_PX]) {
    line(brush, shift - 2, slope > 0 ? TILE_PX + 2 : -2, shift + TILE_PX + 2, slope > 0 ? -2 : TILE_PX + 2);
  }
}

function line(brush: CanvasRenderingContext2D, x0: number, y0: number, x1: number, y1: number): void {
  brush.beginPath();
  brush.moveTo(x0, y0);
  brush.lineTo(x1, y1);
  brush.stroke();
}
