// What can be done to a run, and to all of them.

import { callTool, command } from "../api/client.ts";
import type { Request, RunView } from "../api/types.gen.ts";
import { isReadOnly } from "../model/origin.ts";
import { navigate, runPath } from "../router.ts";
import { projects, runs } from "../state.ts";
import { isOpen } from "../sync/keys.ts";
import { offerAcceptance } from "../ui/Accept.tsx";
import type { Field, Form } from "../ui/Dialog.tsx";
import { guarded, lines, order, stopForm } from "./action.ts";
import type { Action } from "./action.ts";

interface OfRun {
  readonly run: RunView;
}

const unlessOpen = ({ run }: OfRun) =>
  run.ended_ms !== null
    ? "The run has ended."
    : run.status === "stopping"
      ? "It is being stopped."
      : null;

export const STOP_RUN: Action<OfRun> = {
  id: "run.stop",
  title: "Stop the run",
  label: "◼ Stop",
  group: "Run",
  keys: ["r k"],
  why: unlessOpen,
  form: ({ run }) => stopForm(run.name),
  send: ({ run }) =>
    order(
      run.project,
      { type: "stop", target: run.id, reason: "stopped from the page" },
      "Told to stop",
    ),
};

export const RETRY_RUN: Action<OfRun> = {
  id: "run.retry",
  title: "Retry what did not succeed in the run",
  label: "↻ Retry",
  group: "Run",
  keys: ["r r"],
  wanted: true,
  why: ({ run }) =>
    run.status === "completed"
      ? "All of it succeeded."
      : run.counts.failed + run.counts.blocked + run.counts.invalidated === 0 &&
          run.ended_ms === null
        ? "Nothing has failed."
        : null,
  send: ({ run }) =>
    order(run.project, { type: "retry", target: run.id, from: null }, "To be done again"),
};

export const PAUSE_RUN: Action<OfRun> = {
  id: "run.pause",
  title: "Pause the run: nothing of it starts, what runs is suspended",
  label: "‖ Pause",
  group: "Run",
  keys: ["r z"],
  why: (subject) => unlessOpen(subject) ?? (subject.run.paused ? "It is paused already." : null),
  send: ({ run }) => order(run.project, { type: "pause", target: run.id }, "Paused"),
};

export const UNPAUSE_RUN: Action<OfRun> = {
  id: "run.unpause",
  title: "Go on with the run after a pause",
  label: "▶ Go on",
  group: "Run",
  keys: ["r Shift+Z"],
  wanted: true,
  why: ({ run }) => (run.paused ? null : "It is not paused."),
  send: ({ run }) => order(run.project, { type: "unpause", target: run.id }, "Goes on"),
};

export const RUN_AGAIN: Action<OfRun> = {
  id: "run.again",
  title: "Run the plan again",
  label: "Run again",
  group: "Run",
  keys: ["r a"],
  why: ({ run }) => (run.plan === null ? "It has no plan." : null),
  form: ({ run }) => ({
    title: `Run ${run.plan} again`,
    text: "The plan as it is now, in a run of its own.",
    fields: [INPUTS],
    does: "Run",
  }),
  send: ({ run }, values) =>
    start(run.project, { type: "run_plan", path: run.plan!, inputs: inputsOf(values.inputs) }),
};

export const ACCEPT_RUN: Action<OfRun> = {
  id: "run.accept",
  title: "Accept the run: look at what it executes, then let it continue",
  label: "Accept the run…",
  group: "Run",
  keys: ["r y"],
  wanted: true,
  why: ({ run }) => (isReadOnly(run) ? null : "It is not read-only."),
  async send({ run }) {
    await offerAcceptance(run);
    return null;
  },
};

const unlessTasksRun = ({ run }: OfRun) =>
  run.tasks_running > 0 ? null : "Read-only: none of its tasks runs here.";
const always = () => null;

/** What can be done to a run. A plan can be run again beside a read-only run of it. */
export const RUN_ACTIONS: readonly Action<OfRun>[] = guarded(
  [ACCEPT_RUN, STOP_RUN, PAUSE_RUN, UNPAUSE_RUN, RETRY_RUN, RUN_AGAIN],
  { [ACCEPT_RUN.id]: always, [STOP_RUN.id]: unlessTasksRun, [RUN_AGAIN.id]: always },
);

const INPUTS: Field = {
  name: "inputs",
  label: "Inputs, one a line",
  kind: "text",
  hint: "name=value",
  check: (value) =>
    lines(value).every((line) => /^[^=\s]+=/.test(line)) ? null : "Each line is name=value.",
};

function inputsOf(text: string | undefined): Record<string, string> {
  return Object.fromEntries(
    lines(text).map((line) => [
      line.slice(0, line.indexOf("=")),
      line.slice(line.indexOf("=") + 1),
    ]),
  );
}

async function start(project: string, request: Request): Promise<string> {
  const { run } = await command(project, request);
  if (run !== null) navigate(runPath(project, run));
  return "It has begun.";
}

/** What needs no run: it begins one, or ends all. The subject is the project that is looked at, if one is. */
type Anywhere = string | null;

const known = () => Object.values(projects).sort((a, b) => a.name.localeCompare(b.name));
const unlessProject = () =>
  known().length > 0 ? null : "There is no project yet: run a `fornax` command in one.";

/** Which project: asked only where there are several. */
function projectField(looked: Anywhere): Field[] {
  const options = known().map((project) => [project.id, project.name] as const);
  return options.length < 2
    ? []
    : [
        {
          name: "project",
          label: "Project",
          kind: "choice",
          value: looked ?? options[0]![0],
          options,
        },
      ];
}

const projectOf = (values: Readonly<Record<string, string>>) => values.project ?? known()[0]!.id;

export const RUN_PLAN: Action<Anywhere> = {
  id: "runs.plan",
  title: "Run a plan",
  label: "Run a plan",
  group: "Runs",
  keys: ["r p"],
  why: unlessProject,
  form: (looked): Form => ({
    title: "Run a plan",
    fields: [
      ...projectField(looked),
      {
        name: "path",
        label: "The plan's file",
        required: true,
        hint: "Relative to the project, or absolute.",
      },
      INPUTS,
    ],
    does: "Run",
  }),
  send: (_, values) =>
    start(projectOf(values), {
      type: "run_plan",
      path: values.path!.trim(),
      inputs: inputsOf(values.inputs),
    }),
};

export const RUN_TASK: Action<Anywhere> = {
  id: "runs.task",
  title: "Run a task without a plan",
  label: "Run a task",
  group: "Runs",
  keys: ["r t"],
  why: unlessProject,
  form: (looked): Form => ({
    title: "Run a task",
    fields: [
      ...projectField(looked),
      {
        name: "tool",
        label: "Tool",
        required: true,
        value: "shell",
        hint: "As `fornax tools` lists it.",
      },
      {
        name: "prompt",
        label: "What it is told; for shell, the command line",
        kind: "text",
        required: true,
      },
      { name: "model", label: "Model", hint: "Else the tool's own." },
      {
        name: "minutes",
        label: "End it after so many minutes",
        check: (value) => (Number(value) > 0 ? null : "This is a number of minutes."),
      },
    ],
    does: "Run",
  }),
  send: (_, values) =>
    start(projectOf(values), {
      type: "run_task",
      tool: values.tool!.trim(),
      prompt: values.prompt!,
      model: values.model || null,
      timeout_ms: values.minutes ? Math.round(Number(values.minutes) * 60_000) : null,
    }),
};

/** How many runs go on, of a project or of all. */
export function goingRuns(project: string | null): number {
  return Object.values(runs).filter(
    (run) => isOpen(run) && (project === null || run.project === project),
  ).length;
}

export const STOP_ALL: Action<Anywhere> = {
  id: "runs.stop-all",
  title: "Stop all",
  label: "Stop all",
  group: "Runs",
  keys: ["r Shift+K"],
  why: () => (goingRuns(null) === 0 ? "Nothing runs." : null),
  form: (looked): Form => ({
    title: "Stop all?",
    text: "Running tasks are interrupted and nothing further starts. What was in progress is blocked with its work kept; it can be retried.",
    fields: [
      {
        name: "scope",
        label: "What",
        kind: "choice",
        value: looked ?? "all",
        options: [
          ["all", "every run of every project"],
          ...known().map((project) => [project.id, `every run of ${project.name}`] as const),
        ],
      },
      { name: "reason", label: "Why", required: true, value: "stopped from the page" },
    ],
    does: "Stop all",
    danger: true,
  }),
  async send(_, { scope, reason }) {
    const all = scope === "all";
    const reply = await callTool(all ? known()[0]!.id : scope!, "flame_stop_all", {
      reason,
      scope: all ? "all" : "project",
    });
    return reply.text;
  },
};

export const ANYWHERE_ACTIONS: readonly Action<Anywhere>[] = [RUN_PLAN, RUN_TASK, STOP_ALL];
