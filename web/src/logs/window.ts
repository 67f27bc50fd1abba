// A stretch of a log, in bytes, that grows at either end and is cut at the other, so that a log of any
// size takes the same memory. Lines are found in the bytes: a character or a line that lies across two
// pages is whole here. Pure.

/** The most bytes that are kept. */
export const WINDOW_BYTES = 512 * 1_024;
/** Of a line longer than this, only so many bytes are shown. */
export const SHOWN_LINE_BYTES = 4_096;

/** To cut at a line's begin, at most so many bytes more are given up. */
const LONGEST_EXTRA_CUT = 64 * 1_024;
const NEWLINE = 10;
const RETURN = 13;

export interface Line {
  readonly text: string;
  /** How many bytes of the line are not shown. */
  readonly hidden: number;
}

export class LogWindow {
  /** The bytes' place in the log. */
  from: number;
  #bytes: Uint8Array = new Uint8Array(0);
  /** Where each line begins in the bytes. The last one may not have ended. */
  #starts: number[] = [];

  constructor(from: number) {
    this.from = from;
  }

  get to(): number {
    return this.from + this.#bytes.length;
  }

  get lines(): number {
    return this.#starts.length;
  }

  /** Adds what follows. Says how many lines were cut off at the beginning. */
  append(bytes: Uint8Array): number {
    const before = this.#bytes.length;
    const joined = join(this.#bytes, bytes);
    // What the last line was to begin with may have been the log's end.
    if (this.#starts.length === 0 && joined.length > 0) this.#starts.push(0);
    for (let at = joined.indexOf(NEWLINE, before); at >= 0; at = joined.indexOf(NEWLINE, at + 1))
      this.#starts.push(at + 1);
    this.#bytes = joined;
    return this.#cutHead();
  }

  /** Adds what comes before. Says how many lines were added at the beginning. */
  prepend(bytes: Uint8Array): number {
    const before = this.#starts.length;
    this.#bytes = join(bytes, this.#bytes);
    this.from -= bytes.length;
    this.#find();
    const added = this.#starts.length - before;
    this.#cutTail();
    return added;
  }

  /** The line: a last one that is empty stands for what is still to come. */
  line(index: number): Line {
    const next = this.#starts[index + 1];
    const end = next === undefined ? this.#bytes.length : next - 1;
    const start = this.#lastState(this.#starts[index]!, end);
    const shown = Math.min(end, start + SHOWN_LINE_BYTES);
    // A byte order mark is a character here: places in a line's text are counted with it.
    const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
    // `stream` leaves out a character that is cut at the end, be it by us or because the rest is to come.
    const isCut = shown < end || next === undefined;
    const text = decoder.decode(this.#bytes.subarray(this.#charStart(start), shown), {
      stream: isCut,
    });
    return { text, hidden: end - shown };
  }

  /** Whether nothing stands in the line. */
  isEmpty(index: number): boolean {
    const next = this.#starts[index + 1];
    return (next === undefined ? this.#bytes.length : next - 1) === this.#starts[index]!;
  }

  /** Where the line begins in the log. */
  lineAt(index: number): number {
    return this.from + this.#starts[index]!;
  }

  /** The line that a place in the log is in; -1 where it is not here. */
  lineOf(offset: number): number {
    if (offset < this.from || offset > this.to || this.#starts.length === 0) return -1;
    let [low, high] = [0, this.#starts.length - 1];
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if (this.#starts[middle]! <= offset - this.from) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  /** Of a line too long to be shown whole that is written over again and again, as progress bars do,
   *  only the last state counts. */
  #lastState(start: number, end: number): number {
    if (end - start <= SHOWN_LINE_BYTES) return start;
    let last = end;
    while (last > start && this.#bytes[last - 1] === RETURN) last -= 1;
    return Math.max(start, this.#bytes.subarray(start, last).lastIndexOf(RETURN) + start + 1);
  }

  /** After the middle of a character, the begin of the next. */
  #charStart(start: number): number {
    let at = start;
    while (at < start + 3 && (this.#bytes[at]! & 0xc0) === 0x80) at += 1;
    return at;
  }

  #find(): void {
    this.#starts = this.#bytes.length === 0 ? [] : [0];
    for (let at = this.#bytes.indexOf(NEWLINE); at >= 0; at = this.#bytes.indexOf(NEWLINE, at + 1))
      this.#starts.push(at + 1);
  }

  #cutHead(): number {
    if (this.#bytes.length <= WINDOW_BYTES) return 0;
    const least = this.#bytes.length - WINDOW_BYTES;
    // At a line's begin; within a line where the next begin is far.
    const keep = this.#starts.findIndex((start) => start >= least);
    const isWhole = keep > 0 && this.#starts[keep]! <= least + LONGEST_EXTRA_CUT;
    const cut = isWhole ? this.#starts[keep]! : least;
    const lines = isWhole ? keep : this.#starts.filter((start) => start <= least).length - 1;
    this.#bytes = this.#bytes.slice(cut);
    this.from += cut;
    this.#starts = [0, ...this.#starts.filter((start) => start > cut).map((start) => start - cut)];
    return Math.max(lines, 0);
  }

  #cutTail(): void {
    if (this.#bytes.length <= WINDOW_BYTES) return;
    this.#bytes = this.#bytes.slice(0, WINDOW_BYTES);
    this.#starts = this.#starts.filter((start) => start < WINDOW_BYTES);
  }
}

/** Bytes, one after the other. */
export function join(first: Uint8Array, second: Uint8Array): Uint8Array {
  const joined = new Uint8Array(first.length + second.length);
  joined.set(first);
  joined.set(second, first.length);
  return joined;
}
