import { expect, test } from "vitest";
import { FrameTable } from "../../src/model/columns.ts";
import { axisOf, eachWorked, workOf } from "../../src/model/idle.ts";
import type { Axis } from "../../src/model/idle.ts";
import { FUTURE, layOut } from "../../src/model/layout.ts";
import { FRAME_STATUSES } from "../../src/model/status.ts";
import { forSeeds } from "./random.ts";
import type { Random } from "./random.ts";
import { T0, frame } from "./views.ts";

const RUN = "RUN-20261121-001";
const HOUR = 3_600_000;
const NONE: ReadonlySet<number> = new Set();

/** A root over frames in a few bouts of work, with hours between them. */
function bouts(random: Random): FrameTable {
  const frames = new FrameTable();
  frames.upsert(frame(RUN, "f-r", null, { status: "in_progress", started_ms: T0, group: true }));
  let at = T0;
  for (let bout = 0; bout < 1 + random.below(6); bout++) {
    for (let i = 0; i < 1 + random.below(8); i++) {
      const started_ms = at + random.below(600_000);
      const ended_ms = random.chance(0.1) ? null : started_ms + 1 + random.below(300_000);
      const status = ended_ms === null ? "in_progress" : random.pick(FRAME_STATUSES);
      const spans = random.chance(0.3)
        ? [
            { doing: "working" as const, from_ms: started_ms },
            { doing: "waiting" as const, from_ms: started_ms + 1_000 },
          ]
        : [];
      frames.upsert(
        frame(RUN, `f-${bout}-${i}`, "f-r", {
          status,
          started_ms,
          ended_ms: status === "in_progress" ? null : ended_ms,
          spans,
        }),
      );
    }
    at += random.below(2) * HOUR * (1 + random.below(20)) + 600_000;
  }
  return frames;
}

function axesOf(
  random: Random,
  frames: FrameTable,
): {
  axis: Axis;
  now_ms: number;
  work: ReturnType<typeof workOf>;
  layout: ReturnType<typeof layOut>;
} {
  const layout = layOut(frames);
  const work = workOf(frames, layout);
  const now_ms = layout.to + random.pick([0, 1, 10_000, 10 * HOUR]);
  const others = new Set([...work.idle].filter(() => random.chance(0.2)));
  return { axis: axisOf(work, now_ms, random.chance(0.8), others), now_ms, work, layout };
}

test("the axis always rises, and a place leads back to its moment", async () => {
  await forSeeds(150, (random) => {
    const { axis, now_ms } = axesOf(random, bouts(random));
    const moments = Array.from(
      { length: 100 },
      (_, i) => T0 - HOUR + ((now_ms + 2 * HOUR - T0) * i) / 100,
    );
    const places = moments.map(axis.at);
    expect(places.every((place, i) => i === 0 || place > places[i - 1]!)).toBe(true);
    // Places are as exact as numbers are, and one in a folded night stands for a thousand moments.
    expect(
      Math.max(...places.map((place, i) => Math.abs(axis.moment(place) - moments[i]!))),
    ).toBeLessThan(30);
  });
});

test("nothing that is worked in is folded, and what is folded is the shorter for it", async () => {
  await forSeeds(150, (random) => {
    const frames = bouts(random);
    const { axis, layout, now_ms, work } = axesOf(random, frames);
    for (let bar = 0; bar < layout.count; bar++) {
      if (layout.kind[bar] === FUTURE || frames.group.bits[bar] === 1) continue;
      eachWorked(frames, layout, bar, (from, until) => {
        const to = Math.min(until, now_ms);
        if (to > from) expect(axis.at(to) - axis.at(from)).toBeCloseTo(to - from, 2);
        expect(axis.gaps.every((gap) => gap.to_ms <= from || gap.from_ms >= to)).toBe(true);
      });
    }
    for (const gap of axis.gaps) {
      const length = axis.at(gap.to_ms) - axis.at(gap.from_ms);
      expect(length).toBeCloseTo(gap.folded ? work.fold_ms : gap.to_ms - gap.from_ms, 2);
      expect(gap.to_ms - gap.from_ms).toBeGreaterThan(work.fold_ms);
    }
  });
});

test("all idle time is found, however short beside the run, and nothing else", async () => {
  await forSeeds(150, (random) => {
    const frames = random.chance(0.5) ? bouts(random) : visits(random);
    const layout = layOut(frames);
    const worked: [from: number, to: number][] = [];
    for (let bar = 0; bar < layout.count; bar++) {
      if (layout.kind[bar] !== FUTURE && frames.group.bits[bar] === 0)
        eachWorked(frames, layout, bar, (from, to) => worked.push([from, to]));
    }
    const idle: number[] = [];
    let over = layout.from;
    for (const [from, to] of worked.sort(([one], [other]) => one - other)) {
      if (from > over) idle.push(over, from);
      over = Math.max(over, to);
    }
    const work = workOf(frames, layout);
    expect([...work.idle]).toEqual(idle);
    expect(work.over_ms).toBe(worked.length === 0 ? -Infinity : over);
  });
});

/** A frame that was worked in for minutes, over days. */
function visits(random: Random): FrameTable {
  const frames = new FrameTable();
  const spans: { doing: "working" | "waiting"; from_ms: number }[] = [];
  let at = T0;
  for (let i = 0; i < 1 + random.below(60); i++) {
    spans.push(
      { doing: "working", from_ms: at },
      { doing: "waiting", from_ms: (at += 1 + random.below(120_000)) },
    );
    at += 1 + random.pick([60_000, 20 * 60_000, 20 * HOUR]) * random.next();
  }
  frames.upsert(
    frame(RUN, "f-r", null, { status: "completed", started_ms: T0, ended_ms: at, spans }),
  );
  return frames;
}

test("while time goes on nothing jumps, and what is over stays in its place", async () => {
  await forSeeds(80, (random) => {
    const frames = bouts(random);
    const layout = layOut(frames);
    const work = workOf(frames, layout);
    const end = Math.max(layout.to, Number.isFinite(work.over_ms) ? work.over_ms : 0);
    let [now, before] = [end, axisOf(work, end, true, NONE)];
    for (let i = 0; i < 40; i++) {
      const step = 1 + random.below(10_000);
      const axis = axisOf(work, now + step, true, NONE);
      const moved = axis.at(now + step) - before.at(now);
      expect(moved).toBeGreaterThanOrEqual(-1e-3);
      expect(moved).toBeLessThanOrEqual(step + 1e-3);
      const past = T0 + random.next() * (Math.min(work.over_ms, end) - T0);
      expect(axis.at(past)).toBe(before.at(past));
      [now, before] = [now + step, axis];
    }
  });
});

test("a night between two bouts of work takes a small part of the axis, and unfolds alone", () => {
  const frames = new FrameTable();
  frames.upsert(
    frame(RUN, "f-r", null, {
      status: "completed",
      started_ms: T0,
      ended_ms: T0 + 10 * HOUR,
      group: true,
    }),
  );
  const work = (id: string, from: number, to: number) =>
    frames.upsert(
      frame(RUN, id, "f-r", { status: "completed", started_ms: T0 + from, ended_ms: T0 + to }),
    );
  work("f-a", 0, HOUR / 2);
  work("f-b", 9 * HOUR, 10 * HOUR - HOUR / 2);
  const layout = layOut(frames);
  const found = workOf(frames, layout);
  expect([...found.idle]).toEqual([T0 + HOUR / 2, T0 + 9 * HOUR]);
  const axis = axisOf(found, T0 + 10 * HOUR, true, NONE);
  // The night, and the half hour after the last work.
  expect(axis.gaps.map((gap) => (gap.to_ms - gap.from_ms) / HOUR)).toEqual([8.5, 0.5]);
  expect(axis.at(T0 + 10 * HOUR) - axis.at(T0)).toBeLessThan(1.2 * HOUR);
  const unfolded = axisOf(found, T0 + 10 * HOUR, true, new Set([T0 + HOUR / 2]));
  expect(unfolded.at(T0 + 9 * HOUR) - unfolded.at(T0)).toBe(9 * HOUR);
  expect(unfolded.gaps.map((gap) => gap.folded)).toEqual([false, true]);
});

test("the time in which a frame waits for a human is idle, that in which it works is not", () => {
  const frames = new FrameTable();
  const at = (hours: number) => T0 + hours * HOUR;
  const spans = [
    { doing: "working" as const, from_ms: T0 },
    { doing: "waiting" as const, from_ms: at(1) },
    { doing: "working" as const, from_ms: at(9) },
  ];
  frames.upsert(
    frame(RUN, "f-r", null, { status: "completed", started_ms: T0, ended_ms: at(10), spans }),
  );
  expect([...workOf(frames, layOut(frames)).idle]).toEqual([at(1), at(9)]);
});
