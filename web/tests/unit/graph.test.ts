import { expect, test } from "vitest";
import { FrameTable } from "../../src/model/columns.ts";
import { layOut } from "../../src/model/layout.ts";
import { place } from "../../src/graph/place.ts";
import type { Places } from "../../src/graph/place.ts";
import {
  countNodes,
  graphOf,
  holdsOthers,
  isWithin,
  openAtFirst,
  within,
} from "../../src/graph/structure.ts";
import type { Graph } from "../../src/graph/structure.ts";
import { fitText, oneLine } from "../../src/graph/text.ts";
import { nodeAt, step } from "../../src/graph/walk.ts";
import type { Way } from "../../src/graph/walk.ts";
import { forSeeds } from "./random.ts";
import type { Random } from "./random.ts";
import { frame } from "./views.ts";

const RUN = "RUN-1";

/** Frames in a random tree that wait for random others, circles included. */
function randomFrames(random: Random, count: number): FrameTable {
  const frames = new FrameTable();
  for (let i = 0; i < count; i++) {
    const parent = i === 0 ? null : `f-${random.below(Math.min(i, 12))}`;
    const waits = Array.from({ length: random.below(3) }, () => `f-${random.below(count)}`);
    frames.upsert(
      frame(RUN, `f-${i}`, parent, {
        depends_on: waits,
        status: random.pick(["failed", "completed", "planned"] as const),
      }),
    );
  }
  return frames;
}

function overlap(
  places: Pick<Places, "x" | "y" | "width" | "height">,
  a: number,
  b: number,
): boolean {
  const apart = (at: Float64Array, size: Float64Array) =>
    at[a]! + size[a]! <= at[b]! + 0.01 || at[b]! + size[b]! <= at[a]! + 0.01;
  return !apart(places.x, places.width) && !apart(places.y, places.height);
}

/** What is wrong with places: nodes out of their box, or over one another. */
function disorder(graph: Graph, { x, y, width, height }: Places): string[] {
  const wrong: string[] = [];
  for (let a = 0; a < graph.rows.length; a++) {
    const up = graph.parent[a]!;
    if (![x[a], y[a], width[a], height[a]].every(Number.isFinite)) wrong.push(`${a} is nowhere`);
    if (up >= a) wrong.push(`${a} stands before ${up}`);
    const isIn = (at: Float64Array, size: Float64Array) =>
      at[a]! >= at[up]! && at[a]! + size[a]! <= at[up]! + size[up]!;
    if (up >= 0 && !(isIn(x, width) && isIn(y, height))) wrong.push(`${a} is not in ${up}`);
    for (let b = 0; b < a; b++)
      if (graph.parent[b] === up && overlap({ x, y, width, height }, a, b))
        wrong.push(`${a} is over ${b}`);
  }
  return wrong;
}

test("nodes lie within what holds them and never over one another, whatever waits for what", async () => {
  await forSeeds(15, (random) => {
    const frames = randomFrames(random, 1 + random.below(60));
    const layout = layOut(frames);
    const open = openAtFirst(layout, null, random.pick([3, 20, 1_000]));
    const graph = graphOf(frames, layout, open, null);
    const places = place(graph);
    expect(disorder(graph, places)).toEqual([]);
    expect(countNodes(layout, open, null)).toBe(graph.rows.length);
    for (let i = 0; i < graph.edges.length; i += 2) {
      const [from, to] = [graph.edges[i]!, graph.edges[i + 1]!];
      expect(isWithin(graph.parent, from, to) || isWithin(graph.parent, to, from)).toBe(false);
      expect(places.lines[i / 2]!.length).toBeGreaterThanOrEqual(4);
    }
    const ways: Way[] = ["left", "right", "up", "down", "in", "out"];
    for (let at = -1, i = 0; i < 30; i++) {
      at = step(graph, places, at, random.pick(ways));
      expect(at >= 0 && at < graph.rows.length).toBe(true);
    }
    const node = random.below(graph.rows.length);
    expect(
      isWithin(graph.parent, nodeAt(places, places.x[node]! + 1, places.y[node]! + 1), node),
    ).toBe(true);
  });
});

test("groups open only as far as there is room, and a closed one stands for what is within", () => {
  const frames = new FrameTable();
  frames.upsert(frame(RUN, "f-r", null));
  for (const group of ["a", "b"]) {
    frames.upsert(frame(RUN, `f-${group}`, "f-r"));
    for (let i = 0; i < 10; i++)
      frames.upsert(
        frame(RUN, `f-${group}${i}`, `f-${group}`, {
          status: i === 0 ? "failed" : "completed",
          depends_on: group === "b" ? [`f-a${i}`] : [],
        }),
      );
  }
  const layout = layOut(frames);
  const open = openAtFirst(layout, null, 15);
  expect([...open].map((row) => frames.id.get(row))).toEqual(["f-r", "f-a"]);
  const graph = graphOf(frames, layout, open, null);
  expect(graph.edges.length / 2).toBe(10);
  const closed = graphOf(frames, layout, new Set([0]), null);
  expect(Array.from(closed.edges, (node) => frames.id.get(closed.rows[node]!))).toEqual([
    "f-a",
    "f-b",
  ]);
  const sums = within(frames, layout);
  expect([
    sums.count[0],
    sums.bad[0],
    sums.count[frames.row("f-a")!],
    sums.bad[frames.row("f-a")!],
  ]).toEqual([22, 2, 10, 1]);
  expect(holdsOthers(layout, frames.row("f-a0")!)).toBe(false);
  const some = new Set(["f-r", "f-a", "f-a3"].map((id) => frames.row(id)!));
  expect(openAtFirst(layout, (row) => some.has(row), 15).size).toBe(2);
  expect(graphOf(frames, layout, open, (row) => some.has(row)).rows.length).toBe(3);
});

test("chains and circles longer than the engine's stack are laid out", () => {
  const frames = new FrameTable();
  const count = 6_000;
  for (let i = 0; i < count; i++)
    frames.upsert(
      frame(RUN, `f-${i}`, null, { depends_on: i === 0 ? [`f-${count - 1}`] : [`f-${i - 1}`] }),
    );
  frames.upsert(frame(RUN, "f-0", null));
  const layout = layOut(frames);
  const graph = graphOf(frames, layout, new Set(), null);
  const told: number[] = [];
  const places = place(graph, (done) => told.push(done));
  expect(told.at(-1)).toBe(count);
  expect(places.x.every((x, i) => i === 0 || x > places.x[i - 1]!)).toBe(true);
});

test("arrows follow what waits for what", () => {
  const frames = new FrameTable();
  frames.upsert(frame(RUN, "f-a", null));
  frames.upsert(frame(RUN, "f-b", null, { depends_on: ["f-a"] }));
  frames.upsert(frame(RUN, "f-c", null, { depends_on: ["f-b"] }));
  const graph = graphOf(frames, layOut(frames), new Set(), null);
  const places = place(graph);
  expect([
    step(graph, places, 0, "right"),
    step(graph, places, 1, "right"),
    step(graph, places, 2, "right"),
  ]).toEqual([1, 2, 2]);
  expect([
    step(graph, places, 2, "left"),
    step(graph, places, 0, "left"),
    step(graph, places, -1, "right"),
  ]).toEqual([1, 0, 0]);
});

test("texts are cut to their room, in whole letters, and stay in one line", () => {
  expect(fitText("short", 200, 12)).toBe("short");
  expect(fitText("漢字漢字漢字漢字", 60, 12)).toBe("漢字漢字…");
  expect(fitText("🔥🔥🔥🔥🔥🔥", 40, 12)).toBe("🔥🔥…");
  expect(fitText("long", 4, 12)).toBe("");
  expect(oneLine("a\nb\u0000\u2028c")).toBe("a b c");
});
