// What can be done to a frame.

import { callTool, command } from "../api/client.ts";
import type { Checkpoint, FrameStatus } from "../api/types.gen.ts";
import { plural, quoted } from "../format.ts";
import { word } from "../model/status.ts";
import { compareFramesPath } from "../paths.ts";
import { navigate, setQuery } from "../router.ts";
import type { Field, Form, Preview } from "../ui/Dialog.tsx";
import {
  atOnce,
  guarded,
  lines,
  order,
  stopForm,
  tool,
  unlessTaskRuns,
  walled,
  words,
} from "./action.ts";
import type { Action, Subject } from "./action.ts";

const GOAL: Field = { name: "goal", label: "Goal", kind: "text", required: true };
const TITLE: Field = {
  name: "title",
  label: "Title",
  hint: "Two to five words; else the goal's first.",
};
const CRITERIA: Field = { name: "criteria", label: "It is done when", kind: "text" };
const DEPENDS: Field = {
  name: "depends",
  label: "Waits for",
  hint: "Ids of frames, with commas between them.",
};
const REASON: Field = { name: "reason", label: "Why", required: true };

const NONE = "Choose a frame first.";

/** Why not, where it takes a frame that stands so. */
function unless(subject: Subject, ...statuses: FrameStatus[]): string | null {
  if (subject.frame === null) return NONE;
  const { status } = subject.frame;
  return statuses.includes(status) ? null : `The frame is ${word(status)}.`;
}

/** Why not, where its own task must not be at work in it. */
function unlessFree(subject: Subject): string | null {
  const why = unless(subject, "in_progress");
  if (why !== null) return why;
  const isOpen =
    subject.task !== null && ["queued", "running", "paused"].includes(subject.task.state);
  return isOpen ? "A task of its own works on it: stop that first." : null;
}

const unlessPopped = (subject: Subject) =>
  unlessFree(subject) ??
  (subject.frame!.group ? "It only holds others together and ends with the last of them." : null);

const id = (subject: Subject) => subject.frame!.id;
const named = (subject: Subject) => quoted(subject.frame!.title);

async function pop(
  subject: Subject,
  status: "completed" | "failed" | "blocked",
  results: string,
  compact?: string,
): Promise<string> {
  await tool(subject, "flame_pop", {
    frame_id: id(subject),
    status,
    results,
    results_compact: compact,
  });
  return `${named(subject)}: ${status}.`;
}

/** Frames as they are to be shown before the daemon has made them. */
async function planned(
  subject: Subject,
  title: string,
  send: (cmdId: string) => ReturnType<typeof tool>,
): Promise<string> {
  const reply = await atOnce({ kind: "child", frame: id(subject), title }, send);
  return walled(reply) ?? "Planned.";
}

const MAKE: readonly Action[] = [
  {
    id: "frame.push",
    title: "Push a frame under it",
    label: "Push",
    group: "Frame",
    keys: ["Mod+Enter"],
    why: unlessFree,
    form: (subject) => ({
      title: `Push a frame under ${named(subject)}`,
      text: "It begins at once, and is where you work from then on.",
      fields: [
        GOAL,
        TITLE,
        CRITERIA,
        DEPENDS,
        { name: "phase", label: "Phase", value: subject.frame!.phase ?? "" },
        { name: "role", label: "Role" },
      ],
      does: "Push",
    }),
    // A push goes under the frame in which the session works.
    async send(subject, values) {
      await callTool(subject.run.project, "flame_navigate", { frame_id: id(subject) });
      const reply = await tool(subject, "flame_push", {
        goal: values.goal,
        title: values.title,
        success_criteria: values.criteria,
        depends_on: words(values.depends),
        phase: values.phase,
        agent_role: values.role,
      });
      const made = (reply.data as { frame?: { id?: string } } | null)?.frame?.id;
      if (made !== undefined) setQuery("frame", made);
      return walled(reply) ?? "Pushed.";
    },
  },
  {
    id: "frame.plan",
    title: "Plan a frame within it",
    label: "Plan",
    group: "Frame",
    keys: ["f p"],
    why: (subject) => unless(subject, "planned", "in_progress"),
    form: (subject) => ({
      title: `Plan a frame within ${named(subject)}`,
      fields: [GOAL, TITLE, CRITERIA, DEPENDS],
      does: "Plan",
    }),
    send: (subject, values) =>
      planned(subject, values.title || values.goal!, (cmdId) =>
        tool(
          subject,
          "flame_plan",
          {
            goal: values.goal,
            title: values.title,
            success_criteria: values.criteria,
            depends_on: words(values.depends),
            parent_id: id(subject),
          },
          cmdId,
        ),
      ),
  },
  {
    id: "frame.plan-children",
    title: "Plan several frames within it",
    label: "Plan several",
    group: "Frame",
    keys: ["f Shift+P"],
    why: (subject) => unless(subject, "planned", "in_progress"),
    form: (subject) => ({
      title: `Plan frames within ${named(subject)}`,
      fields: [
        { name: "goals", label: "Goals, one a line", kind: "text", required: true },
        {
          name: "order",
          label: "Order",
          kind: "choice",
          value: "any",
          options: [
            ["any", "side by side"],
            ["chain", "one after the other"],
          ],
        },
      ],
      does: "Plan",
    }),
    send(subject, values) {
      const goals = lines(values.goals);
      const children = goals.map((goal, i) => ({
        goal,
        key: `step-${i + 1}`,
        depends_on: values.order === "chain" && i > 0 ? [`step-${i}`] : [],
      }));
      return planned(subject, plural(goals.length, "frame"), (cmdId) =>
        tool(subject, "flame_plan_children", { children, parent_id: id(subject) }, cmdId),
      );
    },
  },
];

const MOVE: readonly Action[] = [
  {
    id: "frame.complete",
    title: "Complete it with its results",
    label: "Complete",
    group: "Frame",
    keys: ["Mod+Backspace"],
    why: unlessPopped,
    form: (subject) => ({
      title: `Complete ${named(subject)}`,
      fields: [
        { name: "results", label: "Results: all that the frame above needs", kind: "text" },
        { name: "compact", label: "The same in a sentence or two" },
      ],
      does: "Complete",
    }),
    send: (subject, values) => pop(subject, "completed", values.results ?? "", values.compact),
  },
  ...(["failed", "blocked"] as const).map((status): Action => {
    const verb = status === "failed" ? "Fail" : "Block";
    return {
      id: status === "failed" ? "frame.fail" : "frame.block",
      title: status === "failed" ? "Fail it: end it as failed" : "Block it: put it aside",
      label: verb,
      group: "Frame",
      keys: [status === "failed" ? "f x" : "f b"],
      why: unlessPopped,
      form: (subject) => ({
        title: `${verb} ${named(subject)}`,
        fields: [{ ...REASON, kind: "text" }],
        does: verb,
      }),
      send: (subject, values) => pop(subject, status, values.reason!),
    };
  }),
  {
    id: "frame.activate",
    title: "Activate it: begin, or go on",
    label: "Activate",
    group: "Frame",
    keys: ["f a"],
    why: (subject) =>
      unless(subject, "planned", "blocked", "failed") ??
      (subject.frame!.status === "planned" && (subject.frame!.tool !== null || subject.frame!.group)
        ? "It starts by itself when all that it waits for is completed."
        : null),
    async send(subject) {
      await tool(subject, "flame_activate", { frame_id: id(subject) });
      return "Begun.";
    },
  },
  {
    id: "frame.navigate",
    title: "Navigate to it: make it your active frame",
    label: "Navigate",
    group: "Frame",
    keys: ["f n"],
    why: unlessFree,
    async send(subject) {
      await tool(subject, "flame_navigate", { frame_id: id(subject) });
      return `You work in ${named(subject)} now.`;
    },
  },
  {
    id: "frame.invalidate",
    title: "Invalidate it, with all that waits for it",
    label: "Invalidate",
    group: "Frame",
    keys: ["f i"],
    why: (subject) =>
      unless(subject, "planned", "in_progress", "blocked", "failed") ??
      (subject.frame!.parent === null ? "It is the root of its run: stop the run instead." : null),
    form: (subject) => ({
      title: `Invalidate ${named(subject)}?`,
      fields: [REASON],
      does: "Invalidate",
      danger: true,
      preview: () => cascade(subject),
    }),
    async send(subject, values) {
      const reply = await tool(subject, "flame_invalidate", {
        frame_id: id(subject),
        reason: values.reason,
      });
      const { cascaded } = invalidation(reply.data);
      return cascaded.length === 0
        ? "Invalidated."
        : `Invalidated, and ${plural(cascaded.length, "frame")} with it.`;
    },
  },
];

interface Invalidation {
  cascaded: string[];
  stale: string[];
  tasks: string[];
}

const invalidation = (data: unknown) => (data as { invalidation: Invalidation }).invalidation;

/** What dropping a frame would take with it. */
async function cascade(subject: Subject): Promise<Preview> {
  const reply = await tool(subject, "flame_invalidate", {
    frame_id: id(subject),
    reason: "to see what it would take with it",
    preview: true,
  });
  const { cascaded, stale, tasks } = invalidation(reply.data);
  const called = (ids: string[]) => ids.map((each) => subject.title(each));
  // A task's id is its frame's, and which try it is.
  const works = (task: string) =>
    `${task} (${subject.title(task.replace(/^t-(.+)-\d+$/, "f-$1"))})`;
  return {
    text:
      cascaded.length + stale.length + tasks.length === 0
        ? "Nothing else goes with it."
        : "This cannot be undone.",
    lists: [
      { title: "Dropped with it", items: called(cascaded) },
      { title: "Completed, and from then on stale", items: called(stale) },
      { title: "Tasks that are stopped", items: tasks.map(works) },
    ],
  };
}

const NOTE: readonly Action[] = [
  {
    id: "frame.artifact",
    title: "Add an artifact: a file or an address",
    label: "Add artifact",
    group: "Frame",
    keys: ["f u"],
    why: unlessDropped,
    form: (subject) => ({
      title: `Add an artifact to ${named(subject)}`,
      fields: [
        { name: "artifact", label: "File in the project, or URL", required: true },
        { name: "description", label: "What it is" },
      ],
      does: "Add",
    }),
    async send(subject, values) {
      const path = values.artifact!.trim();
      await atOnce({ kind: "artifact", frame: id(subject), path }, (cmdId) =>
        tool(
          subject,
          "flame_add_artifact",
          { frame_id: id(subject), artifact: path, description: values.description },
          cmdId,
        ),
      );
      return "Added.";
    },
  },
  {
    id: "frame.decision",
    title: "Add a decision",
    label: "Add decision",
    group: "Frame",
    keys: ["f d"],
    why: unlessDropped,
    form: (subject) => ({
      title: `Add a decision to ${named(subject)}`,
      fields: [
        { name: "decision", label: "What was decided", kind: "text", required: true },
        { name: "reason", label: "Why" },
        { name: "alternatives", label: "What else could have been, one a line", kind: "text" },
      ],
      does: "Add",
    }),
    async send(subject, { decision, reason, alternatives }) {
      await atOnce(
        {
          kind: "decision",
          frame: id(subject),
          decision: decision!,
          ...(reason ? { reason } : {}),
        },
        (cmdId) =>
          tool(
            subject,
            "flame_add_decision",
            { frame_id: id(subject), decision, reason, alternatives: lines(alternatives) },
            cmdId,
          ),
      );
      return "Added.";
    },
  },
  {
    id: "frame.summarise",
    title: "Summarise its conversation",
    label: "Summarise",
    group: "Frame",
    keys: ["f s"],
    why: (subject) => unless(subject, "in_progress"),
    form: (subject) => ({
      title: `Summarise ${named(subject)}`,
      text: "Its agent begins at once where it can be told so; else it does when its conversation is shortened next.",
      fields: [{ name: "note", label: "What the summary is to heed", kind: "text" }],
      does: "Summarise",
    }),
    async send(subject, values) {
      return (await tool(subject, "flame_summarize", { frame_id: id(subject), note: values.note }))
        .text;
    },
  },
  {
    id: "frame.undo",
    title: "Undo what Fornax last did in it by itself",
    label: "Undo",
    group: "Frame",
    keys: ["f v"],
    why: (subject) =>
      subject.frame === null
        ? NONE
        : undoable(subject)
          ? null
          : "Fornax did nothing in it by itself.",
    send: (subject) =>
      order(subject.run.project, { type: "undo_auto", frame: id(subject) }, "Undone"),
  },
];

function undoable(subject: Subject): boolean {
  const last = subject.detail?.decisions.findLast((decision) => decision.by_itself);
  return last?.by_itself !== undefined && last.by_itself?.did !== "undone";
}

function unlessDropped(subject: Subject): string | null {
  return unless(subject, "planned", "in_progress", "completed", "failed", "blocked");
}

const LOOK: readonly Action[] = [
  {
    id: "frame.compare",
    title: "Compare it with another frame",
    label: "Compare",
    group: "Frame",
    keys: ["f ="],
    why: (subject) => (subject.frame === null ? NONE : null),
    send: async (subject) => {
      navigate(compareFramesPath([{ project: subject.run.project, id: id(subject) }]));
      return null;
    },
  },
];

const HOLD: readonly Action[] = [
  {
    id: "frame.retry",
    title: "Retry it",
    label: "↻ Retry",
    group: "Frame",
    keys: ["f r"],
    wanted: true,
    why: (subject) => unless(subject, "failed", "blocked", "invalidated"),
    send: (subject) =>
      order(
        subject.run.project,
        { type: "retry", target: id(subject), from: null },
        "To be done again",
      ),
  },
  {
    id: "frame.retry-from",
    title: "Retry from here: it and all that depends on it",
    label: "Retry from here",
    group: "Frame",
    keys: ["f Shift+R"],
    why: (subject) => unless(subject, "completed", "failed", "blocked", "invalidated"),
    send: (subject) =>
      order(
        subject.run.project,
        { type: "retry", target: subject.run.id, from: id(subject) },
        "To be done again",
      ),
  },
  {
    id: "frame.pause",
    title: "Pause it: nothing of it starts, what runs is suspended",
    label: "Pause",
    group: "Frame",
    keys: ["f z"],
    why: (subject) =>
      unless(subject, "planned", "in_progress") ??
      (subject.frame!.paused ? "It is paused already." : null),
    send: (subject) => order(subject.run.project, { type: "pause", target: id(subject) }, "Paused"),
  },
  {
    id: "frame.unpause",
    title: "Go on with it after a pause",
    label: "Go on",
    group: "Frame",
    keys: ["f Shift+Z"],
    wanted: true,
    why: (subject) =>
      subject.frame === null
        ? NONE
        : !subject.frame.paused
          ? "It is not paused."
          : subject.run.paused
            ? "It is paused with its run: let that go on."
            : null,
    send: (subject) =>
      order(subject.run.project, { type: "unpause", target: id(subject) }, "Goes on"),
  },
  {
    id: "frame.stop",
    title: "Stop it, with all within it",
    label: "◼ Stop",
    group: "Frame",
    keys: ["f k"],
    why: (subject) =>
      unless(subject, "planned", "in_progress") ??
      (subject.run.ended_ms === null ? null : "Its run has ended."),
    form: (subject) => stopForm(subject.frame!.title),
    send: (subject) =>
      order(
        subject.run.project,
        { type: "stop", target: id(subject), reason: "stopped from the page" },
        "Told to stop",
      ),
  },
  {
    id: "frame.checkpoint",
    title: "Set a checkpoint: hold it until a question is answered",
    label: "Checkpoint",
    group: "Frame",
    keys: ["f q"],
    why: (subject) => unless(subject, "planned"),
    form: (subject) => ({
      title: `Hold ${named(subject)} until you say`,
      fields: [
        {
          name: "question",
          label: "What is to be decided before it begins",
          kind: "text",
          required: true,
        },
      ],
      does: "Hold",
    }),
    async send(subject, values) {
      await command(subject.run.project, {
        type: "checkpoint",
        frame: id(subject),
        question: values.question!,
      });
      return "It waits for your answer.";
    },
  },
  {
    id: "frame.answer",
    title: "Answer what is asked in it",
    label: "Answer",
    group: "Frame",
    keys: ["f w"],
    wanted: true,
    why: (subject) =>
      subject.frame === null
        ? NONE
        : subject.frame.asks.length > 0
          ? null
          : "Nothing is asked in it.",
    form: (subject) => answerForm(subject.frame!.asks[0]!),
    send: (subject, values) =>
      order(
        subject.run.project,
        { type: "answer", checkpoint: subject.frame!.asks[0]!.id, answer: values.answer! },
        "Answered",
      ),
  },
];

function answerForm(asked: Checkpoint): Form {
  const options = asked.options?.map((option) => [option, option] as const);
  const field: Field = options
    ? { name: "answer", label: "Answer", kind: "choice", options, value: options[0]![0] }
    : { name: "answer", label: "Answer", kind: "text", required: true };
  return { title: "Answer", text: asked.question, fields: [field], does: "Answer" };
}

export const FRAME_ACTIONS: readonly Action[] = [
  ...guarded([...MAKE, ...MOVE, ...NOTE, ...HOLD], { "frame.stop": unlessTaskRuns }),
  ...LOOK,
];
