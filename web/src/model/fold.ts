// Which frames are folded, so that what is within them is not shown, and what is to be known of those not
// shown. Pure.

import type { FrameTable } from "./columns.ts";
import { BADNESS, COMPLETED } from "./status.ts";

/** What a person has folded and unfolded by hand, over what folds by itself. */
export interface Folding {
  readonly byHand: ReadonlyMap<string, boolean>;
  /** Whether what is completed folds by itself; null: in large trees. */
  readonly completed: boolean | null;
}

export const NOTHING_FOLDED: Folding = { byHand: new Map(), completed: null };

/** Trees of more frames than this are large. */
export const LARGE = 2_000;

export interface Fold {
  /** By row: whether it is folded, or would be if it were shown. */
  readonly folded: Uint8Array;
  /** By row: the topmost folded frame above it, which is shown for it; -1 where it is shown itself. */
  readonly into: Int32Array;
  /** By row: 1 for what is not shown; null where all is. */
  readonly hidden: Uint8Array | null;
  /** By row: the status to be seen, which is the worst of its own and those of all that it stands for. */
  readonly worst: Uint8Array;
  /** By row: how many frames it stands for besides itself. */
  readonly count: Int32Array;
}

export function foldOf(frames: FrameTable, folding: Folding): Fold {
  const count = frames.length;
  const statuses = frames.status.codes;
  const parent = frames.parent.allRows(count);
  const folded =
    (folding.completed ?? count > LARGE) ? completedWithin(frames, parent) : new Uint8Array(count);
  for (const [id, isFolded] of folding.byHand) {
    const row = frames.row(id);
    if (row !== undefined) folded[row] = isFolded ? 1 : 0;
  }
  const into = foldedInto(parent, folded);
  const worst = statuses.slice(0, count);
  const standsFor = new Int32Array(count);
  let hidden: Uint8Array | null = null;
  for (let row = 0; row < count; row++) {
    const top = into[row]!;
    if (top < 0) continue;
    hidden ??= new Uint8Array(count);
    hidden[row] = 1;
    standsFor[top]! += 1;
    if (BADNESS[statuses[row]!]! > BADNESS[worst[top]!]!) worst[top] = statuses[row]!;
  }
  return { folded, into, hidden, worst, count: standsFor };
}

/** The same with how the frames of some rows stand now, among them those that have come since. One that stands
 *  for others shows at once what is worse than what it showed; that nothing is as bad any more, only folding
 *  anew can tell. */
export function restated(before: Fold, frames: FrameTable, rows: readonly number[]): Fold {
  if (rows.length === 0) return before;
  const fold =
    before.into.length < frames.length
      ? withNew(before, frames)
      : { ...before, worst: before.worst.slice() };
  const { worst } = fold;
  for (const row of rows) {
    const top = fold.into[row]! >= 0 ? fold.into[row]! : row;
    const status = frames.status.codes[row]!;
    if (fold.count[top] === 0 || BADNESS[status]! > BADNESS[worst[top]!]!) worst[top] = status;
  }
  return fold;
}

/** With the rows that have come since, each where its parent is. */
function withNew(fold: Fold, frames: FrameTable): Fold {
  const known = fold.into.length;
  const length = frames.length;
  const into = new Int32Array(length).fill(-1);
  const count = new Int32Array(length);
  const [folded, worst, hidden] = [
    new Uint8Array(length),
    new Uint8Array(length),
    new Uint8Array(length),
  ];
  into.set(fold.into);
  count.set(fold.count);
  folded.set(fold.folded);
  worst.set(fold.worst);
  if (fold.hidden) hidden.set(fold.hidden);
  for (let row = known; row < length; row++) {
    worst[row] = frames.status.codes[row]!;
    // Those that have come together may come in any order, and none of them is folded.
    let up = frames.parent.row(row);
    while (up >= known) up = frames.parent.row(up);
    into[row] = up < 0 ? -1 : into[up]! >= 0 ? into[up]! : folded[up] === 1 ? up : -1;
    if (into[row]! < 0) continue;
    hidden[row] = 1;
    count[into[row]!]! += 1;
  }
  return { folded, into, count, worst, hidden: hidden.includes(1) ? hidden : null };
}

/** By row: 1 where it, or something that it stands for, is found. */
export function foundIn(fold: Fold, found: Uint8Array): Uint8Array {
  if (fold.hidden === null) return found;
  const shown = found.slice();
  for (let row = 0; row < Math.min(fold.into.length, found.length); row++) {
    if (found[row] === 1 && fold.into[row]! >= 0) shown[fold.into[row]!] = 1;
  }
  return shown;
}

/** Folds or unfolds frames by hand. */
export function foldByHand(folding: Folding, ids: readonly string[], isFolded: boolean): Folding {
  const byHand = new Map(folding.byHand);
  for (const id of ids) byHand.set(id, isFolded);
  return { ...folding, byHand };
}

/** The frames above one, from its parent up. */
export function above(frames: FrameTable, id: string): string[] {
  const ids: string[] = [];
  for (let row = frames.row(id); row !== undefined;) {
    const up = frames.parent.get(row);
    if (up === null || ids.length > frames.length) break;
    ids.push(up);
    row = frames.row(up);
  }
  return ids;
}

/** By row: 1 for frames below the root that hold others and in which all is completed. */
function completedWithin(frames: FrameTable, parent: Int32Array): Uint8Array {
  const count = frames.length;
  const open = new Uint8Array(count);
  const holds = new Uint8Array(count);
  for (let row = 0; row < count; row++) {
    const up = parent[row]!;
    if (up >= 0) holds[up] = 1;
    if (frames.status.codes[row] === COMPLETED) continue;
    for (let at = row; at >= 0 && open[at] === 0; at = parent[at]!) open[at] = 1;
  }
  return holds.map((holdsOthers, row) =>
    holdsOthers === 1 && open[row] === 0 && parent[row]! >= 0 ? 1 : 0,
  );
}

function foldedInto(parent: Int32Array, folded: Uint8Array): Int32Array {
  const UNKNOWN = -2;
  const into = new Int32Array(parent.length).fill(UNKNOWN);
  const path: number[] = [];
  for (let row = 0; row < parent.length; row++) {
    // Up to where it is known, and down again.
    for (let at = row; at >= 0 && into[at] === UNKNOWN; at = parent[at]!) {
      path.push(at);
      into[at] = -1;
    }
    while (path.length > 0) {
      const at = path.pop()!;
      const up = parent[at]!;
      if (up >= 0) into[at] = into[up]! >= 0 ? into[up]! : folded[up] === 1 ? up : -1;
    }
  }
  return into;
}
