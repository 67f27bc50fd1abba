import { expect, test } from "vitest";
import type { Usage } from "../../src/api/types.gen.ts";
import { FrameTable, TaskTable } from "../../src/model/columns.ts";
import { byFrame, byModel, byRetries, byTime, byTool } from "../../src/model/costs.ts";
import type { CostRow } from "../../src/model/costs.ts";
import { layOut } from "../../src/model/layout.ts";
import {
  SORTABLE,
  firstSort,
  parseSort,
  sortedRows,
  sumOf,
  writeSort,
} from "../../src/model/sorting.ts";
import { NOTHING_USED, addUsage, allTokens } from "../../src/model/usage.ts";
import { forSeeds } from "./random.ts";
import type { Random } from "./random.ts";
import { T0, frame, task } from "./views.ts";

const RUN = "RUN-1";
const NOW = T0 + 40 * 3_600_000;

function usage(random: Random): Usage {
  const cost_usd = random.chance(0.3) ? null : random.below(500) / 100;
  return {
    input: random.below(9_000),
    output: random.below(900),
    cache_read: random.below(90_000),
    cache_write: random.below(900),
    reasoning: 0,
    cost_usd,
    estimated: random.chance(0.3),
  };
}

/** A run in which each task's usage is in its frame's, as the daemon counts it. */
function randomRun(random: Random) {
  const frames = new FrameTable();
  const tasks = new TaskTable();
  const count = 1 + random.below(40);
  for (let i = 0; i < count; i++) {
    const isGroup = i < 3;
    const attempts = isGroup ? 0 : random.below(4);
    let used: Usage | null = null;
    for (let attempt = 1; attempt <= attempts; attempt++) {
      const mine = random.chance(0.2) ? null : usage(random);
      if (mine) used = used ? addUsage(used, mine) : mine;
      const started_ms = random.chance(0.1) ? null : T0 + random.below(30 * 3_600_000);
      const ended_ms =
        started_ms === null || random.chance(0.2) ? null : started_ms + random.below(9 * 3_600_000);
      tasks.upsert(
        task(RUN, `f-${i}`, attempt, {
          usage: mine,
          started_ms,
          ended_ms,
          tool: random.pick(["claude", "codex"]),
          model: random.pick(["a", "b", null]),
          step: random.pick(["reads", null]),
        }),
      );
    }
    frames.upsert(
      frame(RUN, `f-${i}`, i === 0 ? null : `f-${random.below(Math.min(i, 3))}`, {
        group: isGroup,
        usage: used,
        turns: random.below(9),
        task: attempts > 0 ? `t-${i}-${attempts}` : null,
        title: random.pick(["Tests", "api", "Über", "api"]),
        status: random.pick(["failed", "completed", "in_progress"] as const),
        started_ms: random.chance(0.2) ? null : T0 + random.below(1e6),
        tool: random.pick(["claude", null]),
      }),
    );
  }
  return { frames, tasks, layout: layOut(frames) };
}

const total = (rows: readonly CostRow[]) =>
  rows.reduce((sum, row) => addUsage(sum, row.usage), NOTHING_USED);

function expectSame(one: Usage, other: Usage): void {
  expect(allTokens(one)).toBeCloseTo(allTokens(other), 3);
  expect(one.cost_usd ?? 0).toBeCloseTo(other.cost_usd ?? 0, 6);
}

test("by frame, tool, model and time, all comes to the same sum", async () => {
  await forSeeds(60, (random) => {
    const { frames, tasks, layout } = randomRun(random);
    const matching = random.chance(0.5)
      ? null
      : Uint8Array.from({ length: frames.length }, () => random.below(2));
    const ofFrames = byFrame(frames, layout, matching);
    const all = total(ofFrames);
    for (const rows of [
      byTool(frames, tasks, matching),
      byModel(frames, tasks, matching),
      byTime(frames, tasks, matching, NOW, 3_600_000).rows,
    ])
      expectSame(total(rows), all);
    const root = ofFrames.find((row) => row.key === "f-0");
    expectSame(root?.within ?? NOTHING_USED, all);
    const again = Array.from({ length: tasks.length }, (_, row) => tasks.get(row)).filter(
      (each) => each.attempt > 1 && (matching?.[frames.row(each.frame)!] ?? 1) === 1,
    );
    expectSame(
      total(byRetries(frames, tasks, matching)),
      again.reduce((sum, each) => addUsage(sum, each.usage ?? NOTHING_USED), NOTHING_USED),
    );
  });
});

test("a task's usage is spread over the hours that it took, and by day where a run is long", () => {
  const frames = new FrameTable();
  const tasks = new TaskTable();
  const hour = 3_600_000;
  const midnight = Date.UTC(2026, 10, 21);
  frames.upsert(frame(RUN, "f-a", null));
  const used = { ...NOTHING_USED, input: 400, cost_usd: 4 };
  tasks.upsert(
    task(RUN, "f-a", 1, {
      usage: used,
      started_ms: midnight + hour / 2,
      ended_ms: midnight + 2.5 * hour,
    }),
  );
  const { step_ms, rows } = byTime(frames, tasks, null, NOW, 0);
  expect([step_ms, ...rows.map((row) => [Number(row.key) - midnight, row.usage.input])]).toEqual([
    hour,
    [0, 100],
    [hour, 200],
    [2 * hour, 100],
  ]);
  tasks.upsert(
    task(RUN, "f-a", 2, {
      usage: used,
      started_ms: midnight + 100 * hour,
      ended_ms: midnight + 100 * hour,
    }),
  );
  expect(
    byTime(frames, tasks, null, NOW, 2 * hour).rows.map(
      (row) => (Number(row.key) - midnight) / hour,
    ),
  ).toEqual([-2, 94]);
});

test("rows are sorted by each column, both ways, without losing one; those without a value come last", async () => {
  await forSeeds(60, (random) => {
    const { frames, tasks } = randomRun(random);
    const matching = random.chance(0.5)
      ? null
      : Uint8Array.from({ length: frames.length }, () => random.below(2));
    const wanted = Array.from({ length: frames.length }, (_, row) => row).filter(
      (row) => !frames.group.get(row) && (matching?.[row] ?? 1) === 1,
    );
    for (const by of SORTABLE) {
      const up = sortedRows(frames, tasks, matching, { by, down: false }, NOW);
      const down = sortedRows(frames, tasks, matching, { by, down: true }, NOW);
      expect([...up].sort((a, b) => a - b)).toEqual(wanted);
      expect([...down].sort((a, b) => a - b)).toEqual(wanted);
    }
    const costs = Array.from(
      sortedRows(frames, tasks, matching, { by: "cost", down: true }, NOW),
      (row) => frames.usage.get(row)?.cost_usd ?? -1,
    );
    expect(costs).toEqual(costs.toSorted((a, b) => b - a));
    const titles = Array.from(
      sortedRows(frames, tasks, matching, { by: "title", down: false }, NOW),
      (row) => frames.title.get(row).toLowerCase(),
    );
    expect(titles).toEqual(titles.toSorted());
    expectSame(
      sumOf(frames, Int32Array.from(wanted), NOW).usage,
      total(byFrame(frames, layOut(frames), matching)),
    );
  });
});

test("how a table is sorted stands in the address", () => {
  for (const by of SORTABLE) {
    for (const down of [false, true])
      expect(parseSort(writeSort({ by, down }))).toEqual({ by, down });
  }
  expect([parseSort(null), parseSort("-evil"), parseSort("--cost")]).toEqual(
    Array(3).fill({ by: "started", down: false }),
  );
  expect([firstSort("cost").down, firstSort("title").down]).toEqual([true, false]);
});

test("failures come first when a table is sorted by status", () => {
  const frames = new FrameTable();
  (["completed", "failed", "planned", "blocked"] as const).forEach((status, i) =>
    frames.upsert(frame(RUN, `f-${i}`, null, { status })),
  );
  const rows = sortedRows(frames, new TaskTable(), null, firstSort("status"), NOW);
  expect(Array.from(rows, (row) => frames.status.get(row))).toEqual([
    "failed",
    "blocked",
    "planned",
    "completed",
  ]);
});
