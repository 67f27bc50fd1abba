// How well a text answers what was typed: every letter of it in order, better where words begin and where
// letters stand together. Pure.

const WORD_START = 12;
const TOGETHER = 8;
const LETTER = 1;
/** What each letter that is passed over costs; so little that it only decides between equals. */
const PASSED_OVER = 0.05;
const WHOLE = 40;

/** Higher is better; null where a letter is missing. Words of the query may stand in any order. */
export function score(query: string, text: string): number | null {
  const wanted = fold(query)
    .split(/\s+/)
    .filter((word) => word !== "");
  const given = fold(text);
  let sum = 0;
  for (const word of wanted) {
    const found = scoreWord(word, given);
    if (found === null) return null;
    sum += found;
  }
  return sum - given.length * 0.01;
}

function fold(text: string): string {
  // Most texts have no accents to take off.
  if (/^[\x20-\x7e]*$/.test(text)) return text.toLowerCase();
  return text.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase();
}

function isStart(text: string, at: number): boolean {
  return at === 0 || !/[\p{L}\p{N}]/u.test(text[at - 1]!);
}

/** The word as it stands, at the beginning of a word if it can be; else its letters one after the other. */
function scoreWord(word: string, text: string): number | null {
  let whole = -1;
  for (let at = text.indexOf(word); at >= 0; at = text.indexOf(word, at + 1)) {
    whole = at;
    if (isStart(text, at)) break;
  }
  if (whole >= 0) {
    const letters = word.length * (LETTER + TOGETHER);
    return (
      WHOLE + letters + (isStart(text, whole) ? WORD_START : 0) - Math.min(whole, 100) * PASSED_OVER
    );
  }
  let sum = 0;
  let at = -1;
  for (const letter of word) {
    const next = text.indexOf(letter, at + 1);
    if (next < 0) return null;
    sum += LETTER - Math.min(next - at - 1, 100) * PASSED_OVER;
    if (next === at + 1 && at >= 0) sum += TOGETHER;
    else if (isStart(text, next)) sum += WORD_START;
    at = next;
  }
  return sum;
}

/** What is so much worse than the best only hides it. */
const AT_LEAST_OF_BEST = 0.4;

/** The best so many, best first; equals as they were. */
export function rank<T>(
  query: string,
  items: Iterable<T>,
  textOf: (item: T) => string,
  most: number,
): T[] {
  const found: { item: T; score: number; order: number }[] = [];
  let order = 0;
  for (const item of items) {
    const points = score(query, textOf(item));
    if (points !== null) found.push({ item, score: points, order: order++ });
  }
  found.sort((a, b) => b.score - a.score || a.order - b.order);
  const least = Math.max(0, found[0]?.score ?? 0) * AT_LEAST_OF_BEST;
  return found
    .slice(0, most)
    .filter((each) => least === 0 || each.score >= least)
    .map(({ item }) => item);
}
