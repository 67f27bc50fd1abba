// What keys do in the graph while it has the focus.

import type { Way } from "./walk.ts";

export type KeyAction =
  | { do: "walk"; way: Way }
  | { do: "zoom"; factor: number }
  | { do: "pan"; x: number; y: number }
  | { do: "fit" | "fold" | "open" | "close" };

const ACTIONS: Record<string, KeyAction> = {
  ArrowLeft: { do: "walk", way: "left" },
  ArrowRight: { do: "walk", way: "right" },
  ArrowUp: { do: "walk", way: "up" },
  ArrowDown: { do: "walk", way: "down" },
  PageUp: { do: "walk", way: "out" },
  PageDown: { do: "walk", way: "in" },
  w: { do: "pan", x: 0, y: -0.15 },
  s: { do: "pan", x: 0, y: 0.15 },
  a: { do: "pan", x: -0.15, y: 0 },
  d: { do: "pan", x: 0.15, y: 0 },
  "+": { do: "zoom", factor: 1.3 },
  "=": { do: "zoom", factor: 1.3 },
  "-": { do: "zoom", factor: 1 / 1.3 },
  "0": { do: "fit" },
  " ": { do: "fold" },
  Enter: { do: "open" },
  Escape: { do: "close" },
};

/** What a key means; null for keys that are not the graph's. */
export function actionOf(event: KeyboardEvent): KeyAction | null {
  if (event.ctrlKey || event.metaKey || event.altKey) return null;
  return ACTIONS[event.key.length === 1 ? event.key.toLowerCase() : event.key] ?? null;
}
