// Where each frame's bar is: horizontally its time, vertically the stack, children below their
// parent, siblings that overlap in lanes. What has not been run stands after 'now', in the order of
// its dependencies. Pure: no DOM, no clock. A layout holds good while time goes on; it is made anew
// when a frame changes.

import type { FrameTable } from "./columns.ts";
import { pack } from "./lanes.ts";
import { IN_PROGRESS, PLANNED } from "./status.ts";

/** A bar from its start to its end. */
export const PAST = 0;
/** A bar from its start to now. */
export const RUNNING = 1;
/** A bar after now: start and end count slots from there. */
export const FUTURE = 2;

export interface Layout {
  /** How many bars there are: one for each row of the table. */
  readonly count: number;
  /** PAST, RUNNING or FUTURE. */
  readonly kind: Uint8Array;
  /** Milliseconds since the epoch; for FUTURE, slots after now. */
  readonly start: Float64Array;
  /** As `start`; infinite for RUNNING. */
  readonly end: Float64Array;
  /** For what is not FUTURE: the slots up to which what is planned within it reaches; 0 for none. */
  readonly reach: Float64Array;
  /** The chart's row; -1 for what is hidden. */
  readonly y: Int32Array;
  /** The parent's bar; -1 for none. */
  readonly parent: Int32Array;
  /** How many frames are above it. */
  readonly depth: Int32Array;
  /** How many rows the chart has. */
  readonly rows: number;
  /** How many slots lie after now. */
  readonly slots: number;
  /** The first moment; infinite where nothing has started. */
  readonly from: number;
  /** The last moment known: now is not before it. Minus infinite where nothing has started. */
  readonly to: number;
  /** Bars of chart row r, by start, those hidden left out: `byRow[rowStart[r]]` up to `byRow[rowStart[r + 1]]`. */
  readonly rowStart: Int32Array;
  readonly byRow: Int32Array;
  /** Children of bar b, by start; those of none are at `count`. As above. */
  readonly childStart: Int32Array;
  readonly children: Int32Array;
}

/** Where the future begins in packing: after every real moment (the year 5138), and exact in it. */
const FUTURE_BASE = 1e14;
const SLOT_LENGTH = 1e6;
/** So many frames of one parent that could all be next stand below one another; more, side by side. */
const STACKED_NEXT = 6;

/** All that a layout is made from, as numbers: another thread can be given it. */
export interface Given {
  readonly count: number;
  readonly status: Uint8Array;
  readonly started: Float64Array;
  readonly ended: Float64Array;
  /** By bar: its parent's; -1 for none. */
  readonly parent: Int32Array;
  /** What bar b waits for, where it has not been run: `waits[waitStart[b]]` up to `waits[waitStart[b + 1]]`. */
  readonly waitStart: Int32Array;
  readonly waits: Int32Array;
  /** 1 for frames within folded ones, which take no place. Where a frame is hidden, all within it are. */
  readonly hidden: Uint8Array | null;
}

export function givenOf(frames: FrameTable, hidden: Uint8Array | null = null): Given {
  const count = frames.length;
  const waitStart = new Int32Array(count + 1);
  const waits: number[] = [];
  for (let bar = 0; bar < count; bar++) {
    if (isFuture(frames.status.codes[bar]!, frames.started.values[bar]!))
      frames.dependsOn.each(bar, (other) => waits.push(other));
    waitStart[bar + 1] = waits.length;
  }
  return {
    count,
    parent: frames.parent.allRows(count),
    waitStart,
    waits: Int32Array.from(waits),
    hidden: hidden && hidden.slice(),
    status: frames.status.codes.slice(0, count),
    started: frames.started.values.slice(0, count),
    ended: frames.ended.values.slice(0, count),
  };
}

/** Whether a frame has not been run and is to be. */
function isFuture(status: number, started: number): boolean {
  return Number.isNaN(started) || status === PLANNED;
}

/** A bar's kind as its frame stands. */
export function kindOf(status: number, started: number): number {
  if (isFuture(status, started)) return FUTURE;
  return status === IN_PROGRESS ? RUNNING : PAST;
}

/** Where a bar that is not of the future ends. */
export function endOfPast(status: number, started: number, ended: number): number {
  // At least a millisecond, the clock's step, so that each bar has a place of its own.
  return status === IN_PROGRESS
    ? Infinity
    : Math.max(Number.isNaN(ended) ? started : ended, started + 1);
}

/** `hidden`: see `Given`. */
export function layOut(frames: FrameTable, hidden: Uint8Array | null = null): Layout {
  return layOutGiven(givenOf(frames, hidden));
}

export function layOutGiven(given: Given): Layout {
  const { count, parent, status, started, ended, hidden } = given;
  const { childStart, children, order, depth } = tree(parent, count);
  const kind = new Uint8Array(count);
  const start = new Float64Array(count);
  const end = new Float64Array(count);
  let from = Infinity;
  let to = -Infinity;
  for (let bar = 0; bar < count; bar++) {
    const began = started[bar]!;
    kind[bar] = kindOf(status[bar]!, began);
    if (kind[bar] === FUTURE) continue;
    start[bar] = began;
    end[bar] = endOfPast(status[bar]!, began, ended[bar]!);
    from = Math.min(from, began);
    to = Math.max(to, kind[bar] === PAST ? end[bar]! : began + 1);
  }
  const slots = placeFuture(given, kind, childStart, children, order, start, end);
  const reach = reaches(kind, parent, order, end);
  const { y, rows } = stack(kind, start, end, parent, childStart, children, order, hidden);
  const { rowStart, byRow } = byRows(kind, start, y, rows);
  return {
    count,
    kind,
    start,
    end,
    reach,
    y,
    parent,
    depth,
    rows,
    slots,
    from,
    to,
    rowStart,
    byRow,
    childStart,
    children,
  };
}

/** A bar's place on one line on which the future follows upon all that has been. */
export function packedStart(kind: Uint8Array, start: Float64Array, bar: number): number {
  return kind[bar] === FUTURE ? FUTURE_BASE + start[bar]! * SLOT_LENGTH : start[bar]!;
}

export function packedEnd(kind: Uint8Array, end: Float64Array, bar: number): number {
  if (kind[bar] === FUTURE) return FUTURE_BASE + end[bar]! * SLOT_LENGTH;
  return kind[bar] === RUNNING ? FUTURE_BASE : end[bar]!;
}

/** Children by parent, and all frames with parents before their children. */
function tree(parent: Int32Array, count: number) {
  const childStart = new Int32Array(count + 2);
  for (let bar = 0; bar < count; bar++) childStart[slotOf(parent[bar]!, count) + 1]! += 1;
  for (let i = 0; i <= count; i++) childStart[i + 1]! += childStart[i]!;
  const children = new Int32Array(count);
  const next = childStart.slice();
  for (let bar = 0; bar < count; bar++) children[next[slotOf(parent[bar]!, count)]!++] = bar;
  const order = new Int32Array(count);
  const depth = new Int32Array(count);
  let filled = 0;
  for (let i = childStart[count]!; i < childStart[count + 1]!; i++) order[filled++] = children[i]!;
  for (let read = 0; read < filled; read++) {
    const bar = order[read]!;
    for (let i = childStart[bar]!; i < childStart[bar + 1]!; i++) {
      depth[children[i]!] = depth[bar]! + 1;
      order[filled++] = children[i]!;
    }
  }
  // Frames that are their own ancestors would be missing here; the daemon makes none.
  return { childStart, children, order: order.subarray(0, filled), depth };
}

function slotOf(parent: number, count: number): number {
  return parent < 0 ? count : parent;
}

/**
 * Gives each frame of the future its slots: after those of the frames that it waits for. Returns how
 * many slots there are.
 */
function placeFuture(
  given: Given,
  kind: Uint8Array,
  childStart: Int32Array,
  children: Int32Array,
  order: Int32Array,
  start: Float64Array,
  end: Float64Array,
): number {
  const level = futureLevels(given, kind, childStart, children);
  const { count } = given;
  let slots = 0;
  // Leaves of one parent and level share a slot: columns of at most STACKED_NEXT.
  const alike = new Map<number, number[]>();
  for (let owner = 0; owner <= count; owner++) {
    alike.clear();
    for (let i = childStart[owner]!; i < childStart[owner + 1]!; i++) {
      const bar = children[i]!;
      if (kind[bar] !== FUTURE || childStart[bar + 1]! > childStart[bar]!) continue;
      const bars = alike.get(level[bar]!);
      if (bars) bars.push(bar);
      else alike.set(level[bar]!, [bar]);
    }
    for (const [slot, bars] of alike) {
      const across = Math.ceil(bars.length / STACKED_NEXT);
      bars.forEach((bar, i) => {
        const place = slot * across + Math.floor(i / STACKED_NEXT);
        start[bar] = place / across;
        end[bar] = (place + 1) / across;
      });
      slots = Math.max(slots, slot + 1);
    }
  }
  // One that holds others reaches over them.
  for (let i = order.length - 1; i >= 0; i--) {
    const bar = order[i]!;
    if (kind[bar] !== FUTURE || childStart[bar + 1]! === childStart[bar]!) continue;
    let first = Infinity;
    let last = -Infinity;
    for (let j = childStart[bar]!; j < childStart[bar + 1]!; j++) {
      const child = children[j]!;
      if (kind[child] !== FUTURE) continue;
      first = Math.min(first, start[child]!);
      last = Math.max(last, end[child]!);
    }
    start[bar] = first === Infinity ? level[bar]! : first;
    end[bar] = last === -Infinity ? level[bar]! + 1 : last;
    slots = Math.max(slots, end[bar]!);
  }
  return slots;
}

/**
 * For each frame of the future, the slot where it can begin at the earliest. Two numbers a frame, the
 * slot in which it may begin and the one after it is done, each the most of what it waits for. Walked
 * with a stack of our own: a chain of dependencies may be longer than the engine's.
 */
function futureLevels(
  { count, parent, waitStart, waits }: Given,
  kind: Uint8Array,
  childStart: Int32Array,
  children: Int32Array,
): Int32Array {
  const done = count;
  const value = new Int32Array(count * 2);
  const state = new Uint8Array(count * 2);
  /** What an item waits for; used again for each. */
  const before: number[] = [];
  const look = (item: number): void => {
    before.length = 0;
    if (item < done) {
      if (kind[item] !== FUTURE) return;
      if (parent[item]! >= 0) before.push(parent[item]!);
      for (let i = waitStart[item]!; i < waitStart[item + 1]!; i++) before.push(done + waits[i]!);
      return;
    }
    const bar = item - done;
    if (kind[bar] === FUTURE) before.push(bar);
    for (let i = childStart[bar]!; i < childStart[bar + 1]!; i++) before.push(done + children[i]!);
  };
  const stack: number[] = [];
  for (let bar = 0; bar < count; bar++) {
    if (kind[bar] === FUTURE) stack.push(bar);
    while (stack.length > 0) {
      const item = stack[stack.length - 1]!;
      look(item);
      if (state[item] === 0) {
        state[item] = 1;
        // One that is being walked is above on the stack: a circle, which is left open here.
        for (const one of before) if (state[one] === 0) stack.push(one);
        continue;
      }
      stack.pop();
      if (state[item] === 2) continue;
      state[item] = 2;
      let most = 0;
      for (const one of before) most = Math.max(most, value[one]!);
      const isLeaf = item >= done && kind[item - done] === FUTURE && before.length === 1;
      value[item] = isLeaf ? most + 1 : most;
    }
  }
  return value.subarray(0, done);
}

function reaches(
  kind: Uint8Array,
  parent: Int32Array,
  order: Int32Array,
  end: Float64Array,
): Float64Array {
  const reach = new Float64Array(parent.length);
  for (let i = order.length - 1; i >= 0; i--) {
    const bar = order[i]!;
    const up = parent[bar]!;
    if (up < 0 || kind[up] === FUTURE) continue;
    reach[up] = Math.max(reach[up]!, kind[bar] === FUTURE ? end[bar]! : reach[bar]!);
  }
  return reach;
}

/** Rows: each frame with all below it is a box, and boxes of one parent are packed below it. */
function stack(
  kind: Uint8Array,
  start: Float64Array,
  end: Float64Array,
  parent: Int32Array,
  childStart: Int32Array,
  children: Int32Array,
  order: Int32Array,
  hidden: Uint8Array | null,
) {
  const count = parent.length;
  const first = new Float64Array(count);
  const last = new Float64Array(count);
  const height = new Int32Array(count).fill(1);
  const top = new Int32Array(count);
  const packChildren = (owner: number): number => {
    const mine = children.subarray(childStart[owner]!, childStart[owner + 1]!);
    sortBy(mine, first);
    // Children are hidden all or none.
    if (hidden?.[mine[0]!] === 1) return 0;
    return pack(mine, first, last, height, top);
  };
  for (let i = order.length - 1; i >= 0; i--) {
    const bar = order[i]!;
    first[bar] = packedStart(kind, start, bar);
    last[bar] = packedEnd(kind, end, bar);
    if (childStart[bar + 1]! === childStart[bar]!) continue;
    height[bar] = 1 + packChildren(bar);
    if (height[bar] === 1) continue;
    for (let j = childStart[bar]!; j < childStart[bar + 1]!; j++) {
      first[bar] = Math.min(first[bar]!, first[children[j]!]!);
      last[bar] = Math.max(last[bar]!, last[children[j]!]!);
    }
  }
  const rows = packChildren(count);
  const y = new Int32Array(count);
  for (const bar of order)
    y[bar] = hidden?.[bar] === 1 ? -1 : top[bar]! + (parent[bar]! < 0 ? 0 : y[parent[bar]!]! + 1);
  return { y, rows };
}

/** By row, and within it by start. */
function byRows(kind: Uint8Array, start: Float64Array, y: Int32Array, rows: number) {
  const count = y.length;
  const rowStart = new Int32Array(rows + 1);
  for (let bar = 0; bar < count; bar++) if (y[bar]! >= 0) rowStart[y[bar]! + 1]! += 1;
  for (let row = 0; row < rows; row++) rowStart[row + 1]! += rowStart[row]!;
  const next = rowStart.slice();
  const byRow = new Int32Array(rowStart[rows]!);
  const places = new Float64Array(count);
  for (let bar = 0; bar < count; bar++) {
    if (y[bar]! < 0) continue;
    places[bar] = packedStart(kind, start, bar);
    byRow[next[y[bar]!]!++] = bar;
  }
  for (let row = 0; row < rows; row++)
    sortBy(byRow.subarray(rowStart[row]!, rowStart[row + 1]!), places);
  return { rowStart, byRow };
}

/** Sorts bars by what stands at their places. They come in the order in which they were planned, which
 *  mostly is that in which they begin: whoever is in order already is only looked at. */
function sortBy(bars: Int32Array, places: Float64Array): void {
  for (let i = 1; i < bars.length; i++) {
    const [before, bar] = [bars[i - 1]!, bars[i]!];
    if (places[before]! < places[bar]! || (places[before] === places[bar] && before < bar))
      continue;
    bars.sort((a, b) => places[a]! - places[b]! || a - b);
    return;
  }
}
