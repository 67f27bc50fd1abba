// All about a frame, kept up to date: asked for when it is chosen, and again whenever something about it
// changes. What was asked for here meanwhile lies over it.

import { createEffect, createMemo, createSignal, on, onCleanup } from "solid-js";
import type { Accessor } from "solid-js";
import { createStore, reconcile } from "solid-js/store";
import type { FrameDetail } from "../api/types.gen.ts";
import { asApiError, getFrame } from "../api/client.ts";
import type { ApiError } from "../api/client.ts";
import { overlaid, overlay } from "../state.ts";
import type { RunContent } from "../sync/apply.ts";
import { withChanges } from "../sync/overlay.ts";
import type { Change } from "../sync/overlay.ts";

/** Changes that follow one another so closely are asked about once. */
const SETTLE_MS = 120;

export interface Known {
  /** The frame as it is to be shown; null before it is here. */
  detail: Accessor<FrameDetail | null>;
  /** What of it the daemon has not said yet. */
  changes: Accessor<Change[]>;
  error: Accessor<ApiError | null>;
}

export function useFrame(
  project: string,
  frame: string,
  content: Accessor<RunContent>,
  version: Accessor<number>,
): Known {
  const [raw, setRaw] = createSignal<FrameDetail | null>(null);
  const [error, setError] = createSignal<ApiError | null>(null);
  // Kept by reference where nothing changed, so that what a person types into or points at stays.
  const [store, setStore] = createStore<{ detail: FrameDetail | null }>({ detail: null });
  const changes = createMemo(() => {
    overlaid();
    return overlay.of(frame);
  });
  /** What of the frame and its tasks is here already: asked again when that changes. */
  const known = createMemo(() => {
    void version();
    const { frames, tasks } = content();
    const row = frames.row(frame);
    const task = row === undefined ? null : frames.task.get(row);
    const taskRow = task === null ? undefined : tasks.row(task);
    return JSON.stringify([
      row === undefined ? null : frames.get(row),
      taskRow === undefined ? null : tasks.get(taskRow),
    ]);
  });
  /** Asked again, too, when something that was asked for here is done. */
  const done = createMemo(() => {
    overlaid();
    return overlay.settledOf(frame).join();
  });

  createEffect(
    on([known, done], (_, before) => {
      const abort = new AbortController();
      const timer = setTimeout(() => void load(abort.signal), before === undefined ? 0 : SETTLE_MS);
      onCleanup(() => {
        clearTimeout(timer);
        abort.abort();
      });
    }),
  );
  createEffect(() => {
    const found = raw();
    setStore(
      "detail",
      reconcile(found === null ? null : structuredClone(withChanges(found, changes())), {
        key: "id",
      }),
    );
  });

  async function load(signal: AbortSignal): Promise<void> {
    const held = overlay.settledOf(frame);
    try {
      setRaw(await getFrame(project, frame, signal));
      for (const cmdId of held) overlay.drop(cmdId);
      setError(null);
    } catch (reason) {
      if (!signal.aborted) setError(asApiError(reason));
    }
  }

  return { detail: () => store.detail, changes, error };
}
