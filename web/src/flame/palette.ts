// The chart's colours and textures, from the page's theme.

import { BLOCKED, FAILED, FRAME_STATUSES, INVALIDATED } from "../model/status.ts";

export interface Palette {
  /** By status. */
  readonly fills: readonly string[];
  /** Text on a fill. */
  readonly onFill: string;
  readonly background: string;
  readonly surface: string;
  readonly line: string;
  readonly text: string;
  readonly muted: string;
  readonly focus: string;
  readonly font: string;
  /** By status: drawn over the fill; null for a plain one. */
  readonly textures: readonly (CanvasPattern | null)[];
  /** By status: the same for frames that only hold others, in the status's own colour. */
  readonly faintTextures: readonly (CanvasPattern | null)[];
}

/** Reads the theme in force. `pixelRatio` is how many pixels the screen has to one of CSS. */
export function readPalette(element: Element, pixelRatio: number): Palette {
  const style = getComputedStyle(element);
  const colour = (name: string) => style.getPropertyValue(`--${name}`).trim();
  const fills = FRAME_STATUSES.map((status) => colour(`status-${status.replace("_", "-")}`));
  const onFill = colour("on-status");
  return {
    fills,
    onFill,
    background: colour("background"),
    surface: colour("surface"),
    line: colour("line"),
    text: colour("text"),
    muted: colour("muted"),
    focus: colour("focus"),
    font: style.fontFamily,
    textures: FRAME_STATUSES.map((_, status) => texture(status, onFill, 0.3, pixelRatio)),
    faintTextures: FRAME_STATUSES.map((_, status) => texture(status, fills[status]!, 0.45, pixelRatio)),
  };
}

const TILE_PX = 8;

/** Cross-hatch for failed, diagonals for blocked, dots for invalidated. */
function texture(status: number, ink: string, strength: number, pixelRatio: number): CanvasPattern | null {
  if (status !== FAILED && status !== BLOCKED && status !== INVALIDATED) return null;
  const tile = document.createElement("canvas");
  tile.width = tile.height = Math.round(TILE_PX * pixelRatio);
  const scale = tile.width / TILE_PX;
  const brush = tile.getContext("2d")!;
  brush.scale(scale, scale);
  brush.strokeStyle = brush.fillStyle = ink;
  brush.globalAlpha = strength;
  brush.lineWidth = 1.4;
  if (status === INVALIDATED) {
    brush.beginPath();
    for (const [x, y] of [[2, 2], [6, 6]] as const) brush.arc(x, y, 1.1, 0, 7);
    brush.fill();
  } else {
    stroke(brush, 1);
    if (status === FAILED) stroke(brush, -1);
  }
  const pattern = brush.createPattern(tile, "repeat")!;
  pattern.setTransform(new DOMMatrix().scale(1 / scale));
  return pattern;
}

/** Lines through the tile at 45 degrees that meet their likes in the next tile. */
function stroke(brush: CanvasRenderingContext2D, slope: 1 | -1): void {
  brush.beginPath();
  for (const shift of [-TILE_PX, 0, TILE_PX]) {
    brush.moveTo(shift - 2, slope > 0 ? TILE_PX + 2 : -2);
    brush.lineTo(shift + TILE_PX + 2, slope > 0 ? -2 : TILE_PX + 2);
  }
  brush.stroke();
}
