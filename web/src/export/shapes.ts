// What each thing in an exported run looks like. A field that the daemon's types gain must be told here too:
// the compiler says so. One that older files do not have is `optional`, and filled in where they are read.

import type { Checkpoint, Counts, FrameView, Permission, RunView, Span, TaskView, Usage } from "../api/types.gen.ts";
import { FRAME_STATUSES, TASK_STATES } from "../model/status.ts";
import { Invalid, flag, integer, keys, list, maybe, number, oneOf, optional, shape, text } from "./check.ts";
import type { Check } from "./check.ts";

const RUN_STATUSES = ["running", "stopping", "completed", "failed", "blocked", "cancelled"] as const;
const DOINGS = ["working", "waiting", "blocked", "paused", "queued"] as const;
const LIMITS = ["depth", "count", "tokens", "cost"] as const;
const DRIVERS = ["opencode", "opencode-run", "claude", "claude-print", "codex", "codex-exec", "acp", "jsonl"] as const;
const ERROR_CLASSES = [
  "exit_nonzero", "signal", "timeout", "silence", "spawn", "tool_missing", "auth", "rate_limit", "context_overflow", "api", "gate",
  "output_missing", "merge_conflict", "budget", "cancelled", "lost",
] as const;

const USAGE = shape<Usage>({
  input: number, output: number, cache_read: number, cache_write: number, reasoning: number, cost_usd: maybe(number), estimated: flag,
});

const COUNTS = shape<Counts>({ planned: number, in_progress: number, completed: number, failed: number, blocked: number, invalidated: number });

export const RUN = shape<RunView>({
  project: text, id: text, name: text, plan: maybe(text), root: text, status: oneOf(RUN_STATUSES), reason: maybe(text), paused: flag,
  started_ms: number, ended_ms: maybe(number), counts: COUNTS, tasks_running: number, tasks_queued: number, usage: USAGE, seq: number,
});

type FlatCheckpoint = { id: string; question: string; options?: string[]; kind: "question" | "limit"; limit?: (typeof LIMITS)[number] };
const CHECKPOINT = shape<FlatCheckpoint>({
  id: text, question: text, options: optional(list(text)) as Check<string[]>, kind: oneOf(["question", "limit"]), limit: optional(oneOf(LIMITS)) as Check<(typeof LIMITS)[number]>,
}) as Check<unknown> as Check<Checkpoint>;

const SPAN = shape<Span>({ doing: oneOf(DOINGS), from_ms: number });

export const FRAME = shape<FrameView>({
  id: text, run: text, parent: maybe(text), key: text, title: text, status: oneOf(FRAME_STATUSES), reason: maybe(text), group: flag, skipped: flag,
  phase: maybe(text), agent_role: maybe(text), tool: maybe(text), depends_on: list(text), task: maybe(text), seq: number, created_ms: number,
  started_ms: maybe(number), ended_ms: maybe(number), asks: list(CHECKPOINT), advice: maybe(text), usage: maybe(USAGE), turns: number,
  artifacts: number, stale: flag, paused: flag, spans: list(SPAN),
});

const PERMISSION = shape<Permission>({ id: text, tool: text, title: text });

export const TASK = shape<TaskView>({
  id: text, run: text, frame: text, attempt: number, state: oneOf(TASK_STATES), stopping: flag, tool: text, queued_ms: number, due_ms: maybe(number),
  started_ms: maybe(number), ended_ms: maybe(number), exit_code: maybe(integer), signal: maybe(integer), error_class: maybe(oneOf(ERROR_CLASSES)),
  error: maybe(text), driver: maybe(oneOf(DRIVERS)), session: maybe(text), model: maybe(text), turns: number, step: maybe(text), usage: maybe(USAGE),
  waits: list(PERMISSION), idle: flag,
});

/** A record of a journal: what every one has. Each kind has more, which is only shown. */
export const EVENT: Check<Record<string, unknown>> = (value, at) => {
  const record = keys(value, at);
  number(record.seq, `${at}.seq`);
  text(record.event, `${at}.event`);
  if (Number.isNaN(Date.parse(text(record.ts, `${at}.ts`)))) throw new Invalid(`${at}.ts`, "is no moment");
  return record;
};
