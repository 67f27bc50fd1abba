// What can be done to a task: the newest of the chosen frame. Most of it is said to its agent.

import { command } from "../api/client.ts";
import type { Decision, DriverKind } from "../api/types.gen.ts";
import { word } from "../model/status.ts";
import { navigate, runPath } from "../router.ts";
import type { Field } from "../ui/Dialog.tsx";
import { atOnce, guarded, order, stopForm, unlessTaskRuns } from "./action.ts";
import type { Action, Subject } from "./action.ts";

/** Drivers whose agents can be told something while they work. */
const CONVERSING: readonly DriverKind[] = ["opencode", "claude", "codex", "acp"];
/** ..., that can shorten their conversation when told. */
const COMPACTING: readonly DriverKind[] = ["opencode", "claude", "codex"];
/** ..., that cannot go on with a conversation; and that cannot with a copy of one. */
const FORGETFUL: readonly DriverKind[] = ["acp", "jsonl"];
const UNFORKING: readonly DriverKind[] = [...FORGETFUL, "codex-exec"];

const NONE = "The frame has no task yet.";
const id = (subject: Subject) => subject.task!.id;

/** Whether the task's agent can be told something now. */
export function hears(task: {
  state: string;
  stopping: boolean;
  driver: DriverKind | null;
}): boolean {
  return (
    task.state === "running" &&
    !task.stopping &&
    task.driver !== null &&
    CONVERSING.includes(task.driver)
  );
}

function unlessHears(subject: Subject): string | null {
  const { task } = subject;
  if (task === null) return NONE;
  if (task.state !== "running" || task.stopping)
    return `Its task is ${task.stopping ? "being stopped" : word(task.state)}.`;
  return hears(task) ? null : `${task.tool} cannot be told anything while it works.`;
}

function unlessWaits(subject: Subject): string | null {
  if (subject.task === null) return NONE;
  return subject.task.state === "running" && subject.task.waits.length > 0
    ? null
    : "Its agent asks for nothing.";
}

function unlessOver(subject: Subject, without: readonly DriverKind[]): string | null {
  const { task } = subject;
  if (task === null) return NONE;
  if (task.ended_ms === null) return "Its task is not over yet: tell its agent instead.";
  if (task.driver === null || without.includes(task.driver)) return `${task.tool} cannot do that.`;
  return task.session === null ? "It had no conversation." : null;
}

/** Which of several things that an agent asks for is meant. */
function whichField(subject: Subject): Field[] {
  const waits = subject.task!.waits;
  return [
    {
      name: "permission",
      label: "What it asks for",
      kind: "choice",
      value: waits[0]!.id,
      options: waits.map((wait) => [wait.id, `${wait.tool}: ${wait.title}`] as const),
    },
  ];
}

function deciding(decision: Decision, title: string, key: string): Action {
  const did = decision === "deny" ? "Denied" : "Allowed";
  const label = title.split(" ")[0]!;
  return {
    id: `task.${decision}`,
    title,
    label,
    group: "Task",
    keys: [key],
    why: unlessWaits,
    form: (subject) => ({
      title: `${label} ${subject.task!.tool}'s agent?`,
      fields: [
        ...whichField(subject),
        ...(decision === "deny" ? [{ name: "note", label: "Why; its agent is told" }] : []),
      ],
      does: label,
    }),
    send: (subject, values) =>
      order(
        subject.run.project,
        {
          type: "decide",
          target: id(subject),
          permission: values.permission!,
          decision,
          note: values.note || null,
        },
        did,
      ),
  };
}

/** Goes to the run in which a task is done once more or gone on with. */
async function begin(
  subject: Subject,
  request: Parameters<typeof command>[1],
  did: string,
): Promise<string> {
  const { run } = await command(subject.run.project, request);
  if (run !== null) navigate(runPath(subject.run.project, run));
  return did;
}

const TELL: Field = { name: "prompt", label: "What it is told", kind: "text", required: true };

const ACTIONS: readonly Action[] = [
  {
    id: "task.tell",
    title: "Tell its agent something",
    label: "Tell",
    group: "Task",
    keys: ["t t"],
    why: unlessHears,
    form: (subject) => ({
      title: `Tell ${subject.task!.tool}'s agent`,
      text: subject.task!.idle ? "It was interrupted and waits." : "It hears it after this turn.",
      fields: [TELL],
      does: "Tell",
    }),
    async send(subject, values) {
      const told = { kind: "told", frame: subject.task!.frame, text: values.prompt! } as const;
      await atOnce(told, (cmdId) =>
        command(
          subject.run.project,
          { type: "prompt", target: id(subject), text: values.prompt! },
          cmdId,
        ),
      );
      return "Told.";
    },
  },
  {
    id: "task.interrupt",
    title: "Interrupt its agent: end its turn",
    label: "Interrupt",
    group: "Task",
    keys: ["t i"],
    why: (subject) =>
      unlessHears(subject) ?? (subject.task!.idle ? "It was interrupted already." : null),
    send: (subject) =>
      order(subject.run.project, { type: "interrupt", target: id(subject) }, "Interrupted"),
  },
  {
    id: "task.compact",
    title: "Have its agent shorten its conversation",
    label: "Compact",
    group: "Task",
    keys: ["t c"],
    why: (subject) =>
      unlessHears(subject) ??
      (COMPACTING.includes(subject.task!.driver!)
        ? null
        : `${subject.task!.tool} cannot be told that.`),
    send: (subject) =>
      order(subject.run.project, { type: "compact", target: id(subject) }, "To be shortened"),
  },
  deciding("allow", "Allow what its agent asks", "t a"),
  deciding("always", "Always allow what its agent asks", "t Shift+A"),
  deciding("deny", "Deny what its agent asks", "t d"),
  {
    id: "task.resume",
    title: "Resume its conversation in a run of its own",
    label: "Resume",
    group: "Task",
    keys: ["t r"],
    why: (subject) => unlessOver(subject, FORGETFUL),
    form: () => ({ title: "Resume the conversation", fields: [TELL], does: "Resume" }),
    send: (subject, values) =>
      begin(
        subject,
        { type: "resume", target: id(subject), prompt: values.prompt!, fork: false },
        "It goes on.",
      ),
  },
  {
    id: "task.branch",
    title: "Branch off a copy of its conversation",
    label: "Branch",
    group: "Task",
    keys: ["t b"],
    why: (subject) => unlessOver(subject, UNFORKING),
    form: () => ({
      title: "Branch off a copy of the conversation",
      text: "The conversation itself stays as it is.",
      fields: [TELL],
      does: "Branch",
    }),
    send: (subject, values) =>
      begin(
        subject,
        { type: "resume", target: id(subject), prompt: values.prompt!, fork: true },
        "A branch has begun.",
      ),
  },
  {
    id: "task.rerun",
    title: "Rerun its task, with another tool or model",
    label: "Rerun",
    group: "Task",
    keys: ["t e"],
    why: (subject) => (subject.task === null ? NONE : null),
    form: (subject) => ({
      title: `Rerun ${id(subject)}`,
      text: "It is told the same, in a run of its own, in the state of the files as they are now.",
      fields: [
        { name: "tool", label: "Another tool", hint: `Else ${subject.task!.tool}.` },
        {
          name: "model",
          label: "Another model",
          hint:
            subject.task!.model === null ? "Else the tool's own." : `Else ${subject.task!.model}.`,
        },
      ],
      does: "Rerun",
    }),
    send: (subject, values) =>
      begin(
        subject,
        {
          type: "rerun",
          target: id(subject),
          tool: values.tool || null,
          model: values.model || null,
        },
        "It is done once more.",
      ),
  },
  {
    id: "task.stop",
    title: "Stop its task alone",
    label: "Stop task",
    group: "Task",
    keys: ["t k"],
    why: (subject) =>
      subject.task === null
        ? NONE
        : subject.task.ended_ms !== null || subject.task.stopping
          ? `Its task is ${subject.task.stopping ? "being stopped" : word(subject.task.state)}.`
          : null,
    form: (subject) => stopForm(id(subject)),
    send: (subject) =>
      order(
        subject.run.project,
        { type: "stop", target: id(subject), reason: "stopped from the page" },
        "Told to stop",
      ),
  },
];

export const TASK_ACTIONS = guarded(ACTIONS, { "task.stop": unlessTaskRuns });
