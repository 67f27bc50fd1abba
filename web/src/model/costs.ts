// What a run used, by one thing or another. Pure.

import type { Usage } from "../api/types.gen.ts";
import type { FrameTable, TaskTable } from "./columns.ts";
import type { Layout } from "./layout.ts";
import { NOTHING_USED, addUsage, allTokens, shareOf } from "./usage.ts";

export const COST_KINDS = ["frame", "tool", "model", "time", "retries"] as const;
export type CostKind = (typeof COST_KINDS)[number];

export interface CostRow {
  /** What it is about: a frame's id, a tool's name, the moment a day begins. */
  readonly key: string;
  readonly usage: Usage;
  /** By frame: with what is within it. Else the same. */
  readonly within: Usage;
  /** How many tasks. */
  readonly tasks: number;
  /** Whether a part of the cost is not known. */
  readonly partly: boolean;
}

interface Sum {
  usage: Usage;
  within: Usage;
  tasks: number;
  partly: boolean;
}

const nothing = (): Sum => ({ usage: NOTHING_USED, within: NOTHING_USED, tasks: 0, partly: false });

function add(sums: Map<string, Sum>, key: string, usage: Usage, tasks = 1): void {
  const sum = sums.get(key) ?? nothing();
  sum.usage = addUsage(sum.usage, usage);
  sum.within = sum.usage;
  sum.tasks += tasks;
  sum.partly ||= isUnpriced(usage);
  sums.set(key, sum);
}

function isUnpriced(usage: Usage): boolean {
  return usage.cost_usd === null && allTokens(usage) > 0;
}

/** The dearest first; of what costs the same, or is not known, what used most. */
export function dearestFirst(one: CostRow, other: CostRow): number {
  return (
    (other.within.cost_usd ?? 0) - (one.within.cost_usd ?? 0) ||
    allTokens(other.within) - allTokens(one.within) ||
    (one.key < other.key ? -1 : 1)
  );
}

function rowsOf(sums: Map<string, Sum>): CostRow[] {
  return [...sums]
    .map(([key, sum]) => ({ key, ...sum }))
    .filter((row) => allTokens(row.within) > 0 || row.within.cost_usd !== null);
}

/** Frames that used something, or hold one that did. What one used itself, it used once. */
export function byFrame(
  frames: FrameTable,
  layout: Layout,
  matching: Uint8Array | null,
): CostRow[] {
  const count = Math.min(layout.count, frames.length);
  const sums: Sum[] = Array.from({ length: count }, nothing);
  const tasks = new Int32Array(count);
  for (let row = 0; row < count; row++) {
    const usage = frames.usage.get(row);
    if (usage === null || (matching !== null && matching[row] !== 1)) continue;
    sums[row]!.usage = usage;
    for (let up = row; up >= 0; up = layout.parent[up]!) {
      sums[up]!.within = addUsage(sums[up]!.within, usage);
      sums[up]!.partly ||= isUnpriced(usage);
      tasks[up]! += 1;
    }
  }
  return rowsOf(
    new Map(sums.map((sum, row) => [frames.id.get(row), { ...sum, tasks: tasks[row]! }])),
  );
}

/** Tasks of frames that the filter finds. */
function* tasksOf(
  frames: FrameTable,
  tasks: TaskTable,
  matching: Uint8Array | null,
): Generator<readonly [task: number, usage: Usage]> {
  for (let task = 0; task < tasks.length; task++) {
    const usage = tasks.usage.get(task);
    const frame = frames.row(tasks.frame.get(task));
    if (usage && (matching === null || (frame !== undefined && matching[frame] === 1)))
      yield [task, usage];
  }
}

export function byTool(
  frames: FrameTable,
  tasks: TaskTable,
  matching: Uint8Array | null,
): CostRow[] {
  const sums = new Map<string, Sum>();
  for (const [task, usage] of tasksOf(frames, tasks, matching))
    add(sums, tasks.tool.get(task), usage);
  return rowsOf(sums);
}

export function byModel(
  frames: FrameTable,
  tasks: TaskTable,
  matching: Uint8Array | null,
): CostRow[] {
  const sums = new Map<string, Sum>();
  for (const [task, usage] of tasksOf(frames, tasks, matching))
    add(sums, tasks.model.get(task) ?? "", usage);
  return rowsOf(sums);
}

/** Frames that were tried again: what all but their first tries used. */
export function byRetries(
  frames: FrameTable,
  tasks: TaskTable,
  matching: Uint8Array | null,
): CostRow[] {
  const sums = new Map<string, Sum>();
  for (const [task, usage] of tasksOf(frames, tasks, matching)) {
    if (tasks.attempt.values[task]! > 1) add(sums, tasks.frame.get(task), usage);
  }
  return rowsOf(sums);
}

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
/** A run longer than so is shown by the day. */
const LONGEST_BY_HOUR_MS = 3 * DAY_MS;

/** What fell into each hour or day, of local time: a task's usage is spread over the time that it took.
 *  `offset_ms` is how far local time is ahead of UTC. In the order of time, gaps left out. */
export function byTime(
  frames: FrameTable,
  tasks: TaskTable,
  matching: Uint8Array | null,
  now_ms: number,
  offset_ms: number,
): { step_ms: number; rows: CostRow[] } {
  const all = [...tasksOf(frames, tasks, matching)].map(([task, usage]) => {
    const from = tasks.started.get(task) ?? tasks.queued.get(task);
    return { from, to: Math.max(tasks.ended.get(task) ?? now_ms, from), usage };
  });
  const first = all.reduce((least, { from }) => Math.min(least, from), Infinity);
  const last = all.reduce((most, { to }) => Math.max(most, to), -Infinity);
  const step_ms = last - first > LONGEST_BY_HOUR_MS ? DAY_MS : HOUR_MS;
  const beginOf = (at: number) => Math.floor((at + offset_ms) / step_ms) * step_ms - offset_ms;
  const sums = new Map<string, Sum>();
  for (const { from, to, usage } of all) {
    for (let begin = beginOf(from); begin <= to; begin += step_ms) {
      const overlap = Math.min(to, begin + step_ms) - Math.max(from, begin);
      const share = to === from ? 1 : overlap / (to - from);
      if (share > 0) add(sums, String(begin), shareOf(usage, share));
    }
  }
  const rows = rowsOf(sums).sort((a, b) => Number(a.key) - Number(b.key));
  return { step_ms, rows };
}
