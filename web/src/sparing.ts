// Things that take time to make, and are made again and again.

import { createEffect, createSignal, on, onCleanup, untrack } from "solid-js";
import { keepSame } from "./model/same.ts";

/** What takes no longer is made whenever something changes. */
const CHEAP_MS = 1;
/** The same for the first time, when code is slow. */
const CHEAP_AT_FIRST_MS = 8;
/** How many times as long as it took, other things are not made again. */
const REST = 199;
/** Nobody waits longer than that, also where it took so long only because others used the machine. */
const LONGEST_REST_MS = 1_000;
/** So long after a change it waits at least: for others to be made with, and for the change to be drawn. */
const WAIT_MS = 200;
/** How many times as long as one of such things took, none of the others is made: not all in one animation frame. */
const OTHERS_REST = 8;

let othersRestUntil_ms = 0;

/**
 * What `make` gives for the newest `source`. Where that takes long, it is made a little after a change, so that
 * nobody waits for it to see the change, and seldom: for half a percent of the time, but once a second where even
 * that is more. What of it is as it was before stays the same object. `chosen` is what of the source is not mere
 * news, such as what a person changes: where one of these is another one, it is made at once.
 */
export function sparing<S, T>(
  source: () => S,
  make: (source: S) => T,
  chosen: () => readonly unknown[],
): () => T {
  let timer: ReturnType<typeof setTimeout> | undefined;
  let isCheap = true;
  let restUntil_ms = 0;
  let before = untrack(chosen);
  const [made, setMade] = createSignal<T>(makeNow(CHEAP_AT_FIRST_MS));

  function makeNow(cheap_ms: number): T {
    const began_ms = performance.now();
    const next = make(untrack(source));
    const now_ms = performance.now();
    const took_ms = now_ms - began_ms;
    isCheap = took_ms <= cheap_ms;
    if (!isCheap) {
      restUntil_ms = now_ms + Math.min(took_ms * REST, LONGEST_REST_MS);
      othersRestUntil_ms = now_ms + Math.min(took_ms * OTHERS_REST, LONGEST_REST_MS);
    }
    return next;
  }

  function remake(): void {
    clearTimeout(timer);
    timer = undefined;
    const next = makeNow(CHEAP_MS);
    setMade((before) => keepSame(next, before));
  }

  createEffect(
    on(
      [source, chosen],
      ([, now]) => {
        const wait_ms = Math.max(restUntil_ms, othersRestUntil_ms) - performance.now();
        if ((isCheap && wait_ms <= 0) || now.some((each, i) => each !== before[i])) remake();
        else timer ??= setTimeout(remake, Math.max(wait_ms, 0) + WAIT_MS);
        before = now;
      },
      { defer: true },
    ),
  );
  onCleanup(() => clearTimeout(timer));
  return made;
}
