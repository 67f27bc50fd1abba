// What a screen reader is told by itself: how runs and frames end, and what comes into the inbox. Never
// more than a sentence every few seconds, which sums up what came since the last; and nothing that the
// person did, who is told of that where it was done.

import { createEffect, createRoot, createSignal, on } from "solid-js";
import type { EventView } from "../api/types.gen.ts";
import { ownCommands } from "../api/client.ts";
import type { InboxItem } from "../inbox/sources.ts";
import { contentOf, runs } from "../state.ts";
import { Gathered } from "./gathered.ts";

/** The least time between two sentences. */
const QUIET_MS = 4_000;
/** So long a sentence waits for what comes with it. */
const GATHER_MS = 600;

const ENDINGS: Record<string, string> = {
  frame_completed: "completed",
  frame_failed: "failed",
  frame_blocked: "blocked",
  frame_invalidated: "invalidated",
  run_finished: "ended",
};

const [sentence, setSentence] = createSignal("");

/** What the live region holds. */
export { sentence };

/** Listens for what is to be told. `shown` is the key of the run in sight: of other runs, only their ends. */
export function startAnnouncing(
  inbox: () => readonly InboxItem[],
  shown: () => string | null,
): void {
  const gathered = new Gathered();
  let last_ms = -Infinity;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const speakSoon = () => {
    timer ??= setTimeout(
      () => {
        timer = undefined;
        last_ms = performance.now();
        const text = gathered.sentence();
        if (text !== null) setSentence(text);
      },
      Math.max(GATHER_MS, last_ms + QUIET_MS - performance.now()),
    );
  };
  createRoot(() => {
    createEffect(
      on(endedRuns, (now, before) => {
        if (before === undefined) return;
        for (const [key, run] of now)
          if (before.get(key)?.ended === null && run.ended !== null)
            gathered.run(run.name, run.status);
        speakSoon();
      }),
    );
    createEffect(
      on(inbox, (now, before) => {
        if (before === undefined) return;
        const known = new Set(before.map((item) => item.id));
        const fresh = now.filter((item) => !known.has(item.id)).length;
        if (fresh === 0) return;
        gathered.waits(fresh);
        speakSoon();
      }),
    );
    createEffect(
      on(
        () => newEvents(shown()),
        ({ events, title }) => {
          for (const event of events) gathered.frame(ENDINGS[event.event]!, title(event));
          if (events.length > 0) speakSoon();
        },
      ),
    );
  });
}

function endedRuns(): Map<string, { name: string; status: string; ended: number | null }> {
  return new Map(
    Object.entries(runs).map(([key, run]) => [
      key,
      { name: run.name, status: run.status, ended: run.ended_ms },
    ]),
  );
}

let looked: { key: string | null; seq: number } = { key: null, seq: 0 };

/** The endings of frames in a run since the last time one looked, without what was asked for here. */
function newEvents(key: string | null): {
  events: EventView[];
  title: (event: EventView) => string;
} {
  const held = key === null ? null : contentOf(key);
  const all = held?.content.events ?? [];
  const newest = all.at(-1)?.seq ?? 0;
  const since = looked.key === key ? looked.seq : newest;
  looked = { key, seq: Math.max(since, newest) };
  const events = all.filter(
    (event) =>
      event.seq > since &&
      event.frame !== null &&
      event.event in ENDINGS &&
      !ownCommands.has(event.cmd_id ?? ""),
  );
  const title = (event: EventView) => {
    const row = held?.content.frames.row(event.frame ?? "");
    return row === undefined ? event.summary : held!.content.frames.title.get(row);
  };
  return { events, title };
}
