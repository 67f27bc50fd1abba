// The whole run as a profile: how much goes on at each place, by status, with failures marked. Pure, but for
// the drawing.

import { FUTURE } from "../model/layout.ts";
import { endOf, startOf, toPixel } from "../model/lod.ts";
import type { Scale } from "../model/lod.ts";
import { BLOCKED, DIMMED, FAILED, FRAME_STATUSES } from "../model/status.ts";
import type { Palette } from "./palette.ts";
import type { Brush, Shown } from "./scene.ts";

export interface Profile {
  /** By status, then by pixel: how many bars are there that a filter finds, and how many that it does not. */
  readonly found: readonly Float64Array[];
  readonly dimmed: readonly Float64Array[];
  /** By pixel: the failed or blocked status that is to be marked there, and 1; 0 for none. */
  readonly marks: Uint8Array;
  /** The most at any pixel. */
  readonly most: number;
}

/** Goes through the bars once: of each only its first and its last pixel are touched. */
export function profileOf(shown: Shown, scale: Scale): Profile {
  const { layout, frames, codes } = shown;
  const pixels = Math.max(Math.ceil(scale.width), 1);
  const make = () => FRAME_STATUSES.map(() => new Float64Array(pixels + 1));
  const [found, dimmed] = [make(), make()];
  const marks = new Uint8Array(pixels);
  for (let bar = 0; bar < layout.count; bar++) {
    if (layout.y[bar]! < 0) continue;
    const code = codes[bar]!;
    const status = code % DIMMED;
    const first = pixel(toPixel(startOf(layout, bar, scale), scale));
    const last = Math.max(pixel(toPixel(endOf(layout, bar, scale), scale)) - 1, first);
    // Those that only hold others say nothing of how much goes on, unless they stand for them.
    const isCounted = frames.group.bits[bar] === 0 || shown.fold.count[bar]! > 0;
    if (isCounted) {
      const into = (code < DIMMED ? found : dimmed)[status]!;
      into[first]! += 1;
      into[last + 1]! -= 1;
    }
    if ((status === FAILED || status === BLOCKED) && code < DIMMED && layout.kind[bar] !== FUTURE) mark(status, last);
  }
  let most = 1;
  const running = [...found, ...dimmed];
  for (const counts of running) for (let x = 1; x <= pixels; x++) counts[x]! += counts[x - 1]!;
  for (let x = 0; x < pixels; x++) most = Math.max(most, running.reduce((sum, counts) => sum + counts[x]!, 0));
  return { found, dimmed, marks, most };

  function pixel(x: number): number {
    return Math.min(Math.max(Math.round(x), 0), pixels - 1);
  }

  function mark(status: number, x: number): void {
    if (marks[x] !== FAILED + 1) marks[x] = status + 1;
  }
}

/** From the ground up: what is well, then what is not. */
const STACK = ["completed", "planned", "invalidated", "in_progress", "blocked", "failed"].map((status) => FRAME_STATUSES.indexOf(status as never));
/** How high failures are marked. */
const MARK_PX = 5;

export function drawProfile(brush: Brush, profile: Profile, palette: Palette, width: number, height: number): void {
  brush.globalAlpha = 1;
  brush.fillStyle = palette.background;
  brush.fillRect(0, 0, width, height);
  const room = height - MARK_PX - 2;
  const below = new Float64Array(Math.ceil(width));
  for (const [layers, strength] of [[profile.found, 0.85], [profile.dimmed, 0.22]] as const) {
    brush.globalAlpha = strength;
    for (const status of STACK) {
      brush.fillStyle = palette.fills[status]!;
      const counts = layers[status]!;
      for (let x = 0; x < below.length; x++) {
        if (counts[x]! < 0.5) continue;
        const tall = (counts[x]! / profile.most) * room;
        brush.fillRect(x, height - (below[x]! + tall), 1, tall);
        below[x]! += tall;
      }
    }
  }
  brush.globalAlpha = 1;
  for (let x = 0; x < below.length; x++) {
    const status = profile.marks[x]! - 1;
    if (status < 0) continue;
    brush.fillStyle = palette.fills[status]!;
    // Failed ones are wider than blocked ones, so not by colour alone.
    const wide = status === FAILED ? 3 : 1;
    brush.fillRect(x - (wide - 1) / 2, 0, wide, MARK_PX);
  }
}
