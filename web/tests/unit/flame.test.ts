import { expect, test } from "vitest";
import { ticks } from "../../src/flame/axis.ts";
import { barAt } from "../../src/flame/hit.ts";
import { actionOf, walk } from "../../src/flame/keys.ts";
import { WHOLE, extentOf, fit, pan, resolve, reveal, slotLength, zoom } from "../../src/flame/viewport.ts";
import { FrameTable } from "../../src/model/columns.ts";
import { layOut } from "../../src/model/layout.ts";
import { endOf, startOf } from "../../src/model/lod.ts";
import type { Scale } from "../../src/model/lod.ts";
import { forSeeds } from "./random.ts";
import { T0, frame } from "./views.ts";

const RUN = "RUN-20261121-001";
const EXTENT = { from_ms: T0, now_ms: T0 + 60_000, to_ms: T0 + 80_000 };

/** A root over three children one after another, of which the middle one failed and is short. */
function family() {
  const frames = new FrameTable();
  const settled = (id: string, parent: string | null, status: "completed" | "failed", from: number, to: number) =>
    frames.upsert(frame(RUN, id, parent, { status, started_ms: T0 + from, ended_ms: T0 + to }));
  settled("f-r", null, "completed", 0, 1_000);
  settled("f-a", "f-r", "completed", 0, 500);
  settled("f-b", "f-r", "failed", 500, 501);
  settled("f-c", "f-r", "completed", 501, 1_000);
  return { frames, layout: layOut(frames) };
}

test("zooming keeps the moment under the pointer in its place", async () => {
  await forSeeds(200, (random) => {
    const before = resolve(WHOLE, EXTENT);
    const at_ms = before.from_ms + random.next() * before.span_ms;
    const after = zoom(before, EXTENT, 0.05 + random.next() * 0.95, at_ms);
    const place = (view: typeof before) => (at_ms - view.from_ms) / view.span_ms;
    expect(place(after)).toBeCloseTo(place(before), 5);
    expect(after.mode).toBe("free");
  });
});

test("however one moves, something of the run stays in sight and the stretch stays sane", async () => {
  await forSeeds(200, (random) => {
    let view = resolve(WHOLE, EXTENT);
    for (let i = 0; i < 30; i++) {
      if (random.chance(0.5)) view = zoom(view, EXTENT, 2 ** (random.next() * 12 - 6), view.from_ms + random.next() * view.span_ms);
      else view = pan(view, EXTENT, (random.next() - 0.5) * 1e6);
      expect(view.span_ms).toBeGreaterThan(0);
      expect(view.from_ms).toBeLessThan(EXTENT.to_ms);
      expect(view.from_ms + view.span_ms).toBeGreaterThan(EXTENT.from_ms);
    }
  });
});

test("all is shown and goes on to be, until one moves; following keeps now in sight", () => {
  const later = { ...EXTENT, now_ms: T0 + 600_000, to_ms: T0 + 620_000 };
  const whole = resolve(WHOLE, later);
  expect(whole.from_ms).toBeLessThanOrEqual(later.from_ms);
  expect(whole.from_ms + whole.span_ms).toBeGreaterThanOrEqual(later.to_ms);
  const followed = resolve({ mode: "follow", from_ms: T0, span_ms: 10_000 }, later);
  expect(followed.span_ms).toBe(10_000);
  expect(followed.from_ms).toBeLessThan(later.now_ms);
  expect(followed.from_ms + followed.span_ms).toBeGreaterThan(later.now_ms);
  const free = fit(later, T0 + 10_000, T0 + 20_000);
  expect(resolve(free, later)).toBe(free);
  expect(reveal(free, later, T0 + 12_000, T0 + 13_000)).toBe(free);
  expect(reveal(free, later, T0 + 100_000, T0 + 101_000).from_ms).toBeGreaterThan(free.from_ms);
});

test("what is planned takes less than half of the time that has passed", () => {
  const frames = new FrameTable();
  frames.upsert(frame(RUN, "f-r", null, { status: "in_progress", started_ms: T0 }));
  for (let i = 1; i < 50; i++) frames.upsert(frame(RUN, `f-${i}`, "f-r", { depends_on: [`f-${i - 1}`] }));
  const layout = layOut(frames);
  const { to_ms } = extentOf(layout, T0 + 60_000);
  expect(to_ms).toBeGreaterThan(T0 + 60_000);
  expect(to_ms).toBeLessThan(T0 + 90_000);
  expect(slotLength(layout, T0)).toBeGreaterThan(0);
});

test("ticks are at round local times, evenly spaced, and say the day where it begins", () => {
  const midnight = Date.UTC(2026, 10, 21);
  const hour = 3_600_000;
  const labels = ticks(midnight - hour, midnight + hour, 20 * 60_000, 0).map((tick) => tick.label);
  expect(labels).toEqual(["23:00", "23:30", "21 Nov", "00:30", "01:00"]);
  expect(ticks(midnight - 2 * hour, midnight - hour, 50 * 60_000, 2 * hour).map((tick) => tick.label)).toEqual(["21 Nov", "01:00"]);
  expect(ticks(T0, T0 + 5, 2, 0).map((tick) => tick.label.slice(-4))).toEqual([".000", ".002", ".004"]);
  for (const span of [10, 1e4, 1e7, 1e9, 1e12]) expect(ticks(T0, T0 + span, span / 10, 0).length).toBeLessThanOrEqual(11);
});

test("a bar is hit where it is, and a failed one of a pixel is hit rather than its neighbours", () => {
  const { frames, layout } = family();
  const scale: Scale = { from_ms: T0, msPerPixel: 2, width: 500, now_ms: T0 + 1_000, slot_ms: 1 };
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

test("keys with modifiers are left to the browser", () => {
  const key = (name: string, more = {}) => actionOf({ key: name, ctrlKey: false, metaKey: false, altKey: false, ...more } as KeyboardEvent);
  expect(key("W")).toEqual({ do: "zoom", factor: 1 / 1.4 });
  expect(key("w", { ctrlKey: true })).toBeNull();
  expect(key("q")).toBeNull();
});
