// An action, as data: what it is called, where it makes sense, what is asked before, how it is sent.
// From this come its button, its place in the menu, in palette and help, its key, and its form.

import { callTool, command, newCommand } from "../api/client.ts";
import type {
  Answer,
  FrameDetail,
  FrameView,
  Request,
  RunView,
  TaskView,
} from "../api/types.gen.ts";
import type { Reply } from "../api/client.ts";
import { plural, quoted } from "../format.ts";
import { isReadOnly, unlessReadOnly } from "../model/origin.ts";
import { overlay } from "../state.ts";
import type { Change } from "../sync/overlay.ts";
import { fillIn } from "../ui/Dialog.tsx";
import type { Form, Values } from "../ui/Dialog.tsx";
import { tellDone, tellFailed } from "../ui/Toast.tsx";

/** What an action is done to. */
export interface Subject {
  readonly run: RunView;
  /** The chosen frame. */
  readonly frame: FrameView | null;
  /** Its newest task. */
  readonly task: TaskView | null;
  /** All about the frame, once it is known. */
  readonly detail: FrameDetail | null;
  /** What a frame of the run is called. */
  title(frame: string): string;
}

export interface Action<S = Subject> {
  readonly id: string;
  /** As a person would say it. */
  readonly title: string;
  /** In a word or two, on a button. */
  readonly label: string;
  readonly group: string;
  readonly keys?: readonly string[];
  /** Where it can be done, it is what one most likely came for. */
  readonly wanted?: boolean;
  /** Why it cannot be done to this now; null where it can. */
  why(subject: S): string | null;
  /** What is asked before it is done. */
  form?(subject: S): Form;
  /** Does it, and says in a few words what was done; nothing where that shows by itself. */
  send(subject: S, values: Values): Promise<string | null>;
}

/** The same actions, refused in a read-only run; but for those for which `allowed` says why they are not. */
export function guarded<S extends { readonly run: RunView }>(
  actions: readonly Action<S>[],
  allowed: Readonly<Record<string, (subject: S) => string | null>> = {},
): readonly Action<S>[] {
  return actions.map((action) => ({
    ...action,
    why(subject) {
      const guard = allowed[action.id] ?? (() => unlessReadOnly(subject.run));
      return (isReadOnly(subject.run) ? guard(subject) : null) ?? action.why(subject);
    },
  }));
}

/** What a read-only run can still be asked: to stop a task that runs. */
export function unlessTaskRuns({ task }: Subject): string | null {
  return task !== null && (task.state === "running" || task.state === "paused")
    ? null
    : "Read-only: none of its tasks runs here.";
}

/** Does an action, or says why it cannot be done. */
export async function perform<S>(action: Action<S>, subject: S): Promise<void> {
  const why = action.why(subject);
  if (why !== null) return tellFailed(new Error(`${action.title}: ${why}`));
  const send = async (values: Values) => {
    const done = await action.send(subject, values);
    if (done !== null) tellDone(done);
  };
  const form = action.form?.(subject);
  if (form) return fillIn(form, send);
  return send({}).catch(tellFailed);
}

/** Sends a command, and says what was done and to how much. */
export async function order(project: string, request: Request, did: string): Promise<string> {
  const answer: Answer = await command(project, request);
  return answer.moved === 0 ? `${did}.` : `${did}: ${plural(answer.moved, "item")}.`;
}

/** Sends something whose outcome is known before the daemon says it: it is shown at once. */
export async function atOnce<T>(change: Change, send: (cmdId: string) => Promise<T>): Promise<T> {
  const cmdId = newCommand();
  overlay.add(cmdId, change);
  try {
    const answer = await send(cmdId);
    overlay.settle(cmdId);
    return answer;
  } catch (error) {
    overlay.drop(cmdId);
    throw error;
  }
}

/** Calls a tool of the call stack; arguments that were left empty are not sent. */
export function tool(
  subject: { run: RunView },
  name: string,
  args: Record<string, unknown>,
  cmdId?: string,
): Promise<Reply> {
  const given = Object.entries(args).filter(
    ([, value]) =>
      value !== undefined && value !== "" && !(Array.isArray(value) && value.length === 0),
  );
  return callTool(subject.run.project, name, Object.fromEntries(given), cmdId);
}

/** A wall that the daemon met: it did nothing, and has asked a human. */
export function walled(reply: Reply): string | null {
  const data = reply.data as { limit?: boolean } | null;
  return data?.limit === true ? reply.text : null;
}

/** The lines of a field that are not empty. */
export function lines(value: string | undefined): string[] {
  return (value ?? "")
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "");
}

/** Words with commas or spaces between them. */
export function words(value: string | undefined): string[] {
  return (value ?? "").split(/[\s,]+/).filter((word) => word !== "");
}

/** What is asked before something is stopped. */
export function stopForm(name: string): Form {
  const text =
    "Its running tasks are interrupted and nothing further of it starts. Their logs and what they did so far stay; it can be retried.";
  return { title: `Stop ${quoted(name)}?`, text, does: "Stop", danger: true };
}
