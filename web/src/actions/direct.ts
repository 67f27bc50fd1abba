// What a person can have done with one press, from wherever it is offered. Nothing is shown as done
// before the daemon says so. All other actions are forms, described beside.

import type { Decision, Request as Command } from "../api/types.gen.ts";
import { order } from "./action.ts";
import { tellDone, tellFailed } from "../ui/Toast.tsx";

async function send(project: string, request: Command, did: string): Promise<void> {
  await order(project, request, did).then(tellDone, tellFailed);
}

/** Answers an agent that asks whether it may do something; `note` is what it is told besides. */
export function decide(
  project: string,
  task: string,
  permission: string,
  decision: Decision,
  note: string | null = null,
): Promise<void> {
  const did = decision === "deny" ? "Denied" : "Allowed";
  return send(project, { type: "decide", target: task, permission, decision, note }, did);
}

/** Answers a question. */
export function answer(project: string, checkpoint: string, text: string): Promise<void> {
  return send(project, { type: "answer", checkpoint, answer: text }, "Answered");
}

/** Does again what did not succeed of a run, a frame or a task. */
export function retry(project: string, target: string): Promise<void> {
  return send(project, { type: "retry", target, from: null }, "To be done again");
}

/** Stops a task. */
export function stop(project: string, task: string): Promise<void> {
  const request = { type: "stop", target: task, reason: "stopped from the page" } as const;
  return send(project, request, "Stopping the task");
}

/** Tells an agent at work something further. */
export function tell(project: string, task: string, text: string): Promise<void> {
  return send(project, { type: "prompt", target: task, text }, "Told");
}

/** Undoes what Fornax last did in a frame by itself. */
export function undo(project: string, frame: string): Promise<void> {
  return send(project, { type: "undo_auto", frame }, "Undone");
}

/** Ends an agent's turn; its task goes on and waits to be told something. */
export function interrupt(project: string, task: string): Promise<void> {
  return send(project, { type: "interrupt", target: task }, "Interrupted");
}
