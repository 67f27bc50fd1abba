import { expect, test } from "vitest";
import { countTicks, ticks } from "../../src/flame/axis.ts";
import { barAt } from "../../src/flame/hit.ts";
import { actionOf, walk } from "../../src/flame/keys.ts";
import {
  WHOLE,
  between,
  extentOf,
  fit,
  keep,
  pan,
  resolve,
  reveal,
  slotLength,
  zoom,
} from "../../src/flame/viewport.ts";
import { FrameTable } from "../../src/model/columns.ts";
import { STRAIGHT, axisOf } from "../../src/model/idle.ts";
import { layOut } from "../../src/model/layout.ts";
import { endOf, startOf } from "../../src/model/lod.ts";
import type { Scale } from "../../src/model/lod.ts";
import { forSeeds } from "./random.ts";
import { T0, frame } from "./views.ts";

const RUN = "RUN-20261121-001";
const EXTENT = { from: T0, now: T0 + 60_000, to: T0 + 80_000 };
const WHOLE_VIEW = resolve(WHOLE, EXTENT, STRAIGHT);

/** A root over three children one after another, of which the middle one failed and is short. */
function family() {
  const frames = new FrameTable();
  const settled = (
    id: string,
    parent: string | null,
    status: "completed" | "failed",
    from: number,
    to: number,
  ) => frames.upsert(frame(RUN, id, parent, { status, started_ms: T0 + from, ended_ms: T0 + to }));
  settled("f-r", null, "completed", 0, 1_000);
  settled("f-a", "f-r", "completed", 0, 500);
  settled("f-b", "f-r", "failed", 500, 501);
  settled("f-c", "f-r", "completed", 501, 1_000);
  return { frames, layout: layOut(frames) };
}

test("zooming keeps the moment under the pointer in its place", async () => {
  await forSeeds(200, (random) => {
    const at = WHOLE_VIEW.from + random.next() * WHOLE_VIEW.span;
    const after = zoom(WHOLE_VIEW, EXTENT, 0.05 + random.next() * 0.95, at);
    const place = (view: typeof after) => (at - view.from) / view.span;
    expect(place(after)).toBeCloseTo(place(WHOLE_VIEW), 5);
    expect(after.mode).toBe("free");
  });
});

test("however one moves, something of the run stays in sight and the stretch stays sane", async () => {
  await forSeeds(200, (random) => {
    const whole = random.pick([0.002, 1, 80_000, 1e9]);
    const extent = { from: 0, now: whole, to: whole };
    let view = resolve(WHOLE, extent, STRAIGHT);
    for (let i = 0; i < 30; i++) {
      if (random.chance(0.5))
        view = zoom(
          view,
          extent,
          2 ** (random.next() * 12 - 6),
          view.from + random.next() * view.span,
        );
      else view = pan(view, extent, (random.next() - 0.5) * whole * 12);
      expect(view.span).toBeGreaterThan(0);
      expect(view.from).toBeLessThan(extent.to);
      expect(view.from + view.span).toBeGreaterThan(extent.from);
    }
  });
});

test("all is shown and goes on to be, until one moves; following keeps now in sight", () => {
  const later = { ...EXTENT, now: T0 + 600_000, to: T0 + 620_000 };
  const whole = resolve(WHOLE, later, STRAIGHT);
  expect(whole.from).toBeLessThanOrEqual(later.from);
  expect(whole.from + whole.span).toBeGreaterThanOrEqual(later.to);
  const followed = resolve({ mode: "follow", from_ms: T0, span: 10_000 }, later, STRAIGHT);
  expect(followed.span).toBe(10_000);
  expect(followed.from).toBeLessThan(later.now);
  expect(followed.from + followed.span).toBeGreaterThan(later.now);
  const free = fit(later, T0 + 10_000, T0 + 20_000);
  expect(resolve(keep(free, STRAIGHT), later, STRAIGHT)).toEqual(free);
  expect(reveal(free, later, T0 + 12_000, T0 + 13_000)).toBe(free);
  expect(reveal(free, later, T0 + 100_000, T0 + 101_000).from).toBeGreaterThan(free.from);
  expect(between(later, T0 + 20_000, T0 + 10_000)).toEqual({
    mode: "free",
    from: T0 + 10_000,
    span: 10_000,
  });
});

test("what is shown stays where it is when idle time before it is folded or unfolded", () => {
  const work = {
    idle: Float64Array.of(T0 + 1_000, T0 + 3_601_000),
    over_ms: Infinity,
    fold_ms: 5_000,
  };
  const [folded, unfolded] = [true, false].map((isFolded) =>
    axisOf(work, T0 + 4_000_000, isFolded, new Set()),
  );
  const kept = keep({ mode: "free", from: folded!.at(T0 + 3_700_000), span: 1_000 }, folded!);
  expect(unfolded!.moment(resolve(kept, EXTENT, unfolded!).from)).toBeCloseTo(T0 + 3_700_000, 3);
});

test("what is planned takes less than half of the time that has passed", () => {
  const frames = new FrameTable();
  frames.upsert(frame(RUN, "f-r", null, { status: "in_progress", started_ms: T0 }));
  for (let i = 1; i < 50; i++)
    frames.upsert(frame(RUN, `f-${i}`, "f-r", { depends_on: [`f-${i - 1}`] }));
  const layout = layOut(frames);
  const { to } = extentOf(layout, STRAIGHT, T0 + 60_000);
  expect(to).toBeGreaterThan(T0 + 60_000);
  expect(to).toBeLessThan(T0 + 90_000);
  expect(slotLength(layout, STRAIGHT, T0)).toBeGreaterThan(0);
});

test("ticks are at round local times, evenly spaced, and say the day where it begins", () => {
  const midnight = Date.UTC(2026, 10, 21);
  const hour = 3_600_000;
  const labels = ticks(midnight - hour, midnight + hour, 20 * 60_000, 0).map((tick) => tick.label);
  expect(labels).toEqual(["23:00", "23:30", "21 Nov", "00:30", "01:00"]);
  expect(
    ticks(midnight - 2 * hour, midnight - hour, 50 * 60_000, 2 * hour).map((tick) => tick.label),
  ).toEqual(["21 Nov", "01:00"]);
  expect(ticks(T0, T0 + 5, 2, 0).map((tick) => tick.label.slice(-4))).toEqual([
    ".000",
    ".002",
    ".004",
  ]);
  for (const span of [10, 1e4, 1e7, 1e9, 1e12])
    expect(ticks(T0, T0 + span, span / 10, 0).length).toBeLessThanOrEqual(11);
});

test("counts are ticked at round numbers, evenly spaced", async () => {
  expect(countTicks(0, 10, 2, String).map((tick) => tick.label)).toEqual([
    "0",
    "2",
    "4",
    "6",
    "8",
    "10",
  ]);
  expect(countTicks(-5, 0.35, 0.07, (value) => value.toFixed(1)).map((tick) => tick.label)).toEqual(
    ["0.0", "0.1", "0.2", "0.3"],
  );
  await forSeeds(100, (random) => {
    const span = 10 ** (random.next() * 12 - 3);
    const found = countTicks(0, span, span / (2 + random.below(20)), String);
    expect(found.length).toBeGreaterThan(0);
    expect(found.length).toBeLessThanOrEqual(23);
  });
});

test("a bar is hit where it is, and a failed one of a pixel is hit rather than its neighbours", () => {
  const { frames, layout } = family();
  const scale: Scale = {
    axis: STRAIGHT,
    left: T0,
    perPixel: 2,
    width: 500,
    now_ms: T0 + 1_000,
    slot_ms: 1,
  };
  const hit = (x: number, row: number) => barAt(layout, frames.status.codes, scale, x, row);
  expect(hit(10, 0)).toBe(frames.row("f-r"));
  expect(hit(10, 1)).toBe(frames.row("f-a"));
  expect(hit(250.2, 1)).toBe(frames.row("f-b"));
  expect(hit(400, 1)).toBe(frames.row("f-c"));
  expect(hit(400, 2)).toBe(-1);
  expect(hit(510, 1)).toBe(-1);
  expect(hit(10, -1)).toBe(-1);
  expect([startOf(layout, 1, scale), endOf(layout, 1, scale)]).toEqual([T0, T0 + 500]);
});

test("arrows walk the tree", () => {
  const { frames, layout } = family();
  const [root, a, b] = ["f-r", "f-a", "f-b"].map((id) => frames.row(id)!);
  expect(walk(layout, -1, "child")).toBe(root);
  expect(walk(layout, root!, "child")).toBe(a);
  expect(walk(layout, a!, "after")).toBe(b);
  expect(walk(layout, b!, "before")).toBe(a);
  expect(walk(layout, a!, "before")).toBe(a);
  expect(walk(layout, b!, "parent")).toBe(root);
  expect(walk(layout, root!, "parent")).toBe(root);
  expect(walk(layOut(new FrameTable()), -1, "child")).toBe(-1);
});

test("arrows do not lead into a folded frame", () => {
  const { frames } = family();
  const hidden = Uint8Array.from({ length: frames.length }, (_, bar) =>
    frames.parent.get(bar) === null ? 0 : 1,
  );
  const root = frames.row("f-r")!;
  expect(walk(layOut(frames, hidden), root, "child")).toBe(root);
});

test("keys with modifiers are left to the browser", () => {
  const key = (name: string, more = {}) =>
    actionOf({
      key: name,
      ctrlKey: false,
      metaKey: false,
      altKey: false,
      ...more,
    } as KeyboardEvent);
  expect(key("W")).toEqual({ do: "zoom", factor: 1 / 1.4 });
  expect(key("w", { ctrlKey: true })).toBeNull();
  expect(key("q")).toBeNull();
});
