// Lays the graph out where it holds nothing up.

import { place } from "./place.ts";
import type { Places } from "./place.ts";
import type { Graph } from "./structure.ts";

export type FromWorker =
  { type: "progress"; done: number; of: number } | { type: "placed"; places: Places };

addEventListener("message", (event: MessageEvent<Graph>) => {
  const say = (message: FromWorker) => postMessage(message);
  say({
    type: "placed",
    places: place(event.data, (done, of) => say({ type: "progress", done, of })),
  });
});
