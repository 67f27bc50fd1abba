import { expect, test } from "vitest";
import { FrameTable } from "../../src/model/columns.ts";
import { foldOf } from "../../src/model/fold.ts";
import { STRAIGHT, axisOf, workOf } from "../../src/model/idle.ts";
import { FUTURE, RUNNING, layOut } from "../../src/model/layout.ts";
import type { Layout } from "../../src/model/layout.ts";
import { WIDE_PX, endOf, paintRow, startOf, toPixel } from "../../src/model/lod.ts";
import type { Scale } from "../../src/model/lod.ts";
import { BADNESS, DIMMED, FAILED, FRAME_STATUSES, RANK } from "../../src/model/status.ts";
import { layByWidth } from "../../src/model/widths.ts";
import { faults, scaleOf } from "./layouts.ts";
import { forSeeds } from "./random.ts";
import type { Random } from "./random.ts";
import { T0, frame } from "./views.ts";

const RUN = "RUN-20261121-001";

/** A tree of frames in any state, some of which make little sense: a layout must stand them all. */
function randomFrames(random: Random, count: number, span_ms: number): FrameTable {
  const table = new FrameTable();
  for (let i = 0; i < count; i++) {
    const parent = i === 0 || random.chance(0.02) ? null : `f-${random.below(i)}`;
    const started_ms = random.chance(0.3) ? null : T0 + random.below(span_ms);
    const status = random.pick(FRAME_STATUSES);
    const ended_ms =
      started_ms === null || random.chance(0.1) ? null : started_ms + random.below(span_ms / 4);
    const depends_on = Array.from({ length: random.below(3) }, () => `f-${random.below(count)}`);
    table.upsert(frame(RUN, `f-${i}`, parent, { status, started_ms, ended_ms, depends_on }));
  }
  return table;
}

test("no two bars overlap, children are below their parents, and time does not change that", async () => {
  await forSeeds(300, (random) => {
    const span_ms = random.pick([10, 1_000, 3_600_000]);
    const frames = randomFrames(random, 1 + random.below(120), span_ms);
    const layout = layOut(frames);
    const now_ms = Math.max(layout.to, T0);
    for (const later of [0, 1, span_ms, 100 * span_ms]) {
      expect(faults(layout, scaleOf(layout, now_ms + later))).toEqual([]);
    }
    expect([...layout.byRow].sort((a, b) => a - b)).toEqual([...Array(frames.length).keys()]);
  });
});

test("frames within folded ones take no place, and the others keep all that is said of them", async () => {
  await forSeeds(200, (random) => {
    const frames = randomFrames(random, 1 + random.below(120), 1_000);
    const whole = layOut(frames);
    const folded = Array.from({ length: frames.length }, () => random.chance(0.2));
    const hidden = new Uint8Array(frames.length);
    // Parents have the smaller numbers.
    for (let bar = 0; bar < frames.length; bar++) {
      const up = whole.parent[bar]!;
      if (up >= 0 && (folded[up] || hidden[up] === 1)) hidden[bar] = 1;
    }
    const layout = layOut(frames, hidden);
    const shown = [...hidden.keys()].filter((bar) => hidden[bar] === 0);
    expect([...layout.byRow].sort((a, b) => a - b)).toEqual(shown);
    expect([...hidden.keys()].filter((bar) => layout.y[bar]! < 0)).toEqual(
      [...hidden.keys()].filter((bar) => hidden[bar] === 1),
    );
    expect(layout.rows).toBe(1 + Math.max(...layout.y));
    expect([layout.start, layout.end, layout.childStart, layout.reach]).toEqual([
      whole.start,
      whole.end,
      whole.childStart,
      whole.reach,
    ]);
    expect([...layout.children].sort((a, b) => a - b)).toEqual([...hidden.keys()]);
    expect(faults(layout, scaleOf(layout, Math.max(layout.to, T0)), hidden)).toEqual([]);
  });
});

test("siblings that follow one another share a row, and parallel ones do not", () => {
  const frames = new FrameTable();
  frames.upsert(frame(RUN, "f-r", null, { status: "in_progress", started_ms: T0 }));
  const child = (id: string, from: number, to: number) =>
    frames.upsert(
      frame(RUN, id, "f-r", { status: "completed", started_ms: T0 + from, ended_ms: T0 + to }),
    );
  child("f-a", 0, 100);
  child("f-b", 100, 200);
  child("f-c", 50, 150);
  child("f-d", 150, 300);
  const { y, kind, rows } = layOut(frames);
  expect([...y]).toEqual([0, 1, 1, 2, 2]);
  expect(kind[0]).toBe(RUNNING);
  expect(rows).toBe(3);
});

test("what is planned stands after now in the order of its dependencies", () => {
  const frames = new FrameTable();
  frames.upsert(frame(RUN, "f-r", null, { status: "in_progress", started_ms: T0, group: true }));
  frames.upsert(frame(RUN, "f-a", "f-r", { status: "in_progress", started_ms: T0 }));
  frames.upsert(frame(RUN, "f-b", "f-r", { depends_on: ["f-a"] }));
  frames.upsert(frame(RUN, "f-g", "f-r", { depends_on: ["f-b"], group: true }));
  frames.upsert(frame(RUN, "f-h", "f-g"));
  frames.upsert(frame(RUN, "f-i", "f-g", { depends_on: ["f-h"] }));
  frames.upsert(frame(RUN, "f-z", "f-r", { depends_on: ["f-g"] }));
  const { start, end, kind, slots } = layOut(frames);
  const place = (id: string) => [start[frames.row(id)!], end[frames.row(id)!]];
  expect(place("f-b")).toEqual([0, 1]);
  expect(place("f-h")).toEqual([1, 2]);
  expect(place("f-i")).toEqual([2, 3]);
  expect(place("f-g")).toEqual([1, 3]);
  expect(place("f-z")).toEqual([3, 4]);
  expect(kind[frames.row("f-z")!]).toBe(FUTURE);
  expect(slots).toBe(4);
});

test("a thousand frames that could all be next do not make a thousand rows", () => {
  const frames = new FrameTable();
  frames.upsert(frame(RUN, "f-r", null));
  for (let i = 0; i < 1_000; i++) frames.upsert(frame(RUN, `f-${i}`, "f-r"));
  expect(layOut(frames).rows).toBeLessThanOrEqual(7);
});

test("a chain of a hundred thousand frames is laid out", () => {
  const frames = new FrameTable();
  frames.upsert(frame(RUN, "f-r", null));
  for (let i = 0; i < 100_000; i++)
    frames.upsert(frame(RUN, `f-${i}`, "f-r", { depends_on: [`f-${i + 1}`] }));
  const layout = layOut(frames);
  expect(layout.slots).toBe(100_000);
  expect(layout.start[frames.row("f-0")!]).toBe(99_999);
});

/** Which failed bars in sight leave no red where they are. */
function lostFailures(layout: Layout, codes: Uint8Array, scale: Scale): string[] {
  const lost: string[] = [];
  for (let row = 0; row < layout.rows; row++) {
    const drawn = Array<number>(scale.width).fill(-1);
    paintRow(layout, codes, row, scale, {
      wide: (bar, left, right) => drawn.fill(codes[bar]!, Math.max(left, 0), Math.max(right, 0)),
      joined: (code, left, right) => drawn.fill(code, left, right),
    });
    for (let i = layout.rowStart[row]!; i < layout.rowStart[row + 1]!; i++) {
      const bar = layout.byRow[i]!;
      const left = toPixel(startOf(layout, bar, scale), scale);
      const right = toPixel(endOf(layout, bar, scale), scale);
      // One that only just reaches in may have its last pixel taken by a neighbour.
      if (right < WIDE_PX || left > scale.width - WIDE_PX) continue;
      const shown = drawn.slice(Math.max(0, Math.floor(left) - 1), Math.ceil(right) + 1);
      if (!shown.some((code) => code >= 0)) lost.push(`bar ${bar} is not drawn`);
      if (codes[bar] === FAILED && !shown.includes(FAILED)) lost.push(`bar ${bar} at ${left}`);
    }
  }
  return lost;
}

test("at any zoom every failed frame in sight leaves a red pixel", async () => {
  await forSeeds(200, (random) => {
    const frames = randomFrames(random, 1 + random.below(400), random.pick([1_000, 3_600_000]));
    const layout = layOut(frames);
    const whole = scaleOf(layout, Math.max(layout.to, T0), 50 + random.below(800));
    const perPixel = whole.perPixel / random.pick([1, 3, 40]);
    const scale = { ...whole, perPixel, left: T0 + random.next() * whole.width * whole.perPixel };
    expect(lostFailures(layout, frames.status.codes, scale)).toEqual([]);
  });
});

test("nor is one lost where widths are counts, idle time is folded, or frames are", async () => {
  await forSeeds(100, (random) => {
    const frames = randomFrames(random, 1 + random.below(300), random.pick([1_000, 36_000_000]));
    const folding = {
      byHand: new Map(Array.from({ length: 20 }, () => [`f-${random.below(300)}`, true] as const)),
      completed: random.chance(0.5),
    };
    const fold = foldOf(frames, folding);
    const layout = layOut(frames, fold.hidden);
    const now_ms = Math.max(layout.to, T0 + 1);
    const width = 50 + random.below(800);
    const axis = axisOf(workOf(frames, layout), now_ms, true, new Set());
    const places = [axis.at(T0), axis.at(now_ms) + layout.slots * 50] as const;
    const scale: Scale = {
      axis,
      left: places[0],
      perPixel: (places[1] - places[0]) / width,
      width,
      now_ms,
      slot_ms: 50,
    };
    expect(lostFailures(layout, fold.worst, scale)).toEqual([]);
    const failed = frames.status.codes.subarray(0, frames.length).includes(FAILED);
    expect([...layout.byRow].some((bar) => fold.worst[bar] === FAILED)).toBe(failed);
    for (const unit of ["tokens", "cost", "messages", "artifacts", "equal"] as const) {
      const counted = layByWidth(frames, layout, unit).layout;
      const counts: Scale = {
        axis: STRAIGHT,
        left: 0,
        perPixel: counted.to / width,
        width,
        now_ms: counted.to,
        slot_ms: 0,
      };
      expect(lostFailures(counted, fold.worst, counts)).toEqual([]);
    }
  });
});

test("failed is the worst status, and what a filter finds is before what it does not", () => {
  expect(Math.max(...BADNESS)).toBe(BADNESS[FAILED]);
  for (const code of FRAME_STATUSES.keys()) {
    for (const other of FRAME_STATUSES.keys()) {
      expect(RANK[code]! > RANK[other + DIMMED]!).toBe(true);
      expect(RANK[code]! > RANK[other]!).toBe(BADNESS[code]! > BADNESS[other]!);
    }
  }
});
