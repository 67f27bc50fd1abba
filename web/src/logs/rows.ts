// Which rows of the screen lines take: one each, or as many as their text needs where it is wrapped. Text
// is wrapped here and not by the browser, so that the height of what is out of sight is known. Pure.

/** How wide a tab may be, in cells. */
const TAB = 8;
const PLAIN = /^[\x20-\x7e]*$/;
const WIDE =
  /[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]|\p{Emoji_Presentation}/u;
const NARROW = /[\p{M}\ufe00-\ufe0f\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]/u;

/** Where each row of a text begins, in a width of so many cells; one row where that is null. */
export function rowStarts(text: string, width: number | null): number[] {
  if (width === null || (text.length * 2 <= width && !text.includes("\t"))) return [0];
  const starts = [0];
  if (PLAIN.test(text)) {
    for (let at = width; at < text.length; at += width) starts.push(at);
    return starts;
  }
  let [at, cell] = [0, 0];
  for (const letter of text) {
    const cells = cellsOf(letter, cell);
    if (cell > 0 && cell + cells > width) {
      starts.push(at);
      cell = 0;
    }
    cell += letter === "\t" ? Math.min(TAB - (cell % TAB), width) : cells;
    at += letter.length;
  }
  return starts;
}

function cellsOf(letter: string, cell: number): number {
  if (letter === "\t") return TAB - (cell % TAB);
  if (letter <= "\x7e") return 1;
  return NARROW.test(letter) ? 0 : WIDE.test(letter) ? 2 : 1;
}

/** The rows of a list of lines. */
export class Rows {
  /** Of each line, the rows before it; and at the end, all of them. */
  #before: number[] = [0];
  #width: number | null = null;

  /** Takes in that the lines are others now. `kept` says how many at the beginning are what they were. */
  update(lines: number, width: number | null, text: (line: number) => string, kept: number): void {
    if (width !== this.#width) kept = 0;
    this.#width = width;
    this.#before.length = Math.min(this.#before.length, kept + 1, lines + 1);
    for (let line = this.#before.length - 1; line < lines; line++) {
      this.#before.push(
        this.#before[line]! + (width === null ? 1 : rowStarts(text(line), width).length),
      );
    }
  }

  get count(): number {
    return this.#before.at(-1)!;
  }

  get width(): number | null {
    return this.#width;
  }

  /** The first row of a line. */
  rowOf(line: number): number {
    return this.#before[Math.min(line, this.#before.length - 1)]!;
  }

  /** The line that a row is of. */
  lineOf(row: number): number {
    let [low, high] = [0, Math.max(0, this.#before.length - 2)];
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if (this.#before[middle]! <= row) low = middle;
      else high = middle - 1;
    }
    return low;
  }
}
