// Runs that are compared, and what their frames gave, as signals: asked for a few at a time.

import { createEffect, createSignal, on, onCleanup } from "solid-js";
import { loadFrame, loadSide } from "./load.ts";
import type { FrameOutputs } from "./load.ts";
import type { Cell, Match, Side } from "./match.ts";
import { outputDifferences, sayOutputs } from "./outputs.ts";

export interface Asked {
  readonly project: string;
  readonly id: string;
}

/** The runs, when all are here; else why they are not. */
export function createSides(asked: () => readonly Asked[]) {
  const [sides, setSides] = createSignal<readonly Side[] | null>(null);
  const [error, setError] = createSignal<string | null>(null);
  createEffect(
    on(
      () =>
        asked()
          .map(({ project, id }) => `${project}/${id}`)
          .join(),
      () => {
        const abort = new AbortController();
        onCleanup(() => abort.abort());
        setError(null);
        Promise.all(asked().map(({ project, id }) => loadSide(project, id, abort.signal))).then(
          (loaded) => setSides(loaded),
          (reason: unknown) =>
            abort.signal.aborted ||
            setError(reason instanceof Error ? reason.message : String(reason)),
        );
      },
    ),
  );
  return { sides, error };
}

/** So many matches are looked into without being asked, and so many requests are under way at once. */
const AT_FIRST = 60;
const AT_ONCE = 4;

export type Outcome = { readonly differ: string } | { readonly failed: string };

/** What the outputs of matches differ in, by key: against the first run that has the frame. */
export function createOutcomes(
  sides: () => readonly Side[] | null,
  matches: () => readonly Match[],
) {
  const [outcomes, setOutcomes] = createSignal<ReadonlyMap<string, Outcome>>(new Map());
  const [limit, setLimit] = createSignal(AT_FIRST);
  const wanted = () => matches().filter((match) => match.cells.filter(hasOutput).length > 1);
  createEffect(on(sides, () => setOutcomes(new Map()), { defer: true }));
  createEffect(
    on([sides, limit], ([all]) => {
      if (!all) return;
      const abort = new AbortController();
      onCleanup(() => abort.abort());
      const queue = wanted()
        .slice(0, limit())
        .filter(({ key }) => !outcomes().has(key));
      const work = async () => {
        for (let next = queue.shift(); next && !abort.signal.aborted; next = queue.shift()) {
          const outcome = await look(all, next, abort.signal);
          if (!abort.signal.aborted)
            setOutcomes((before) => new Map(before).set(next!.key, outcome));
        }
      };
      for (let i = 0; i < AT_ONCE; i++) void work();
    }),
  );
  const left = () => Math.max(wanted().length - limit(), 0);
  return { outcomes, left, lookAtAll: () => setLimit(Infinity) };
}

/** A frame that never began gave nothing. */
function hasOutput(cell: Cell | null): boolean {
  return cell !== null && cell.frame.started_ms !== null;
}

async function look(sides: readonly Side[], match: Match, signal: AbortSignal): Promise<Outcome> {
  try {
    const asked = match.cells.flatMap((cell, i) =>
      hasOutput(cell) ? [loadFrame(sides[i]!.run.project, cell!.frame.id, signal)] : [],
    );
    const [first, ...others] = await Promise.all(asked);
    const said = others.flatMap((other) => [
      sayOutputs(outputDifferences(first!.detail, other.detail)),
      ...sayRecords(first!, other),
    ]);
    return { differ: [...new Set(said.filter((each) => each !== ""))].join("; ") };
  } catch (reason) {
    return { failed: reason instanceof Error ? reason.message : String(reason) };
  }
}

function sayRecords(one: FrameOutputs, other: FrameOutputs): string[] {
  return [
    one.tool_version === other.tool_version ? "" : "tool version",
    one.commit === other.commit ? "" : "commit",
  ];
}
