// The layout of what a run shows, kept true while it changes: see model/keeper.ts.

import { createComputed, createSignal, on, onCleanup } from "solid-js";
import { buffersOf } from "../model/buffers.ts";
import type { FrameTable } from "../model/columns.ts";
import { LayoutKeeper } from "../model/keeper.ts";
import type { Helper, Shown } from "../model/keeper.ts";
import type { Layout } from "../model/layout.ts";

/** `hidden`: see `LayoutKeeper.changed`; null while it is not known. Null until the first layout is made. A table that is replaced is shown until that of the next is. */
export function keptLayout(
  state: () => { frames: FrameTable; version: number },
  hidden: () => { mask: Uint8Array | null; choice: unknown } | null,
): () => Shown | null {
  const [shown, setShown] = createSignal<Shown | null>(null);
  const keeper = new LayoutKeeper(setShown, browserHelper);
  createComputed(
    on([state, hidden], ([{ frames }, known]) => {
      if (known !== null) keeper.changed(frames, known.mask, known.choice);
    }),
  );
  onCleanup(() => keeper.end());
  return shown;
}

const browserHelper: Helper = {
  layOut: (given) =>
    new Promise((resolve, reject) => {
      worker ??= startWorker();
      waiting.push({ resolve, reject });
      worker.postMessage(given, buffersOf(given));
    }),

  after(delay_ms, then) {
    const timer = setTimeout(then, delay_ms);
    return () => clearTimeout(timer);
  },

  now_ms: () => performance.now(),
};

/** One for the page, once there is something large to be laid out. */
let worker: Worker | null = null;
/** Those who wait for its answers, which come in the order of the questions. */
const waiting: { resolve(layout: Layout): void; reject(error: Error): void }[] = [];

function startWorker(): Worker {
  const started = new Worker(new URL("../model/layout.worker.ts", import.meta.url), {
    type: "module",
    name: "layout",
  });
  started.onmessage = ({ data }: MessageEvent<Layout>) => waiting.shift()?.resolve(data);
  started.onerror = () => {
    started.terminate();
    worker = null;
    for (const { reject } of waiting.splice(0)) reject(new Error("the worker for layouts failed"));
  };
  return started;
}
