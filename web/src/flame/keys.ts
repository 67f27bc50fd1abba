// What keys do in the chart while it has the focus.

import type { Layout } from "../model/layout.ts";

export type Move = "parent" | "child" | "before" | "after";

export type KeyAction =
  | { do: "walk"; move: Move }
  | { do: "zoom"; factor: number }
  | { do: "pan"; share: number }
  | { do: "scroll"; pages: number }
  | { do: "fit" | "follow" | "open" | "close" | "fitFrame" | "fold" | "idle" | "tip" }
  | { do: "match"; step: 1 | -1 };

const ACTIONS: Record<string, KeyAction> = {
  ArrowUp: { do: "walk", move: "parent" },
  ArrowDown: { do: "walk", move: "child" },
  ArrowLeft: { do: "walk", move: "before" },
  ArrowRight: { do: "walk", move: "after" },
  w: { do: "zoom", factor: 1 / 1.4 },
  s: { do: "zoom", factor: 1.4 },
  "+": { do: "zoom", factor: 1 / 1.4 },
  "=": { do: "zoom", factor: 1 / 1.4 },
  "-": { do: "zoom", factor: 1.4 },
  a: { do: "pan", share: -0.15 },
  d: { do: "pan", share: 0.15 },
  PageUp: { do: "scroll", pages: -0.8 },
  PageDown: { do: "scroll", pages: 0.8 },
  "0": { do: "fit" },
  n: { do: "follow" },
  z: { do: "fitFrame" },
  i: { do: "idle" },
  t: { do: "tip" },
  " ": { do: "fold" },
  "]": { do: "match", step: 1 },
  "[": { do: "match", step: -1 },
  Enter: { do: "open" },
  Escape: { do: "close" },
};

/** What a key means; null for keys that are not the chart's. */
export function actionOf(event: KeyboardEvent): KeyAction | null {
  if (event.ctrlKey || event.metaKey || event.altKey) return null;
  return ACTIONS[event.key.length === 1 ? event.key.toLowerCase() : event.key] ?? null;
}

/** The bar next to one in the tree; the first root where none was chosen; the same where there is none that
 *  is shown. */
export function walk(layout: Layout, bar: number, move: Move): number {
  const { childStart, children, parent, count } = layout;
  if (count === 0) return -1;
  if (bar < 0) return children[childStart[count]!]!;
  if (move === "parent") return parent[bar]! < 0 ? bar : parent[bar]!;
  if (move === "child") {
    const first = childStart[bar + 1]! > childStart[bar]! ? children[childStart[bar]!]! : bar;
    return layout.y[first]! < 0 ? bar : first;
  }
  const owner = parent[bar]! < 0 ? count : parent[bar]!;
  const step = move === "after" ? 1 : -1;
  const place = children.indexOf(bar, childStart[owner]!) + step;
  return place >= childStart[owner]! && place < childStart[owner + 1]! ? children[place]! : bar;
}
