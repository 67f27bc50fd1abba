// Which frames of several runs are the same, and in what they differ as far as their columns tell. Pure.

import type { FrameView, RunView, Usage } from "../api/types.gen.ts";
import type { FrameTable, TaskTable } from "../model/columns.ts";
import { NOTHING_USED, addUsage, allTokens } from "../model/usage.ts";

/** A run that is compared. */
export interface Side {
  readonly run: RunView;
  readonly frames: FrameTable;
  readonly tasks: TaskTable;
}

/** A frame of a run, and what its tasks tell of it. */
export interface Cell {
  readonly frame: FrameView;
  readonly tries: number;
  readonly usage: Usage;
  readonly model: string | null;
  /** How long it took; null while that is not known. */
  readonly took_ms: number | null;
}

/** The frames that are the same, by run; null where a run has none. */
export interface Match {
  readonly key: string;
  readonly cells: readonly (Cell | null)[];
  /** In what they differ: the weightiest first. */
  readonly differs: readonly Difference[];
}

export const DIFFERENCES = [
  "absent",
  "status",
  "tool",
  "model",
  "tries",
  "artifacts",
  "tokens",
  "cost",
] as const;
export type Difference = (typeof DIFFERENCES)[number];

/** Frames that do work, matched by key; those that differ first, the weightiest difference first. */
export function match(sides: readonly Side[]): Match[] {
  const cells = sides.map(cellsOf);
  // A task that was done again alone has a frame of its own name only.
  if (cells.every((each) => each.size === 1)) {
    const alone = cells.map((each) => [...each.values()][0]!);
    return [made([...cells[0]!.keys()][0]!, alone)];
  }
  const keys = new Set(cells.flatMap((each) => [...each.keys()]));
  const matches = [...keys].map((key) =>
    made(
      key,
      cells.map((each) => each.get(key) ?? null),
    ),
  );
  const weight = ({ differs }: Match) =>
    differs.length === 0 ? DIFFERENCES.length : DIFFERENCES.indexOf(differs[0]!);
  return matches.sort((a, b) => weight(a) - weight(b) || b.differs.length - a.differs.length);
}

function made(key: string, cells: readonly (Cell | null)[]): Match {
  const present = cells.filter((cell) => cell !== null);
  const isSame = (of: (cell: Cell) => unknown) =>
    present.every((cell) => of(cell) === of(present[0]!));
  const same: Record<Difference, boolean> = {
    absent: present.length === cells.length,
    status: isSame(({ frame }) => frame.status),
    tool: isSame(({ frame }) => frame.tool),
    model: isSame(({ model }) => model),
    tries: isSame(({ tries }) => tries),
    artifacts: isSame(({ frame }) => frame.artifacts),
    tokens: isSame(({ usage }) => allTokens(usage)),
    cost: isSame(({ usage }) => usage.cost_usd),
  };
  return { key, cells, differs: DIFFERENCES.filter((difference) => !same[difference]) };
}

function cellsOf({ frames, tasks }: Side): Map<string, Cell> {
  const found = new Map<string, Cell>();
  const ofFrame = new Map<string, number[]>();
  for (let row = 0; row < tasks.length; row++) {
    const frame = tasks.frame.get(row);
    ofFrame.set(frame, [...(ofFrame.get(frame) ?? []), row]);
  }
  for (let row = 0; row < frames.length; row++) {
    if (frames.group.bits[row] === 1) continue;
    const frame = frames.get(row);
    const mine = ofFrame.get(frame.id) ?? [];
    const key = nameOf(frames, row);
    // Two of the same name are told apart by their order.
    let unique = key;
    for (let n = 2; found.has(unique); n++) unique = `${key} (${n})`;
    found.set(unique, {
      frame,
      tries: mine.length,
      usage: mine.reduce(
        (sum, task) => addUsage(sum, tasks.usage.get(task) ?? NOTHING_USED),
        NOTHING_USED,
      ),
      model: mine.map((task) => tasks.model.get(task)).findLast((model) => model !== null) ?? null,
      took_ms:
        frame.started_ms === null || frame.ended_ms === null
          ? null
          : frame.ended_ms - frame.started_ms,
    });
  }
  return found;
}

/** What a frame is called in any run of its plan. One that was made at work has its own id in its key: it is
 *  called by its title, within what it was made in. */
function nameOf(frames: FrameTable, row: number): string {
  const titles: string[] = [];
  for (let at: number | undefined = row; at !== undefined;) {
    const key = frames.key.get(at);
    if (!key.endsWith(frames.id.get(at))) return [key, ...titles].join(" › ");
    titles.unshift(frames.title.get(at));
    const parent: string | null = frames.parent.get(at);
    at = parent === null || titles.length > 64 ? undefined : frames.row(parent);
  }
  return titles.join(" › ");
}
