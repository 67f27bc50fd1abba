// A snapshot made ready for a tab: the frames and tasks of each run that goes on as tables of their own.
// It is done where the snapshot is read, which in most browsers is a worker, and goes to the tab as
// buffers that are handed over: opening a large run costs the page's own thread next to nothing. Pure.

import type { ProjectView, RunView, Snapshot } from "../api/types.gen.ts";
import { FrameTable, TaskTable } from "../model/columns.ts";
import type { PackedTable } from "../model/columns.ts";
import { isOpen, runKey } from "./keys.ts";

export interface PackedSnapshot {
  readonly epoch: string;
  readonly seq: number;
  readonly now_ms: number;
  readonly projects: ProjectView[];
  readonly runs: RunView[];
  /** Of each run that goes on. */
  readonly contents: PackedContent[];
}

export interface PackedContent {
  readonly key: string;
  readonly frames: PackedTable;
  readonly tasks: PackedTable;
}

export function packSnapshot(snapshot: Snapshot): PackedSnapshot {
  const { epoch, seq, now_ms, projects, runs, frames, tasks } = snapshot;
  const open = runs.filter(isOpen);
  const { framesOf, tasksOf } = byRun(snapshot, open);
  const contents = open.map((run, i) => {
    const [frameTable, taskTable] = [new FrameTable(), new TaskTable()];
    frameTable.load(frames, framesOf[i]!);
    taskTable.load(tasks, tasksOf[i]!);
    return { key: runKey(run.project, run.id), frames: frameTable.pack(), tasks: taskTable.pack() };
  });
  return { epoch, seq, now_ms, projects, runs, contents };
}

/** Rows of a snapshot say their run but not its project: two projects may both have a RUN-...-001.
 *  A frame is of its parent's run, and a run names its root. */
function byRun({ frames, tasks }: Snapshot, open: readonly RunView[]) {
  const framesOf: number[][] = open.map(() => []);
  const tasksOf: number[][] = open.map(() => []);
  const runOf = new Map(open.map((run, i) => [run.root, i]));
  const place = (row: number): boolean => {
    const run = runOf.get(frames.id[row]!) ?? runOf.get(frames.parent[row] ?? "");
    if (run === undefined) return false;
    runOf.set(frames.id[row]!, run);
    framesOf[run]!.push(row);
    return true;
  };
  // Parents stand before their children; should one not, the next round finds it.
  let left = [...frames.id.keys()];
  for (let before = Infinity; left.length < before;) {
    before = left.length;
    left = left.filter((row) => !place(row));
  }
  for (let row = 0; row < tasks.id.length; row++) {
    const run = runOf.get(tasks.frame[row]!);
    if (run !== undefined) tasksOf[run]!.push(row);
  }
  return { framesOf, tasksOf };
}
