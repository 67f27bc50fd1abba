import { expect, test } from "vitest";
import { quoted } from "../../src/format.ts";
import { activeToday, costOf } from "../../src/model/today.ts";
import { runOf, runPath } from "../../src/paths.ts";
import { readSettings } from "../../src/settings.ts";
import { Gathered } from "../../src/ui/gathered.ts";
import { forSeeds } from "./random.ts";
import { NOTHING_USED, run } from "./views.ts";

test("settings that are missing, damaged or of another kind are as if they had never been set", async () => {
  const untouched = readSettings(null);
  for (const text of [
    "",
    "{",
    "null",
    "[]",
    "7",
    '"dark"',
    '{"theme":"blue","singleKeys":"no","notifications":1}',
  ]) {
    expect(readSettings(text), text).toEqual(untouched);
  }
  const set = { ...untouched, theme: "light", singleKeys: false, notifications: true };
  expect(readSettings(JSON.stringify({ ...set, later: true }))).toEqual(set);
  expect(untouched).toMatchObject({ theme: "system", singleKeys: true, notifications: false });
});

test("addresses of runs are read as they were made, whatever is in them", async () => {
  await forSeeds(200, (random) => {
    const part = () =>
      Array.from({ length: 1 + random.below(6) }, () => random.pick([..."ab/%?#é漢 .:"])).join("");
    const [project, id] = [part(), part()];
    const path = runPath(project, id);
    expect(runOf(path)).toEqual({ project, run: id, key: `${project}/${id}` });
    expect(new URL(path, "http://localhost").search).toBe("");
  });
  for (const path of ["/", "/runs", "/runs/a", "/runs/a/b/c", "/runs/%/b"])
    expect(runOf(path), path).toBeNull();
});

test("what is told sums up what came, once", () => {
  const gathered = new Gathered();
  expect(gathered.sentence()).toBeNull();
  gathered.frame("completed", "JWT tokens");
  expect(gathered.sentence()).toBe("JWT tokens completed.");
  expect(gathered.sentence()).toBeNull();
  for (const title of ["a", "b", "c"]) gathered.frame("completed", title);
  gathered.frame("failed", "d");
  gathered.waits(1);
  gathered.waits(1);
  gathered.run("Build app", "failed");
  expect(gathered.sentence()).toBe(
    "2 new items in the inbox. Build app: failed. 3 frames completed, d failed.",
  );
  for (const name of ["a", "b", "c"]) gathered.run(name, "completed");
  expect(gathered.sentence()).toBe("3 runs ended.");
});

test("a sentence is short however much came", async () => {
  await forSeeds(50, (random) => {
    const gathered = new Gathered();
    for (let i = random.below(10_000); i >= 0; i--)
      gathered.frame(
        random.pick(["completed", "failed", "blocked"]),
        "long ".repeat(random.below(100)),
      );
    expect(gathered.sentence()!.length).toBeLessThan(400);
  });
});

test("what runs cost today is what those cost that were at work today", () => {
  const noon = new Date(2026, 10, 21, 12).getTime();
  const yesterday = noon - 24 * 3_600_000;
  const used = (cost_usd: number | null, estimated = false) => ({
    ...NOTHING_USED,
    input: 1,
    cost_usd,
    estimated,
  });
  const runs = [
    run("p", "RUN-1", "f", { started_ms: yesterday, ended_ms: yesterday + 1, usage: used(100) }),
    run("p", "RUN-2", "f", { started_ms: yesterday, ended_ms: noon - 1, usage: used(1) }),
    run("p", "RUN-3", "f", { started_ms: yesterday, ended_ms: null, usage: used(2, true) }),
    run("q", "RUN-4", "f", { started_ms: noon, ended_ms: null, usage: used(null) }),
  ];
  expect(activeToday(runs, null, noon).map(({ id }) => id)).toEqual(["RUN-2", "RUN-3", "RUN-4"]);
  expect(costOf(activeToday(runs, null, noon))).toMatchObject({
    cost_usd: 3,
    estimated: true,
    input: 3,
  });
  expect(costOf(activeToday(runs, "q", noon)).cost_usd).toBeNull();
});

test("a name in a sentence stays in an isolate of its own", () => {
  expect(quoted("Hand")).toBe("“\u2068Hand\u2069”");
  // What would close the isolate, and then turn all that follows.
  expect(quoted("a\u2069\u202eb")).toBe("“\u2068a\u202eb\u2069”");
});
