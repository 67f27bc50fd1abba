// What a person can have done from the page. Nothing is shown as done before the daemon says so.

import type { Decision, Request as Command } from "./api/types.gen.ts";
import { command } from "./api/client.ts";
import { plural } from "./format.ts";
import { confirm } from "./ui/Dialog.tsx";
import { tellDone, tellFailed } from "./ui/Toast.tsx";

async function send(project: string, request: Command, did: string): Promise<void> {
  try {
    const answer = await command(project, request);
    tellDone(answer.moved === 0 ? `${did}.` : `${did}: ${plural(answer.moved, "item")}.`);
  } catch (error) {
    tellFailed(error);
  }
}

/** Stops a run, a frame with all within it, or a task, after asking. */
export async function stop(project: string, target: string, name: string): Promise<void> {
  const text = "Its running tasks are interrupted and nothing further of it starts. Their logs and what they did so far stay; it can be retried.";
  if (await confirm(`Stop “${name}”?`, text, "Stop")) {
    await send(project, { type: "stop", target, reason: "stopped from the page" }, "Told to stop");
  }
}

/** Does again what did not succeed of a run, a frame or a task. */
export function retry(project: string, target: string): Promise<void> {
  return send(project, { type: "retry", target, from: null }, "To be done again");
}

/** Does a frame and all that depends on it again. */
export function retryFrom(project: string, run: string, frame: string): Promise<void> {
  return send(project, { type: "retry", target: run, from: frame }, "To be done again");
}

/** Answers an agent that asks whether it may do something. */
export function decide(project: string, task: string, permission: string, decision: Decision): Promise<void> {
  const did = decision === "deny" ? "Denied" : "Allowed";
  return send(project, { type: "decide", target: task, permission, decision, note: null }, did);
}

/** Answers a question. */
export function answer(project: string, checkpoint: string, text: string): Promise<void> {
  return send(project, { type: "answer", checkpoint, answer: text }, "Answered");
}

/** Undoes what Fornax last did in a frame by itself. */
export function undo(project: string, frame: string): Promise<void> {
  return send(project, { type: "undo_auto", frame }, "Undone");
}

/** Tells an agent at work something further. */
export function tell(project: string, task: string, text: string): Promise<void> {
  return send(project, { type: "prompt", target: task, text }, "Told");
}

/** Ends an agent's turn; its task goes on and waits to be told something. */
export function interrupt(project: string, task: string): Promise<void> {
  return send(project, { type: "interrupt", target: task }, "Interrupted");
}
