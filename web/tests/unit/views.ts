// Entities for unit tests, and rows of them as the daemon sends them: as columns.

import type { FrameColumns, FrameView, TaskColumns, TaskView } from "../../src/api/types.gen.ts";
import { frame, task } from "../fixture/entities.mjs";

export { NOTHING_USED, T0, frame, project, run, task } from "../fixture/entities.mjs";

/** Rows as columns; the fields are those of an example, for where there is no row. */
function columns<V extends object>(rows: readonly V[], example: V): { [F in keyof V]: V[F][] } {
  const fields = Object.keys(example) as (keyof V)[];
  return Object.fromEntries(fields.map((field) => [field, rows.map((row) => row[field])])) as {
    [F in keyof V]: V[F][];
  };
}

export function frameColumns(rows: readonly FrameView[]): FrameColumns {
  return columns(rows, frame("", "", null));
}

export function taskColumns(rows: readonly TaskView[]): TaskColumns {
  return columns(rows, task("", "f-", 1));
}
