// Frames in the order of one of their fields: what the table shows. Pure.

import type { Usage } from "../api/types.gen.ts";
import type { FrameTable, TaskTable } from "./columns.ts";
import { BADNESS } from "./status.ts";
import { addUsage, allTokens, NOTHING_USED } from "./usage.ts";

export const SORTABLE = [
  "status",
  "title",
  "tool",
  "role",
  "attempt",
  "started",
  "took",
  "tokens",
  "cost",
  "turns",
  "step",
] as const;
export type Sortable = (typeof SORTABLE)[number];

export interface Sort {
  readonly by: Sortable;
  /** The largest, latest or worst first. */
  readonly down: boolean;
}

export const BY_START: Sort = { by: "started", down: false };

/** Reads `cost`, or `-cost` for the largest first. */
export function parseSort(text: string | null): Sort {
  const by = SORTABLE.find((each) => each === text?.replace(/^-/, ""));
  return by === undefined ? BY_START : { by, down: text!.startsWith("-") };
}

export function writeSort(sort: Sort): string {
  return `${sort.down ? "-" : ""}${sort.by}`;
}

/** What a first click on a column sorts by: numbers begin with the largest, words and moments do not. */
export function firstSort(by: Sortable): Sort {
  return { by, down: ["status", "attempt", "took", "tokens", "cost", "turns"].includes(by) };
}

/** How long a frame took; NaN where it has not begun. */
export function tookOf(frames: FrameTable, row: number, now_ms: number): number {
  const ended = frames.ended.values[row]!;
  return (Number.isNaN(ended) ? now_ms : ended) - frames.started.values[row]!;
}

/** What a frame's newest task does now, or else why the frame stands as it does. */
export function stepOf(frames: FrameTable, tasks: TaskTable, row: number): string | null {
  const task = taskOf(frames, tasks, row);
  const step = task >= 0 && Number.isNaN(tasks.ended.values[task]!) ? tasks.step.get(task) : null;
  return step ?? frames.reason.get(row);
}

/** The row of a frame's newest task; -1 for none. */
export function taskOf(frames: FrameTable, tasks: TaskTable, row: number): number {
  const id = frames.task.get(row);
  return id === null ? -1 : (tasks.row(id) ?? -1);
}

/** Rows of frames that do work and that the filter finds, in order; those without the field come last. */
export function sortedRows(
  frames: FrameTable,
  tasks: TaskTable,
  matching: Uint8Array | null,
  sort: Sort,
  now_ms: number,
): Int32Array {
  const rows: number[] = [];
  for (let row = 0; row < frames.length; row++) {
    if (frames.group.bits[row] === 0 && (matching === null || matching[row] === 1)) rows.push(row);
  }
  const sign = sort.down ? -1 : 1;
  const text = texts(frames, tasks, sort.by);
  if (text) {
    const keys = new Map(rows.map((row) => [row, text(row)?.toLowerCase() ?? null]));
    const order = (a: number, b: number): number => {
      const [one, other] = [keys.get(a)!, keys.get(b)!];
      if (one === other) return a - b;
      if (one === null || other === null) return one === null ? 1 : -1;
      return one < other ? -sign : sign;
    };
    return Int32Array.from(rows.sort(order));
  }
  const number = numbers(frames, tasks, sort.by, now_ms);
  const keys = new Float64Array(frames.length);
  for (const row of rows) keys[row] = number(row);
  const order = (a: number, b: number): number => {
    const [one, other] = [keys[a]!, keys[b]!];
    if (Number.isNaN(one) || Number.isNaN(other))
      return Number(Number.isNaN(one)) - Number(Number.isNaN(other)) || a - b;
    return (one - other) * sign || a - b;
  };
  return Int32Array.from(rows).sort(order);
}

function texts(
  frames: FrameTable,
  tasks: TaskTable,
  by: Sortable,
): ((row: number) => string | null) | null {
  if (by === "title") return (row) => frames.title.get(row);
  if (by === "tool") return (row) => frames.tool.get(row);
  if (by === "role") return (row) => roleOf(frames, row);
  return by === "step" ? (row) => stepOf(frames, tasks, row) : null;
}

export function roleOf(frames: FrameTable, row: number): string | null {
  const both = [frames.agentRole.get(row), frames.phase.get(row)].filter((each) => each !== null);
  return both.length === 0 ? null : both.join(" · ");
}

function numbers(
  frames: FrameTable,
  tasks: TaskTable,
  by: Sortable,
  now_ms: number,
): (row: number) => number {
  const used = (of: (usage: Usage) => number | null) => (row: number) => {
    const usage = frames.usage.get(row);
    return (usage && of(usage)) ?? NaN;
  };
  switch (by) {
    case "status":
      return (row) => BADNESS[frames.status.codes[row]!]!;
    case "attempt":
      return (row) => {
        const task = taskOf(frames, tasks, row);
        return task < 0 ? NaN : tasks.attempt.values[task]!;
      };
    case "took":
      return (row) => tookOf(frames, row, now_ms);
    case "tokens":
      return used(allTokens);
    case "cost":
      return used((usage) => usage.cost_usd);
    case "turns":
      return (row) => frames.turns.values[row]! || NaN;
    default:
      return (row) => frames.started.values[row]!;
  }
}

/** What rows come to in all. */
export interface Sums {
  readonly usage: Usage;
  readonly turns: number;
  /** How long they took, one after another. */
  readonly took_ms: number;
}

export function sumOf(frames: FrameTable, rows: Int32Array, now_ms: number): Sums {
  let usage = NOTHING_USED;
  let turns = 0;
  let took_ms = 0;
  for (const row of rows) {
    const used = frames.usage.get(row);
    if (used) usage = addUsage(usage, used);
    turns += frames.turns.values[row]!;
    took_ms += tookOf(frames, row, now_ms) || 0;
  }
  return { usage, turns, took_ms };
}
