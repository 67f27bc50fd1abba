import { expect, test } from "vitest";
import { profileOf } from "../../src/flame/minimap.ts";
import { FrameTable } from "../../src/model/columns.ts";
import { NOTHING_FOLDED, foldOf } from "../../src/model/fold.ts";
import { STRAIGHT } from "../../src/model/idle.ts";
import { FUTURE, layOut } from "../../src/model/layout.ts";
import { startOf } from "../../src/model/lod.ts";
import { COMPLETED, FAILED, FRAME_STATUSES } from "../../src/model/status.ts";
import { sumsOf } from "../../src/model/sums.ts";
import { layByWidth, ownOf, readWidth } from "../../src/model/widths.ts";
import { forSeeds } from "./random.ts";
import type { Random } from "./random.ts";
import { NOTHING_USED, T0, frame } from "./views.ts";

const RUN = "RUN-20261121-001";
const UNITS = ["tokens", "cost", "messages", "artifacts", "equal"] as const;

function used(random: Random, count: number): FrameTable {
  const frames = new FrameTable();
  for (let i = 0; i < count; i++) {
    const usage = random.chance(0.4)
      ? null
      : {
          ...NOTHING_USED,
          input: random.below(1_000),
          cost_usd: random.next(),
          estimated: random.chance(0.1),
        };
    const started_ms = random.chance(0.2) ? null : T0 + random.below(100_000);
    frames.upsert(
      frame(RUN, `f-${i}`, i === 0 ? null : `f-${random.below(i)}`, {
        usage,
        started_ms,
        ended_ms: started_ms === null ? null : started_ms + random.below(50_000),
        turns: random.below(9),
        artifacts: random.below(3),
        status: random.pick(FRAME_STATUSES),
      }),
    );
  }
  return frames;
}

test("a frame is as wide as what is its own and what is within it, and children lie below it side by side", async () => {
  await forSeeds(40, (random) => {
    const frames = used(random, 1 + random.below(60));
    const layout = layOut(frames);
    for (const unit of UNITS) {
      const { layout: counted, within } = layByWidth(frames, layout, unit);
      expect([...counted.byRow].sort((a, b) => a - b)).toEqual([...Array(frames.length).keys()]);
      for (let bar = 0; bar < counted.count; bar++) {
        const children = [
          ...counted.children.subarray(counted.childStart[bar]!, counted.childStart[bar + 1]!),
        ];
        const width = counted.end[bar]! - counted.start[bar]!;
        expect(width > 0 || children.length > 0).toBe(true);
        expect(within[bar]).toBeCloseTo(
          children.reduce((sum, child) => sum + within[child]!, ownOf(frames, bar, unit)),
          6,
        );
        // Only what those of which nothing is counted are given for being seen is more than that.
        expect(width).toBeGreaterThanOrEqual(within[bar]! - 1e-6);
        let at = counted.start[bar]!;
        for (const child of children) {
          expect(counted.start[child]).toBe(at);
          expect(counted.y[child]).toBe(counted.y[bar]! + 1);
          at = counted.end[child]!;
        }
        expect(at).toBeLessThanOrEqual(counted.end[bar]! + 1e-6);
      }
    }
  });
});

test("what nothing is counted of takes no more than its share", () => {
  const frames = new FrameTable();
  frames.upsert(frame(RUN, "f-r", null));
  frames.upsert(frame(RUN, "f-a", "f-r", { turns: 1_000 }));
  for (let i = 0; i < 500; i++) frames.upsert(frame(RUN, `f-${i}`, "f-r"));
  const { layout, within } = layByWidth(frames, layOut(frames), "messages");
  expect(within[0]).toBe(1_000);
  expect(layout.to).toBeCloseTo(1_100, 6);
  expect(readWidth("tokens")).toBe("tokens");
  expect(readWidth("height")).toBe("time");
});

test("what is used within a frame is the same in the tree and in the chart, also after changes", async () => {
  await forSeeds(50, (random) => {
    const frames = used(random, 1 + random.below(60));
    for (let round = 0; round < 4; round++) {
      for (let i = 0; i < random.below(5); i++) frames.upsert(anotherUse(random, frames));
      const layout = layOut(frames);
      const sums = sumsOf(frames);
      const tokens = layByWidth(frames, layout, "tokens").within;
      const costs = layByWidth(frames, layout, "cost").within;
      for (let row = 0; row < frames.length; row++) {
        expect(sums.tokens(row)).toBe(tokens[row]);
        expect(sums.cost(row).cost_usd).toBeCloseTo(costs[row]!, 7);
        expect(sums.cost(row).estimated).toBe(
          [...Array(frames.length).keys()].some(
            (other) => frames.usage.estimated.bits[other] === 1 && isWithin(frames, other, row),
          ),
        );
      }
    }
  });
});

test("a sum that nothing is left of is none, and one that stays is not a change", () => {
  const frames = new FrameTable();
  const usage = { ...NOTHING_USED, input: 1, cost_usd: 0.1 };
  frames.upsert(frame(RUN, "f-0", null));
  frames.upsert(frame(RUN, "f-1", "f-0", { usage }));
  for (let i = 2; i < 5; i++)
    frames.upsert(frame(RUN, `f-${i}`, "f-1", { usage: { ...usage, cost_usd: 0.1 * i } }));
  const { changes } = sumsOf(frames);
  frames.upsert(frame(RUN, "f-2", "f-1", { usage: { ...usage, cost_usd: 0.2 }, title: "another" }));
  expect(sumsOf(frames).changes).toBe(changes);
  for (let i = 1; i < 5; i++) frames.upsert(frame(RUN, `f-${i}`, i === 1 ? "f-0" : "f-1"));
  expect(sumsOf(frames).changes).toBeGreaterThan(changes);
  expect(sumsOf(frames).cost(0)).toEqual({ cost_usd: 0, estimated: false });
  expect(sumsOf(frames).tokens(0)).toBe(0);
});

test("frames that came before the one above them are counted in it", () => {
  const frames = new FrameTable();
  frames.upsert(frame(RUN, "f-1", "f-0", { usage: { ...NOTHING_USED, input: 7 } }));
  expect(sumsOf(frames).tokens(0)).toBe(7);
  frames.upsert(frame(RUN, "f-0", null));
  expect(sumsOf(frames).tokens(1)).toBe(7);
});

/** Another use in one of the frames, or a frame more. */
function anotherUse(random: Random, frames: FrameTable) {
  const row = random.below(frames.length + 1);
  const usage = random.chance(0.2)
    ? null
    : {
        ...NOTHING_USED,
        input: random.below(1_000),
        cost_usd: random.next(),
        estimated: random.chance(0.3),
      };
  return row < frames.length
    ? { ...frames.get(row), usage }
    : frame(RUN, `f-${row}`, `f-${random.below(row)}`, { usage });
}

function isWithin(frames: FrameTable, row: number, above: number): boolean {
  for (let at = row; at >= 0; at = frames.parent.row(at)) if (at === above) return true;
  return false;
}

test("what has just begun or ended is as tall in the minimap as what was before it", () => {
  const frames = new FrameTable();
  for (let i = 0; i < 100; i++)
    frames.upsert(
      frame(RUN, `f-${i}`, null, { status: "completed", started_ms: T0, ended_ms: T0 + 1_000_000 }),
    );
  frames.upsert(
    frame(RUN, "f-last", null, {
      status: "completed",
      started_ms: T0 + 999_999,
      ended_ms: T0 + 1_000_000,
    }),
  );
  frames.upsert(frame(RUN, "f-next", null));
  const layout = layOut(frames);
  const fold = foldOf(frames, NOTHING_FOLDED);
  const shown = { frames, fold, width: "time" as const, layout, counts: null, codes: fold.worst };
  const scale = {
    axis: STRAIGHT,
    left: T0,
    perPixel: 10_000,
    width: 110,
    now_ms: T0 + 1_000_000,
    slot_ms: 100_000,
  };
  const { now, mostBefore, mostAfter, found } = profileOf(shown, scale);
  expect([now, mostBefore, mostAfter]).toEqual([100, 101, 1]);
  expect(found[COMPLETED]!.subarray(now, 110).every((count) => count === 0)).toBe(true);
});

test("the minimap marks every failure, and counts each frame that works from its begin to its end", async () => {
  await forSeeds(80, (random) => {
    const frames = used(random, 1 + random.below(100));
    const layout = layOut(frames);
    const fold = foldOf(frames, NOTHING_FOLDED);
    const shown = { frames, fold, width: "time" as const, layout, counts: null, codes: fold.worst };
    const now_ms = Math.max(layout.to, T0 + 1);
    const width = 20 + random.below(400);
    const scale = {
      axis: STRAIGHT,
      left: T0,
      perPixel: (now_ms + layout.slots * 50 - T0) / width,
      width,
      now_ms,
      slot_ms: 50,
    };
    const profile = profileOf(shown, scale);
    const failed = [...layout.byRow].filter(
      (bar) => frames.status.codes[bar] === FAILED && layout.kind[bar] !== FUTURE,
    );
    expect(profile.marks.includes(FAILED + 1)).toBe(failed.length > 0);
    for (const bar of failed) {
      const first = Math.min(
        Math.max(Math.round((startOf(layout, bar, scale) - T0) / scale.perPixel), 0),
        width - 1,
      );
      expect([...profile.marks.subarray(first)].includes(FAILED + 1)).toBe(true);
      expect(profile.found[FAILED]![first]).toBeGreaterThan(0);
    }
    const mostAt = (x: number) => (x < profile.now ? profile.mostBefore : profile.mostAfter);
    expect(
      profile.found.every((counts) =>
        counts.subarray(0, width).every((count, x) => count >= 0 && count <= mostAt(x)),
      ),
    ).toBe(true);
  });
});
