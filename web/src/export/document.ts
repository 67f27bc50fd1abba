// A run as a file, and back: `{"format": "fornax-run", "version": 1, ...}`. What is read is checked to the
// last field, for it may be another's; what is wrong is said with its place. Pure.

import type { FrameView, RunView, TaskView } from "../api/types.gen.ts";
import { RunContent } from "../sync/apply.ts";
import { Invalid, keys, list, number, oneOf, text } from "./check.ts";
import { EVENT, FRAME, RUN, TASK } from "./shapes.ts";

/** A line of a run's journal, as it stands there. */
export type JournalRecord = Readonly<Record<string, unknown>>;

export interface RunDocument {
  readonly format: "fornax-run";
  readonly version: 1;
  /** The moment up to which it tells. */
  readonly at_ms: number;
  readonly run: RunView;
  readonly frames: readonly FrameView[];
  readonly tasks: readonly TaskView[];
  readonly events: readonly JournalRecord[];
}

/** The largest file that is read, in bytes. */
export const LARGEST_FILE = 256 * 1_024 * 1_024;
const MOST_FRAMES = 1_000_000;

export function makeDocument(
  run: RunView,
  content: RunContent,
  events: readonly JournalRecord[],
  at_ms: number,
): RunDocument {
  const { frames, tasks } = content;
  return {
    format: "fornax-run",
    version: 1,
    at_ms,
    // The reactive store's proxy is no value.
    run: { ...run, counts: { ...run.counts }, usage: { ...run.usage } },
    frames: Array.from({ length: frames.length }, (_, row) => frames.get(row)),
    tasks: Array.from({ length: tasks.length }, (_, row) => tasks.get(row)),
    events,
  };
}

export function writeDocument(document: RunDocument): string {
  return `${JSON.stringify(document)}\n`;
}

/** Reads a file; throws `Invalid` with the place of what is wrong. */
export function readDocument(raw: string): RunDocument {
  let value: unknown;
  try {
    value = JSON.parse(raw);
  } catch (error) {
    throw new Invalid(
      "the file",
      `is no JSON: ${error instanceof Error ? error.message : String(error)}`,
    );
  }
  const found = keys(value, "the file");
  if (found.format !== "fornax-run")
    throw new Invalid(
      "format",
      `is not "fornax-run": the file is no run that was exported as JSON`,
    );
  if (found.version !== 1)
    throw new Invalid("version", "is not 1: the file was made by another version of Fornax");
  const known = ["format", "version", "at_ms", "run", "frames", "tasks", "events"];
  for (const key of Object.keys(found)) oneOf(known)(key, "a field of the file");
  number(found.at_ms, "at_ms");
  RUN(found.run, "run");
  list(FRAME, MOST_FRAMES)(found.frames, "frames");
  list(TASK, MOST_FRAMES)(found.tasks, "tasks");
  list(EVENT, MOST_FRAMES * 8)(found.events, "events");
  const document = value as RunDocument;
  checkTree(document);
  return document;
}

/** What fields alone do not tell: that ids are one of a kind, and that what is named is there. */
function checkTree({ run, frames, tasks }: RunDocument): void {
  const parents = new Map<string, string | null>();
  frames.forEach((frame, i) => {
    if (parents.has(frame.id))
      throw new Invalid(`frames[${i}].id`, `is there twice: ${short(frame.id)}`);
    if (frame.run !== run.id)
      throw new Invalid(`frames[${i}].run`, `is another run: ${short(frame.run)}`);
    parents.set(frame.id, frame.parent);
  });
  if (!parents.has(run.root))
    throw new Invalid("run.root", `is none of the frames: ${short(run.root)}`);
  const rooted = new Set<string>();
  frames.forEach((frame, i) => {
    const path = new Set<string>();
    for (
      let id: string | null = frame.id;
      id !== null && !rooted.has(id);
      id = parents.get(id) ?? null
    ) {
      if (path.has(id)) throw new Invalid(`frames[${i}].parent`, "leads in a circle");
      if (!parents.has(id))
        throw new Invalid(
          `frames[${i}].parent`,
          `is, or leads to, none of the frames: ${short(id)}`,
        );
      path.add(id);
    }
    for (const id of path) rooted.add(id);
  });
  const known = new Set<string>();
  tasks.forEach((task, i) => {
    if (known.has(task.id))
      throw new Invalid(`tasks[${i}].id`, `is there twice: ${short(task.id)}`);
    if (task.run !== run.id)
      throw new Invalid(`tasks[${i}].run`, `is another run: ${short(task.run)}`);
    if (!parents.has(task.frame))
      throw new Invalid(`tasks[${i}].frame`, `is none of the frames: ${short(task.frame)}`);
    known.add(task.id);
  });
}

function short(id: string): string {
  return JSON.stringify(id.slice(0, 80));
}

/** What a document holds, as the views want it. */
export function contentOf(document: RunDocument): RunContent {
  const content = new RunContent();
  for (const frame of document.frames) content.frames.upsert(frame);
  for (const task of document.tasks) content.tasks.upsert(task);
  content.complete = true;
  content.loadedTo = document.run.seq;
  return content;
}

/** A line of a journal; null for one that is none. */
export function readRecord(line: string): JournalRecord | null {
  try {
    const record: unknown = JSON.parse(line);
    EVENT(record, "");
    return record as JournalRecord;
  } catch {
    return null;
  }
}

/** The words for what happened, where a record has them. */
export function textIn(record: JournalRecord, field: string): string {
  const value = record[field];
  return typeof value === "string" ? text(value, field) : "";
}
