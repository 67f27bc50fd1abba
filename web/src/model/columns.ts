// Frames and tasks as columns: one typed array a field, texts kept once each. A hundred thousand rows cost
// a few megabytes, a loop over one field touches nothing else, and a whole table goes from one thread to
// another as a few buffers, without a step per row. Nothing here is reactive.

import type { FrameView, TaskView } from "../api/types.gen.ts";
import { Flags, Ids, Numbers, Ref, Refs, TextColumn, Usages, Values, Words } from "./kinds.ts";
import type { Column, Packed } from "./kinds.ts";
import { FRAME_STATUSES, TASK_STATES } from "./status.ts";
import { Texts } from "./texts.ts";
import type { PackedTexts } from "./texts.ts";

export interface PackedTable {
  readonly length: number;
  readonly room: number;
  readonly ids: PackedTexts;
  readonly rows: Uint32Array;
  readonly columns: readonly Packed[];
}

/** How many changes are remembered. */
const KEPT_CHANGES = 1 << 16;
/** How many rows are kept as objects. */
const KEPT_VIEWS = 4_096;

/** Rows with an id, kept in the order in which they came. */
class Table<V extends { id: string }> {
  length = 0;
  protected readonly ids = new Ids();
  readonly id = new Ref<string>(this.ids);
  readonly #columns: [keyof V & string, Column<unknown>][] = [["id", this.id as Column<unknown>]];
  readonly #views = new Map<number, V>();
  #room = 0;
  #changed: number[] = [];
  #forgotten = 0;

  protected column<F extends keyof V & string, C extends Column<V[F]>>(field: F, column: C): C {
    this.#columns.push([field, column as Column<unknown>]);
    return column;
  }

  /** The row of an id. */
  row(id: string): number | undefined {
    return this.ids.row(id);
  }

  /** The row as an object: the same one while the row stays as it is, unless very many others were asked for. */
  get(row: number): V {
    const known = this.#views.get(row);
    if (known) return known;
    const view: Partial<Record<keyof V, unknown>> = {};
    for (const [field, column] of this.#columns) view[field] = column.get(row);
    if (this.#views.size >= KEPT_VIEWS) this.#views.clear();
    this.#views.set(row, view as V);
    return view as V;
  }

  /** Writes over the row with this id, or adds one. Says which row it is. */
  upsert(view: V): number {
    const row = this.#place(view.id);
    for (const [field, column] of this.#columns) column.set(row, view[field]);
    this.#views.delete(row);
    this.#changed.push(row);
    if (this.#changed.length > KEPT_CHANGES * 2) {
      this.#forgotten += KEPT_CHANGES;
      this.#changed.splice(0, KEPT_CHANGES);
    }
    return row;
  }

  /** How many upserts there were. */
  get changes(): number {
    return this.#forgotten + this.#changed.length;
  }

  /** The rows of the upserts after so many; null where they were too many to be remembered. */
  changedSince(changes: number): number[] | null {
    return changes < this.#forgotten ? null : this.#changed.slice(changes - this.#forgotten);
  }

  /** Adds the rows `which` of what came as columns, to a table that is not looked at yet. */
  load(columns: { [F in keyof V]: V[F][] }, which: ArrayLike<number>): void {
    this.#makeRoom(this.length + which.length);
    const places = new Uint32Array(which.length);
    for (let i = 0; i < which.length; i++) places[i] = this.#place(columns.id[which[i]!]!);
    for (const [field, column] of this.#columns) {
      const values = columns[field];
      for (let i = 0; i < which.length; i++) column.set(places[i]!, values[which[i]!]!);
    }
  }

  /** The table for another thread, to which its buffers may be given: it is not to be used here any more. */
  pack(): PackedTable {
    const columns = this.#columns.map(([, column]) => column.pack());
    return {
      length: this.length,
      room: this.#room,
      ids: this.ids.texts.pack(),
      rows: this.ids.rows,
      columns,
    };
  }

  /** Takes over what was packed, in a table that is empty. */
  unpack(packed: PackedTable): this {
    this.length = packed.length;
    this.#room = packed.room;
    this.ids.texts = Texts.unpack(packed.ids);
    this.ids.rows = packed.rows as Uint32Array<ArrayBuffer>;
    this.#columns.forEach(([, column], i) => column.unpack(packed.columns[i]!));
    return this;
  }

  #place(id: string): number {
    const number = this.ids.number(id);
    const known = this.ids.rows[number]!;
    if (known > 0) return known - 1;
    const row = this.length;
    this.#makeRoom(row + 1);
    this.length = row + 1;
    this.ids.rows[number] = row + 1;
    return row;
  }

  #makeRoom(rows: number): void {
    if (rows <= this.#room) return;
    this.#room = Math.max(rows + (rows >> 3), this.#room * 2, 16);
    for (const [, column] of this.#columns) column.grow(this.#room);
  }
}

/** The frames of a run. */
export class FrameTable extends Table<FrameView> {
  readonly run = this.column("run", new TextColumn<string>());
  readonly parent = this.column("parent", new Ref<string | null>(this.ids));
  readonly key = this.column("key", new TextColumn<string>());
  readonly title = this.column("title", new TextColumn<string>());
  readonly status = this.column("status", new Words(FRAME_STATUSES));
  readonly reason = this.column("reason", new TextColumn<string | null>());
  readonly group = this.column("group", new Flags());
  readonly skipped = this.column("skipped", new Flags());
  readonly phase = this.column("phase", new TextColumn<string | null>());
  readonly agentRole = this.column("agent_role", new TextColumn<string | null>());
  readonly tool = this.column("tool", new TextColumn<string | null>());
  readonly dependsOn = this.column("depends_on", new Refs(this.ids));
  readonly task = this.column("task", new TextColumn<string | null>());
  readonly seq = this.column("seq", new Numbers<number>());
  readonly created = this.column("created_ms", new Numbers<number>());
  readonly started = this.column("started_ms", new Numbers<number | null>());
  readonly ended = this.column("ended_ms", new Numbers<number | null>());
  readonly asks = this.column("asks", new Values<FrameView["asks"]>());
  readonly advice = this.column("advice", new TextColumn<string | null>());
  readonly usage = this.column("usage", new Usages());
  readonly turns = this.column("turns", new Numbers<number>());
  readonly artifacts = this.column("artifacts", new Numbers<number>());
  readonly stale = this.column("stale", new Flags());
  readonly paused = this.column("paused", new Flags());
  readonly spans = this.column("spans", new Values<FrameView["spans"]>());
}

/** The tasks of a run. */
export class TaskTable extends Table<TaskView> {
  readonly run = this.column("run", new TextColumn<string>());
  readonly frame = this.column("frame", new TextColumn<string>());
  readonly attempt = this.column("attempt", new Numbers<number>());
  readonly state = this.column("state", new Words(TASK_STATES));
  readonly stopping = this.column("stopping", new Flags());
  readonly tool = this.column("tool", new TextColumn<string>());
  readonly queued = this.column("queued_ms", new Numbers<number>());
  readonly due = this.column("due_ms", new Numbers<number | null>());
  readonly started = this.column("started_ms", new Numbers<number | null>());
  readonly ended = this.column("ended_ms", new Numbers<number | null>());
  readonly exitCode = this.column("exit_code", new Numbers<number | null>());
  readonly signal = this.column("signal", new Numbers<number | null>());
  readonly errorClass = this.column("error_class", new TextColumn<TaskView["error_class"]>());
  readonly error = this.column("error", new TextColumn<string | null>());
  readonly driver = this.column("driver", new TextColumn<TaskView["driver"]>());
  readonly session = this.column("session", new TextColumn<string | null>());
  readonly model = this.column("model", new TextColumn<string | null>());
  readonly turns = this.column("turns", new Numbers<number>());
  readonly step = this.column("step", new TextColumn<string | null>());
  readonly usage = this.column("usage", new Usages());
  readonly waits = this.column("waits", new Values<TaskView["waits"]>());
  readonly idle = this.column("idle", new Flags());

  /** The rows of a frame's tasks. */
  rowsOf(frame: string): number[] {
    return this.frame.rowsOf(frame, this.length);
  }
}
