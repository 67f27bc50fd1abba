// A log as the viewer holds it: the stretch that is loaded, paging at both of its ends, following what is
// written, the number of each line, and of the merged log whose line it is. Knows nothing of the screen:
// that is told before and after each change, to stay where it was.

import { createSignal } from "solid-js";
import type { Accessor } from "solid-js";
import { ApiError, asApiError } from "../api/client.ts";
import { PLAIN, lookAfter } from "./ansi.ts";
import type { Look } from "./ansi.ts";
import { PAGE_BYTES } from "./source.ts";
import type { LogSource, Place } from "./source.ts";
import { Ownership } from "./streams.ts";
import { LogWindow } from "./window.ts";

export interface Screen {
  /** Makes a change that adds or takes lines, and stays at the line that is in sight. */
  staying(change: () => void): void;
  /** Goes to the end. */
  toEnd(): void;
  /** Goes to a line of the stretch that is loaded. */
  toLine(index: number): void;
}

export class Log {
  window = new LogWindow(0);
  /** Changes with every change of what is loaded. */
  readonly version: Accessor<number>;
  /** How large the log is, as far as known. */
  readonly total: Accessor<number>;
  readonly opened: Accessor<boolean>;
  /** Whether what is written is not followed, because one looks at something else. */
  readonly paused: Accessor<boolean>;
  readonly error: Accessor<ApiError | null>;
  /** Of the merged log, which lines are whose. */
  readonly streams: Ownership;
  /** The number of the first line that is loaded; null while it is not known. */
  #first: number | null = null;
  /** How many lines were cut off at the beginning since that number was asked for. */
  #shift = 0;
  /** How the text looks at the begin of each line, as far as that is worked out. */
  #looks: Look[] = [PLAIN];
  #loading = new AbortController();
  #following: AbortController | null = null;
  #busy = false;
  #frame = 0;
  readonly #set;

  constructor(
    readonly source: LogSource,
    readonly screen: Screen,
    /** Whether what is written is wanted now: the task runs, and the log is in sight. */
    readonly wanted: () => boolean,
  ) {
    const [version, setVersion] = createSignal(0);
    const [total, setTotal] = createSignal(0);
    const [opened, setOpened] = createSignal(false);
    const [paused, setPaused] = createSignal(false);
    const [error, setError] = createSignal<ApiError | null>(null);
    this.version = version;
    this.total = total;
    this.opened = opened;
    this.paused = paused;
    this.error = error;
    this.streams = new Ownership(source, () => setVersion((before) => before + 1));
    this.#set = {
      version: setVersion,
      total: setTotal,
      opened: setOpened,
      paused: setPaused,
      error: setError,
    };
  }

  /** How many lines there are to show: after the last newline there is nothing yet. */
  get lines(): number {
    const count = this.window.lines;
    return count > 0 && this.window.isEmpty(count - 1) ? count - 1 : count;
  }

  /** A line's number in the log, from 1; null while it is not known. */
  number(index: number): number | null {
    return this.#first === null ? null : this.#first + index;
  }

  look(index: number): Look {
    const looks = this.#looks;
    for (let at = looks.length; at <= index; at++)
      looks[at] = lookAfter(this.window.line(at - 1).text, looks[at - 1]!);
    return looks[index]!;
  }

  /** Opens the log at its end, and follows it. */
  async open(): Promise<void> {
    this.#restart();
    await this.#guarded(async (signal) => {
      const page = await this.source.end(signal);
      this.#load(page.from, page.bytes, page.size, null);
      this.#set.paused(false);
      this.screen.toEnd();
    });
    this.follow();
  }

  /** Opens the log at a line. */
  async openAt({ line, offset }: Place): Promise<void> {
    this.#restart();
    this.#set.paused(true);
    if (!this.#holds(offset)) {
      await this.#guarded(async (signal) => {
        const page = await this.source.page(
          Math.max(0, offset - PAGE_BYTES / 2),
          offset + PAGE_BYTES,
          signal,
        );
        this.#load(page.from, page.bytes, page.size, line);
      });
      if (!this.#holds(offset)) return;
    }
    const index = this.window.lineOf(offset);
    this.#first = line - index;
    this.#set.version((before) => before + 1);
    this.screen.toLine(index);
  }

  /** Whether a line that begins there is loaded. */
  #holds(offset: number): boolean {
    const index = this.window.lineOf(offset);
    return this.opened() && index >= 0 && this.window.lineAt(index) === offset;
  }

  /** Opens the log where a line with a number is. Says which line that is: the last, where it has fewer. */
  async openLine(line: number): Promise<Place | null> {
    this.#restart();
    this.#set.paused(true);
    let place: Place | null = null;
    await this.#guarded(async (signal) => {
      place = await this.source.line(line, signal);
    });
    if (place !== null) await this.openAt(place);
    return place;
  }

  async pageBack(): Promise<void> {
    if (this.window.from === 0 || !this.opened()) return;
    await this.#guarded(async (signal) => {
      const page = await this.source.page(
        Math.max(0, this.window.from - PAGE_BYTES),
        this.window.from,
        signal,
      );
      if (page.bytes.length === 0) return;
      // Reading on while following would cut off what one is looking at.
      this.unfollow();
      this.screen.staying(() => {
        this.#moveFirst(-this.window.prepend(page.bytes));
        this.#changed();
      });
    });
  }

  async pageOn(isAtEnd: () => boolean): Promise<void> {
    await this.#guarded(async (signal) => {
      const page = await this.source.page(this.window.to, this.window.to + PAGE_BYTES, signal);
      if (page.bytes.length > 0 && page.from === this.window.to) {
        this.screen.staying(() => {
          this.#moveFirst(this.window.append(page.bytes));
          this.#changed();
        });
      } else if (isAtEnd()) this.#set.paused(false);
      if (page.size > 0) this.#set.total(page.size);
    });
    this.follow();
  }

  pause(): void {
    this.#set.paused(true);
    this.unfollow();
  }

  resume(): void {
    this.#set.paused(false);
  }

  /** Follows what is written, where that is wanted. */
  follow(): void {
    if (this.#following || !this.wanted() || this.paused() || !this.opened() || this.error())
      return;
    const mine = new AbortController();
    this.#following = mine;
    void (async () => {
      try {
        for await (const bytes of this.source.follow(this.window.to, mine.signal)) {
          if (mine.signal.aborted) return;
          // Taken in as fast as it comes, shown once for each animation frame.
          this.#moveFirst(this.window.append(bytes));
          if (this.#frame === 0) this.#frame = requestAnimationFrame(() => this.#showNew());
        }
      } catch (reason) {
        if (!mine.signal.aborted && reason instanceof ApiError) this.#set.error(reason);
      } finally {
        if (this.#following === mine) this.#following = null;
      }
    })();
  }

  unfollow(): void {
    this.#following?.abort();
    this.#following = null;
  }

  close(): void {
    cancelAnimationFrame(this.#frame);
    this.#loading.abort();
    this.unfollow();
    this.streams.close();
  }

  #showNew(): void {
    this.#frame = 0;
    this.#changed();
    if (!this.paused()) this.screen.toEnd();
  }

  #load(from: number, bytes: Uint8Array, size: number, first: number | null): void {
    this.window = new LogWindow(from);
    this.window.append(bytes);
    this.#first = from === 0 ? 1 : first;
    this.#shift = 0;
    this.#set.total(size);
    this.#set.opened(true);
    this.streams.reset();
    this.#changed();
    if (this.#first === null) void this.#count(from, this.#loading.signal);
  }

  /** Asks for the number of the first line. In a large log that takes longer than to show it. */
  async #count(from: number, signal: AbortSignal): Promise<void> {
    try {
      const { line } = await this.source.lineOf(from, signal);
      if (this.#first !== null) return;
      this.#first = line + this.#shift;
      this.#set.version((before) => before + 1);
    } catch (reason) {
      if (!signal.aborted && reason instanceof ApiError) this.#set.error(reason);
    }
  }

  #moveFirst(lines: number): void {
    this.#shift += lines;
    if (this.#first !== null) this.#first += lines;
    if (lines !== 0) this.#looks = [PLAIN];
  }

  #changed(): void {
    this.#set.total((before) => Math.max(before, this.window.to));
    this.#set.version((before) => before + 1);
    this.streams.look(this.window.from, this.window.to);
  }

  #restart(): void {
    this.#loading.abort();
    this.#loading = new AbortController();
    this.#busy = false;
    this.#looks = [PLAIN];
    this.unfollow();
  }

  async #guarded(work: (signal: AbortSignal) => Promise<void>): Promise<void> {
    if (this.#busy) return;
    this.#busy = true;
    const { signal } = this.#loading;
    try {
      await work(signal);
      this.#set.error(null);
    } catch (reason) {
      if (!signal.aborted) this.#set.error(asApiError(reason));
    } finally {
      if (!signal.aborted) this.#busy = false;
    }
  }
}
