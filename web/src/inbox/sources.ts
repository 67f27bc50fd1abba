// What waits for a human. Each source looks at the state and names what it finds; the inbox is all of
// them together. Pure.

import type { Decision, ProjectView, RunView } from "../api/types.gen.ts";
import type { FrameTable, TaskTable } from "../model/columns.ts";
import { COMPLETED, INVALIDATED, TASK_STATES } from "../model/status.ts";
import { isReadOnly } from "../model/origin.ts";
import { runPath } from "../paths.ts";

export type Kind =
  | "question"
  | "approval"
  | "limit"
  | "permission"
  | "idle"
  | "stalled"
  | "lost"
  | "failed"
  | "problem";

/** One thing that waits. */
export interface InboxItem {
  /** The same as long as it is the same that waits. */
  readonly id: string;
  readonly kind: Kind;
  readonly project: string;
  /** Where it is about: the run's name, and the frame's title. */
  readonly run: string | null;
  readonly frame: string | null;
  /** What is asked or what has happened. Text of agents and plans: data. */
  readonly text: string;
  /** Since when it waits; null where that is not known. */
  readonly since_ms: number | null;
  /** Where in the page one sees all about it. */
  readonly link: string | null;
  /** What a human can do about it. */
  readonly reply: Reply;
}

/** What an item takes for an answer. */
export type Reply =
  /** One of the options; any text where there are none. */
  | { readonly type: "answer"; readonly checkpoint: string; readonly options: readonly string[] }
  | {
      readonly type: "decide";
      readonly task: string;
      readonly permission: string;
      readonly decisions: readonly Decision[];
    }
  | { readonly type: "tell"; readonly task: string }
  | { readonly type: "retry"; readonly target: string }
  | { readonly type: "stop"; readonly task: string }
  | { readonly type: "none" };

/** An open run with what it holds. */
export interface OpenRun {
  readonly run: RunView;
  readonly frames: FrameTable;
  readonly tasks: TaskTable;
}

export type RunSource = (open: OpenRun) => InboxItem[];

const item = (
  open: OpenRun,
  row: number,
  kind: Kind,
  id: string,
  text: string,
  since_ms: number | null,
  reply: Reply,
): InboxItem => {
  const { run, frames } = open;
  const frame = frames.id.get(row);
  return {
    id: `${kind}/${run.project}/${id}`,
    kind,
    project: run.project,
    run: run.name,
    frame: frames.title.get(row),
    text,
    since_ms,
    link: runPath(run.project, run.id, frame),
    reply,
  };
};

/** Since when a frame waits for a human: the last moment at which it began to. */
function waitsSince(frames: FrameTable, row: number): number {
  const spans = frames.spans.get(row);
  for (let i = spans.length - 1; i >= 0; i--)
    if (spans[i]!.doing === "waiting") return spans[i]!.from_ms;
  return frames.started.get(row) ?? frames.created.get(row);
}

/** Questions of agents and plans, checkpoints, and limits that a human may lift. */
export const asked: RunSource = (open) => {
  const { frames, run } = open;
  const found: InboxItem[] = [];
  for (const row of frames.asks.filled(frames.length)) {
    for (const ask of frames.asks.get(row)) {
      const reply: Reply = { type: "answer", checkpoint: ask.id, options: ask.options ?? [] };
      found.push(
        item(
          open,
          row,
          ask.kind,
          `${run.id}/${ask.id}`,
          ask.question,
          waitsSince(frames, row),
          reply,
        ),
      );
    }
  }
  return found;
};

const RUNNING = TASK_STATES.indexOf("running");
const PAUSED = TASK_STATES.indexOf("paused");
const LOST = TASK_STATES.indexOf("lost");

/** Agents that ask whether they may do something, and those that were interrupted and wait to be told. */
export const agentsWait: RunSource = (open) => {
  const { frames, tasks } = open;
  const found: InboxItem[] = [];
  const {
    state: { codes },
    idle: { bits },
  } = tasks;
  for (let at = 0; at < tasks.length; at++) {
    const state = codes[at]!;
    const idle = bits[at] === 1;
    if ((state !== RUNNING && state !== PAUSED) || (tasks.waits.isEmpty(at) && !idle)) continue;
    const row = frames.row(tasks.frame.get(at));
    if (row === undefined) continue;
    const task = tasks.id.get(at);
    for (const wait of tasks.waits.get(at)) {
      const reply: Reply = {
        type: "decide",
        task,
        permission: wait.id,
        decisions: ["allow", "always", "deny"],
      };
      found.push(
        item(
          open,
          row,
          "permission",
          `${task}/${wait.id}`,
          `${wait.tool}: ${wait.title}`,
          waitsSince(frames, row),
          reply,
        ),
      );
    }
    if (idle) {
      const text = "Its agent was interrupted and waits to be told something.";
      found.push(
        item(open, row, "idle", task, text, waitsSince(frames, row), { type: "tell", task }),
      );
    }
  }
  return found;
};

/** Tasks whose supervisor was stopped or does not answer. What waits for the disk resumes without anybody. */
export const stalledTasks: RunSource = (open) => {
  const { frames, tasks } = open;
  return open.run.stalled.flatMap(({ task, reason, needs_you, since_ms }) => {
    const at = tasks.row(task);
    const row = at === undefined ? undefined : frames.row(tasks.frame.get(at));
    if (!needs_you || row === undefined) return [];
    return [item(open, row, "stalled", task, reason, since_ms, { type: "stop", task })];
  });
};

/** Tasks of which nobody knows how they ended: only a human can tell whether to do them again. */
export const lostTasks: RunSource = (open) => {
  const { frames, tasks } = open;
  const found: InboxItem[] = [];
  const { codes } = tasks.state;
  for (
    let at = codes.indexOf(LOST);
    at >= 0 && at < tasks.length;
    at = codes.indexOf(LOST, at + 1)
  ) {
    const task = tasks.id.get(at);
    const row = frames.row(tasks.frame.get(at));
    // What was tried again, or is done or dropped, waits no more.
    if (row === undefined || frames.task.get(row) !== task) continue;
    if (frames.status.codes[row] === COMPLETED || frames.status.codes[row] === INVALIDATED)
      continue;
    const text = tasks.error.get(at) ?? "It is not known how this task ended.";
    found.push(
      item(open, row, "lost", task, text, tasks.ended.get(at), {
        type: "retry",
        target: frames.id.get(row),
      }),
    );
  }
  return found;
};

/** The sources within a run that goes on. What is to be asked of humans in future gets its place here. */
export const RUN_SOURCES: readonly RunSource[] = [asked, agentsWait, stalledTasks, lostTasks];

/** Runs that failed or are blocked, unless a newer one of the same name was started since. */
export function failedRuns(runs: readonly RunView[]): InboxItem[] {
  const newest = new Map<string, RunView>();
  for (const run of runs) {
    if (isReadOnly(run)) continue;
    const name = `${run.project}/${run.name}`;
    const known = newest.get(name);
    if (!known || run.started_ms > known.started_ms) newest.set(name, run);
  }
  const over = [...newest.values()].filter(
    (run) => run.ended_ms !== null && (run.status === "failed" || run.status === "blocked"),
  );
  return over.map((run) => ({
    id: `failed/${run.project}/${run.id}/${run.ended_ms}`,
    kind: "failed",
    project: run.project,
    run: run.name,
    frame: null,
    text: run.reason ?? `The run ${run.status === "failed" ? "failed" : "is blocked"}.`,
    since_ms: run.ended_ms,
    link: runPath(run.project, run.id),
    reply: { type: "retry", target: run.id },
  }));
}

/** Projects that cannot go on. */
export function problems(projects: readonly ProjectView[]): InboxItem[] {
  const troubled = projects.filter((project) => project.problem !== null);
  return troubled.map((project) => ({
    id: `problem/${project.id}/${project.problem}`,
    kind: "problem",
    project: project.id,
    run: null,
    frame: null,
    text: project.problem!,
    since_ms: null,
    link: `/?project=${encodeURIComponent(project.id)}`,
    reply: { type: "none" },
  }));
}

/** What waits longest first; what has waited since nobody knows when, before all. */
export function byAge(items: readonly InboxItem[]): InboxItem[] {
  return [...items].sort(
    (a, b) => (a.since_ms ?? 0) - (b.since_ms ?? 0) || (a.id < b.id ? -1 : a.id > b.id ? 1 : 0),
  );
}
