import { expect, test } from "vitest";
import type { Change, FrameView, Snapshot } from "../../src/api/types.gen.ts";
import { Mirror } from "../../src/sync/apply.ts";
import { stateHash } from "../../src/sync/hash.ts";
import { packSnapshot } from "../../src/sync/pack.ts";
import { NOTHING_USED, frame, frameColumns, project, run, task, taskColumns } from "./views.ts";

const ROOT = frame("RUN-1", "f-root00", null);
const CHILD = frame("RUN-1", "f-child0", ROOT.id);
const ATTEMPT = task("RUN-1", CHILD.id, 1);

function snapshot(frames: FrameView[], more: Partial<Snapshot> = {}): Snapshot {
  return {
    epoch: "life",
    seq: 1,
    now_ms: 0,
    projects: [project("p")],
    runs: [run("p", "RUN-1", ROOT.id)],
    frames: frameColumns(frames),
    tasks: taskColumns([ATTEMPT]),
    ...more,
  };
}

async function hashOf(given: Snapshot, ...changes: Partial<Change>[]): Promise<string> {
  const mirror = new Mirror();
  mirror.reset(packSnapshot(given));
  for (const change of changes)
    mirror.apply({
      seq: 2,
      projects: [],
      runs: [run("p", "RUN-1", ROOT.id, { seq: 2 })],
      frames: [],
      tasks: [],
      events: [],
      ...change,
    });
  return stateHash(mirror);
}

test("what is the same has the same hash, however it came", async () => {
  const whole = await hashOf(
    snapshot([ROOT, CHILD], { runs: [run("p", "RUN-1", ROOT.id, { seq: 2 })] }),
  );
  expect(await hashOf(snapshot([ROOT]), { frames: [CHILD], tasks: [ATTEMPT] })).toBe(whole);
  expect(
    await hashOf(snapshot([ROOT, { ...CHILD, title: "old" }]), {
      frames: [Object.fromEntries(Object.entries(CHILD).reverse()) as unknown as FrameView],
    }),
  ).toBe(whole);
});

test("any field of any entity makes another hash", async () => {
  const hashes = await Promise.all([
    hashOf(snapshot([ROOT, CHILD])),
    hashOf(snapshot([ROOT, CHILD], { projects: [project("p", { problem: "full" })] })),
    hashOf(snapshot([ROOT, CHILD], { runs: [run("p", "RUN-1", ROOT.id, { paused: true })] })),
    hashOf(snapshot([ROOT, CHILD], { tasks: taskColumns([{ ...ATTEMPT, step: "reads" }]) })),
    hashOf(snapshot([ROOT, CHILD], { tasks: taskColumns([]) })),
    ...Object.keys(CHILD)
      .filter((field) => field !== "parent")
      .map((field) => {
        const value = CHILD[field as keyof FrameView];
        const other = Array.isArray(value)
          ? ["x"]
          : typeof value === "boolean"
            ? !value
            : typeof value === "number"
              ? value + 1
              : field === "status"
                ? "failed"
                : field === "usage"
                  ? NOTHING_USED
                  : field.endsWith("_ms")
                    ? 7
                    : "x";
        return hashOf(snapshot([ROOT, { ...CHILD, [field]: other }]));
      }),
  ]);
  expect(new Set(hashes).size).toBe(hashes.length);
});
