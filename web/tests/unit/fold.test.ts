import { expect, test } from "vitest";
import { FrameTable } from "../../src/model/columns.ts";
import {
  LARGE,
  NOTHING_FOLDED,
  above,
  foldByHand,
  foldOf,
  restated,
  foundIn,
} from "../../src/model/fold.ts";
import { BADNESS, COMPLETED, FAILED, FRAME_STATUSES } from "../../src/model/status.ts";
import { forSeeds } from "./random.ts";
import { frame } from "./views.ts";

const RUN = "RUN-20261121-001";

/** A tree in which children may come before their parents. */
function tree(
  random: {
    below(bound: number): number;
    pick<T>(items: readonly T[]): T;
    chance(probability: number): boolean;
  },
  count: number,
): FrameTable {
  const frames = new FrameTable();
  const rows = Array.from({ length: count }, (_, i) =>
    frame(RUN, `f-${i}`, i === 0 ? null : `f-${random.below(i)}`, {
      status: random.chance(0.5) ? "completed" : random.pick(FRAME_STATUSES),
    }),
  );
  for (const row of random.chance(0.5) ? rows : rows.reverse()) frames.upsert(row);
  return frames;
}

test("what is within a folded frame is not shown, and the frame shows the worst of it", async () => {
  await forSeeds(300, (random) => {
    const frames = tree(random, 1 + random.below(80));
    const ids = Array.from({ length: frames.length }, (_, row) => frames.id.get(row));
    const folding = {
      byHand: new Map(ids.filter(() => random.chance(0.2)).map((id) => [id, random.chance(0.8)])),
      completed: random.chance(0.5),
    };
    const fold = foldOf(frames, folding);
    ids.forEach((id, row) => {
      // From the root down, the first folded one above it.
      const top = above(frames, id)
        .reverse()
        .find((up) => fold.folded[frames.row(up)!] === 1);
      expect(fold.into[row]).toBe(top === undefined ? -1 : frames.row(top));
      expect(fold.hidden?.[row] ?? 0).toBe(top === undefined ? 0 : 1);
    });
    ids.forEach((_, row) => {
      if (fold.into[row] !== -1) return;
      const within = ids.map((__, each) => each).filter((each) => fold.into[each] === row);
      expect(fold.count[row]).toBe(within.length);
      const worst = Math.max(
        ...[row, ...within].map((each) => BADNESS[frames.status.codes[each]!]!),
      );
      expect(BADNESS[fold.worst[row]!]).toBe(worst);
    });
  });
});

test("by itself only what is completed in all its parts folds, never the root, and only in large trees", async () => {
  await forSeeds(100, (random) => {
    const frames = tree(random, 1 + random.below(80));
    const fold = foldOf(frames, { byHand: new Map(), completed: true });
    for (let row = 0; row < frames.length; row++) {
      const isWithin = (each: number) =>
        each === row || above(frames, frames.id.get(each)).includes(frames.id.get(row));
      const within = Array.from({ length: frames.length }, (_, each) => each).filter(isWithin);
      const isDone =
        within.length > 1 &&
        frames.parent.get(row) !== null &&
        within.every((each) => frames.status.codes[each] === COMPLETED);
      expect(fold.folded[row] === 1).toBe(isDone);
    }
    expect(foldOf(frames, NOTHING_FOLDED).hidden).toBeNull();
  });
  const large = new FrameTable();
  large.upsert(frame(RUN, "f-r", null, { status: "completed" }));
  large.upsert(frame(RUN, "f-a", "f-r", { status: "completed" }));
  for (let i = 0; i < LARGE; i++)
    large.upsert(frame(RUN, `f-${i}`, "f-a", { status: "completed" }));
  expect(foldOf(large, NOTHING_FOLDED).count[large.row("f-a")!]).toBe(LARGE);
  expect(foldOf(large, foldByHand(NOTHING_FOLDED, ["f-a"], false)).hidden).toBeNull();
  large.upsert(frame(RUN, "f-7", "f-a", { status: "failed" }));
  expect(foldOf(large, NOTHING_FOLDED).hidden).toBeNull();
});

test("a frame that a filter finds is found in what it is folded into", () => {
  const frames = new FrameTable();
  for (const [id, parent] of [
    ["f-r", null],
    ["f-a", "f-r"],
    ["f-b", "f-a"],
    ["f-c", "f-r"],
  ] as const)
    frames.upsert(frame(RUN, id, parent, { status: id === "f-b" ? "failed" : "completed" }));
  const fold = foldOf(frames, foldByHand(NOTHING_FOLDED, ["f-a"], true));
  expect([...foundIn(fold, Uint8Array.of(0, 0, 1, 0))]).toEqual([0, 1, 1, 0]);
  expect(fold.worst[1]).toBe(FAILED);
});

test("a fold that is only restated shows what is worse at once, and what is shown itself as it is", async () => {
  await forSeeds(100, (random) => {
    const frames = tree(random, 2 + random.below(60));
    const folding = {
      byHand: new Map([[frames.id.get(random.below(frames.length)), true]]),
      completed: false,
    };
    const fold = foldOf(frames, folding);
    const upTo = frames.changes;
    for (let many = 1 + random.below(8); many > 0; many--) {
      const row = random.below(frames.length);
      frames.upsert({ ...frames.get(row), status: random.pick(FRAME_STATUSES) });
    }
    const [shown, anew] = [
      restated(fold, frames, frames.changedSince(upTo)!),
      foldOf(frames, folding),
    ];
    for (let row = 0; row < frames.length; row++) {
      if (fold.into[row] !== -1) continue;
      if (fold.count[row] === 0) expect(shown.worst[row]).toBe(anew.worst[row]);
      else expect(BADNESS[shown.worst[row]!]).toBeGreaterThanOrEqual(BADNESS[anew.worst[row]!]!);
    }
  });
});

test("frames that come into a fold are where their parents are", async () => {
  await forSeeds(100, (random) => {
    const frames = tree(random, 2 + random.below(30));
    const folding = {
      byHand: new Map([[frames.id.get(random.below(frames.length)), true]]),
      completed: false,
    };
    const fold = foldOf(frames, folding);
    const upTo = frames.changes;
    // In any order: some come before their parents.
    const ids = [...Array(frames.length).keys()].map((row) => frames.id.get(row));
    for (let many = 1 + random.below(8); many > 0; many--) ids.push(`f-new-${many}`);
    const known = frames.length;
    const fresh = ids
      .slice(known)
      .map((id, i) =>
        frame(RUN, id, ids[random.below(known + i)]!, { status: random.pick(FRAME_STATUSES) }),
      );
    for (const view of random.chance(0.5) ? fresh : fresh.reverse()) frames.upsert(view);
    const [shown, anew] = [
      restated(fold, frames, frames.changedSince(upTo)!),
      foldOf(frames, folding),
    ];
    expect(shown.into).toEqual(anew.into);
    expect(shown.hidden).toEqual(anew.hidden);
    expect(shown.count).toEqual(anew.count);
    expect(shown.folded).toEqual(anew.folded);
  });
});
