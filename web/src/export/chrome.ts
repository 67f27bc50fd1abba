// A run in the Trace Event Format, which Perfetto, speedscope and Chrome's tracing open: a thread for each
// row of the flame chart, so that it looks the same there. Pure.

import type { RunView } from "../api/types.gen.ts";
import type { FrameTable, TaskTable } from "../model/columns.ts";
import { FUTURE, RUNNING } from "../model/layout.ts";
import type { Layout } from "../model/layout.ts";
import { BLOCKED, FAILED } from "../model/status.ts";

/** Of the format, what is written here. Moments and lengths are microseconds. */
export type TraceEvent = {
  readonly name: string;
  readonly pid: number;
  readonly tid: number;
  readonly args: Record<string, unknown>;
} & (
  | { readonly ph: "M" }
  /** A complete event: a bar. */
  | { readonly ph: "X"; readonly cat: string; readonly ts: number; readonly dur: number }
  /** A moment, on its thread. */
  | { readonly ph: "i"; readonly cat: string; readonly ts: number; readonly s: "t" }
  /** The begin and the end of what runs beside others. */
  | { readonly ph: "b" | "e"; readonly cat: string; readonly ts: number; readonly id: string }
);

export interface ChromeTrace {
  readonly displayTimeUnit: "ms";
  readonly otherData: Record<string, string>;
  readonly traceEvents: readonly TraceEvent[];
}

const FRAMES = 1;
const TASKS = 2;

/** What has begun of a run. `now_ms` is the end of what goes on. Times count from the run's begin. */
export function chromeTrace(
  run: RunView,
  frames: FrameTable,
  tasks: TaskTable,
  layout: Layout,
  now_ms: number,
): ChromeTrace {
  const origin_ms = Math.min(run.started_ms, layout.from);
  const at = (ms: number) => Math.round((ms - origin_ms) * 1_000);
  const until_ms = Math.max(now_ms, layout.to);
  const bars = barEvents(frames, tasks, layout, until_ms, at);
  const tries = taskEvents(frames, tasks, until_ms, at);
  return {
    displayTimeUnit: "ms",
    otherData: {
      run: run.id,
      name: run.name,
      project: run.project,
      started: new Date(origin_ms).toISOString(),
      made_by: "fornax",
    },
    traceEvents: [
      ...names(run, layout),
      ...[...bars, ...tries].sort((a, b) => a.ts - b.ts || b.dur - a.dur).map(({ event }) => event),
    ],
  };
}

interface Timed {
  readonly ts: number;
  readonly dur: number;
  readonly event: TraceEvent;
}

function names(run: RunView, layout: Layout): TraceEvent[] {
  const meta = (
    name: string,
    pid: number,
    tid: number,
    args: Record<string, unknown>,
  ): TraceEvent => ({ name, ph: "M", pid, tid, args });
  const processes = [
    meta("process_name", FRAMES, 0, { name: `${run.name} (${run.id})` }),
    meta("process_sort_index", FRAMES, 0, { sort_index: 0 }),
    meta("process_name", TASKS, 0, { name: "Tasks" }),
    meta("process_sort_index", TASKS, 0, { sort_index: 1 }),
  ];
  const rows = Array.from({ length: layout.rows }, (_, row) => [
    meta("thread_name", FRAMES, row + 1, { name: `Row ${row + 1}` }),
    meta("thread_sort_index", FRAMES, row + 1, { sort_index: row }),
  ]);
  return [...processes, ...rows.flat()];
}

function barEvents(
  frames: FrameTable,
  tasks: TaskTable,
  layout: Layout,
  until_ms: number,
  at: (ms: number) => number,
): Timed[] {
  const events: Timed[] = [];
  for (let bar = 0; bar < layout.count; bar++) {
    if (layout.kind[bar] === FUTURE) continue;
    const ts = at(layout.start[bar]!);
    const dur = at(layout.kind[bar] === RUNNING ? until_ms : layout.end[bar]!) - ts;
    const tid = layout.y[bar]! + 1;
    const frame = frames.get(bar);
    const cat = `frame,${frame.status}`;
    const task = frame.task === null ? undefined : tasks.row(frame.task);
    const args = {
      id: frame.id,
      status: frame.status,
      reason: frame.reason,
      key: frame.key,
      tool: frame.tool,
      phase: frame.phase,
      role: frame.agent_role,
      attempt: task === undefined ? null : tasks.attempt.get(task),
      model: task === undefined ? null : tasks.model.get(task),
      usage: frame.usage,
      turns: frame.turns,
      artifacts: frame.artifacts,
      depends_on: frame.depends_on,
    };
    events.push({
      ts,
      dur,
      event: { name: frame.title, cat, ph: "X", ts, dur, pid: FRAMES, tid, args },
    });
    const status = frames.status.codes[bar]!;
    if (status !== FAILED && status !== BLOCKED) continue;
    const why = { id: frame.id, reason: frame.reason };
    events.push({
      ts: ts + dur,
      dur: 0,
      event: {
        name: `${frame.status}: ${frame.title}`,
        cat,
        ph: "i",
        s: "t",
        ts: ts + dur,
        pid: FRAMES,
        tid,
        args: why,
      },
    });
  }
  return events;
}

/** Each try by itself: a frame's bar spans all of them. */
function taskEvents(
  frames: FrameTable,
  tasks: TaskTable,
  until_ms: number,
  at: (ms: number) => number,
): Timed[] {
  const events: Timed[] = [];
  for (let row = 0; row < tasks.length; row++) {
    const task = tasks.get(row);
    if (task.started_ms === null) continue;
    const frame = frames.row(task.frame);
    const title = frame === undefined ? task.frame : frames.title.get(frame);
    const [ts, end] = [
      at(task.started_ms),
      Math.max(at(task.ended_ms ?? until_ms), at(task.started_ms)),
    ];
    const shared = {
      name: `${title}: ${task.tool}, try ${task.attempt}`,
      cat: `task,${task.state}`,
      pid: TASKS,
      tid: 0,
      id: task.id,
    };
    const args = {
      state: task.state,
      exit_code: task.exit_code,
      signal: task.signal,
      error: task.error,
      model: task.model,
      usage: task.usage,
    };
    events.push({ ts, dur: end - ts, event: { ...shared, ph: "b", ts, args } });
    events.push({ ts: end, dur: -1, event: { ...shared, ph: "e", ts: end, args: {} } });
  }
  return events;
}
