// A run's events, newest first, from its journal: read once from its beginning, of which only where its
// pages begin and its newest page are kept. An older page is read again when it is asked for.

import { address, ask } from "../api/client.ts";
import type { EventView } from "../api/types.gen.ts";
import { join } from "../logs/window.ts";

export type Event = Pick<
  EventView,
  "seq" | "ts_ms" | "event" | "flame" | "frame" | "task" | "summary"
>;

export const PAGE_LINES = 500;

/** So many pages of a journal that is read for the first time are kept. */
const FIRST_PAGES = 2;

export class Journal {
  /** The pages that were read, up to the newest. */
  #pages: Event[][] = [];
  /** Which page the first of them is. */
  #oldest = 0;
  /** Where each page begins, in bytes. */
  #starts: number[] = [];
  #lines = 0;
  #end = 0;

  constructor(
    readonly project: string,
    readonly run: string,
  ) {}

  /** The events that were read, oldest first. */
  get events(): Event[] {
    return this.#pages.flat();
  }

  get hasOlder(): boolean {
    return this.#oldest > 0;
  }

  /** Reads what has come since. */
  async readOn(signal: AbortSignal): Promise<void> {
    const isFirst = this.#lines === 0;
    await this.#read(this.#end, signal, (line, from, to) => {
      if (this.#lines % PAGE_LINES === 0) {
        this.#starts.push(from);
        this.#pages.push([]);
        if (isFirst && this.#pages.length > FIRST_PAGES) {
          this.#pages.shift();
          this.#oldest += 1;
        }
      }
      this.#lines += 1;
      this.#end = to;
      const event = readRecord(line);
      if (event) this.#pages.at(-1)!.push(event);
      return true;
    });
  }

  /** Reads the page before. */
  async readOlder(signal: AbortSignal): Promise<void> {
    if (this.#oldest === 0) return;
    const end = this.#starts[this.#oldest]!;
    const page: Event[] = [];
    await this.#read(this.#starts[this.#oldest - 1]!, signal, (line, _, to) => {
      const event = readRecord(line);
      if (event) page.push(event);
      return to < end;
    });
    this.#pages.unshift(page);
    this.#oldest -= 1;
  }

  /** Reads whole lines from a byte on, until there are none or no more are wanted. */
  async #read(
    offset: number,
    signal: AbortSignal,
    take: (line: string, from: number, to: number) => boolean,
  ): Promise<void> {
    const enough = new AbortController();
    const url = address(["runs", this.run, "events"], { project: this.project, offset });
    const response = await ask(url, { signal: AbortSignal.any([signal, enough.signal]) });
    const reader = response.body!.getReader();
    const decoder = new TextDecoder();
    let rest: Uint8Array = new Uint8Array(0);
    let at = offset;
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      const bytes = join(rest, value);
      let start = 0;
      for (let end = bytes.indexOf(10); end >= 0; end = bytes.indexOf(10, start)) {
        const to = at + end + 1 - start;
        if (!take(decoder.decode(bytes.subarray(start, end)), at, to)) return enough.abort();
        at = to;
        start = end + 1;
      }
      rest = bytes.slice(start);
    }
  }
}

/** The names under which flame-graph plug-ins know events; those that come live carry theirs. */
const FLAME: Record<string, string> = {
  frame_created: "flame.frame.created",
  frame_started: "flame.frame.activated",
  frame_activated: "flame.frame.activated",
  frame_invalidated: "flame.frame.invalidated",
  frame_updated: "flame.frame.updated",
  frame_completed: "flame.frame.updated",
  frame_failed: "flame.frame.updated",
  frame_blocked: "flame.frame.updated",
  artifact_added: "flame.frame.updated",
  decision_added: "flame.frame.updated",
  summary_recorded: "flame.frame.updated",
  state_reset: "flame.state.reset",
};

/** A line of the journal; a line that is none is left out. */
export function readRecord(line: string): Event | null {
  try {
    const record = JSON.parse(line) as Record<string, unknown>;
    const text = (field: string) =>
      typeof record[field] === "string" ? (record[field] as string) : null;
    const ts_ms = Date.parse(text("ts") ?? "");
    if (typeof record.seq !== "number" || Number.isNaN(ts_ms)) return null;
    const event = text("event") ?? "";
    return {
      seq: record.seq,
      ts_ms,
      event,
      flame: FLAME[event] ?? null,
      frame: text("frame_id"),
      task: text("task_id"),
      summary: text("summary") ?? "",
    };
  } catch {
    return null;
  }
}
