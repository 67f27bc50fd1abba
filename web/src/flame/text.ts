// Text on a canvas: how long it is, and as much of it as there is room for.

import type { Brush } from "./scene.ts";

const lengths = new Map<string, number>();
const KEPT_LENGTHS = 20_000;

export function measure(brush: Brush, text: string): number {
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
