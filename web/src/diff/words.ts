// Which words of a changed line are the change: what is left when the same words at its begin and end
// are taken away. That costs one walk, and shows an edit in one place as a person would. Pure.

/** From where to where the line before and the line after differ; null where all of them does. */
export interface Marks {
  readonly before: readonly [from: number, to: number];
  readonly after: readonly [from: number, to: number];
}

/** In longer lines nothing is marked. */
const LONGEST = 2_000;

export function marks(before: string, after: string): Marks | null {
  if (before.length > LONGEST || after.length > LONGEST) return null;
  const [ones, others] = [words(before), words(after)];
  const least = Math.min(ones.length, others.length);
  let first = 0;
  while (first < least && ones[first] === others[first]) first += 1;
  let last = 0;
  while (last < least - first && ones.at(-1 - last) === others.at(-1 - last)) last += 1;
  const length = (of: readonly string[]) => of.reduce((sum, word) => sum + word.length, 0);
  const [head, tail] = [length(ones.slice(0, first)), length(last === 0 ? [] : ones.slice(-last))];
  // Two lines with nothing in common but blanks are two lines.
  if ((before.slice(0, head) + before.slice(before.length - tail)).trim() === "") return null;
  return { before: [head, before.length - tail], after: [head, after.length - tail] };
}

function words(line: string): string[] {
  return line.match(/[\p{L}\p{N}_]+|\s+|[^\p{L}\p{N}_\s]/gu) ?? [];
}
