import { expect, test } from "vitest";
import { FrameTable } from "../../src/model/columns.ts";
import { LARGE, LayoutKeeper } from "../../src/model/keeper.ts";
import type { Helper, Shown } from "../../src/model/keeper.ts";
import { FUTURE, PAST, RUNNING, layOut, layOutGiven } from "../../src/model/layout.ts";
import type { Given, Layout } from "../../src/model/layout.ts";
import type { FrameView } from "../../src/api/types.gen.ts";
import { faults, scaleOf } from "./layouts.ts";
import { forSeeds } from "./random.ts";
import type { Random } from "./random.ts";
import { T0, frame } from "./views.ts";

const RUN = "RUN-20261121-001";

/** A thread that answers when it is told to, and a clock on which everything takes a while, so that after a
 *  layout there is a time in which changes are only put into it. */
class FakeHelper implements Helper {
  now = 0;
  readonly asked: { given: Given; answer(layout: Layout): void; fail(error: Error): void }[] = [];
  timers: (() => void)[] = [];
  layOut = (given: Given): Promise<Layout> =>
    new Promise((answer, fail) => this.asked.push({ given, answer, fail }));
  after = (_: number, then: () => void): (() => void) => {
    this.timers.push(then);
    return () => (this.timers = this.timers.filter((each) => each !== then));
  };
  now_ms = (): number => (this.now += 5);
  /** All that was asked for and put off. */
  async settle(): Promise<void> {
    while (this.asked.length + this.timers.length > 0) {
      this.now += 1_000_000;
      const { given, answer } = this.asked.shift() ?? {};
      if (given && answer) answer(layOutGiven(given));
      else this.timers.shift()!();
      await Promise.resolve();
      await Promise.resolve();
    }
  }
}

/** A run that goes on as runs do: what is planned begins, what goes on ends, more is planned. */
class Story {
  readonly table = new FrameTable();
  now_ms = T0;
  readonly #views: FrameView[] = [];
  readonly #random: Random;

  constructor(random: Random, count: number) {
    this.#random = random;
    this.#put(frame(RUN, "f-0", null, { group: true, status: "in_progress", started_ms: T0 }));
    for (let i = 1; i < count; i++) this.#plan();
  }

  step(): void {
    this.now_ms += this.#random.below(50);
    const view = this.#random.pick(this.#views.slice(1));
    const { status } = view;
    if (this.#random.chance(0.1)) this.#plan();
    else if (status === "planned") this.#begin(view);
    else if (status === "in_progress")
      this.#put({
        ...view,
        status: this.#random.pick(["completed", "failed", "blocked"]),
        ended_ms: this.now_ms,
      });
    else if (this.#random.chance(0.3))
      this.#put({ ...view, status: "in_progress", ended_ms: null });
    // The rule takes two calls of one function for the same condition.
    // eslint-disable-next-line no-dupe-else-if
    else if (this.#random.chance(0.1))
      this.#put({ ...view, status: "planned", started_ms: null, ended_ms: null });
    else this.#put({ ...view, turns: view.turns + 1 });
  }

  #begin(view: FrameView): void {
    for (let up = view.parent; up !== null;) {
      const above = this.#views[Number(up.slice(2))]!;
      if (above.started_ms === null)
        this.#put({ ...above, status: "in_progress", started_ms: this.now_ms });
      up = above.parent;
    }
    this.#put({ ...view, status: "in_progress", started_ms: this.now_ms });
  }

  #plan(): void {
    const count = this.#views.length;
    const depends_on =
      this.#random.chance(0.5) && count > 1 ? [`f-${1 + this.#random.below(count - 1)}`] : [];
    this.#put(
      frame(RUN, `f-${count}`, `f-${Math.floor(this.#random.below(count) / 3)}`, { depends_on }),
    );
  }

  #put(view: FrameView): void {
    this.#views[Number(view.id.slice(2))] = view;
    this.table.upsert(view);
  }
}

/** So many frames that another thread lays them out. */
function large(): FrameTable {
  const table = new FrameTable();
  for (let i = 0; i <= LARGE; i++) table.upsert(frame(RUN, `f-${i}`, null));
  return table;
}

/** A keeper that has laid out the first of two large tables. */
async function oneOfTwo() {
  const helper = new FakeHelper();
  const shown: Shown[] = [];
  const keeper = new LayoutKeeper((next) => shown.push(next), helper);
  const [first, next] = [large(), large()];
  keeper.changed(first, null);
  await helper.settle();
  return { helper, shown, keeper, first, next };
}

/** What a patched layout promises: all that one promises, and of each bar of the past that it ends where its frame does. */
function wrongOf({ frames, layout }: Shown): string[] {
  const wrong = faults(layout, scaleOf(layout, Math.max(layout.to, T0)));
  const listed = [...layout.byRow].sort((a, b) => a - b);
  if (listed.some((bar, i) => bar !== i) || listed.length !== layout.count)
    wrong.push("not each bar is in a row once");
  for (let bar = 0; bar < layout.count; bar++) {
    const row = layout.y[bar]!;
    if (!layout.byRow.subarray(layout.rowStart[row], layout.rowStart[row + 1]).includes(bar))
      wrong.push(`${bar} is not in its row`);
    const isOver = frames.ended.get(bar) !== null;
    if (layout.kind[bar] === RUNNING && isOver && frames.started.get(bar) === layout.start[bar])
      wrong.push(`${bar} has ended and goes on`);
  }
  return wrong;
}

test("however a run goes on, its layout holds what it promises, and in the end is as if made anew", async () => {
  await forSeeds(30, async (random) => {
    const story = new Story(random, 2 + random.below(60));
    const helper = new FakeHelper();
    const shown: Shown[] = [];
    const keeper = new LayoutKeeper((next) => shown.push(next), helper);
    for (let i = 0; i < 80; i++) {
      for (let many = random.below(3); many >= 0; many--) story.step();
      keeper.changed(story.table, null);
      expect(wrongOf(shown.at(-1)!)).toEqual([]);
      if (random.chance(0.1)) await helper.settle();
    }
    await helper.settle();
    const { layout } = shown.at(-1)!;
    const fresh = layOut(story.table);
    for (const part of [
      "count",
      "slots",
      "from",
      "to",
      "kind",
      "start",
      "end",
      "reach",
      "depth",
    ] as const)
      expect(layout[part], part).toEqual(fresh[part]);
  });
});

test("a frame that ends or goes on is put into a large layout, and no new one is made", async () => {
  const table = new FrameTable();
  table.upsert(frame(RUN, "f-0", null, { group: true, status: "in_progress", started_ms: T0 }));
  for (let i = 1; i <= 10_000; i++)
    table.upsert(
      frame(RUN, `f-${i}`, "f-0", {
        status: i > 9_990 ? "in_progress" : "completed",
        started_ms: T0 + i,
        ended_ms: i > 9_990 ? null : T0 + i + 1,
      }),
    );
  const helper = new FakeHelper();
  const shown: Shown[] = [];
  const keeper = new LayoutKeeper((next) => shown.push(next), helper);
  keeper.changed(table, null);
  await helper.settle();
  expect(keeper.made).toEqual({ layouts: 1, patches: 0 });
  const { children } = shown.at(-1)!.layout;
  for (let i = 9_991; i <= 10_000; i++) {
    table.upsert(
      frame(RUN, `f-${i}`, "f-0", { status: "in_progress", started_ms: T0 + i, turns: 3 }),
    );
    table.upsert(
      frame(RUN, `f-${i}`, "f-0", { status: "failed", started_ms: T0 + i, ended_ms: T0 + 20_000 }),
    );
    keeper.changed(table, null);
    expect(shown.at(-1)!.layout.kind[i]).toBe(PAST);
    expect(shown.at(-1)!.layout.end[i]).toBe(T0 + 20_000);
  }
  expect(keeper.made).toEqual({ layouts: 1, patches: 20 });
  expect(shown.at(-1)!.layout.children, "the same order of children").toBe(children);
});

test("a large layout is made by another thread, with what came meanwhile put in; here where that fails", async () => {
  const table = new FrameTable();
  const put = (i: number, more: Partial<FrameView>) =>
    table.upsert(frame(RUN, `f-${i}`, i === 0 ? null : "f-0", more));
  for (let i = 0; i <= LARGE; i++) put(i, {});
  const helper = new FakeHelper();
  let shown: Shown | null = null;
  const keeper = new LayoutKeeper((next) => (shown = next), helper);
  keeper.changed(table, null);
  expect(shown).toBe(null);
  const { given, answer } = helper.asked.shift()!;
  const layout = layOutGiven(given);
  put(0, { status: "in_progress", started_ms: T0 });
  keeper.changed(table, null);
  expect(helper.asked.length, "one at a time").toBe(0);
  answer(layout);
  await new Promise(setImmediate);
  expect(shown!.layout.kind[0]).toBe(RUNNING);
  expect(shown!.layout.kind[1]).toBe(FUTURE);
  helper.now += 1_000_000;
  put(LARGE + 1, {});
  keeper.changed(table, null);
  helper.timers.shift()?.();
  helper.asked.shift()!.fail(new Error("no thread"));
  await new Promise(setImmediate);
  expect(shown!.layout.count).toBe(LARGE + 2);
});

test("when what ended last goes on, the last moment known is another one", async () => {
  const table = new FrameTable();
  table.upsert(frame(RUN, "f-0", null, { status: "completed", started_ms: T0, ended_ms: T0 + 10 }));
  table.upsert(frame(RUN, "f-1", null, { status: "failed", started_ms: T0, ended_ms: T0 + 20 }));
  const helper = new FakeHelper();
  const shown: Shown[] = [];
  const keeper = new LayoutKeeper((next) => shown.push(next), helper);
  keeper.changed(table, null);
  table.upsert(frame(RUN, "f-1", null, { status: "in_progress", started_ms: T0 }));
  keeper.changed(table, null);
  await helper.settle();
  expect(shown.at(-1)!.layout.to).toBe(T0 + 10);
});

test("a table that is replaced is shown until the next one is laid out", async () => {
  const { helper, shown, keeper, first, next } = await oneOfTwo();
  keeper.changed(next, null);
  expect(shown.at(-1)!.frames).toBe(first);
  await helper.settle();
  expect(shown.at(-1)!.frames).toBe(next);
});

test("what a person folds is laid out at once, also while nobody would make a layout", async () => {
  const table = new FrameTable();
  table.upsert(frame(RUN, "f-0", null, { group: true, status: "in_progress", started_ms: T0 }));
  for (let i = 1; i <= 10_000; i++)
    table.upsert(
      frame(RUN, `f-${i}`, "f-0", {
        status: "completed",
        started_ms: T0 + i,
        ended_ms: T0 + i + 1,
      }),
    );
  const helper = new FakeHelper();
  const keeper = new LayoutKeeper(() => {}, helper);
  keeper.changed(table, null, "nothing");
  await helper.settle();
  const hidden = new Uint8Array(table.length).fill(1, 5_000);
  // News has to wait.
  table.upsert(frame(RUN, "f-new", "f-0"));
  keeper.changed(table, null, "nothing");
  expect(keeper.made.layouts).toBe(1);
  keeper.changed(table, hidden, "half of it");
  expect(keeper.made.layouts).toBe(2);
});

test("a run that is opened again is shown as it was laid out, with what has happened since, and is laid out anew only where it must be", async () => {
  await forSeeds(30, async (random) => {
    const story = new Story(random, 2 + random.below(60));
    const helper = new FakeHelper();
    const open = (shown: Shown[]) => new LayoutKeeper((next) => shown.push(next), helper);
    const before: Shown[] = [];
    const first = open(before);
    first.changed(story.table, null);
    await helper.settle();
    first.end();
    const again: Shown[] = [];
    const second = open(again);
    second.changed(story.table, null);
    expect(again.at(-1)!.layout).toBe(before.at(-1)!.layout);
    expect(second.made.layouts).toBe(0);
    second.end();
    for (let i = random.below(40); i >= 0; i--) story.step();
    const later: Shown[] = [];
    const third = open(later);
    third.changed(story.table, null);
    expect(wrongOf(later.at(-1)!)).toEqual([]);
    await helper.settle();
    expect([...later.at(-1)!.layout.end]).toEqual([...layOut(story.table).end]);
    // What is hidden now was not then.
    third.end();
    const hiding = open([]);
    hiding.changed(story.table, new Uint8Array(story.table.length));
    expect(hiding.made.layouts).toBe(1);
  });
});

test("a table that comes while another one waits to be laid out anew does not wait with it", async () => {
  const { helper, keeper, first, next } = await oneOfTwo();
  first.upsert(frame(RUN, "f-new", null));
  keeper.changed(first, null);
  expect([helper.timers.length, helper.asked.length]).toEqual([1, 0]);
  keeper.changed(next, null);
  expect([helper.timers.length, helper.asked.length]).toEqual([0, 1]);
});

test("what a keeper had not laid out yet, the next one does, after it has shown what there is", async () => {
  const helper = new FakeHelper();
  const table = large();
  const hidden = new Uint8Array(LARGE + 2);
  const first = new LayoutKeeper(() => {}, helper);
  first.changed(table, hidden.slice(), "folding");
  await helper.settle();
  table.upsert(frame(RUN, "f-new", null));
  first.changed(table, hidden.slice(), "folding");
  helper.timers.shift()!();
  // It goes while its layout is being made.
  expect(helper.asked.length).toBe(1);
  first.end();
  const shown: Shown[] = [];
  const second = new LayoutKeeper((next) => shown.push(next), helper);
  second.changed(table, hidden.slice(), "folding");
  expect(shown.length).toBe(1);
  expect([second.made.layouts, helper.timers.length]).toEqual([0, 1]);
  await helper.settle();
  expect(shown.at(-1)!.layout.count).toBe(LARGE + 2);
});
