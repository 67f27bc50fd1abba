// A search in a whole log: what is found so far, and which of it one is at.

import { createSignal } from "solid-js";
import type { Accessor } from "solid-js";
import { asApiError } from "../api/client.ts";
import type { ApiError } from "../api/client.ts";
import type { Hit, LogSource, Progress, Query } from "./source.ts";

export class Finder {
  /** Changes with everything below. */
  readonly version: Accessor<number>;
  query: Query | null = null;
  /** The lines that are found, in their order, from `from` on. */
  hits: Hit[] = [];
  /** Where the search began. */
  from = 0;
  /** How many lines are found: more than there are in `hits` where there are very many. */
  lines = 0;
  searched = 0;
  isOver = true;
  error: ApiError | null = null;
  /** The one that one is at. */
  current = -1;
  #byOffset = new Map<number, Hit>();
  #searching: AbortController | null = null;
  readonly #changed;

  constructor(readonly source: LogSource) {
    const [version, setVersion] = createSignal(0);
    this.version = version;
    this.#changed = () => setVersion((before) => before + 1);
  }

  get isFull(): boolean {
    return this.hits.length < this.lines;
  }

  /** What was found in the line that begins at a place. */
  at(offset: number): Hit | undefined {
    return this.#byOffset.get(offset);
  }

  /** Ends the search and forgets it. */
  clear(): void {
    this.#begin(null, 0);
    this.isOver = true;
    this.#changed();
  }

  /** Searches; ends when it is at the end of the log, or was replaced by another search. */
  async search(query: Query, from = 0): Promise<void> {
    const mine = this.#begin(query, from);
    this.#changed();
    await this.#take(query, from, mine);
  }

  /** Looks for what was written since the search was over. */
  async goOn(): Promise<void> {
    if (this.query === null || !this.isOver || this.isFull || this.error !== null) return;
    this.isOver = false;
    const last = this.hits.at(-1);
    this.#searching = new AbortController();
    await this.#take(
      this.query,
      Math.max(this.searched, last === undefined ? 0 : last.offset + 1),
      this.#searching,
    );
  }

  /** The next hit, or the one before, seen from a place where none is chosen yet. Goes around at the ends. */
  step(by: 1 | -1, place: number): Hit | null {
    if (this.hits.length === 0) return null;
    if (this.current >= 0) this.current = (this.current + by + this.hits.length) % this.hits.length;
    else {
      const next = this.hits.findIndex(({ offset }) => offset >= place);
      const after = next < 0 ? this.hits.length : next;
      this.current = by === 1 ? (next < 0 ? this.hits.length - 1 : next) : Math.max(0, after - 1);
    }
    this.#changed();
    return this.hits[this.current]!;
  }

  #begin(query: Query | null, from: number): AbortController {
    this.#searching?.abort();
    const mine = new AbortController();
    this.#searching = mine;
    this.query = query;
    this.from = from;
    this.hits = [];
    this.#byOffset = new Map();
    this.lines = 0;
    this.searched = from;
    this.isOver = false;
    this.error = null;
    this.current = -1;
    return mine;
  }

  async #take(query: Query, from: number, mine: AbortController): Promise<void> {
    const before = this.lines;
    try {
      for await (const told of this.source.search(query, from, mine.signal)) {
        if (mine.signal.aborted) return;
        if ("offset" in told) this.#add(told);
        else this.#come(told, before);
      }
    } catch (reason) {
      if (mine.signal.aborted) return;
      this.error = asApiError(reason);
    }
    this.isOver = true;
    this.#changed();
  }

  #add(hit: Hit): void {
    this.hits.push(hit);
    this.#byOffset.set(hit.offset, hit);
  }

  #come({ searched, lines }: Progress, before: number): void {
    this.searched = searched;
    this.lines = before + lines;
    this.#changed();
  }
}
