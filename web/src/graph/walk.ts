// Where arrow keys lead in the graph: along what waits for what, and else to what lies there. Pure.

import type { Places } from "./place.ts";
import type { Graph } from "./structure.ts";

export type Way = "left" | "right" | "up" | "down" | "out" | "in";

/** The node that a step leads to; the same where there is none; the first where none was chosen. */
export function step(graph: Graph, places: Places, node: number, way: Way): number {
  if (graph.rows.length === 0) return -1;
  if (node < 0) return firstIn(graph, places, -1) ?? 0;
  if (way === "out") return graph.parent[node]! < 0 ? node : graph.parent[node]!;
  if (way === "in") return firstIn(graph, places, node) ?? node;
  if (way === "left" || way === "right") {
    const linked = neighbours(graph, node, way);
    if (linked.length > 0)
      return nearest(places, node, linked, (dx, dy) => Math.abs(dy) * 4 + Math.abs(dx)) ?? node;
  }
  const others = Array.from(graph.rows.keys()).filter(
    (other) => other !== node && graph.open[other] === 0,
  );
  return (
    nearest(places, node, others, (dx, dy) => {
      const [ahead, aside] = { left: [-dx, dy], right: [dx, dy], up: [-dy, dx], down: [dy, dx] }[
        way
      ] as [number, number];
      return ahead > 1 ? ahead + Math.abs(aside) * 3 : Infinity;
    }) ?? node
  );
}

function neighbours({ edges }: Graph, node: number, way: "left" | "right"): number[] {
  const [mine, theirs] = way === "right" ? [0, 1] : [1, 0];
  const found: number[] = [];
  for (let i = 0; i < edges.length; i += 2)
    if (edges[i + mine] === node) found.push(edges[i + theirs]!);
  return found;
}

/** The uppermost on the left within a box. */
function firstIn(graph: Graph, places: Places, box: number): number | undefined {
  let found: number | undefined;
  graph.parent.forEach((up, node) => {
    if (
      up === box &&
      (found === undefined ||
        places.x[node]! + places.y[node]! < places.x[found]! + places.y[found]!)
    )
      found = node;
  });
  return found;
}

function nearest(
  places: Places,
  node: number,
  others: readonly number[],
  far: (dx: number, dy: number) => number,
): number | undefined {
  const middle = (of: number) =>
    [places.x[of]! + places.width[of]! / 2, places.y[of]! + places.height[of]! / 2] as const;
  const [x, y] = middle(node);
  let found: number | undefined;
  let least = Infinity;
  for (const other of others) {
    const [ox, oy] = middle(other);
    const distance = far(ox - x, oy - y);
    if (distance < least) [found, least] = [other, distance];
  }
  return found;
}

/** The innermost node at a place; -1 for none. A node stands after the one around it. */
export function nodeAt(places: Places, x: number, y: number): number {
  for (let node = places.x.length - 1; node >= 0; node--) {
    const [left, top] = [places.x[node]!, places.y[node]!];
    if (x >= left && x < left + places.width[node]! && y >= top && y < top + places.height[node]!)
      return node;
  }
  return -1;
}
