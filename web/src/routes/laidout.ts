// A run's frames laid out, with what is folded of them.

import { createEffect, createMemo, createSignal, on } from "solid-js";
import type { FrameTable } from "../model/columns.ts";
import { NOTHING_FOLDED, above, foldByHand, foldOf } from "../model/fold.ts";
import type { Fold, Folding } from "../model/fold.ts";
import { layOut } from "../model/layout.ts";
import type { Layout } from "../model/layout.ts";
import { sparing } from "../sparing.ts";

export interface LaidOut {
  readonly layout: Layout;
  readonly fold: Fold;
}

/** What was folded by hand, by run: kept while the page is open. */
const kept = new Map<string, Folding>();

/** `version` changes whenever a frame does. */
export function createLaidOut(run: string, frames: () => FrameTable, version: () => number, selected: () => string | null) {
  const [folding, setFolding] = createSignal<Folding>(kept.get(run) ?? NOTHING_FOLDED);
  const change = (next: Folding) => {
    kept.set(run, next);
    setFolding(next);
  };
  const make = (): LaidOut => {
    const fold = foldOf(frames(), folding());
    return { fold, layout: layOut(frames(), fold.hidden) };
  };
  const laidOut = sparing(createMemo(() => ({ frames: frames(), version: version(), folding: folding() })), make);

  // What is chosen is shown, also where it folds by itself.
  const hiddenChoice = createMemo(() => {
    const row = selected() === null ? undefined : frames().row(selected()!);
    return row !== undefined && (laidOut().fold.into[row] ?? -1) >= 0 ? selected() : null;
  });
  createEffect(on(hiddenChoice, (hidden) => {
    if (hidden !== null) change(foldByHand(folding(), above(frames(), hidden), false));
  }));

  return {
    laidOut,
    /** Folds a frame or unfolds it. */
    fold: (id: string, isFolded: boolean) => change(foldByHand(folding(), [id], isFolded)),
    unfoldAll: () => change({ byHand: new Map(), completed: false }),
  };
}
