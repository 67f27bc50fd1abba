// What the daemon says and the rules for taking it in. Pure: no network, no clock.

import type { Change, FrameColumns, Snapshot, TaskColumns } from "../api/types.gen.ts";
import type { PackedSnapshot } from "./pack.ts";

/** How the page stands with the daemon. */
export type Connection = "connecting" | "live" | "reconnecting" | "signed_out" | "gone";

/** What a tab is told. Messages come in order, and each change is the one after the last. */
export type ToTab =
  | { type: "connection"; connection: Connection }
  | { type: "snapshot"; snapshot: PackedSnapshot }
  | { type: "change"; change: Change };

/** What a tab says: it is there; it goes; someone looks at it, so try again now. */
export type FromTab = "join" | "leave" | "wake";

/** A place in the stream of changes: one life of the daemon, and a number in it. */
export interface Position {
  epoch: string;
  seq: number;
}

/** What is to be done with a change. */
export type Verdict = "apply" | "drop" | "gap" | "reset";

/**
 * Only the next change is applied. An older one is dropped; a later one means that something was
 * lost, so the stream is opened again after the last one applied; one of another life of the daemon
 * means that the numbers mean nothing here any more, so a new snapshot is taken.
 */
export function judge(at: Position, id: Position): Verdict {
  if (id.epoch !== at.epoch) return "reset";
  if (id.seq <= at.seq) return "drop";
  return id.seq === at.seq + 1 ? "apply" : "gap";
}

/** Something that came from the daemon and is not what it should be. */
export class ProtocolError extends Error {}

/** Reads `EPOCH:SEQ`. */
export function readPosition(text: string): Position {
  const colon = text.lastIndexOf(":");
  const digits = text.slice(colon + 1);
  if (colon < 1 || !/^\d{1,15}$/.test(digits)) {
    throw new ProtocolError(
      `an event has the id ${JSON.stringify(text.slice(0, 80))}, not EPOCH:SEQ`,
    );
  }
  return { epoch: text.slice(0, colon), seq: Number(digits) };
}

/** Writes `EPOCH:SEQ`. */
export function writePosition(at: Position): string {
  return `${at.epoch}:${at.seq}`;
}

/** Reads the data of a change event. */
export function readChange(data: string): Change {
  const value = object(parse(data), "a change");
  const { seq } = value;
  if (!isCount(seq)) throw new ProtocolError("a change has no seq");
  return {
    seq,
    projects: rows(value, "projects"),
    runs: rows(value, "runs"),
    frames: rows(value, "frames"),
    tasks: rows(value, "tasks"),
    events: list(value, "events") as Change["events"],
  };
}

/** Checks that an answer is a snapshot. */
export function readSnapshot(answer: unknown): Snapshot {
  const value = object(answer, "the snapshot");
  const { epoch, seq, now_ms } = value;
  if (typeof epoch !== "string" || epoch === "" || !isCount(seq) || typeof now_ms !== "number") {
    throw new ProtocolError("the snapshot does not say which moment it shows (epoch, seq, now_ms)");
  }
  return {
    epoch,
    seq,
    now_ms,
    projects: rows(value, "projects"),
    runs: rows(value, "runs"),
    frames: readColumns<FrameColumns>(value.frames, "frames"),
    tasks: readColumns<TaskColumns>(value.tasks, "tasks"),
  };
}

/** Checks that every column is a list and that all are of one length. */
export function readColumns<T extends { id: string[] }>(answer: unknown, what: string): T {
  const columns = object(answer, what);
  const ids = columns.id;
  if (!Array.isArray(ids)) throw new ProtocolError(`${what} have no column of ids`);
  for (const [name, column] of Object.entries(columns)) {
    if (!Array.isArray(column) || column.length !== ids.length) {
      throw new ProtocolError(`the column ${name} of ${what} is not as long as the others`);
    }
  }
  return columns as unknown as T;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new ProtocolError("a change is not JSON");
  }
}

function object(value: unknown, what: string): Record<string, unknown> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new ProtocolError(`${what} is not an object`);
  }
  return value as Record<string, unknown>;
}

function list(value: Record<string, unknown>, field: string): unknown[] {
  const items = value[field];
  if (!Array.isArray(items)) throw new ProtocolError(`${field} is not a list`);
  return items;
}

/** A list of entities: each has an id by which it is put in place. */
function rows<T extends { id: string }>(value: Record<string, unknown>, field: string): T[] {
  const items = list(value, field);
  for (const item of items) {
    if (typeof object(item, `an item of ${field}`).id !== "string") {
      throw new ProtocolError(`an item of ${field} has no id`);
    }
  }
  return items as T[];
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}
