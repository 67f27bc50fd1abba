// Text on a canvas: how long it is, and as much of it as there is room for.

import type { Brush } from "./scene.ts";

/** By text, in the font that was set last: to ask the brush for it takes as long as to write. */
const lengths = new Map<string, number>();
const KEPT_LENGTHS = 20_000;
let measured = "";

/** Sets the font that is written and measured in from here on. */
export function setFont(brush: Brush, font: string): void {
  brush.font = font;
  if (font !== measured) lengths.clear();
  measured = font;
}

/** How long a text is in the font that was set last. */
export function measure(brush: Brush, text: string): number {
  let length = lengths.get(text);
  if (length === undefined) {
    if (lengths.size >= KEPT_LENGTHS) lengths.clear();
    length = brush.measureText(text).width;
    lengths.set(text, length);
  }
  return length;
}

/** As much of a text as there is room for; empty where that would say nothing. */
export function shorten(brush: Brush, text: string, room: number): string {
  // Longer than any bar; a text may be of any length.
  const whole = text.length > 400 ? text.slice(0, 400) : text;
  const length = measure(brush, whole);
  if (length <= room) return whole;
  if (room < 12) return "";
  let keep = Math.floor((whole.length * room) / length);
  while (keep > 2 && measure(brush, `${whole.slice(0, keep)}…`) > room) keep -= 1;
  return keep <= 3 ? whole.slice(0, 1) : `${whole.slice(0, keep)}…`;
}
