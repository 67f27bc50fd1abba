// A stretch of a line's spans, with what was found in it marked. Pure.

import type { Span } from "./ansi.ts";

export interface Piece extends Span {
  readonly found: boolean;
}

/** The text of spans from one place up to another, cut where marks begin and end. */
export function pieces(
  spans: readonly Span[],
  from: number,
  to: number,
  marks: readonly (readonly [number, number])[],
): Piece[] {
  const made: Piece[] = [];
  let at = 0;
  for (const { text, look } of spans) {
    const [begin, end] = [Math.max(from, at), Math.min(to, at + text.length)];
    const edges = marks
      .flat()
      .filter((edge) => edge > begin && edge < end)
      .sort((a, b) => a - b);
    let start = begin;
    for (const edge of [...edges, end]) {
      if (edge <= start) continue;
      const found = marks.some(([first, last]) => first <= start && edge <= last);
      made.push({ text: text.slice(start - at, edge - at), look, found });
      start = edge;
    }
    at += text.length;
  }
  return made;
}
