// The places of the graph's nodes as a signal: laid out by a worker, which a newer graph, or a person who
// will not wait, ends.

import { createEffect, createSignal, on, onCleanup } from "solid-js";
import type { Places } from "./place.ts";
import type { Graph } from "./structure.ts";
import type { FromWorker } from "./worker.ts";

/** A graph with its places: both change at once. */
export interface Placed {
  readonly graph: Graph;
  readonly places: Places;
}

export interface Placing {
  /** The newest that is placed; null before the first. */
  placed(): Placed | null;
  /** How much of the next one is done; null where none is under way. */
  progress(): { done: number; of: number } | null;
  /** Why there is none. */
  failed(): string | null;
  cancel(): void;
}

export function createPlacing(graph: () => Graph | null): Placing {
  const [placed, setPlaced] = createSignal<Placed | null>(null);
  const [progress, setProgress] = createSignal<{ done: number; of: number } | null>(null);
  const [failed, setFailed] = createSignal<string | null>(null);
  let worker: Worker | null = null;
  const end = () => {
    worker?.terminate();
    worker = null;
    setProgress(null);
  };
  createEffect(
    on(graph, (wanted) => {
      end();
      setFailed(null);
      if (!wanted) return;
      worker = new Worker(new URL("./worker.ts", import.meta.url), { type: "module" });
      setProgress({ done: 0, of: wanted.rows.length });
      worker.onmessage = (event: MessageEvent<FromWorker>) => {
        if (event.data.type === "progress") setProgress(event.data);
        else {
          setPlaced({ graph: wanted, places: event.data.places });
          end();
        }
      };
      worker.onerror = (event) => {
        setFailed(event.message || "it could not be laid out");
        end();
      };
      worker.postMessage(wanted);
    }),
  );
  onCleanup(end);
  const cancel = () => {
    end();
    setFailed("the layout was stopped");
  };
  return { placed, progress, failed, cancel };
}
