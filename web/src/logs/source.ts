// A task's log as the daemon gives it: pages by byte offset, and what is still to come as a stream.

import { ApiError, address, ask } from "../api/client.ts";

export type Stream = "stdout" | "stderr";

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

  url(more: Record<string, string | number | boolean> = {}): string {
    return address(["tasks", this.task, "logs", this.stream], { project: this.project, ...more });
  }

  async #range(range: string, signal: AbortSignal): Promise<Page> {
    let response: Response;
    try {
      response = await ask(this.url(), { headers: { range }, signal });
    } catch (error) {
      // Nothing there (yet): the end of the log.
      if (error instanceof ApiError && error.status === 416) return { from: 0, bytes: new Uint8Array(0), size: 0 };
      throw error;
    }
    const bytes = new Uint8Array(await response.arrayBuffer());
    if (response.status === 200) return { from: 0, bytes, size: bytes.length };
    const [, from, size] = /^bytes (\d+)-\d+\/(\d+)$/.exec(response.headers.get("content-range") ?? "") ?? [];
    if (from === undefined) throw new ApiError(response.status, "The daemon did not say which part of the log it sent.", null);
    return { from: Number(from), bytes, size: Number(size) };
  }
}
