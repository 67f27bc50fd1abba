import { expect, test } from "vitest";
import type { Artifact, FrameDetail, FrameView, TaskView } from "../../src/api/types.gen.ts";
import { match } from "../../src/compare/match.ts";
import type { Side } from "../../src/compare/match.ts";
import { copyOf, outputDifferences, sayOutputs } from "../../src/compare/outputs.ts";
import { textDifference } from "../../src/compare/load.ts";
import { parseDiff } from "../../src/diff/parse.ts";
import { FrameTable, TaskTable } from "../../src/model/columns.ts";
import { comparePath, readPairs } from "../../src/paths.ts";
import { forSeeds } from "./random.ts";
import { NOTHING_USED, frame, run, task } from "./views.ts";

function side(id: string, frames: Partial<FrameView>[], tasks: Partial<TaskView>[] = []): Side {
  const made = { run: run("p", id, `f-${id}`), frames: new FrameTable(), tasks: new TaskTable() };
  for (const each of frames) made.frames.upsert(frame(id, `f-${id}-${each.key}`, null, each));
  for (const each of tasks)
    made.tasks.upsert({ ...task(id, each.frame!, each.attempt ?? 1), ...each });
  return made;
}

test("frames are matched by key, those that only one run has are shown, and the weightiest difference is first", () => {
  const one = side(
    "1",
    [
      { key: "same" },
      { key: "dear" },
      { key: "bad", status: "failed" },
      { key: "gone" },
      { key: "group", group: true },
    ],
    [{ frame: "f-1-dear", usage: { ...NOTHING_USED, input: 5, cost_usd: 2 }, model: "a" }],
  );
  const other = side(
    "2",
    [{ key: "dear" }, { key: "bad", status: "completed" }, { key: "same" }],
    [
      {
        frame: "f-2-dear",
        id: "t-1",
        usage: { ...NOTHING_USED, input: 5, cost_usd: 1 },
        model: "b",
      },
      { frame: "f-2-dear", id: "t-2", attempt: 2, usage: { ...NOTHING_USED, input: 1 } },
    ],
  );
  const said = match([one, other]).map(({ key, differs, cells }) => [
    key,
    differs.join(),
    cells.map((cell) => cell?.tries ?? null),
  ]);
  expect(said).toEqual([
    ["gone", "absent", [0, null]],
    ["bad", "status", [0, 0]],
    ["dear", "model,tries,tokens,cost", [1, 2]],
    ["same", "", [0, 0]],
  ]);
});

test("runs of one task are matched whatever its frame is called; frames made at work, by title within their parent", () => {
  expect(match([side("1", [{ key: "a" }]), side("2", [{ key: "b" }])])).toMatchObject([
    { key: "a", differs: [] },
  ]);
  const made = (id: string) => {
    const built = side(id, [{ key: "build" }, { key: "other" }]);
    built.frames.upsert(
      frame(id, `f-${id}x`, `f-${id}-build`, { key: `build/f-${id}x`, title: "Fix the tests" }),
    );
    built.frames.upsert(
      frame(id, `f-${id}y`, `f-${id}-build`, { key: `build/f-${id}y`, title: "Fix the tests" }),
    );
    return built;
  };
  expect(match([made("1"), made("2")]).map(({ key, differs }) => [key, ...differs])).toEqual([
    ["build"],
    ["other"],
    ["build › Fix the tests"],
    ["build › Fix the tests (2)"],
  ]);
});

function detail(more: Partial<FrameDetail>): FrameDetail {
  return {
    frame: frame("r", "f-a", null),
    goal: "",
    success_criteria: null,
    decisions: [],
    made_by: null,
    stale: false,
    status_history: [],
    results: "",
    results_compact: "",
    artifacts: [],
    usage: NOTHING_USED,
    usage_within: NOTHING_USED,
    children: [],
    dependants: [],
    tasks: [],
    spec: {},
    ...more,
  };
}

test("what two frames gave is told apart: texts, and artifacts by path and hash", () => {
  const artifact = (path: string, sha256: string, more: Partial<Artifact> = {}): Artifact => ({
    path,
    sha256,
    bytes: 1,
    ...more,
  });
  const before = detail({
    goal: "g",
    results: "a",
    artifacts: [artifact("x", "1"), artifact("y", "1"), artifact("z", "1")],
  });
  const after = detail({
    goal: "g",
    results: "b",
    success_criteria: "c",
    artifacts: [artifact("y", "2"), artifact("z", "1"), artifact("new\n", "1")],
  });
  const found = outputDifferences(before, after);
  expect(found.artifacts.map(({ path, change }) => [path, change])).toEqual([
    ["new\n", "added"],
    ["x", "removed"],
    ["y", "changed"],
  ]);
  expect([found.same, sayOutputs(found)]).toEqual([
    1,
    "results, criteria, 1 artifact changed, 1 artifact added, 1 artifact removed",
  ]);
  expect(sayOutputs(outputDifferences(before, before))).toBe("");
  expect(copyOf(artifact("x", "1", { copy: "tasks/t-1/artifacts/a b.txt" }))).toEqual({
    task: "t-1",
    name: "a b.txt",
  });
  expect([
    copyOf(artifact("x", "1")),
    copyOf(artifact("x", "1", { copy: "../../etc/passwd" })),
  ]).toEqual([null, null]);
});

test("the difference of two texts leads from one to the other", async () => {
  await forSeeds(40, async (random) => {
    const text = () =>
      Array.from({ length: random.below(30) }, () =>
        random.pick(["a", "b", "c", "--- x", "+++ y", "@@ -1 +1 @@", ""]),
      ).join("\n");
    const [before, after] = [text(), text()];
    const diff = (await textDifference(before, after))!;
    const lines = parseDiff(diff).flatMap((file) => file.hunks.flatMap((hunk) => hunk.lines));
    const kept = (signs: string) => lines.filter((line) => signs.includes(line[0] ?? " ")).length;
    const count = (of: string) => (of === "" ? 0 : of.replace(/\n$/, "").split("\n").length);
    expect(kept("+") - kept("-")).toBe(count(after) - count(before));
  });
  expect(await textDifference("a".repeat(3_000_000), "b")).toBeNull();
});

test("what is compared stands in the address", () => {
  const runs = [
    { project: "1a2b", id: "RUN-1" },
    { project: "3c", id: "RUN-2" },
  ];
  const raw = new URL(comparePath(runs), "http://x").searchParams.get("runs");
  expect(readPairs(raw)).toEqual(runs);
  expect(readPairs("1a2b/RUN-1,1a2b/RUN-1,,x,/y,z/,a/b/c")).toEqual([runs[0]]);
  expect(readPairs(null)).toEqual([]);
});
