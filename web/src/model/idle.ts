// The time axis: where on it a moment is, and which moment is at a place. Time in which nobody worked is
// folded to a short stretch, so the axis is a line of straight pieces that always rises. Places are
// milliseconds too, less what is folded away before them. Pure.

import type { FrameTable } from "./columns.ts";
import { FUTURE, RUNNING } from "./layout.ts";
import type { Layout } from "./layout.ts";

/** A stretch in which nobody worked. */
export interface Gap {
  readonly from_ms: number;
  readonly to_ms: number;
  readonly folded: boolean;
}

export interface Axis {
  /** The place of a moment. */
  at(moment_ms: number): number;
  /** The moment at a place. */
  moment(place: number): number;
  /** Idle stretches that are folded or could be, by time. */
  readonly gaps: readonly Gap[];
}

/** An axis on which places are what they stand for. */
export const STRAIGHT: Axis = { at: (moment_ms) => moment_ms, moment: (place) => place, gaps: [] };

/** When work went on, as far as a layout knows. */
export interface Work {
  /** Idle stretches before the last work, by time: from, to, from, to ... */
  readonly idle: Float64Array;
  /** When the last work ended; infinite while some goes on, minus infinite where none was. */
  readonly over_ms: number;
  /** How long a folded stretch is on the axis. A shorter one is not folded. */
  readonly fold_ms: number;
}

export const NO_WORK: Work = { idle: new Float64Array(0), over_ms: -Infinity, fold_ms: Infinity };

/** No stretch shorter than this is folded. */
const SHORTEST_FOLD_MS = 5_000;
/** So much of the time that was worked, one folded stretch takes at most, and all of them together. */
const FOLD_SHARE = 0.05;
const ALL_FOLDS_SHARE = 0.4;

/**
 * Finds the time in which nobody worked: no frame that is more than a holder of others was under way,
 * or those that were waited, were blocked, paused or queued. Where it begins and ends is exact.
 */
export function workOf(frames: FrameTable, layout: Layout): Work {
  if (!(layout.to > layout.from)) return NO_WORK;
  const worked = new Stretches();
  for (let bar = 0; bar < layout.count; bar++) {
    if (layout.kind[bar] !== FUTURE && !holdsOnly(frames, layout, bar))
      eachWorked(frames, layout, bar, (from_ms, to_ms) => worked.add(from_ms, to_ms));
  }
  const { idle, over_ms } = worked.gaps(layout.from);
  if (over_ms === -Infinity) return NO_WORK;
  return { idle, over_ms, fold_ms: foldLength(idle, Math.min(over_ms, layout.to) - layout.from) };
}

/** A run's root stands for the run; a group for what is in it. */
function holdsOnly(frames: FrameTable, layout: Layout, bar: number): boolean {
  return (
    frames.group.bits[bar] === 1 ||
    (layout.parent[bar]! < 0 && layout.childStart[bar + 1]! > layout.childStart[bar]!)
  );
}

/** Each stretch of a bar in which it was worked on. */
export function eachWorked(
  frames: FrameTable,
  layout: Layout,
  bar: number,
  take: (from_ms: number, to_ms: number) => void,
): void {
  const end_ms = layout.kind[bar] === RUNNING ? Infinity : layout.end[bar]!;
  if (frames.spans.isEmpty(bar)) return take(layout.start[bar]!, end_ms);
  const spans = frames.spans.get(bar);
  spans.forEach((span, i) => {
    if (span.doing !== "working") return;
    const from_ms = Math.max(span.from_ms, layout.start[bar]!);
    const to_ms = Math.min(spans[i + 1]?.from_ms ?? Infinity, end_ms);
    if (to_ms > from_ms) take(from_ms, to_ms);
  });
}

/**
 * The axis at a moment. All idle stretches that are long enough are folded, or none; those that begin at
 * a moment of `others` are not as the rest. What has been idle until now grows no further once it is as
 * long as a folded stretch, so nothing jumps while time goes on.
 */
export function axisOf(
  work: Work,
  now_ms: number,
  isFolded: boolean,
  others: ReadonlySet<number>,
): Axis {
  const gaps: Gap[] = [];
  const add = (from_ms: number, to_ms: number) => {
    if (to_ms - from_ms > work.fold_ms)
      gaps.push({ from_ms, to_ms, folded: isFolded !== others.has(from_ms) });
  };
  for (let i = 0; i < work.idle.length; i += 2) add(work.idle[i]!, work.idle[i + 1]!);
  if (Number.isFinite(work.over_ms)) add(work.over_ms, now_ms);
  const folded = gaps.filter((gap) => gap.folded);
  if (folded.length === 0) return { ...STRAIGHT, gaps };
  return { ...folding(folded, work.fold_ms), gaps };
}

function folding(folded: readonly Gap[], fold_ms: number): Pick<Axis, "at" | "moment"> {
  const from = Float64Array.from(folded, (gap) => gap.from_ms);
  const to = Float64Array.from(folded, (gap) => gap.to_ms);
  /** The place where each begins. */
  const place = new Float64Array(folded.length);
  let gone_ms = 0;
  folded.forEach((gap, i) => {
    place[i] = gap.from_ms - gone_ms;
    gone_ms += gap.to_ms - gap.from_ms - fold_ms;
  });
  return {
    at(moment_ms) {
      const i = lastUpTo(from, moment_ms);
      if (i < 0) return moment_ms;
      if (moment_ms >= to[i]!) return place[i]! + fold_ms + (moment_ms - to[i]!);
      return place[i]! + ((moment_ms - from[i]!) * fold_ms) / (to[i]! - from[i]!);
    },
    moment(at) {
      const i = lastUpTo(place, at);
      if (i < 0) return at;
      const into = at - place[i]!;
      if (into >= fold_ms) return to[i]! + (into - fold_ms);
      return from[i]! + (into * (to[i]! - from[i]!)) / fold_ms;
    },
  };
}

/** The last of ascending numbers that is not over a value; -1 for none. */
function lastUpTo(ascending: Float64Array, value: number): number {
  let low = 0;
  let high = ascending.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (ascending[middle]! <= value) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

/** How long each idle stretch is drawn: all of them together take no more than their share. */
function foldLength(idle: Float64Array, whole_ms: number): number {
  const lengths = new Float64Array(idle.length / 2)
    .map((_, i) => idle[2 * i + 1]! - idle[2 * i]!)
    .sort();
  const worked_ms = lengths.reduce((rest, length) => rest - length, whole_ms);
  // As water fills vessels: what the short ones leave is shared by the long ones.
  let left_ms = worked_ms * ALL_FOLDS_SHARE;
  let most_ms = worked_ms * FOLD_SHARE;
  lengths.forEach((length, i) => {
    const share_ms = left_ms / (lengths.length - i);
    if (length > share_ms) most_ms = Math.min(most_ms, share_ms);
    left_ms -= Math.min(length, share_ms);
  });
  return Math.max(most_ms, SHORTEST_FOLD_MS);
}

/** Stretches of time, in any order. */
class Stretches {
  readonly #from: number[] = [];
  readonly #to: number[] = [];

  add(from_ms: number, to_ms: number): void {
    const last = this.#from.length - 1;
    // Most come in the order of time and overlap the one before: a run of many frames has few stretches.
    if (last >= 0 && from_ms <= this.#to[last]! && to_ms >= this.#from[last]!) {
      if (from_ms < this.#from[last]!) this.#from[last] = from_ms;
      if (to_ms > this.#to[last]!) this.#to[last] = to_ms;
      return;
    }
    this.#from.push(from_ms);
    this.#to.push(to_ms);
  }

  /** What is in none of them: between a moment before all of them and the end of the last, `over_ms`. */
  gaps(before_ms: number): { idle: Float64Array; over_ms: number } {
    const from = Float64Array.from(this.#from).sort();
    const to = Float64Array.from(this.#to).sort();
    const found: number[] = [];
    // Where as many have ended as have begun, none goes on.
    for (let i = 0, over_ms = before_ms; i < from.length; over_ms = to[i++]!) {
      if (from[i]! > over_ms) found.push(over_ms, from[i]!);
    }
    return { idle: Float64Array.from(found), over_ms: to.at(-1) ?? -Infinity };
  }
}
