// A task's log as the daemon gives it: pages by byte offset, and what is still to come as a stream.

import { ApiError, address, ask, readLines } from "../api/client.ts";

export const STREAMS = ["stdout", "stderr", "merged"] as const;
export type Stream = (typeof STREAMS)[number];

/** A line, counted from 1, and a place in the log that is in it. */
export interface Place {
  readonly line: number;
  readonly offset: number;
}

/** A line in which something was found. */
export interface Hit extends Place {
  /** The matches in the text of the line as it is shown: from, to. */
  readonly marks: readonly (readonly [number, number])[];
  /** A part of that text around the first match, and where it begins. */
  readonly text: string;
  readonly text_from: number;
}

/** How far a search is: up to which byte, and how many lines it found. */
export interface Progress {
  readonly searched: number;
  readonly lines: number;
  readonly done: boolean;
}

export interface Query {
  readonly pattern: string;
  readonly regex: boolean;
}

/** Which bytes of a stretch of the merged log are of standard error. */
export interface Streams {
  readonly stderr: readonly (readonly [number, number])[];
  /** Up to where the order of the two is known. */
  readonly ordered_to: number;
}

/** So many lines that are found come with their places; the others are counted. */
export const HITS_MAX = 5_000;

export const PAGE_BYTES = 64 * 1_024;

/** A stretch of a log and the log's size at that moment. */
export interface Page {
  readonly from: number;
  readonly bytes: Uint8Array;
  readonly size: number;
}

export class LogSource {
  constructor(
    readonly project: string,
    readonly task: string,
    readonly stream: Stream,
  ) {}

  /** The last page. */
  end(signal: AbortSignal): Promise<Page> {
    return this.#range(`bytes=-${PAGE_BYTES}`, signal);
  }

  /** The last few lines. */
  async last(signal: AbortSignal): Promise<Uint8Array> {
    return (await this.#range("bytes=-2048", signal)).bytes;
  }

  /** The bytes from one place up to, not including, another. */
  page(from: number, to: number, signal: AbortSignal): Promise<Page> {
    return this.#range(`bytes=${from}-${to - 1}`, signal);
  }

  /** What comes from a place on, until the task is over. */
  async *follow(from: number, signal: AbortSignal): AsyncGenerator<Uint8Array> {
    const response = await ask(this.url({ follow: true, offset: from }), { signal });
    const reader = response.body!.getReader();
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      yield value;
    }
  }

  /** Where a line begins; where there are not so many, the last one. */
  async line(line: number, signal: AbortSignal): Promise<Place> {
    return (await ask(this.#address(["line"], { line }), { signal })).json() as Promise<Place>;
  }

  /** The line that a byte is in. */
  async lineOf(offset: number, signal: AbortSignal): Promise<Place> {
    return (await ask(this.#address(["line"], { offset }), { signal })).json() as Promise<Place>;
  }

  /** Searches from the first line that begins at a place or behind it, to the end. */
  async *search(query: Query, from: number, signal: AbortSignal): AsyncGenerator<Hit | Progress> {
    const { pattern, regex } = query;
    const response = await ask(
      this.#address(["search"], { pattern, regex, offset: from, limit: HITS_MAX }),
      { signal },
    );
    for await (const line of readLines(response)) yield JSON.parse(line) as Hit | Progress;
  }

  /** Which bytes of a stretch are whose. */
  async streams(from: number, to: number, signal: AbortSignal): Promise<Streams> {
    return (
      await ask(this.#address(["streams"], { from, to }), { signal })
    ).json() as Promise<Streams>;
  }

  #address(parts: readonly string[], query: Record<string, string | number | boolean>): string {
    return address(["tasks", this.task, "logs", this.stream, ...parts], {
      project: this.project,
      ...query,
    });
  }

  url(more: Record<string, string | number | boolean> = {}): string {
    return this.#address([], more);
  }

  async #range(range: string, signal: AbortSignal): Promise<Page> {
    let response: Response;
    try {
      response = await ask(this.url(), { headers: { range }, signal });
    } catch (error) {
      // Nothing there (yet): the end of the log.
      if (error instanceof ApiError && error.status === 416)
        return { from: 0, bytes: new Uint8Array(0), size: 0 };
      throw error;
    }
    const bytes = new Uint8Array(await response.arrayBuffer());
    if (response.status === 200) return { from: 0, bytes, size: bytes.length };
    const [, from, size] =
      /^bytes (\d+)-\d+\/(\d+)$/.exec(response.headers.get("content-range") ?? "") ?? [];
    if (from === undefined)
      throw new ApiError(
        response.status,
        "The daemon did not say which part of the log it sent.",
        null,
      );
    return { from: Number(from), bytes, size: Number(size) };
  }
}
