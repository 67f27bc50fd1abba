// Kinds of columns: how one field of all rows is kept. Nothing here is reactive.

import type { Usage } from "../api/types.gen.ts";
import { Texts } from "./texts.ts";
import type { PackedTexts } from "./texts.ts";

/** What goes from thread to thread: buffers, texts, and lists of them. */
export type Packed =
  Uint8Array | Uint32Array | Float64Array | string | PackedTexts | readonly Packed[];

/** One field of all rows. What `pack` makes is for `unpack` of a column of the same kind. */
export interface Column<T> {
  get(row: number): T;
  set(row: number, value: T): void;
  /** Makes room for so many rows. */
  grow(rows: number): void;
  pack(): Packed;
  unpack(packed: Packed): void;
}

/** A text's number where there is none. */
const NONE = 0xffffffff;

/** Texts of few kinds or many. */
export class TextColumn<T extends string | null> implements Column<T> {
  #numbers = new Uint32Array(0);
  #texts = new Texts();

  get(row: number): T {
    const number = this.#numbers[row]!;
    return (number === NONE ? null : this.#texts.get(number)) as T;
  }

  set(row: number, value: T): void {
    this.#numbers[row] = value === null ? NONE : this.#texts.add(value);
  }

  /** Rows that have the same number have the same text. */
  number(row: number): number {
    return this.#numbers[row]!;
  }

  /** The number of a text, which stays the same; -1 while no row has had it. */
  numberOf(text: string): number {
    return this.#texts.find(text);
  }

  /** The rows that have another text. */
  rowsBut(text: string, length: number): number[] {
    const numbers = this.#numbers;
    const number = this.#texts.find(text);
    const rows: number[] = [];
    for (let row = 0; row < length; row++) if (numbers[row] !== number) rows.push(row);
    return rows;
  }

  /** The rows that have this text. */
  rowsOf(text: string, length: number): number[] {
    const number = this.#texts.find(text);
    const rows: number[] = [];
    if (number < 0) return rows;
    for (
      let row = this.#numbers.indexOf(number);
      row >= 0 && row < length;
      row = this.#numbers.indexOf(number, row + 1)
    )
      rows.push(row);
    return rows;
  }

  grow(rows: number): void {
    this.#numbers = grown(this.#numbers, new Uint32Array(rows));
  }

  pack(): Packed {
    return [this.#numbers, this.#texts.pack()];
  }

  unpack(packed: Packed): void {
    const [numbers, texts] = packed as [Uint32Array<ArrayBuffer>, PackedTexts];
    this.#numbers = numbers;
    this.#texts = Texts.unpack(texts);
  }
}

/** Moments in milliseconds, or other numbers; NaN where there is none. */
export class Numbers<T extends number | null> implements Column<T> {
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

  pack(): Packed {
    return this.values;
  }

  unpack(packed: Packed): void {
    this.values = packed as Float64Array<ArrayBuffer>;
  }
}

/** One of a few words, as its place among them. */
export class Words<T extends string> implements Column<T> {
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
    if (code < 0)
      throw new RangeError(`${JSON.stringify(value)} is none of ${this.#words.join(", ")}`);
    this.codes[row] = code;
  }

  grow(rows: number): void {
    this.codes = grown(this.codes, new Uint8Array(rows));
  }

  pack(): Packed {
    return this.codes;
  }

  unpack(packed: Packed): void {
    this.codes = packed as Uint8Array<ArrayBuffer>;
  }
}

export class Flags implements Column<boolean> {
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

  pack(): Packed {
    return this.bits;
  }

  unpack(packed: Packed): void {
    this.bits = packed as Uint8Array<ArrayBuffer>;
  }
}

/** What fits no typed array, as JSON: most of it is one of a few, such as an empty list, and read seldom.
 *  What is read is shared by all rows that have the same, and not to be changed. */
export class Values<T> implements Column<T> {
  readonly #json = new TextColumn<string>();
  readonly #read = new Map<string, T>();
  #emptyNumber = -1;

  get(row: number): T {
    const json = this.#json.get(row);
    let value = this.#read.get(json);
    if (value === undefined) {
      value = JSON.parse(json) as T;
      if (this.#read.size >= KEPT_VALUES) this.#read.clear();
      this.#read.set(json, value);
    }
    return value;
  }

  /** Whether a row's value is an empty list. */
  isEmpty(row: number): boolean {
    if (this.#emptyNumber < 0) this.#emptyNumber = this.#json.numberOf("[]");
    return this.#json.number(row) === this.#emptyNumber;
  }

  /** The rows whose value is no empty list. */
  filled(length: number): number[] {
    return this.#json.rowsBut("[]", length);
  }

  set(row: number, value: T): void {
    this.#json.set(row, JSON.stringify(value));
  }

  grow(rows: number): void {
    this.#json.grow(rows);
  }

  pack(): Packed {
    return this.#json.pack();
  }

  unpack(packed: Packed): void {
    this.#emptyNumber = -1;
    this.#json.unpack(packed);
  }
}

const KEPT_VALUES = 4_096;

/** What models used: a column for each of its numbers. NaN as the first number where nothing is known. */
export class Usages implements Column<Usage | null> {
  readonly input = new Numbers<number | null>();
  readonly output = new Numbers<number>();
  readonly cacheRead = new Numbers<number>();
  readonly cacheWrite = new Numbers<number>();
  readonly reasoning = new Numbers<number>();
  readonly cost = new Numbers<number | null>();
  readonly estimated = new Flags();
  readonly #all = [
    this.input,
    this.output,
    this.cacheRead,
    this.cacheWrite,
    this.reasoning,
    this.cost,
    this.estimated,
  ];

  get(row: number): Usage | null {
    const input = this.input.get(row);
    if (input === null) return null;
    return {
      input,
      output: this.output.get(row),
      cache_read: this.cacheRead.get(row),
      cache_write: this.cacheWrite.get(row),
      reasoning: this.reasoning.get(row),
      cost_usd: this.cost.get(row),
      estimated: this.estimated.get(row),
    };
  }

  /** All tokens that were sent and written; 0 where nothing is known. */
  tokens(row: number): number {
    const input = this.input.values[row]!;
    if (Number.isNaN(input)) return 0;
    return (
      input + this.output.values[row]! + this.cacheRead.values[row]! + this.cacheWrite.values[row]!
    );
  }

  /** In US dollars; 0 where it is not known. */
  costOf(row: number): number {
    return this.cost.values[row]! || 0;
  }

  set(row: number, value: Usage | null): void {
    this.input.set(row, value?.input ?? null);
    this.output.set(row, value?.output ?? 0);
    this.cacheRead.set(row, value?.cache_read ?? 0);
    this.cacheWrite.set(row, value?.cache_write ?? 0);
    this.reasoning.set(row, value?.reasoning ?? 0);
    this.cost.set(row, value?.cost_usd ?? null);
    this.estimated.set(row, value?.estimated ?? false);
  }

  grow(rows: number): void {
    for (const column of this.#all) column.grow(rows);
  }

  pack(): Packed {
    return this.#all.map((column) => column.pack());
  }

  unpack(packed: Packed): void {
    this.#all.forEach((column, i) => column.unpack((packed as Packed[])[i]!));
  }
}

function grown<A extends Uint8Array | Uint32Array | Float64Array>(old: A, larger: A): A {
  larger.set(old);
  return larger;
}

/** The ids of a table's rows, and those that its rows name: each has a number, and a row once it has come. */
export class Ids {
  texts = new Texts();
  /** By number: the row and 1; 0 for none. */
  rows = new Uint32Array(0);

  /** The number of an id. */
  number(id: string): number {
    const number = this.texts.add(id);
    if (number >= this.rows.length)
      this.rows = grown(this.rows, new Uint32Array(Math.max(16, number * 2)));
    return number;
  }

  row(id: string): number | undefined {
    const number = this.texts.find(id);
    return number < 0 || this.rows[number] === 0 ? undefined : this.rows[number]! - 1;
  }
}

/** The id of another row of the same table, or of one that has not come. */
export class Ref<T extends string | null> implements Column<T> {
  #numbers = new Uint32Array(0);
  readonly #ids: Ids;

  constructor(ids: Ids) {
    this.#ids = ids;
  }

  get(row: number): T {
    const number = this.#numbers[row]!;
    return (number === NONE ? null : this.#ids.texts.get(number)) as T;
  }

  set(row: number, value: T): void {
    this.#numbers[row] = value === null ? NONE : this.#ids.number(value);
  }

  /** The row that is named; -1 for none. */
  row(row: number): number {
    const number = this.#numbers[row]!;
    return number === NONE ? -1 : this.#ids.rows[number]! - 1;
  }

  /** By row: the row that is named; -1 for none. */
  allRows(length: number): Int32Array {
    const numbers = this.#numbers;
    const { rows } = this.#ids;
    const named = new Int32Array(length);
    for (let row = 0; row < length; row++)
      named[row] = numbers[row] === NONE ? -1 : rows[numbers[row]!]! - 1;
    return named;
  }

  grow(rows: number): void {
    this.#numbers = grown(this.#numbers, new Uint32Array(rows));
  }

  pack(): Packed {
    return this.#numbers;
  }

  unpack(packed: Packed): void {
    this.#numbers = packed as Uint32Array<ArrayBuffer>;
  }
}

/** Ids of other rows: for each row a stretch of one long list. */
export class Refs implements Column<string[]> {
  #from = new Uint32Array(0);
  #to = new Uint32Array(0);
  #numbers = new Uint32Array(0);
  #length = 0;
  /** How often a row's list became another one. */
  changes = 0;
  readonly #ids: Ids;

  constructor(ids: Ids) {
    this.#ids = ids;
  }

  get(row: number): string[] {
    return Array.from(this.#numbers.subarray(this.#from[row], this.#to[row]), (number) =>
      this.#ids.texts.get(number),
    );
  }

  set(row: number, value: string[]): void {
    const before = this.#numbers.subarray(this.#from[row], this.#to[row]);
    if (
      before.length === value.length &&
      value.every((id, i) => this.#ids.number(id) === before[i])
    )
      return;
    this.changes += 1;
    // In its old place where there is room.
    if (value.length > before.length) {
      this.#from[row] = this.#length;
      this.#length += value.length;
      if (this.#length > this.#numbers.length)
        this.#numbers = grown(this.#numbers, new Uint32Array(Math.max(16, this.#length * 2)));
    }
    this.#to[row] = this.#from[row]! + value.length;
    for (let i = 0; i < value.length; i++)
      this.#numbers[this.#from[row]! + i] = this.#ids.number(value[i]!);
  }

  /** Calls with each row that is named and is here. */
  each(row: number, take: (named: number) => void): void {
    for (let i = this.#from[row]!; i < this.#to[row]!; i++) {
      const named = this.#ids.rows[this.#numbers[i]!]!;
      if (named > 0) take(named - 1);
    }
  }

  grow(rows: number): void {
    this.#from = grown(this.#from, new Uint32Array(rows));
    this.#to = grown(this.#to, new Uint32Array(rows));
  }

  pack(): Packed {
    return [this.#from, this.#to, this.#numbers.slice(0, this.#length)];
  }

  unpack(packed: Packed): void {
    [this.#from, this.#to, this.#numbers] = packed as [
      Uint32Array<ArrayBuffer>,
      Uint32Array<ArrayBuffer>,
      Uint32Array<ArrayBuffer>,
    ];
    this.#length = this.#numbers.length;
  }
}
