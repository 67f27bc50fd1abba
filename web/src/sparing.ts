// Things that take time to make, and are made again and again.

import { createEffect, createSignal, on, onCleanup, untrack } from "solid-js";

/** How many times as long as it took, it is not made again. */
const REST = 39;

/**
 * What `make` gives for the newest `source`. It is made at most for a fortieth of the time; what is skipped
 * comes with the next.
 */
export function sparing<S, T>(source: () => S, make: (source: S) => T): () => T {
  const [made, setMade] = createSignal<T>(untrack(() => make(source())));
  let timer: ReturnType<typeof setTimeout> | undefined;
  let idleUntil = 0;
  const remake = () => {
    timer = undefined;
    const began = performance.now();
    const next = make(untrack(source));
    setMade(() => next);
    idleUntil = performance.now() + (performance.now() - began) * REST;
  };
  createEffect(on(source, () => {
    const wait_ms = idleUntil - performance.now();
    if (wait_ms <= 4) {
      clearTimeout(timer);
      remake();
    } else timer ??= setTimeout(remake, wait_ms);
  }, { defer: true }));
  onCleanup(() => clearTimeout(timer));
  return made;
}
