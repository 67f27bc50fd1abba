// The page's copy of what the daemon holds. What comes is upserted by id; what it means was decided
// by the daemon. Pure: it is told what it copies and tells what has changed.

import type {
  Change,
  EventView,
  FrameColumns,
  ProjectView,
  RunDetail,
  RunView,
  TaskColumns,
} from "../api/types.gen.ts";
import { FrameTable, TaskTable } from "../model/columns.ts";
import { isReadOnly } from "../model/origin.ts";
import { isOpen, runKey } from "./keys.ts";
import type { PackedContent, PackedSnapshot } from "./pack.ts";
import type { Position } from "./protocol.ts";

export { isOpen, runKey };

/** How many of a run's newest events are kept. */
export const KEPT_EVENTS = 1_000;
/** How many runs that have ended keep their frames. */
const KEPT_ENDED_RUNS = 16;

/** What a run holds. */
export class RunContent {
  readonly frames = new FrameTable();
  readonly tasks = new TaskTable();
  /** The newest events that came as changes, oldest first. */
  readonly events: EventView[] = [];
  /** Whether all of its frames are here, not only those that changed since we look. */
  complete = false;
  /** The run's event up to which frames and tasks were loaded as a whole. */
  loadedTo = 0;
}

/** What a change touched. */
export interface Touched {
  projects: boolean;
  /** Keys of runs. */
  runs: Set<string>;
}

export class Mirror {
  /** The moment that it shows. */
  readonly at: Position = { epoch: "", seq: 0 };
  readonly projects = new Map<string, ProjectView>();
  readonly runs = new Map<string, RunView>();
  readonly contents = new Map<string, RunContent>();

  /** Begins anew from a snapshot. */
  reset(snapshot: PackedSnapshot): void {
    this.at.epoch = snapshot.epoch;
    this.at.seq = snapshot.seq;
    this.projects.clear();
    for (const project of snapshot.projects) this.projects.set(project.id, project);
    const before = new Map(this.runs);
    this.runs.clear();
    for (const run of snapshot.runs) this.runs.set(runKey(run.project, run.id), run);
    for (const key of this.contents.keys()) {
      // An ended run about which nothing was said since is as it was.
      const run = this.runs.get(key);
      if (!run || isOpen(run) || run.seq !== before.get(key)?.seq) this.contents.delete(key);
    }
    for (const packed of snapshot.contents) this.#unpack(packed);
  }

  /** Takes in the next change. */
  apply(change: Change): Touched {
    this.at.seq = change.seq;
    const touched: Touched = { projects: change.projects.length > 0, runs: new Set() };
    for (const project of change.projects) this.projects.set(project.id, project);
    // A change is of one project, and names each run that it touches.
    const keys = new Map<string, string>();
    for (const run of change.runs) {
      const key = runKey(run.project, run.id);
      keys.set(run.id, key);
      touched.runs.add(key);
      this.#upsertRun(key, run, change.events);
    }
    const keyOf = (run: string) => {
      const key =
        keys.get(run) ?? [...this.contents.keys()].find((known) => known.endsWith(`/${run}`));
      if (key !== undefined) touched.runs.add(key);
      return key;
    };
    // A change older than what was loaded as a whole would turn it back.
    const isNews = (key: string, content: RunContent) =>
      (this.runs.get(key)?.seq ?? Infinity) > content.loadedTo;
    for (const [rows, table] of [
      [change.frames, "frames"],
      [change.tasks, "tasks"],
    ] as const) {
      for (const row of rows) {
        const key = keyOf(row.run);
        const content = key === undefined ? undefined : this.contents.get(key);
        if (key !== undefined && content && isNews(key, content))
          content[table].upsert(row as never);
      }
    }
    for (const event of change.events) {
      const key = keyOf(event.run);
      if (key === undefined) continue;
      const events = this.contents.get(key)?.events;
      events?.push(event);
      if (events && events.length > KEPT_EVENTS * 2) events.splice(0, events.length - KEPT_EVENTS);
    }
    this.#forgetOldRuns();
    return touched;
  }

  /** Takes in a run that was asked for as a whole. Says false when it is older than what is here. */
  load(detail: RunDetail): boolean {
    const key = runKey(detail.run.project, detail.run.id);
    const known = this.runs.get(key);
    if (known && known.seq > detail.run.seq) return false;
    this.runs.set(key, detail.run);
    const content = new RunContent();
    content.events.push(...(this.contents.get(key)?.events ?? []));
    content.frames.load(detail.frames, all(detail.frames));
    content.tasks.load(detail.tasks, all(detail.tasks));
    content.complete = true;
    content.loadedTo = detail.run.seq;
    this.#keep(key, content);
    this.#forgetOldRuns();
    return true;
  }

  #upsertRun(key: string, run: RunView, events: readonly EventView[]): void {
    const known = this.runs.get(key);
    if (!known || run.seq >= known.seq) this.runs.set(key, run);
    // The tasks of a read-only run are shown as lost; of an accepted one they may run.
    if (known && isReadOnly(known) && !isReadOnly(run)) this.contents.delete(key);
    if (this.contents.has(key)) return;
    const content = new RunContent();
    // All frames of a run are there from its first event on, so whoever sees that sees them all.
    content.complete = events.some((event) => event.run === run.id && event.seq === 1);
    this.#keep(key, content);
  }

  #unpack({ key, frames, tasks }: PackedContent): void {
    const content = new RunContent();
    content.frames.unpack(frames);
    content.tasks.unpack(tasks);
    content.complete = true;
    content.loadedTo = this.runs.get(key)!.seq;
    this.#keep(key, content);
  }

  /** Puts a run's content last, so that the first is the one not used for longest. */
  #keep(key: string, content: RunContent): void {
    this.contents.delete(key);
    this.contents.set(key, content);
  }

  #forgetOldRuns(): void {
    if (this.contents.size <= KEPT_ENDED_RUNS) return;
    const ended = [...this.contents.keys()].filter((key) => {
      const run = this.runs.get(key);
      return !run || !isOpen(run);
    });
    for (const key of ended.slice(0, -KEPT_ENDED_RUNS)) this.contents.delete(key);
  }
}

function all(columns: FrameColumns | TaskColumns): number[] {
  return [...columns.id.keys()];
}
