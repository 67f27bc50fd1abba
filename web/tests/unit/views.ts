// Entities for tests: whole, and with what a test cares about written over.

import type { FrameColumns, FrameView, ProjectView, RunView, TaskColumns, TaskView } from "../../src/api/types.gen.ts";

export const T0 = 1_790_000_000_000;

export const NOTHING_USED = { input: 0, output: 0, cache_read: 0, cache_write: 0, reasoning: 0, cost_usd: null, estimated: false };

export function project(id: string, more: Partial<ProjectView> = {}): ProjectView {
  return { id, name: `project ${id}`, dir: `/src/${id}`, problem: null, ...more };
}

export function run(projectId: string, id: string, root: string, more: Partial<RunView> = {}): RunView {
  const counts = { planned: 0, in_progress: 0, completed: 0, failed: 0, blocked: 0, invalidated: 0 };
  return {
    project: projectId, id, name: "build", plan: "plans/build.yaml", root, status: "running", reason: null,
    started_ms: T0, ended_ms: null, counts, tasks_running: 0, tasks_queued: 0, usage: NOTHING_USED, paused: false, seq: 1, ...more,
  };
}

export function frame(runId: string, id: string, parent: string | null, more: Partial<FrameView> = {}): FrameView {
  return {
    id, run: runId, parent, key: id, title: `frame ${id}`, status: "planned", reason: null, group: false,
    skipped: false, phase: null, agent_role: null, tool: "shell", depends_on: [], task: null, seq: 1,
    created_ms: T0, started_ms: null, ended_ms: null, asks: [], advice: null, usage: null, turns: 0, artifacts: 0, stale: false, paused: false, spans: [], ...more,
  };
}

export function task(runId: string, frameId: string, attempt: number, more: Partial<TaskView> = {}): TaskView {
  return {
    id: `t-${frameId.slice(2)}-${attempt}`, run: runId, frame: frameId, attempt, state: "queued", stopping: false,
    tool: "shell", queued_ms: T0, due_ms: null, started_ms: null, ended_ms: null, exit_code: null, signal: null,
    error_class: null, error: null, driver: null, session: null, model: null, turns: 0, step: null, usage: null,
    waits: [], idle: false, ...more,
  };
}

/** Rows as columns; the fields are those of an example, for where there is no row. */
function columns<V extends object>(rows: readonly V[], example: V): { [F in keyof V]: V[F][] } {
  const fields = Object.keys(example) as (keyof V)[];
  return Object.fromEntries(fields.map((field) => [field, rows.map((row) => row[field])])) as { [F in keyof V]: V[F][] };
}

export function frameColumns(rows: readonly FrameView[]): FrameColumns {
  return columns(rows, frame("", "", null));
}

export function taskColumns(rows: readonly TaskView[]): TaskColumns {
  return columns(rows, task("", "f-", 1));
}
