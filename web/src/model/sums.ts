// What was used in each frame and all within it. Kept with the table, and caught up with what changes in it:
// a change costs a step for each frame above it, however many frames there are. Nothing here is reactive.

import type { FrameTable } from "./columns.ts";

const NANO = 1e9;

export class Sums {
  /** How often a sum became another one. */
  changes = 0;
  readonly #frames: FrameTable;
  /** The table's changes that are in the sums; -1 before there are any. */
  #seen = -1;
  #own = noAmounts(0);
  #within = noAmounts(0);
  /** Whether a frame came before its parent did. */
  #hasOrphans = false;

  constructor(frames: FrameTable) {
    this.#frames = frames;
  }

  tokens(row: number): number {
    return this.#within.tokens[row] ?? 0;
  }

  /** `estimated` where some of it is reckoned from list prices. */
  cost(row: number): { cost_usd: number; estimated: boolean } {
    return { cost_usd: (this.#within.nanodollars[row] ?? 0) / NANO, estimated: (this.#within.estimates[row] ?? 0) > 0 };
  }

  /** Takes in what has changed in the table. */
  catchUp(): void {
    const { length, changes } = this.#frames;
    const changed = this.#hasOrphans ? null : this.#frames.changedSince(this.#seen);
    this.#seen = changes;
    if (changed === null) {
      [this.#own, this.#within] = [noAmounts(length), noAmounts(length)];
      this.#hasOrphans = false;
      for (let row = 0; row < length; row++) this.#take(row);
      this.changes += 1;
      return;
    }
    if (length > this.#own.tokens.length) [this.#own, this.#within] = [grown(this.#own, length), grown(this.#within, length)];
    for (const row of changed) this.#take(row);
  }

  /** Adds to a frame, and to those above it, by how much it used more than when it was last looked at. */
  #take(row: number): void {
    const { usage, parent } = this.#frames;
    const own = this.#own;
    const within = this.#within;
    const tokens = usage.tokens(row) - own.tokens[row]!;
    // Whole numbers, so that what is added and taken away again leaves nothing behind.
    const nanodollars = Math.round(usage.costOf(row) * NANO) - own.nanodollars[row]!;
    const estimates = usage.estimated.bits[row]! - own.estimates[row]!;
    const up = parent.row(row);
    if (up < 0 && parent.get(row) !== null) this.#hasOrphans = true;
    if (tokens === 0 && nanodollars === 0 && estimates === 0) return;
    this.changes += 1;
    own.tokens[row]! += tokens;
    own.nanodollars[row]! += nanodollars;
    own.estimates[row]! += estimates;
    for (let at = row; at >= 0; at = parent.row(at)) {
      within.tokens[at]! += tokens;
      within.nanodollars[at]! += nanodollars;
      within.estimates[at]! += estimates;
    }
  }
}

const kept = new WeakMap<FrameTable, Sums>();

/** The sums of a table as it is now: the same object each time. */
export function sumsOf(frames: FrameTable): Sums {
  let sums = kept.get(frames);
  if (sums === undefined) kept.set(frames, (sums = new Sums(frames)));
  sums.catchUp();
  return sums;
}

/** By row. */
interface Amounts {
  readonly tokens: Float64Array;
  readonly nanodollars: Float64Array;
  /** How many costs are estimated. */
  readonly estimates: Int32Array;
}

function noAmounts(length: number): Amounts {
  return { tokens: new Float64Array(length), nanodollars: new Float64Array(length), estimates: new Int32Array(length) };
}

function grown(amounts: Amounts, length: number): Amounts {
  const larger = noAmounts(length + (length >> 3));
  larger.tokens.set(amounts.tokens);
  larger.nanodollars.set(amounts.nanodollars);
  larger.estimates.set(amounts.estimates);
  return larger;
}
