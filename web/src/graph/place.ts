// Gives each node of the graph its place: within each box by itself, from the innermost outwards. What
// waits for one another is laid out in layers, by dagre; what stands alone, in rows. Pure.

import { Graph as Dagre, layout as layDagre } from "@dagrejs/dagre";
import { HEAD, NODE_HEIGHT, NODE_WIDTH } from "./structure.ts";
import type { Graph } from "./structure.ts";

export const PADDING = 14;
const GAP = 16;
const LAYER_GAP = 42;
/** Of more in one box, dagre would take too long, and too deep a stack: they stand in plain layers. */
const DAGRE_NODES = 1_500;
/** Width to height of what stands in rows. */
const SHAPE = 1.8;

export interface Places {
  /** By node: its upper left corner and its size. */
  readonly x: Float64Array;
  readonly y: Float64Array;
  readonly width: Float64Array;
  readonly height: Float64Array;
  /** By edge: the line from one to the other as x, y, x, y ... */
  readonly lines: Float64Array[];
  readonly size: readonly [width: number, height: number];
}

/** An edge as it is seen from the box that holds both of its ends: between two of that box's nodes. */
interface Lifted {
  readonly edge: number;
  readonly from: number;
  readonly to: number;
}

export function place(
  graph: Graph,
  progress: (done: number, of: number) => void = () => {},
): Places {
  const count = graph.rows.length;
  const x = new Float64Array(count);
  const y = new Float64Array(count);
  const width = new Float64Array(count).fill(NODE_WIDTH);
  const height = new Float64Array(count).fill(NODE_HEIGHT);
  const inside = contents(graph);
  const lifted = lift(graph);
  const lines: Float64Array[] = Array.from(
    { length: graph.edges.length / 2 },
    () => new Float64Array(0),
  );
  let done = 0;
  const arrangeIn = (owner: number): readonly [number, number] => {
    const nodes = inside[owner + 1]!;
    const size = arrange(nodes, lifted.get(owner) ?? [], { x, y, width, height, lines });
    done += nodes.length;
    progress(done, count);
    return size;
  };
  // A node stands after the one around it, so backwards is from the inside out.
  for (let node = count - 1; node >= 0; node--) {
    if (graph.open[node] === 0) continue;
    const [w, h] = arrangeIn(node);
    width[node] = Math.max(w + 2 * PADDING, NODE_WIDTH);
    height[node] = h + HEAD + PADDING;
  }
  const size = arrangeIn(-1);
  moveIn(graph, x, y);
  drawLines(graph, lifted, { x, y, width, height, lines });
  return { x, y, width, height, lines, size };
}

/** By node and 1, and at 0 for none: the nodes within it. */
function contents(graph: Graph): number[][] {
  const inside: number[][] = Array.from({ length: graph.rows.length + 1 }, () => []);
  graph.parent.forEach((up, node) => inside[up + 1]!.push(node));
  return inside;
}

/** Edges by the box that holds both ends. */
function lift(graph: Graph): Map<number, Lifted[]> {
  const depth = new Int32Array(graph.rows.length);
  graph.parent.forEach((up, node) => (depth[node] = up < 0 ? 0 : depth[up]! + 1));
  const byBox = new Map<number, Lifted[]>();
  for (let edge = 0; edge < graph.edges.length / 2; edge++) {
    let [from, to] = [graph.edges[edge * 2]!, graph.edges[edge * 2 + 1]!];
    while (graph.parent[from] !== graph.parent[to]) {
      if (depth[from]! > depth[to]!) from = graph.parent[from]!;
      else to = graph.parent[to]!;
    }
    const box = graph.parent[from]!;
    const edges = byBox.get(box);
    if (edges) edges.push({ edge, from, to });
    else byBox.set(box, [{ edge, from, to }]);
  }
  return byBox;
}

type Draft = Omit<Places, "size">;

/** Places the nodes of one box, from its content's corner on; says how much room they take. */
function arrange(
  nodes: readonly number[],
  edges: readonly Lifted[],
  draft: Draft,
): readonly [number, number] {
  const joined = new Set(edges.flatMap(({ from, to }) => [from, to]));
  const inLayers = nodes.filter((node) => joined.has(node));
  const alone = nodes.filter((node) => !joined.has(node));
  const [w, h] =
    inLayers.length === 0
      ? [0, 0]
      : inLayers.length > DAGRE_NODES
        ? plainLayers(inLayers, edges, draft)
        : byDagre(inLayers, edges, draft);
  const below = h === 0 ? 0 : h + GAP;
  const [w2, h2] = alone.length === 0 ? [0, 0] : inRows(alone, w, below, draft);
  return [Math.max(w, w2), h2 === 0 ? h : below + h2];
}

function byDagre(
  nodes: readonly number[],
  edges: readonly Lifted[],
  draft: Draft,
): readonly [number, number] {
  const dagre = new Dagre({ multigraph: false });
  dagre.setGraph({
    rankdir: "LR",
    nodesep: GAP,
    ranksep: LAYER_GAP,
    edgesep: 8,
    ranker: nodes.length > 300 ? "longest-path" : "network-simplex",
  });
  dagre.setDefaultEdgeLabel(() => ({}));
  for (const node of nodes)
    dagre.setNode(String(node), { width: draft.width[node]!, height: draft.height[node]! });
  for (const { from, to } of edges) dagre.setEdge(String(from), String(to));
  layDagre(dagre);
  let [w, h] = [0, 0];
  for (const node of nodes) {
    const at = dagre.node(String(node)) as { x: number; y: number };
    draft.x[node] = at.x - draft.width[node]! / 2;
    draft.y[node] = at.y - draft.height[node]! / 2;
    w = Math.max(w, at.x + draft.width[node]! / 2);
    h = Math.max(h, at.y + draft.height[node]! / 2);
  }
  for (const { edge, from, to } of edges) {
    const { points } = dagre.edge(String(from), String(to)) as {
      points?: { x: number; y: number }[];
    };
    if (points)
      draft.lines[edge] = Float64Array.from(points.flatMap((point) => [point.x, point.y]));
  }
  return [w, h];
}

/** A column for each length of the longest chain up to a node; of a circle, what is left comes last. */
function plainLayers(
  nodes: readonly number[],
  edges: readonly Lifted[],
  draft: Draft,
): readonly [number, number] {
  const level = new Map(nodes.map((node) => [node, 0]));
  const waits = new Map(nodes.map((node) => [node, 0]));
  const next = new Map<number, number[]>(nodes.map((node) => [node, []]));
  for (const { from, to } of edges) {
    waits.set(to, waits.get(to)! + 1);
    next.get(from)!.push(to);
  }
  const ready = nodes.filter((node) => waits.get(node) === 0);
  for (let read = 0; read < ready.length; read++) {
    const node = ready[read]!;
    for (const to of next.get(node)!) {
      level.set(to, Math.max(level.get(to)!, level.get(node)! + 1));
      waits.set(to, waits.get(to)! - 1);
      if (waits.get(to) === 0) ready.push(to);
    }
  }
  const layers: number[][] = [];
  for (const node of nodes) (layers[level.get(node)!] ??= []).push(node);
  let [left, h] = [0, 0];
  for (const layer of layers) {
    let top = 0;
    let widest = 0;
    for (const node of layer ?? []) {
      [draft.x[node], draft.y[node]] = [left, top];
      top += draft.height[node]! + GAP;
      widest = Math.max(widest, draft.width[node]!);
    }
    h = Math.max(h, top - GAP);
    left += widest + LAYER_GAP;
  }
  return [left - LAYER_GAP, h];
}

/** Row after row, each as long as gives the whole a good shape, or as what stands above is wide. */
function inRows(
  nodes: readonly number[],
  above: number,
  from: number,
  draft: Draft,
): readonly [number, number] {
  const area = nodes.reduce(
    (sum, node) => sum + (draft.width[node]! + GAP) * (draft.height[node]! + GAP),
    0,
  );
  const longest = Math.max(
    above,
    Math.sqrt(area * SHAPE),
    ...nodes.slice(0, 1_000).map((node) => draft.width[node]!),
  );
  let [left, top, tallest, w] = [0, from, 0, 0];
  for (const node of nodes) {
    if (left > 0 && left + draft.width[node]! > longest)
      [left, top, tallest] = [0, top + tallest + GAP, 0];
    [draft.x[node], draft.y[node]] = [left, top];
    left += draft.width[node]! + GAP;
    tallest = Math.max(tallest, draft.height[node]!);
    w = Math.max(w, left - GAP);
  }
  return [w, top + tallest - from];
}

/** From places within a box to places in the whole. */
function moveIn(graph: Graph, x: Float64Array, y: Float64Array): void {
  graph.parent.forEach((up, node) => {
    if (up < 0) return;
    x[node]! += x[up]! + PADDING;
    y[node]! += y[up]! + HEAD;
  });
}

/** Lines of dagre are moved with their box; where an end lies deeper in, a straight one is drawn. */
function drawLines(graph: Graph, lifted: Map<number, Lifted[]>, draft: Draft): void {
  const { x, y, width, height, lines } = draft;
  for (const [box, edges] of lifted) {
    for (const { edge, from, to } of edges) {
      const [first, last] = [graph.edges[edge * 2]!, graph.edges[edge * 2 + 1]!];
      const line = lines[edge]!;
      if (line.length > 0 && first === from && last === to) {
        const [dx, dy] = box < 0 ? [0, 0] : [x[box]! + PADDING, y[box]! + HEAD];
        for (let i = 0; i < line.length; i += 2)
          [line[i], line[i + 1]] = [line[i]! + dx, line[i + 1]! + dy];
      } else {
        lines[edge] = Float64Array.of(
          x[first]! + width[first]!,
          y[first]! + height[first]! / 2,
          x[last]!,
          y[last]! + height[last]! / 2,
        );
      }
    }
  }
}
