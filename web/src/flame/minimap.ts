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
  readonly found: readonly Int32Array[];
  readonly dimmed: readonly Int32Array[];
  /** By pixel: the failed or blocked status that is to be marked there, and 1; 0 for none. */
  readonly marks: Uint8Array;
  /** The pixel of now; past the last one where a width is not time. */
  readonly now: number;
  /** The most at any pixel before now, and after: of what is planned, very much can be next at once. */
  readonly mostBefore: number;
  readonly mostAfter: number;
}

/** Goes through the bars once: of each only its first and its last pixel are touched. */
export function profileOf(shown: Shown, scale: Scale): Profile {
  const { layout, codes, fold } = shown;
  const { kind, y } = layout;
  const groups = shown.frames.group.bits;
  const pixels = Math.max(Math.ceil(scale.width), 1);
  const stride = pixels + 1;
  /** By code, then by pixel. */
  const counts = new Int32Array(2 * DIMMED * stride);
  const marks = new Uint8Array(pixels);
  const now = shown.width === "time" ? Math.max(pixelAt(scale.now_ms, scale, pixels), 1) : pixels;
  for (let bar = 0; bar < layout.count; bar++) {
    if (y[bar]! < 0) continue;
    const code = codes[bar]!;
    const isAfter = kind[bar] === FUTURE;
    const begin = pixelAt(startOf(layout, bar, scale), scale, pixels);
    // Also what begins or ends now has its place before it, and what is next, after it.
    const first = isAfter ? Math.max(begin, Math.min(now, pixels - 1)) : Math.min(begin, now - 1);
    const last = Math.max(
      Math.min(pixelAt(endOf(layout, bar, scale), scale, pixels), isAfter ? pixels : now) - 1,
      first,
    );
    // Those that only hold others say nothing of how much goes on, unless they stand for them.
    if (groups[bar] === 0 || fold.count[bar]! > 0) {
      counts[code * stride + first]! += 1;
      counts[code * stride + last + 1]! -= 1;
    }
    // Failed goes over blocked; dimmed codes are neither.
    if ((code === FAILED || (code === BLOCKED && marks[last] === 0)) && !isAfter)
      marks[last] = code + 1;
  }
  const all = new Int32Array(pixels);
  for (let code = 0; code < 2 * DIMMED; code++) {
    for (let x = 0, count = 0; x < pixels; x++) {
      count += counts[code * stride + x]!;
      counts[code * stride + x] = count;
      all[x]! += count;
    }
  }
  const of = (code: number) => counts.subarray(code * stride, code * stride + pixels);
  return {
    found: FRAME_STATUSES.map((_, status) => of(status)),
    dimmed: FRAME_STATUSES.map((_, status) => of(status + DIMMED)),
    marks,
    now,
    mostBefore: mostOf(all.subarray(0, now)),
    mostAfter: mostOf(all.subarray(now)),
  };
}

function mostOf(counts: Int32Array): number {
  return counts.reduce((most, count) => Math.max(most, count), 1);
}

function pixelAt(moment_ms: number, scale: Scale, pixels: number): number {
  return Math.min(Math.max(Math.round(toPixel(moment_ms, scale)), 0), pixels - 1);
}

/** From the ground up: what is well, then what is not. */
const STACK = ["completed", "planned", "invalidated", "in_progress", "blocked", "failed"].map(
  (status) => FRAME_STATUSES.indexOf(status as never),
);
/** How high failures are marked. */
const MARK_PX = 5;

export function drawProfile(
  brush: Brush,
  profile: Profile,
  palette: Palette,
  width: number,
  height: number,
): void {
  brush.globalAlpha = 1;
  brush.fillStyle = palette.background;
  brush.fillRect(0, 0, width, height);
  const room = height - MARK_PX - 2;
  const below = new Float64Array(Math.ceil(width));
  for (const [layers, strength] of [
    [profile.found, 0.85],
    [profile.dimmed, 0.22],
  ] as const) {
    brush.globalAlpha = strength;
    for (const status of STACK) {
      brush.fillStyle = palette.fills[status]!;
      const counts = layers[status]!;
      for (let x = 0; x < below.length; x++) {
        if (counts[x] === 0) continue;
        const tall =
          (counts[x]! / (x < profile.now ? profile.mostBefore : profile.mostAfter)) * room;
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
