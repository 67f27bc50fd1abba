// What was used in each frame and all within it. Kept with the table, and caught up with what changes in it:
// a change costs a step for each frame above it, however many frames there are. Nothing here is reactive.

import type { FrameTable } from "./columns.ts";

const NANO = 1e9;

/** Whole numbers, so that what is added and taken away again leaves nothing behind. */
function nanodollars(cost_usd: number): number {
  return Math.round(cost_usd * NANO);
}

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
    return {
      cost_usd: (this.#within.nanodollars[row] ?? 0) / NANO,
      estimated: (this.#within.estimates[row] ?? 0) > 0,
    };
  }

  /** Takes in what has changed in the table. */
  catchUp(): void {
    const { length, changes } = this.#frames;
    if (this.#seen === changes) return;
    const changed = this.#hasOrphans ? null : this.#frames.changedSince(this.#seen);
    this.#seen = changes;
    if (changed === null) {
      this.#begin();
      return;
    }
    if (length > this.#own.tokens.length) {
      const room = length + (length >> 3);
      [this.#own, this.#within] = [grown(this.#own, room), grown(this.#within, room)];
    }
    for (const row of changed) this.#take(row);
  }

  /** Sums all up: each frame's, once those of all within it are known, are added to the one above it. */
  #begin(): void {
    const { length, usage, parent } = this.#frames;
    const own = noAmounts(length);
    const up = parent.allRows(length);
    const open = new Int32Array(length);
    this.#hasOrphans = false;
    for (let row = 0; row < length; row++) {
      own.tokens[row] = usage.tokens(row);
      own.nanodollars[row] = nanodollars(usage.costOf(row));
      own.estimates[row] = usage.estimated.bits[row]!;
      if (up[row]! >= 0) open[up[row]!]! += 1;
      else if (parent.get(row) !== null) this.#hasOrphans = true;
    }
    const within = grown(own, length);
    const { tokens, nanodollars: dollars, estimates } = within;
    for (let leaf = 0; leaf < length; leaf++) {
      // Up from it for as long as it was the last one within.
      for (let row = leaf; open[row] === 0;) {
        open[row] = -1;
        const above = up[row]!;
        if (above < 0) break;
        tokens[above]! += tokens[row]!;
        dollars[above]! += dollars[row]!;
        estimates[above]! += estimates[row]!;
        open[above]! -= 1;
        row = above;
      }
    }
    [this.#own, this.#within] = [own, within];
    this.changes += 1;
  }

  /** Adds to a frame, and to those above it, by how much it used more than when it was last looked at. */
  #take(row: number): void {
    const { usage, parent } = this.#frames;
    const own = this.#own;
    const tokens = usage.tokens(row) - own.tokens[row]!;
    const dollars = nanodollars(usage.costOf(row)) - own.nanodollars[row]!;
    const estimates = usage.estimated.bits[row]! - own.estimates[row]!;
    if (parent.row(row) < 0 && parent.get(row) !== null) this.#hasOrphans = true;
    if (tokens === 0 && dollars === 0 && estimates === 0) return;
    this.changes += 1;
    add(own, row, tokens, dollars, estimates);
    for (let at = row; at >= 0; at = parent.row(at))
      add(this.#within, at, tokens, dollars, estimates);
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
  return {
    tokens: new Float64Array(length),
    nanodollars: new Float64Array(length),
    estimates: new Int32Array(length),
  };
}

function grown(amounts: Amounts, length: number): Amounts {
  const larger = noAmounts(length);
  larger.tokens.set(amounts.tokens);
  larger.nanodollars.set(amounts.nanodollars);
  larger.estimates.set(amounts.estimates);
  return larger;
}

function add(
  amounts: Amounts,
  row: number,
  tokens: number,
  dollars: number,
  estimates: number,
): void {
  amounts.tokens[row]! += tokens;
  amounts.nanodollars[row]! += dollars;
  amounts.estimates[row]! += estimates;
}
