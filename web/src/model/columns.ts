// Frames and tasks as columns: one typed array a field, texts kept once each. A hundred thousand
// rows cost a few megabytes, and a loop over one field touches nothing else. Nothing here is reactive.

import type { FrameView, TaskView } from "../api/types.gen.ts";
import { FRAME_STATUSES, TASK_STATES } from "./status.ts";

/** One field of all rows. */
interface Column<T> {
  get(row: number): T;
  set(row: number, value: T): void;
  /** Makes room for so many rows. */
  grow(rows: number): void;
}

/** Texts, each different one kept once. */
class Texts<T extends string | null> implements Column<T> {
  #refs = new Uint32Array(0);
  readonly #texts: T[] = [];
  readonly #known = new Map<T, number>();

  get(row: number): T {
    return this.#texts[this.#refs[row]!]!;
  }

  set(row: number, value: T): void {
    let ref = this.#known.get(value);
    if (ref === undefined) {
      ref = this.#texts.push(value) - 1;
      this.#known.set(value, ref);
    }
    this.#refs[row] = ref;
  }

  grow(rows: number): void {
    this.#refs = grown(this.#refs, new Uint32Array(rows));
  }
}

/** Moments in milliseconds, or other numbers; NaN where there is none. */
class Numbers<T extends number | null> implements Column<T> {
  values = new Float64Array(0);

  get(row: number): T {
    const value = this.values[row]!;
    return (Number.isNaN(value) ? null : value) as T;
  }

  set(row: number, value: T): void {
    this.values[row] = value ?? NaN;
  }

  grow(rows: number): void {
    this.values = grown(this.values, new Float64Array(rows));
  }
}

/** One of a few words, as its place among them. */
class Words<T extends string> implements Column<T> {
  codes = new Uint8Array(0);
  readonly #words: readonly T[];

  constructor(words: readonly T[]) {
    this.#words = words;
  }

  get(row: number): T {
    return this.#words[this.codes[row]!]!;
  }

  set(row: number, value: T): void {
    const code = this.#words.indexOf(value);
    if (code < 0) throw new RangeError(`${JSON.stringify(value)} is none of ${this.#words.join(", ")}`);
    this.codes[row] = code;
  }

  grow(rows: number): void {
    this.codes = grown(this.codes, new Uint8Array(rows));
  }
}

class Flags implements Column<boolean> {
  bits = new Uint8Array(0);

  get(row: number): boolean {
    return this.bits[row] === 1;
  }

  set(row: number, value: boolean): void {
    this.bits[row] = value ? 1 : 0;
  }

  grow(rows: number): void {
    this.bits = grown(this.bits, new Uint8Array(rows));
  }
}

/** Values as they are, for what fits no typed array. */
class Values<T> implements Column<T> {
  readonly values: T[] = [];

  get(row: number): T {
    return this.values[row]!;
  }

  set(row: number, value: T): void {
    this.values[row] = value;
  }

  grow(): void {}
}

function grown<A extends Uint8Array | Uint32Array | Float64Array>(old: A, larger: A): A {
  larger.set(old);
  return larger;
}

/** Rows with an id, kept in the order in which they came. */
class Table<V extends { id: string }> {
  length = 0;
  readonly id = new Values<string>();
  readonly #columns: [keyof V & string, Column<unknown>][] = [["id", this.id as Column<unknown>]];
  readonly #rows = new Map<string, number>();
  #room = 0;

  protected column<F extends keyof V & string, C extends Column<V[F]>>(field: F, column: C): C {
    this.#columns.push([field, column as Column<unknown>]);
    return column;
  }

  /** The row of an id. */
  row(id: string): number | undefined {
    return this.#rows.get(id);
  }

  /** The row as an object. */
  get(row: number): V {
    return Object.fromEntries(this.#columns.map(([field, column]) => [field, column.get(row)])) as unknown as V;
  }

  /** Writes over the row with this id, or adds one. Says which row it is. */
  upsert(view: V): number {
    const row = this.#place(view.id);
    for (const [field, column] of this.#columns) column.set(row, view[field]);
    return row;
  }

  /** Upserts the rows `which` of what came as columns. */
  load(columns: { [F in keyof V]: V[F][] }, which: ArrayLike<number>): void {
    this.#makeRoom(this.length + which.length);
    const places = new Uint32Array(which.length);
    for (let i = 0; i < which.length; i++) places[i] = this.#place(columns.id[which[i]!]!);
    for (const [field, column] of this.#columns) {
      const values = columns[field];
      for (let i = 0; i < which.length; i++) column.set(places[i]!, values[which[i]!]!);
    }
  }

  #place(id: string): number {
    const known = this.#rows.get(id);
    if (known !== undefined) return known;
    const row = this.length;
    this.#makeRoom(row + 1);
    this.#rows.set(id, row);
    this.length = row + 1;
    return row;
  }

  #makeRoom(rows: number): void {
    if (rows <= this.#room) return;
    this.#room = Math.max(rows, this.#room * 2, 16);
    for (const [, column] of this.#columns) column.grow(this.#room);
  }
}

/** The frames of a run. */
export class FrameTable extends Table<FrameView> {
  readonly run = this.column("run", new Texts<string>());
  readonly parent = this.column("parent", new Values<string | null>());
  readonly key = this.column("key", new Texts<string>());
  readonly title = this.column("title", new Texts<string>());
  readonly status = this.column("status", new Words(FRAME_STATUSES));
  readonly reason = this.column("reason", new Texts<string | null>());
  readonly group = this.column("group", new Flags());
  readonly skipped = this.column("skipped", new Flags());
  readonly phase = this.column("phase", new Texts<string | null>());
  readonly agentRole = this.column("agent_role", new Texts<string | null>());
  readonly tool = this.column("tool", new Texts<string | null>());
  readonly dependsOn = this.column("depends_on", new Values<string[]>());
  readonly task = this.column("task", new Values<string | null>());
  readonly seq = this.column("seq", new Numbers<number>());
  readonly created = this.column("created_ms", new Numbers<number>());
  readonly started = this.column("started_ms", new Numbers<number | null>());
  readonly ended = this.column("ended_ms", new Numbers<number | null>());
  readonly asks = this.column("asks", new Values<FrameView["asks"]>());
  readonly advice = this.column("advice", new Values<FrameView["advice"]>());
  readonly usage = this.column("usage", new Values<FrameView["usage"]>());
  readonly turns = this.column("turns", new Numbers<number>());
  readonly artifacts = this.column("artifacts", new Numbers<number>());
  readonly stale = this.column("stale", new Flags());
  readonly paused = this.column("paused", new Flags());
  readonly spans = this.column("spans", new Values<FrameView["spans"]>());
}

/** The tasks of a run. */
export class TaskTable extends Table<TaskView> {
  readonly run = this.column("run", new Texts<string>());
  readonly frame = this.column("frame", new Texts<string>());
  readonly attempt = this.column("attempt", new Numbers<number>());
  readonly state = this.column("state", new Words(TASK_STATES));
  readonly stopping = this.column("stopping", new Flags());
  readonly tool = this.column("tool", new Texts<string>());
  readonly queued = this.column("queued_ms", new Numbers<number>());
  readonly due = this.column("due_ms", new Numbers<number | null>());
  readonly started = this.column("started_ms", new Numbers<number | null>());
  readonly ended = this.column("ended_ms", new Numbers<number | null>());
  readonly exitCode = this.column("exit_code", new Numbers<number | null>());
  readonly signal = this.column("signal", new Numbers<number | null>());
  readonly errorClass = this.column("error_class", new Texts<TaskView["error_class"]>());
  readonly error = this.column("error", new Texts<string | null>());
  readonly driver = this.column("driver", new Texts<TaskView["driver"]>());
  readonly session = this.column("session", new Texts<string | null>());
  readonly model = this.column("model", new Texts<string | null>());
  readonly turns = this.column("turns", new Numbers<number>());
  readonly step = this.column("step", new Texts<string | null>());
  readonly usage = this.column("usage", new Values<TaskView["usage"]>());
  readonly waits = this.column("waits", new Values<TaskView["waits"]>());
  readonly idle = this.column("idle", new Flags());
}
