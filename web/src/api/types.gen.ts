// Made of crates/fornax-core/src/view.rs by `cargo test -p fornax-core`. Do not edit.

export type ErrorKind = "usage" | "not_found" | "conflict" | "unauthorized" | "forbidden" | "too_large" | "unavailable" | "storage" | "damaged" | "internal";

export type Error = { 
/**
 * What sort of thing.
 */
kind: ErrorKind, 
/**
 * What happened, and where.
 */
message: string, 
/**
 * What to do next.
 */
help?: string, };

export type ErrorClass = "exit_nonzero" | "signal" | "timeout" | "silence" | "spawn" | "tool_missing" | "auth" | "rate_limit" | "context_overflow" | "api" | "gate" | "output_missing" | "merge_conflict" | "budget" | "cancelled" | "lost";

export type RunStatus = "running" | "stopping" | "completed" | "failed" | "blocked" | "cancelled";

export type FrameStatus = "planned" | "in_progress" | "completed" | "failed" | "blocked" | "invalidated";

export type TaskState = "queued" | "running" | "paused" | "completed" | "failed" | "timeout" | "cancelled" | "lost";

export type RunId = string;

export type FrameId = string;

export type TaskId = string;

export type Artifact = { 
/**
 * Where it is, relative to the project; or a URL.
 */
path: string, 
/**
 * Its size in bytes when the task ended.
 */
bytes: number, 
/**
 * Its SHA-256 then, in hexadecimal.
 */
sha256: string, 
/**
 * Where its copy is, relative to the run's folder; absent where it was too large to copy.
 */
copy?: string, };

export type Decision = "allow" | "always" | "deny";

export type DriverKind = "opencode" | "opencode-run" | "claude" | "claude-print" | "codex" | "codex-exec" | "acp" | "jsonl";

export type Permission = { 
/**
 * Its id, unique within the task.
 */
id: string, 
/**
 * What it wants to use, in the agent's own words: `bash`, `Write`, ...
 */
tool: string, 
/**
 * What it wants to do, in one line: the command, the file.
 */
title: string, };

export type Usage = { 
/**
 * Sent to the model and not served from a cache.
 */
input: number, 
/**
 * Written by the model.
 */
output: number, 
/**
 * Sent to the model and served from a cache.
 */
cache_read: number, 
/**
 * Sent to the model and written to a cache.
 */
cache_write: number, 
/**
 * Of the output, what was thinking.
 */
reasoning: number, 
/**
 * What it cost, in US dollars; none where neither agent nor price table knows.
 */
cost_usd: number | null, 
/**
 * Whether the cost, or a part of it, is reckoned from the price table.
 */
estimated: boolean, };

export type Limit = "depth" | "count" | "tokens" | "cost";

export type CheckpointKind = { "kind": "question" } | { "kind": "approval" } | { "kind": "limit", 
/**
 * Which.
 */
limit: Limit, };

export type Checkpoint = { 
/**
 * Its id: `c-`, the six characters of its frame, and a number.
 */
id: string, 
/**
 * What is asked.
 */
question: string, 
/**
 * Answers to choose from; none where any text will do.
 */
options?: Array<string>, } & ({ "kind": "question" } | { "kind": "approval" } | { "kind": "limit", 
/**
 * Which.
 */
limit: Limit, });

export type ByItself = { "did": "pushed" } | { "did": "popped", 
/**
 * The session that worked in it.
 */
session: SessionId, 
/**
 * Which of the frame's changes of status that was, counted from 1.
 */
nth: number, } | { "did": "undone" };

export type FrameDecision = { 
/**
 * What was decided.
 */
decision: string, 
/**
 * Why.
 */
reason?: string, 
/**
 * What else could have been.
 */
alternatives?: Array<string>, 
/**
 * Where nobody decided it, but signs in a trace: what was done, so that it can be undone.
 */
by_itself?: ByItself, };

export type SessionId = string;

export type ProjectView = { 
/**
 * Its id: eight hexadecimal digits, made of its key.
 */
id: string, 
/**
 * The name of its directory.
 */
name: string, 
/**
 * Its directory, absolute.
 */
dir: string, 
/**
 * Why nothing of it can go on at the moment (a full disk, a damaged journal); absent when well.
 */
problem: string | null, 
/**
 * What a person should know of how it was found: that it was moved, or is a copy. Only in the answer
 * to who registers it.
 */
notice: string | null, };

export type Counts = { 
/**
 * To be done.
 */
planned: number, 
/**
 * Being worked on.
 */
in_progress: number, 
/**
 * Done.
 */
completed: number, 
/**
 * Failed.
 */
failed: number, 
/**
 * Waiting for something outside.
 */
blocked: number, 
/**
 * No longer wanted.
 */
invalidated: number, };

export type StalledTask = { 
/**
 * The task.
 */
task: TaskId, 
/**
 * Why.
 */
reason: string, 
/**
 * Whether a person has to act. Otherwise it resumes as soon as it can, for example when the disk has
 * space.
 */
needs_you: boolean, 
/**
 * Since when.
 */
since_ms: number, };

export type RunView = { 
/**
 * The project's id.
 */
project: string, 
/**
 * Its id.
 */
id: RunId, 
/**
 * The plan's name.
 */
name: string, 
/**
 * The plan's file, relative to the project where it is inside of it.
 */
plan: string | null, 
/**
 * Its root frame.
 */
root: FrameId, 
/**
 * Where it stands. A run whose project has a problem reads `blocked`.
 */
status: RunStatus, 
/**
 * Why, where that is not plain.
 */
reason: string | null, 
/**
 * Whether a human holds it.
 */
paused: boolean, 
/**
 * Why it is read-only: this installation did not write its records, or not these. Absent where it may
 * be acted on.
 */
foreign: string | null, 
/**
 * When it began.
 */
started_ms: number, 
/**
 * When it ended.
 */
ended_ms: number | null, 
/**
 * Its frames by status, the frames that only hold others not counted.
 */
counts: Counts, 
/**
 * Tasks that have a process.
 */
tasks_running: number, 
/**
 * Tasks that wait for a slot or for their time.
 */
tasks_queued: number, 
/**
 * Running tasks that do not proceed, and why. The run reads `blocked`.
 */
stalled: Array<StalledTask>, 
/**
 * What the model calls of its tasks used, those that go on included.
 */
usage: Usage, 
/**
 * The seq of its newest event.
 */
seq: number, };

export type OpenWork = { 
/**
 * The frame.
 */
frame: FrameId, 
/**
 * Its title.
 */
title: string, 
/**
 * The name of the tool.
 */
tool: string, 
/**
 * The argument vector; `{...}` stands for what is filled in when it starts.
 */
argv: Array<string>, 
/**
 * What `{prompt}` stands for: for a shell, the script.
 */
prompt: string | null, 
/**
 * What is written to its standard input.
 */
stdin: string | null, 
/**
 * Variables that are set, each as `NAME=value`.
 */
env: Array<string>, 
/**
 * The folder in which it runs, relative to the project's.
 */
workdir: string | null, };

export type CandidateView = { 
/**
 * The run.
 */
run: RunView, 
/**
 * Which records these are: the SHA-256 of them and of their payloads, in hexadecimal digits. What is
 * accepted must have the same.
 */
digest: string, 
/**
 * Why it is read-only.
 */
why: string, 
/**
 * Whether its open work is marked as lost instead of executed when it is accepted, because it may
 * have run since.
 */
loses_open_work: boolean, 
/**
 * What it would execute: the work of its open frames, in their order.
 */
work: Array<OpenWork>, };

export type Doing = "working" | "waiting" | "blocked" | "paused" | "queued";

export type Span = { 
/**
 * What.
 */
doing: Doing, 
/**
 * Since when.
 */
from_ms: number, };

export type FrameView = { 
/**
 * Its id.
 */
id: FrameId, 
/**
 * Its run.
 */
run: RunId, 
/**
 * Its parent; none for a run's root.
 */
parent: FrameId | null, 
/**
 * Its name in the plan.
 */
key: string, 
/**
 * What it is called: a few words.
 */
title: string, 
/**
 * Where it stands.
 */
status: FrameStatus, 
/**
 * Why, where that is not plain.
 */
reason: string | null, 
/**
 * Whether it only holds other frames together.
 */
group: boolean, 
/**
 * Whether its condition did not hold, so that nothing was done.
 */
skipped: boolean, 
/**
 * The process stage.
 */
phase: string | null, 
/**
 * The semantic worker.
 */
agent_role: string | null, 
/**
 * The tool.
 */
tool: string | null, 
/**
 * The frames that it waits for.
 */
depends_on: Array<FrameId>, 
/**
 * Its newest task.
 */
task: TaskId | null, 
/**
 * The number of the newest event about it.
 */
seq: number, 
/**
 * When it came to be.
 */
created_ms: number, 
/**
 * When work on it first began.
 */
started_ms: number | null, 
/**
 * When it was last settled; none while it is planned or in progress.
 */
ended_ms: number | null, 
/**
 * What is asked of a human in it, and not answered.
 */
asks: Array<Checkpoint>, 
/**
 * What the signs in its trace call for; none where they call for nothing.
 */
advice: string | null, 
/**
 * What the model calls in it used, those within it not counted; none where nothing was.
 */
usage: Usage | null, 
/**
 * Turns that the agents in it have begun.
 */
turns: number, 
/**
 * How many files and addresses came of it.
 */
artifacts: number, 
/**
 * Whether something that it was built on was invalidated since it was completed.
 */
stale: boolean, 
/**
 * Whether a human holds it, or something around it.
 */
paused: boolean, 
/**
 * What was done in it since it started; empty while it has been worked on all the time.
 */
spans: Array<Span>, };

export type FrameColumns = { 
/**
 * Its id.
 */
id: Array<FrameId>, 
/**
 * Its run.
 */
run: Array<RunId>, 
/**
 * Its parent; none for a run's root.
 */
parent: Array<FrameId | null>, 
/**
 * Its name in the plan.
 */
key: Array<string>, 
/**
 * What it is called: a few words.
 */
title: Array<string>, 
/**
 * Where it stands.
 */
status: Array<FrameStatus>, 
/**
 * Why, where that is not plain.
 */
reason: Array<string | null>, 
/**
 * Whether it only holds other frames together.
 */
group: Array<boolean>, 
/**
 * Whether its condition did not hold, so that nothing was done.
 */
skipped: Array<boolean>, 
/**
 * The process stage.
 */
phase: Array<string | null>, 
/**
 * The semantic worker.
 */
agent_role: Array<string | null>, 
/**
 * The tool.
 */
tool: Array<string | null>, 
/**
 * The frames that it waits for.
 */
depends_on: Array<Array<FrameId>>, 
/**
 * Its newest task.
 */
task: Array<TaskId | null>, 
/**
 * The number of the newest event about it.
 */
seq: Array<number>, 
/**
 * When it came to be.
 */
created_ms: Array<number>, 
/**
 * When work on it first began.
 */
started_ms: Array<number | null>, 
/**
 * When it was last settled; none while it is planned or in progress.
 */
ended_ms: Array<number | null>, 
/**
 * What is asked of a human in it, and not answered.
 */
asks: Array<Array<Checkpoint>>, 
/**
 * What the signs in its trace call for; none where they call for nothing.
 */
advice: Array<string | null>, 
/**
 * What the model calls in it used, those within it not counted; none where nothing was.
 */
usage: Array<Usage | null>, 
/**
 * Turns that the agents in it have begun.
 */
turns: Array<number>, 
/**
 * How many files and addresses came of it.
 */
artifacts: Array<number>, 
/**
 * Whether something that it was built on was invalidated since it was completed.
 */
stale: Array<boolean>, 
/**
 * Whether a human holds it, or something around it.
 */
paused: Array<boolean>, 
/**
 * What was done in it since it started; empty while it has been worked on all the time.
 */
spans: Array<Array<Span>>, };

export type TaskView = { 
/**
 * Its id.
 */
id: TaskId, 
/**
 * Its run.
 */
run: RunId, 
/**
 * Its frame.
 */
frame: FrameId, 
/**
 * Which try it is, from 1.
 */
attempt: number, 
/**
 * Where it stands.
 */
state: TaskState, 
/**
 * Whether it has been told to stop.
 */
stopping: boolean, 
/**
 * The tool.
 */
tool: string, 
/**
 * When it was queued.
 */
queued_ms: number, 
/**
 * The moment before which it will not start.
 */
due_ms: number | null, 
/**
 * When it started.
 */
started_ms: number | null, 
/**
 * When it ended.
 */
ended_ms: number | null, 
/**
 * Its exit code.
 */
exit_code: number | null, 
/**
 * The signal that ended it.
 */
signal: number | null, 
/**
 * Why it did not succeed.
 */
error_class: ErrorClass | null, 
/**
 * The same in words.
 */
error: string | null, 
/**
 * What speaks with its agent; none for a plain command.
 */
driver: DriverKind | null, 
/**
 * The agent's own id of its conversation.
 */
session: string | null, 
/**
 * The model that it uses.
 */
model: string | null, 
/**
 * Turns that its agent has begun.
 */
turns: number, 
/**
 * What its agent does now, in one line.
 */
step: string | null, 
/**
 * What its model calls used so far.
 */
usage: Usage | null, 
/**
 * What its agent asks a human.
 */
waits: Array<Permission>, 
/**
 * Whether its agent was interrupted and waits for a prompt.
 */
idle: boolean, };

export type TaskColumns = { 
/**
 * Its id.
 */
id: Array<TaskId>, 
/**
 * Its run.
 */
run: Array<RunId>, 
/**
 * Its frame.
 */
frame: Array<FrameId>, 
/**
 * Which try it is, from 1.
 */
attempt: Array<number>, 
/**
 * Where it stands.
 */
state: Array<TaskState>, 
/**
 * Whether it has been told to stop.
 */
stopping: Array<boolean>, 
/**
 * The tool.
 */
tool: Array<string>, 
/**
 * When it was queued.
 */
queued_ms: Array<number>, 
/**
 * The moment before which it will not start.
 */
due_ms: Array<number | null>, 
/**
 * When it started.
 */
started_ms: Array<number | null>, 
/**
 * When it ended.
 */
ended_ms: Array<number | null>, 
/**
 * Its exit code.
 */
exit_code: Array<number | null>, 
/**
 * The signal that ended it.
 */
signal: Array<number | null>, 
/**
 * Why it did not succeed.
 */
error_class: Array<ErrorClass | null>, 
/**
 * The same in words.
 */
error: Array<string | null>, 
/**
 * What speaks with its agent; none for a plain command.
 */
driver: Array<DriverKind | null>, 
/**
 * The agent's own id of its conversation.
 */
session: Array<string | null>, 
/**
 * The model that it uses.
 */
model: Array<string | null>, 
/**
 * Turns that its agent has begun.
 */
turns: Array<number>, 
/**
 * What its agent does now, in one line.
 */
step: Array<string | null>, 
/**
 * What its model calls used so far.
 */
usage: Array<Usage | null>, 
/**
 * What its agent asks a human.
 */
waits: Array<Array<Permission>>, 
/**
 * Whether its agent was interrupted and waits for a prompt.
 */
idle: Array<boolean>, };

export type StatusChange = { 
/**
 * The status.
 */
status: FrameStatus, 
/**
 * Since when.
 */
at_ms: number, 
/**
 * Why.
 */
reason: string | null, };

export type FrameDetail = { 
/**
 * What lists show of it.
 */
frame: FrameView, 
/**
 * What it is to achieve.
 */
goal: string, 
/**
 * How one sees that it is achieved.
 */
success_criteria: string | null, 
/**
 * What was decided in it.
 */
decisions: Array<FrameDecision>, 
/**
 * The session that made it; none for a plan's own.
 */
made_by: SessionId | null, 
/**
 * Whether something that it was built on was invalidated since it was completed.
 */
stale: boolean, 
/**
 * Each status it had.
 */
status_history: Array<StatusChange>, 
/**
 * What came of it.
 */
results: string, 
/**
 * The same in short, where somebody wrote that.
 */
results_compact: string, 
/**
 * The files that came of it.
 */
artifacts: Array<Artifact>, 
/**
 * What the model calls in it used, those of its subagents' frames not counted.
 */
usage: Usage, 
/**
 * The same with all frames within it.
 */
usage_within: Usage, 
/**
 * Frames within it.
 */
children: Array<FrameId>, 
/**
 * Frames that wait for it.
 */
dependants: Array<FrameId>, 
/**
 * Its tasks, oldest first.
 */
tasks: Array<TaskView>, 
/**
 * What the plan says of it.
 */
spec: unknown, };

export type RunDetail = { 
/**
 * The run.
 */
run: RunView, 
/**
 * Its frames, parents before their children.
 */
frames: FrameColumns, 
/**
 * Its tasks, oldest first.
 */
tasks: TaskColumns, };

export type Snapshot = { 
/**
 * The life of the daemon that numbers the changes.
 */
epoch: string, 
/**
 * The number of the last change that the snapshot includes.
 */
seq: number, 
/**
 * The daemon's clock.
 */
now_ms: number, 
/**
 * The projects.
 */
projects: Array<ProjectView>, 
/**
 * Runs, newest first.
 */
runs: Array<RunView>, 
/**
 * The frames of the runs that go on.
 */
frames: FrameColumns, 
/**
 * The tasks of the runs that go on.
 */
tasks: TaskColumns, };

export type Change = { 
/**
 * The number of this change; the next has the next number.
 */
seq: number, 
/**
 * Projects.
 */
projects: Array<ProjectView>, 
/**
 * Runs.
 */
runs: Array<RunView>, 
/**
 * Frames.
 */
frames: Array<FrameView>, 
/**
 * Tasks.
 */
tasks: Array<TaskView>, 
/**
 * The events behind it.
 */
events: Array<EventView>, };

export type EventView = { 
/**
 * Its run.
 */
run: RunId, 
/**
 * Its number in the run.
 */
seq: number, 
/**
 * When it was decided.
 */
ts_ms: number, 
/**
 * Its name.
 */
event: string, 
/**
 * The name under which the flame plug-ins know it: `flame.frame.created`, ...
 */
flame: string | null, 
/**
 * The frame.
 */
frame: FrameId | null, 
/**
 * The task.
 */
task: TaskId | null, 
/**
 * The command that led to it.
 */
cmd_id: string | null, 
/**
 * One line that a person can read.
 */
summary: string, };

export type Answer = { 
/**
 * The run it concerned.
 */
run: RunId | null, 
/**
 * The frames it moved, 100 at most.
 */
frames: Array<FrameId>, 
/**
 * The tasks it moved, 100 at most.
 */
tasks: Array<TaskId>, 
/**
 * How many frames and tasks it moved in all.
 */
moved: number, 
/**
 * Whether this is the answer to an earlier sending of the same command.
 */
repeated: boolean, };

export type Request = { "type": "run_plan", 
/**
 * The plan's file: absolute, or relative to the project.
 */
path: string, 
/**
 * Its inputs.
 */
inputs: { [key in string]: string }, } | { "type": "run_task", 
/**
 * The tool.
 */
tool: string, 
/**
 * What it is told; for the tool `shell`, the command line.
 */
prompt: string, 
/**
 * The model.
 */
model: string | null, 
/**
 * How long it may run, in milliseconds.
 */
timeout_ms: number | null, } | { "type": "stop", 
/**
 * The id, or `all`.
 */
target: string, 
/**
 * Why; for the record.
 */
reason: string | null, } | { "type": "prompt", 
/**
 * The task, or a frame for its newest.
 */
target: string, 
/**
 * What it is told.
 */
text: string, } | { "type": "interrupt", 
/**
 * The task, or a frame for its newest.
 */
target: string, } | { "type": "decide", 
/**
 * The task, or a frame for its newest.
 */
target: string, 
/**
 * The permission's id; none where the task asks only one thing.
 */
permission: string | null, 
/**
 * The answer.
 */
decision: Decision, 
/**
 * Why; the agent is told it, where it can be.
 */
note: string | null, } | { "type": "compact", 
/**
 * The task, or a frame for its newest.
 */
target: string, } | { "type": "rerun", 
/**
 * The task, or a frame for its newest.
 */
target: string, 
/**
 * Another tool.
 */
tool: string | null, 
/**
 * Another model.
 */
model: string | null, } | { "type": "pause", 
/**
 * The id.
 */
target: string, } | { "type": "unpause", 
/**
 * The id.
 */
target: string, } | { "type": "checkpoint", 
/**
 * The frame.
 */
frame: string, 
/**
 * What to ask; none for whether to begin.
 */
question: string | null, } | { "type": "answer", 
/**
 * Its id.
 */
checkpoint: string, 
/**
 * The answer; one of its options, where it has any.
 */
answer: string, } | { "type": "undo_auto", 
/**
 * The frame.
 */
frame: string, } | { "type": "resume", 
/**
 * The task, or a frame for its newest.
 */
target: string, 
/**
 * What it is told.
 */
prompt: string, 
/**
 * Leave the conversation as it is and go on with a copy.
 */
fork: boolean, } | { "type": "retry", 
/**
 * A run, a frame or a task.
 */
target: string, 
/**
 * For a run: do this frame (id or key) and all that depends on it again, though it succeeded.
 */
from: string | null, };

export type CommandRequest = { 
/**
 * Makes the command idempotent: the same id twice gives the same answer once.
 */
cmd_id: string, 
/**
 * The project's id.
 */
project: string, 
/**
 * What to do.
 */
command: Request, };
