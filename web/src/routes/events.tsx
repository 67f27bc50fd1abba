// The events of a run, newest first: those of its journal, and those that come.

import { createEffect, createMemo, createSignal, For, on, onCleanup, Show } from "solid-js";
import type { EventView, RunView } from "../api/types.gen.ts";
import { ApiError, address, ask } from "../api/client.ts";
import { clock, moment } from "../format.ts";
import { snapshots } from "../state.ts";
import { KEPT_EVENTS } from "../sync/apply.ts";
import type { RunContent } from "../sync/apply.ts";

type Event = Pick<EventView, "seq" | "ts_ms" | "event" | "frame" | "task" | "summary">;

export function Events(props: { run: RunView; content: { content: RunContent; version: number }; frame: string | null }) {
  const [journal, setJournal] = createSignal<Event[]>([]);
  const [error, setError] = createSignal<ApiError | null>(null);
  const [loaded, setLoaded] = createSignal(false);

  // Events that came while the connection was lost are only in the journal.
  createEffect(on([() => props.run.id, snapshots], () => {
    const abort = new AbortController();
    onCleanup(() => abort.abort());
    readJournal(props.run, abort.signal).then(
      (events) => {
        setJournal(events);
        setLoaded(true);
        setError(null);
      },
      (reason) => {
        if (!abort.signal.aborted) setError(reason instanceof ApiError ? reason : new ApiError(0, String(reason), null));
      },
    );
  }));

  const all = createMemo(() => {
    const live = props.content.version > 0 ? props.content.content.events : [];
    const last = journal().at(-1)?.seq ?? 0;
    return [...journal(), ...live.filter((event) => event.seq > last)].slice(-KEPT_EVENTS);
  });
  const shown = createMemo(() => {
    const wanted = props.frame === null ? all() : all().filter((event) => event.frame === props.frame);
    return wanted.toReversed();
  });

  return (
    <Show when={error() === null} fallback={<p class="hint" role="alert">{error()!.message} {error()!.help}</p>}>
      <Show when={loaded()} fallback={<p class="hint">Loading…</p>}>
        <Show when={shown().length > 0} fallback={<p class="hint">No events{props.frame === null ? "" : " of this frame"}.</p>}>
          <table class="events">
            <caption class="unseen">Events, newest first</caption>
            <thead class="unseen"><tr><th>Number</th><th>Time</th><th>Event</th><th>What happened</th></tr></thead>
            <tbody>
              <For each={shown()}>
                {(event) => (
                  <tr>
                    <td class="number muted">{event.seq}</td>
                    <td class="mono muted"><time title={moment(event.ts_ms)}>{clock(event.ts_ms)}</time></td>
                    <td class="mono">{event.event}</td>
                    <td>{event.summary}</td>
                  </tr>
                )}
              </For>
            </tbody>
          </table>
          <Show when={all().length >= KEPT_EVENTS}><p class="hint">Older events are in the run's events.jsonl.</p></Show>
        </Show>
      </Show>
    </Show>
  );
}

/** The newest events of a journal, however long it is: read as a stream, and only so many are kept. */
async function readJournal(run: RunView, signal: AbortSignal): Promise<Event[]> {
  const response = await ask(address(["runs", run.id, "events"], { project: run.project, offset: 0 }), { signal });
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
  const lines: string[] = [];
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    const parts = (rest + value).split("\n");
    rest = parts.pop()!;
    lines.push(...parts);
    if (lines.length > KEPT_EVENTS * 4) lines.splice(0, lines.length - KEPT_EVENTS);
  }
  return lines.slice(-KEPT_EVENTS).flatMap(readRecord);
}

/** A line of the journal; a line that is none is left out. */
function readRecord(line: string): Event[] {
  try {
    const record = JSON.parse(line) as Record<string, unknown>;
    const text = (field: string) => (typeof record[field] === "string" ? (record[field] as string) : null);
    const ts_ms = Date.parse(text("ts") ?? "");
    if (typeof record.seq !== "number" || Number.isNaN(ts_ms)) return [];
    return [{ seq: record.seq, ts_ms, event: text("event") ?? "", frame: text("frame_id"), task: text("task_id"), summary: text("summary") ?? "" }];
  } catch {
    return [];
  }
}
