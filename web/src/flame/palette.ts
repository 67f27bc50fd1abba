// The chart's colours and textures, from the page's theme.

import { onCleanup } from "solid-js";
import { BLOCKED, FAILED, FRAME_STATUSES, INVALIDATED, NOT_WORKING } from "../model/status.ts";
import { theme } from "../ui/theme.ts";

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
  /** What is drawn over a status's fill; null for a plain one. */
  texture(status: number): CanvasPattern | null;
  /** The same for frames that only hold others, in the status's own colour. */
  faintTexture(status: number): CanvasPattern | null;
  /** What is drawn over a stretch in which a frame was not worked on. */
  resting(doing: Resting): CanvasPattern;
}

const forcedColours = matchMedia("(forced-colors: active)");
let inForce: { key: string; palette: Palette } | null = null;

/** The palette of the theme in force, which is read where another one is than when this was last asked. */
export function paletteOf(element: Element): Palette {
  const forced = forcedColours.matches ? getComputedStyle(element).color : null;
  const key = `${theme()} ${forced} ${devicePixelRatio}`;
  if (inForce?.key !== key) inForce = { key, palette: readPalette(element, devicePixelRatio) };
  return inForce.palette;
}

/** Calls whenever what is drawn would be drawn in other colours, but for another theme. */
export function onForcedColours(redraw: () => void): void {
  forcedColours.addEventListener("change", redraw);
  onCleanup(() => forcedColours.removeEventListener("change", redraw));
}

/** `pixelRatio` is how many pixels the screen has to one of CSS. */
function readPalette(element: Element, pixelRatio: number): Palette {
  const { fontFamily } = getComputedStyle(element);
  const fills = colours(
    element,
    FRAME_STATUSES.map((status) => `status-${status.replace("_", "-")}`),
  );
  const [onFill, background, surface, raised, line, text, muted, focus] = colours(
    element,
    INKS,
  ) as Eight;
  const made = new Map<string, CanvasPattern | null>();
  // Most charts show few of them.
  const once = <P extends CanvasPattern | null>(name: string, make: () => P): P => {
    if (!made.has(name)) made.set(name, make());
    return made.get(name) as P;
  };
  return {
    fills,
    onFill,
    background,
    surface,
    raised,
    line,
    text,
    muted,
    focus,
    font: fontFamily,
    texture: (status) =>
      once(`status ${status}`, () => texture(statusStrokes(status), onFill, 0.3, pixelRatio)),
    faintTexture: (status) =>
      once(`faint ${status}`, () =>
        texture(statusStrokes(status), fills[status]!, 0.45, pixelRatio),
      ),
    resting: (doing) => once(doing, () => texture(DOING_STROKES[doing], text, 0.34, pixelRatio)),
  };
}

const INKS = ["on-status", "background", "surface", "raised", "line", "text", "muted", "focus"];
type Eight = [string, string, string, string, string, string, string, string];

/** The theme's colours of these names: through elements, as they may be those of the system, which a canvas
 *  does not know. All are set before the first is read, so that styles are worked out once. */
function colours(element: Element, names: readonly string[]): string[] {
  const probe = element.appendChild(document.createElement("i"));
  const probes = names.map((name) => {
    const each = probe.appendChild(document.createElement("i"));
    each.style.color = `var(--${name})`;
    return each;
  });
  const read = probes.map((each) => getComputedStyle(each).color);
  probe.remove();
  return read;
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

function texture(
  strokes: Strokes,
  ink: string,
  strength: number,
  pixelRatio: number,
): CanvasPattern;
function texture(
  strokes: Strokes | null,
  ink: string,
  strength: number,
  pixelRatio: number,
): CanvasPattern | null;
function texture(
  strokes: Strokes | null,
  ink: string,
  strength: number,
  pixelRatio: number,
): CanvasPattern | null {
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
    line(
      brush,
      shift - 2,
      slope > 0 ? TILE_PX + 2 : -2,
      shift + TILE_PX + 2,
      slope > 0 ? -2 : TILE_PX + 2,
    );
  }
}

function line(
  brush: CanvasRenderingContext2D,
  x0: number,
  y0: number,
  x1: number,
  y1: number,
): void {
  brush.beginPath();
  brush.moveTo(x0, y0);
  brush.lineTo(x1, y1);
  brush.stroke();
}
