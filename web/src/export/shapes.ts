// What each thing in an exported run looks like. A field that the daemon's types gain must be told here too:
// the compiler says so. One that older files do not have is `optional`, and filled in where they are read.

import type {
  Checkpoint,
  CheckpointKind,
  Counts,
  Doing,
  DriverKind,
  ErrorClass,
  FrameView,
  Limit,
  Permission,
  RunStatus,
  RunView,
  Span,
  StalledTask,
  TaskView,
  Usage,
} from "../api/types.gen.ts";
import { FRAME_STATUSES, TASK_STATES } from "../model/status.ts";
import {
  Invalid,
  flag,
  integer,
  keys,
  list,
  maybe,
  number,
  oneOf,
  optional,
  shape,
  text,
} from "./check.ts";
import type { Check } from "./check.ts";

/** All words of a type: one that is missing here, the compiler misses too. */
function wordsOf<T extends string>(words: Record<T, true>): readonly T[] {
  return Object.keys(words) as T[];
}

const RUN_STATUSES = wordsOf<RunStatus>({
  running: true,
  stopping: true,
  completed: true,
  failed: true,
  blocked: true,
  cancelled: true,
});
const DOINGS = wordsOf<Doing>({
  working: true,
  waiting: true,
  blocked: true,
  paused: true,
  queued: true,
});
const CHECKPOINT_KINDS = wordsOf<CheckpointKind["kind"]>({
  question: true,
  approval: true,
  limit: true,
});
const LIMITS = wordsOf<Limit>({ depth: true, count: true, tokens: true, cost: true });
const DRIVERS = wordsOf<DriverKind>({
  opencode: true,
  "opencode-run": true,
  claude: true,
  "claude-print": true,
  codex: true,
  "codex-exec": true,
  acp: true,
  jsonl: true,
});
const ERROR_CLASSES = wordsOf<ErrorClass>({
  exit_nonzero: true,
  signal: true,
  timeout: true,
  silence: true,
  spawn: true,
  tool_missing: true,
  auth: true,
  rate_limit: true,
  context_overflow: true,
  api: true,
  gate: true,
  output_missing: true,
  merge_conflict: true,
  budget: true,
  cancelled: true,
  lost: true,
});

const USAGE = shape<Usage>({
  input: number,
  output: number,
  cache_read: number,
  cache_write: number,
  reasoning: number,
  cost_usd: maybe(number),
  estimated: flag,
});

const COUNTS = shape<Counts>({
  planned: number,
  in_progress: number,
  completed: number,
  failed: number,
  blocked: number,
  invalidated: number,
});

const STALLED = shape<StalledTask>({
  task: text,
  reason: text,
  needs_you: flag,
  since_ms: number,
});

export const RUN = shape<RunView>({
  project: text,
  id: text,
  name: text,
  plan: maybe(text),
  root: text,
  status: oneOf(RUN_STATUSES),
  reason: maybe(text),
  paused: flag,
  started_ms: number,
  ended_ms: maybe(number),
  counts: COUNTS,
  tasks_running: number,
  tasks_queued: number,
  // Files that were exported before these fields came to be have none of them.
  foreign: optional(maybe(text)) as Check<string | null>,
  stalled: optional(list(STALLED)) as Check<StalledTask[]>,
  usage: USAGE,
  seq: number,
});

/** The limit belongs to one of the kinds only. */
type FlatCheckpoint = Omit<Checkpoint, "kind"> & { kind: CheckpointKind["kind"]; limit?: Limit };
const CHECKPOINT = shape<FlatCheckpoint>({
  id: text,
  question: text,
  options: optional(list(text)) as Check<string[]>,
  kind: oneOf(CHECKPOINT_KINDS),
  limit: optional(oneOf(LIMITS)) as Check<Limit>,
}) as Check<unknown> as Check<Checkpoint>;

const SPAN = shape<Span>({ doing: oneOf(DOINGS), from_ms: number });

export const FRAME = shape<FrameView>({
  id: text,
  run: text,
  parent: maybe(text),
  key: text,
  title: text,
  status: oneOf(FRAME_STATUSES),
  reason: maybe(text),
  group: flag,
  skipped: flag,
  phase: maybe(text),
  agent_role: maybe(text),
  tool: maybe(text),
  depends_on: list(text),
  task: maybe(text),
  seq: number,
  created_ms: number,
  started_ms: maybe(number),
  ended_ms: maybe(number),
  asks: list(CHECKPOINT),
  advice: maybe(text),
  usage: maybe(USAGE),
  turns: number,
  artifacts: number,
  stale: flag,
  paused: flag,
  spans: list(SPAN),
});

const PERMISSION = shape<Permission>({ id: text, tool: text, title: text });

export const TASK = shape<TaskView>({
  id: text,
  run: text,
  frame: text,
  attempt: number,
  state: oneOf(TASK_STATES),
  stopping: flag,
  tool: text,
  queued_ms: number,
  due_ms: maybe(number),
  started_ms: maybe(number),
  ended_ms: maybe(number),
  exit_code: maybe(integer),
  signal: maybe(integer),
  error_class: maybe(oneOf(ERROR_CLASSES)),
  error: maybe(text),
  driver: maybe(oneOf(DRIVERS)),
  session: maybe(text),
  model: maybe(text),
  turns: number,
  step: maybe(text),
  usage: maybe(USAGE),
  waits: list(PERMISSION),
  idle: flag,
});

/** A record of a journal: what every one has. Each kind has more, which is only shown. */
export const EVENT: Check<Record<string, unknown>> = (value, at) => {
  const record = keys(value, at);
  number(record.seq, `${at}.seq`);
  text(record.event, `${at}.event`);
  if (Number.isNaN(Date.parse(text(record.ts, `${at}.ts`))))
    throw new Invalid(`${at}.ts`, "is no moment");
  return record;
};
