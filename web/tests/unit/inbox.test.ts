import { expect, test } from "vitest";
import type { FrameView, RunView, TaskView } from "../../src/api/types.gen.ts";
import { RUN_SOURCES, byAge, failedRuns, problems } from "../../src/inbox/sources.ts";
import type { InboxItem, OpenRun } from "../../src/inbox/sources.ts";
import { FrameTable, TaskTable } from "../../src/model/columns.ts";
import { forSeeds } from "./random.ts";
import type { Random } from "./random.ts";
import { T0, frame, project, run, task } from "./views.ts";

const RUN = "RUN-20261120-001";

function open(frames: FrameView[], tasks: TaskView[] = [], more: Partial<RunView> = {}): OpenRun {
  const held = {
    run: run("p", RUN, "f-root", more),
    frames: new FrameTable(),
    tasks: new TaskTable(),
  };
  for (const each of frames) held.frames.upsert(each);
  for (const each of tasks) held.tasks.upsert(each);
  return held;
}

const within = (held: OpenRun): InboxItem[] => RUN_SOURCES.flatMap((source) => source(held));

test("questions and limits wait since their frame waits, with what they take for an answer", () => {
  const spans: FrameView["spans"] = [
    { doing: "working", from_ms: T0 },
    { doing: "waiting", from_ms: T0 + 5 },
    { doing: "working", from_ms: T0 + 7 },
    { doing: "waiting", from_ms: T0 + 9 },
  ];
  const asks: FrameView["asks"] = [
    { id: "q1", kind: "question", question: "which?", options: ["a", "b"] },
    { id: "q2", kind: "limit", limit: "cost", question: "go on?" },
  ];
  const items = within(
    open([
      frame(RUN, "f-root", null),
      frame(RUN, "f-a", "f-root", { asks, spans, started_ms: T0 }),
    ]),
  );
  expect(items.map(({ kind, text, since_ms }) => [kind, text, since_ms])).toEqual([
    ["question", "which?", T0 + 9],
    ["limit", "go on?", T0 + 9],
  ]);
  expect(items[0]!.reply).toEqual({ type: "answer", checkpoint: "q1", options: ["a", "b"] });
  expect(items[1]!.reply).toEqual({ type: "answer", checkpoint: "q2", options: [] });
  expect(items[0]!.link).toBe(`/runs/p/${RUN}?frame=f-a`);
});

test("agents that ask or are idle wait while they are at work, and lost tasks until they are tried again", () => {
  const frames = [
    frame(RUN, "f-root", null),
    frame(RUN, "f-a", "f-root", { task: "t-a-2", status: "failed" }),
  ];
  const waits: TaskView["waits"] = [{ id: "p1", tool: "Bash", title: "rm -r x" }];
  const kinds = (...tasks: TaskView[]) => within(open(frames, tasks)).map(({ kind }) => kind);
  expect(kinds(task(RUN, "f-a", 2, { state: "running", waits, idle: true }))).toEqual([
    "permission",
    "idle",
  ]);
  expect(kinds(task(RUN, "f-a", 2, { state: "paused", waits }))).toEqual(["permission"]);
  expect(kinds(task(RUN, "f-a", 2, { state: "completed", waits, idle: true }))).toEqual([]);
  expect(kinds(task(RUN, "f-a", 2, { state: "lost" }))).toEqual(["lost"]);
  expect(kinds(task(RUN, "f-a", 1, { state: "lost" }))).toEqual([]);
  const done = [
    frame(RUN, "f-root", null),
    frame(RUN, "f-a", "f-root", { task: "t-a-2", status: "completed" }),
  ];
  expect(within(open(done, [task(RUN, "f-a", 2, { state: "lost" })]))).toEqual([]);
});

test("a run that failed waits until one of its name is started again", () => {
  const failed = run("p", "RUN-20261120-001", "f-1", {
    status: "failed",
    ended_ms: T0 + 9,
    reason: "2 frames failed",
  });
  expect(failedRuns([failed]).map(({ text, since_ms }) => [text, since_ms])).toEqual([
    ["2 frames failed", T0 + 9],
  ]);
  const again = run("p", "RUN-20261120-002", "f-2", { started_ms: T0 + 10 });
  expect(failedRuns([again, failed])).toEqual([]);
  expect(failedRuns([failed, { ...again, project: "other" }])).toHaveLength(1);
  expect(failedRuns([failed, { ...again, name: "other" }])).toHaveLength(1);
  expect(
    failedRuns([
      { ...failed, status: "cancelled" },
      { ...failed, id: "RUN-20261120-003", status: "running", ended_ms: null },
    ]),
  ).toEqual([]);
  // Done again and failed again, it is another thing that waits.
  expect(failedRuns([{ ...failed, ended_ms: T0 + 99 }])[0]!.id).not.toBe(
    failedRuns([failed])[0]!.id,
  );
});

test("a project's problem waits", () => {
  expect(
    problems([project("a"), project("b", { problem: "the disk is full" })]).map(
      ({ project: id, text }) => [id, text],
    ),
  ).toEqual([["b", "the disk is full"]]);
});

function anyRun(random: Random): { held: OpenRun; expected: number } {
  let expected = 0;
  const frames: FrameView[] = [frame(RUN, "f-root", null)];
  const tasks: TaskView[] = [];
  for (let i = 0; i < 30; i++) {
    const id = `f-${i}`;
    const asks = Array.from({ length: random.below(3) }, (_, nth) => ({
      id: `q${i}-${nth}`,
      kind: "question" as const,
      question: `q ${i} ${nth}`,
    }));
    expected += asks.length;
    const started_ms = random.chance(0.8) ? T0 + random.below(1_000) : null;
    frames.push(
      frame(RUN, id, "f-root", {
        asks,
        started_ms,
        task: `t-${i}-1`,
        status: random.pick(["planned", "in_progress", "failed", "blocked"] as const),
      }),
    );
    const waits = Array.from({ length: random.below(2) }, (_, nth) => ({
      id: `p${nth}`,
      tool: "Bash",
      title: "ls",
    }));
    const state = random.pick(["queued", "running", "paused", "completed", "lost"] as const);
    const idle = random.chance(0.3);
    if (state === "running" || state === "paused") expected += waits.length + (idle ? 1 : 0);
    if (state === "lost") expected += 1;
    tasks.push(task(RUN, id, 1, { state, waits, idle }));
  }
  return { held: open(frames, tasks), expected };
}

test("each thing that waits is there once, by age, whatever the order in which it came", async () => {
  await forSeeds(100, (random) => {
    const { held, expected } = anyRun(random);
    const items = byAge(within(held));
    expect(items).toHaveLength(expected);
    expect(new Set(items.map(({ id }) => id)).size).toBe(items.length);
    const ages = items.map(({ since_ms }) => since_ms ?? 0);
    expect(ages).toEqual([...ages].sort((a, b) => a - b));
    const shuffled = [...items].sort(() => random.next() - 0.5);
    expect(byAge(shuffled)).toEqual(items);
    // A change of something else leaves all as it is.
    held.frames.upsert(frame(RUN, "f-new", "f-root", { title: "another" }));
    expect(byAge(within(held))).toEqual(items);
  });
});

test("a supervisor that does not respond waits for a human, the disk does not", () => {
  const frames = [frame(RUN, "f-root", null), frame(RUN, "f-a", "f-root", { task: "t-a-1" })];
  const tasks = [task(RUN, "f-a", 1, { state: "running" })];
  const stalled = (needs_you: boolean) =>
    within(
      open(frames, tasks, {
        stalled: [{ task: "t-a-1", reason: "it does not answer", needs_you, since_ms: T0 + 3 }],
      }),
    );
  expect(stalled(true)).toMatchObject([
    {
      kind: "stalled",
      frame: "frame f-a",
      text: "it does not answer",
      since_ms: T0 + 3,
      reply: { type: "stop", task: "t-a-1" },
    },
  ]);
  expect(stalled(false)).toEqual([]);
});

test("a read-only run that failed waits for nobody, and hides no run of the same name", () => {
  const failed = { status: "failed", ended_ms: T0 + 1 } as const;
  const own = run("p", "RUN-20261120-001", "f-1", failed);
  const readOnly = run("p", "RUN-20261120-002", "f-2", {
    ...failed,
    started_ms: T0 + 1,
    foreign: "this installation did not write its records",
  });
  expect(failedRuns([own, readOnly]).map(({ reply }) => reply)).toEqual([
    { type: "retry", target: own.id },
  ]);
});
