// What a run holds, loaded where it is not here.

import { createEffect, createMemo, createSignal, on, onCleanup } from "solid-js";
import type { Accessor } from "solid-js";
import type { RunView } from "../api/types.gen.ts";
import { asApiError, getRun } from "../api/client.ts";
import type { ApiError } from "../api/client.ts";
import { isReadOnly } from "../model/origin.ts";
import { contentOf, loadRun, runs, snapshots } from "../state.ts";
import { runKey } from "../sync/apply.ts";

export type Content = NonNullable<ReturnType<typeof contentOf>>;

/** How often a read-only run is read whose tasks run. */
const REFRESH_MS = 2_000;

interface Held {
  run(): RunView | undefined;
  /** With all of its frames; null until they are here. */
  content: Accessor<Content | null>;
  /** Why they are not. */
  error: Accessor<ApiError | null>;
}

/** A run with its frames, for as long as the component is shown that calls this. */
export function useContent(project: string, id: string): Held {
  const key = runKey(project, id);
  const [error, setError] = createSignal<ApiError | null>(null);
  const content = createMemo(() => {
    const found = contentOf(key);
    return found?.content.complete ? found : null;
  });
  const needed = createMemo(() => snapshots() > 0 && content() === null);

  // A run that has ended is not in the snapshot with its frames: it is asked for.
  createEffect(
    on([needed, snapshots], ([isNeeded]) => {
      if (!isNeeded) return;
      const abort = new AbortController();
      onCleanup(() => abort.abort());
      void load(abort.signal);
    }),
  );

  // The daemon sends no changes of a read-only run: while tasks of it run, it is read again.
  createEffect(() => {
    const run = runs[key];
    if (!run || !isReadOnly(run) || run.tasks_running === 0) return;
    const abort = new AbortController();
    const timer = setInterval(() => void load(abort.signal), REFRESH_MS);
    onCleanup(() => {
      clearInterval(timer);
      abort.abort();
    });
  });

  async function load(signal: AbortSignal): Promise<void> {
    setError(null);
    try {
      // Again where the run went on while its frames were on their way.
      while (!loadRun(await getRun(project, id, signal)));
    } catch (reason) {
      if (!signal.aborted) setError(asApiError(reason));
    }
  }

  return { run: () => runs[key], content, error };
}
