// Which lines of the merged log are of standard error: asked for behind what is loaded, a stretch at a
// time, so that the text never waits for it.

import type { LogSource } from "./source.ts";

/** So long after an answer, more is asked for. */
const PAUSE_MS = 150;

export class Ownership {
  /** The stretches of standard error, in their order, within what is known. */
  #stderr: (readonly [number, number])[] = [];
  #from = 0;
  #to = 0;
  /** Up to where the order of the two is known; null before it was asked for. */
  orderedTo: number | null = null;
  #wanted: readonly [number, number] = [0, 0];
  #asking: AbortController | null = null;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(
    readonly source: LogSource,
    readonly changed: () => void,
  ) {}

  /** Whether a byte is of standard error, as far as known. */
  isStderr(offset: number): boolean {
    let [low, high] = [0, this.#stderr.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#stderr[middle]![1] <= offset) low = middle + 1;
      else high = middle;
    }
    return low < this.#stderr.length && this.#stderr[low]![0] <= offset;
  }

  /** Something else is loaded now. */
  reset(): void {
    this.close();
    this.#stderr = [];
    this.#from = this.#to = 0;
  }

  /** What is loaded: what is not known of it is asked for. */
  look(from: number, to: number): void {
    if (this.source.stream !== "merged") return;
    this.#wanted = [from, to];
    if (this.#asking === null) void this.#ask();
  }

  close(): void {
    this.#asking?.abort();
    this.#asking = null;
    clearTimeout(this.#timer);
  }

  async #ask(): Promise<void> {
    const [from, to] = this.#wanted;
    // What adjoins is added; what does not begins anew.
    const adjoins = this.#to > this.#from && from <= this.#to && to >= this.#from;
    if (!adjoins) [this.#stderr, this.#from, this.#to] = [[], from, from];
    const missing: [number, number] = from < this.#from ? [from, this.#from] : [this.#to, to];
    if (missing[1] <= missing[0]) return;
    const mine = new AbortController();
    this.#asking = mine;
    try {
      const { stderr, ordered_to } = await this.source.streams(missing[0], missing[1], mine.signal);
      if (mine.signal.aborted) return;
      if (missing[0] < this.#from) {
        this.#stderr = [...stderr, ...this.#stderr];
        this.#from = missing[0];
      } else {
        this.#stderr.push(...stderr);
        this.#to = missing[1];
      }
      this.orderedTo = ordered_to;
      this.changed();
    } catch {
      // The text is there without it; with the next change it is asked for again.
      this.#wanted = [0, 0];
    }
    this.#timer = setTimeout(() => {
      if (this.#asking === mine) this.#asking = null;
      if (!mine.signal.aborted) void this.#ask();
    }, PAUSE_MS);
  }
}
