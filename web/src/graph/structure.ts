// Which frames the graph shows as what: those that hold others as a box around them, or, closed, as a
// single node; and what waits for what among them. Pure.

import type { FrameTable } from "../model/columns.ts";
import type { Layout } from "../model/layout.ts";
import { FAILED, BLOCKED } from "../model/status.ts";

/** The size of a node. */
export const NODE_WIDTH = 196;
export const NODE_HEIGHT = 44;
/** What a box has above its content. */
export const HEAD = 30;

/** What is to be laid out. Nodes stand after the node that they lie within. */
export interface Graph {
  /** By node: the frame's row. */
  readonly rows: Int32Array;
  /** By node: the node that it lies within; -1 for none. */
  readonly parent: Int32Array;
  /** By node: 1 for a box with others in it. */
  readonly open: Uint8Array;
  /** Pairs of nodes: the second waits for the first. */
  readonly edges: Int32Array;
}

/** What stands for frames that are within a closed one. */
export interface Within {
  /** By row: how many frames are within it, and how many of those failed or are blocked. */
  readonly count: Int32Array;
  readonly bad: Int32Array;
}

export function holdsOthers(layout: Layout, row: number): boolean {
  return layout.childStart[row + 1]! > layout.childStart[row]!;
}

/** All rows, each after its parent. */
function downwards(layout: Layout): Int32Array {
  const { childStart, children, count } = layout;
  const order = new Int32Array(count);
  let filled = 0;
  const add = (owner: number) => {
    for (let i = childStart[owner]!; i < childStart[owner + 1]!; i++)
      order[filled++] = children[i]!;
  };
  add(count);
  for (let read = 0; read < filled; read++) add(order[read]!);
  return order.subarray(0, filled);
}

export function within(frames: FrameTable, layout: Layout): Within {
  const count = new Int32Array(layout.count);
  const bad = new Int32Array(layout.count);
  for (const row of downwards(layout).reverse()) {
    const up = layout.parent[row]!;
    if (up < 0) continue;
    const status = frames.status.codes[row]!;
    count[up]! += count[row]! + 1;
    bad[up]! += bad[row]! + (status === FAILED || status === BLOCKED ? 1 : 0);
  }
  return { count, bad };
}

/** Rows to open at first, so that not more than so many nodes are shown: level by level from the top. */
export function openAtFirst(
  layout: Layout,
  shown: ((row: number) => boolean) | null,
  limit: number,
): Set<number> {
  const { childStart, children, count } = layout;
  const visible = (owner: number) => {
    const mine = children.subarray(childStart[owner]!, childStart[owner + 1]!);
    return shown ? mine.filter(shown) : mine;
  };
  const open = new Set<number>();
  const queue = [...visible(count)];
  let nodes = queue.length;
  for (let read = 0; read < queue.length; read++) {
    const mine = visible(queue[read]!);
    if (mine.length === 0 || nodes + mine.length > limit) continue;
    open.add(queue[read]!);
    nodes += mine.length;
    for (const child of mine) queue.push(child);
  }
  return open;
}

/** How many nodes there are with these open. */
export function countNodes(
  layout: Layout,
  open: ReadonlySet<number>,
  shown: ((row: number) => boolean) | null,
): number {
  return visibleRows(layout, open, shown).length;
}

/** Rows that are nodes, each after its parent. */
function visibleRows(
  layout: Layout,
  open: ReadonlySet<number>,
  shown: ((row: number) => boolean) | null,
): number[] {
  const { childStart, children, count } = layout;
  const rows: number[] = [];
  const add = (owner: number) => {
    for (let i = childStart[owner]!; i < childStart[owner + 1]!; i++)
      if (!shown || shown(children[i]!)) rows.push(children[i]!);
  };
  add(count);
  for (let read = 0; read < rows.length; read++) if (open.has(rows[read]!)) add(rows[read]!);
  return rows;
}

export function graphOf(
  frames: FrameTable,
  layout: Layout,
  open: ReadonlySet<number>,
  shown: ((row: number) => boolean) | null,
): Graph {
  const rows = Int32Array.from(visibleRows(layout, open, shown));
  const nodeOf = new Int32Array(layout.count).fill(-1);
  rows.forEach((row, node) => (nodeOf[row] = node));
  const isOpen = rows.map((row) => (open.has(row) && holdsOthers(layout, row) ? 1 : 0));
  const parent = rows.map((row) => (layout.parent[row]! < 0 ? -1 : nodeOf[layout.parent[row]!]!));
  // A frame that is not shown is stood for by the closed one around it.
  for (const row of downwards(layout)) {
    if (nodeOf[row]! < 0 && layout.parent[row]! >= 0 && (!shown || shown(row)))
      nodeOf[row] = nodeOf[layout.parent[row]!]!;
  }
  return { rows, parent, open: Uint8Array.from(isOpen), edges: edges(frames, nodeOf, parent) };
}

function edges(frames: FrameTable, nodeOf: Int32Array, parent: Int32Array): Int32Array {
  const found: number[] = [];
  const known = new Set<number>();
  for (let row = 0; row < nodeOf.length; row++) {
    const to = nodeOf[row]!;
    if (to < 0) continue;
    for (const id of frames.dependsOn.get(row)) {
      const dependency = frames.row(id);
      const from = dependency === undefined ? -1 : nodeOf[dependency]!;
      const key = from * nodeOf.length + to;
      if (from < 0 || known.has(key) || isWithin(parent, from, to) || isWithin(parent, to, from))
        continue;
      known.add(key);
      found.push(from, to);
    }
  }
  return Int32Array.from(found);
}

/** Whether a node is another, or lies within it. */
export function isWithin(parent: Int32Array, node: number, other: number): boolean {
  for (let up = node; up >= 0; up = parent[up]!) if (up === other) return true;
  return false;
}
