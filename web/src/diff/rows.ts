// A file's diff as rows to show: numbered, and with what changed within a line found. Pure.

import { signOf } from "./parse.ts";
import type { DiffFile, Hunk, Sign } from "./parse.ts";
import { marks } from "./words.ts";

export type Row =
  | { readonly kind: "hunk"; readonly text: string }
  | {
      readonly kind: "line";
      readonly sign: Sign;
      /** Its number before and after; null where it was not there. */
      readonly from: number | null;
      readonly to: number | null;
      readonly text: string;
      /** What of the text is new, or gone, where the rest of the line is not. */
      readonly mark: readonly [from: number, to: number] | null;
    };

/** The first rows of a file, so many at most. */
export function rowsOf(file: DiffFile, limit: number): Row[] {
  const rows: Row[] = [];
  for (const hunk of file.hunks) {
    if (rows.length >= limit) break;
    rows.push({ kind: "hunk", text: hunk.heading });
    addLines(hunk, rows, limit);
  }
  return rows;
}

/** How many rows a file has. */
export function countRows(file: DiffFile): number {
  return file.hunks.reduce((sum, hunk) => sum + 1 + hunk.lines.length, 0);
}

function addLines(hunk: Hunk, rows: Row[], limit: number): void {
  let { from, to } = hunk;
  const signs = hunk.lines.slice(0, limit - rows.length).map((line) => signOf(line, hunk.signs));
  const pairs = paired(hunk, signs);
  signs.forEach((sign, i) => {
    const line = hunk.lines[i]!;
    const text = sign === "\\" ? line.slice(1).trim() : line.slice(hunk.signs);
    const isBefore = sign === " " || sign === "-";
    const isAfter = sign === " " || sign === "+";
    rows.push({
      kind: "line",
      sign,
      text,
      from: isBefore ? from : null,
      to: isAfter ? to : null,
      mark: pairs.get(i) ?? null,
    });
    if (isBefore) from += 1;
    if (isAfter) to += 1;
  });
}

/** By line: what of it changed. Of lines that went and lines that came in their place, the first is
 *  held against the first, and so on. */
function paired(hunk: Hunk, signs: readonly Sign[]): Map<number, readonly [number, number]> {
  const found = new Map<number, readonly [number, number]>();
  for (let at = 0; at < signs.length;) {
    const gone = run(signs, at, "-");
    const came = run(signs, at + gone, "+");
    for (let i = 0; i < Math.min(gone, came); i++) {
      const [before, after] = [hunk.lines[at + i]!, hunk.lines[at + gone + i]!].map((line) =>
        line.slice(hunk.signs),
      );
      const differ = marks(before!, after!);
      if (!differ) continue;
      found.set(at + i, differ.before);
      found.set(at + gone + i, differ.after);
    }
    at += Math.max(gone + came, 1);
  }
  return found;
}

/** How many signs in a row, from a place on, are this one. */
function run(signs: readonly Sign[], at: number, sign: Sign): number {
  let length = 0;
  while (signs[at + length] === sign) length += 1;
  return length;
}
