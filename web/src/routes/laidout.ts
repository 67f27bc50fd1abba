// A run's frames laid out, with what is folded of them.

import { createEffect, createMemo, createSignal, on } from "solid-js";
import type { FrameTable } from "../model/columns.ts";
import { NOTHING_FOLDED, above, foldByHand, foldOf, restated } from "../model/fold.ts";
import type { Fold, Folding } from "../model/fold.ts";
import type { Layout } from "../model/layout.ts";
import { remembered } from "../model/remembered.ts";
import { keepSame } from "../model/same.ts";
import { sparing } from "../sparing.ts";
import { keptLayout } from "./layout.ts";

export interface LaidOut {
  readonly frames: FrameTable;
  readonly layout: Layout;
  readonly fold: Fold;
}

function isSameLaidOut(one: LaidOut | null, other: LaidOut | null): boolean {
  if (one === null || other === null) return one === other;
  return (
    one.frames === other.frames &&
    one.layout === other.layout &&
    keepSame(one.fold, other.fold) === other.fold
  );
}

/** What was folded by hand, by run: kept while the page is open. */
const kept = new Map<string, Folding>();

/** `upTo` is how often the table had changed. */
const foldedUpTo = remembered((frames: FrameTable, folding: Folding, upTo: number) => ({
  frames,
  folding,
  upTo,
  fold: foldOf(frames, folding),
}));

/** `version` changes whenever a frame does. */
export function createLaidOut(
  run: string,
  frames: () => FrameTable,
  version: () => number,
  selected: () => string | null,
) {
  const [folding, setFolding] = createSignal<Folding>(kept.get(run) ?? NOTHING_FOLDED);
  const change = (next: Folding) => {
    kept.set(run, next);
    setFolding(next);
  };
  const state = createMemo(() => ({ frames: frames(), version: version(), folding: folding() }));
  const folded = sparing(
    state,
    (now) => foldedUpTo(now.frames, now.folding, now.frames.changes),
    () => [frames(), folding()],
  );
  /** What is folded, with what has changed since that was worked out; null while it is of another table. */
  const fold = createMemo(() => {
    const { frames: table } = state();
    const { frames: of, fold, upTo } = folded();
    if (of !== table) return null;
    const rows = table.changedSince(upTo);
    return rows === null ? foldOf(table, folding()) : restated(fold, table, rows);
  });
  const shown = keptLayout(state, () => {
    const known = fold();
    return known === null ? null : { mask: known.hidden, choice: folded().folding };
  });
  /** Null until there is a first layout. */
  const laidOut = createMemo<LaidOut | null>(
    () => {
      const now = shown();
      if (now === null) return null;
      // For a moment, what is laid out is still another table.
      const isOfNow = now.frames === state().frames;
      return { ...now, fold: (isOfNow ? fold() : null) ?? foldOf(now.frames, folding()) };
    },
    null,
    { equals: isSameLaidOut },
  );

  // What is chosen is shown, also where it folds by itself.
  const hiddenChoice = createMemo(() => {
    const row = selected() === null ? undefined : frames().row(selected()!);
    return row !== undefined && (laidOut()?.fold.into[row] ?? -1) >= 0 ? selected() : null;
  });
  createEffect(
    on(hiddenChoice, (hidden) => {
      if (hidden !== null) change(foldByHand(folding(), above(frames(), hidden), false));
    }),
  );

  return {
    laidOut,
    /** Folds a frame or unfolds it. */
    fold: (id: string, isFolded: boolean) => change(foldByHand(folding(), [id], isFolded)),
    unfoldAll: () => change({ byHand: new Map(), completed: false }),
  };
}
