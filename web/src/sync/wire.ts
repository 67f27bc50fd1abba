// The leader's world as it is in a browser: fetch, EventSource, timers. For a page and a worker.

import { SignedOut, Unreachable } from "./leader.ts";
import type { Wire } from "./leader.ts";
import { writePosition } from "./protocol.ts";

const SNAPSHOT_TIMEOUT_MS = 30_000;
const PROBE_TIMEOUT_MS = 5_000;

export const browserWire: Wire = {
  snapshot: () => get("/api/snapshot", SNAPSHOT_TIMEOUT_MS),

  async probe() {
    const status = await get("/api/status", PROBE_TIMEOUT_MS);
    return String((status as { epoch?: unknown }).epoch);
  },

  open(after, events) {
    const stream = new EventSource(`/api/events?after=${encodeURIComponent(writePosition(after))}`);
    stream.onopen = () => events.opened();
    stream.addEventListener("change", (event) => events.change(event.lastEventId, event.data));
    stream.addEventListener("reset", () => events.reset());
    // It would try again by itself, but seconds later, and cannot tell why it failed.
    stream.onerror = () => {
      stream.close();
      events.lost();
    };
    return () => stream.close();
  },

  after(delay_ms, then) {
    const timer = setTimeout(then, delay_ms);
    return () => clearTimeout(timer);
  },

  now_ms: () => performance.now(),
  random: () => Math.random(),
};

async function get(path: string, timeout_ms: number): Promise<unknown> {
  let answer: Response;
  try {
    answer = await fetch(path, { cache: "no-store", signal: AbortSignal.timeout(timeout_ms) });
  } catch (error) {
    throw new Unreachable(`${path} cannot be reached`, { cause: error });
  }
  if (answer.status === 401) throw new SignedOut(`${path} wants to know who asks`);
  if (!answer.ok) throw new Error(`${path} answered ${answer.status}`);
  return answer.json();
}
