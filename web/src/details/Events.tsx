// The events of a run, newest first: those of its journal, and those that come.

import {
  createEffect,
  createMemo,
  createSignal,
  For,
  on,
  onCleanup,
  onMount,
  Show,
} from "solid-js";
import { asApiError } from "../api/client.ts";
import type { ApiError } from "../api/client.ts";
import { clock, moment } from "../format.ts";
import { place, setQuery } from "../router.ts";
import type { TabProps } from "./Panel.tsx";
import { snapshots } from "../state.ts";
import { FrameLink } from "./parts.tsx";
import { Journal } from "./journal.ts";
import type { Event } from "./journal.ts";

const ROW_PX = 28;
/** Rows beyond what is seen, on either side. */
const MARGIN = 12;

export default function Events(props: TabProps) {
  const journal = new Journal(props.run.project, props.run.id);
  const [read, setRead] = createSignal<readonly Event[] | null>(null);
  const [older, setOlder] = createSignal(false);
  const [busy, setBusy] = createSignal(true);
  const [error, setError] = createSignal<ApiError | null>(null);
  const kind = () => place().query.get("event") ?? "";
  const ofAll = () => place().query.get("events") === "all";
  const abort = new AbortController();
  onCleanup(() => abort.abort());

  // Events that came while the connection was lost are only in the journal.
  createEffect(on(snapshots, () => void take(() => journal.readOn(abort.signal))));

  let last = Promise.resolve();
  function take(reading: () => Promise<void>): Promise<void> {
    setBusy(true);
    // One after the other: each goes on from where the one before ended.
    last = last
      .then(reading)
      .then(
        () => {
          setRead(journal.events);
          setOlder(journal.hasOlder);
          setError(null);
        },
        (reason) => {
          if (!abort.signal.aborted) setError(asApiError(reason));
        },
      )
      .finally(() => setBusy(false));
    return last;
  }
  const more = () => {
    if (!busy() && older()) void take(() => journal.readOlder(abort.signal));
  };

  const all = createMemo((): readonly Event[] => {
    const known = read() ?? [];
    const live = props.content.version > 0 ? props.content.content.events : [];
    const newest = known.at(-1)?.seq ?? 0;
    return [...known, ...live.filter((event) => event.seq > newest)];
  });
  const kinds = createMemo(() => [...new Set(all().map((event) => event.event))].sort());
  const shown = createMemo(() => {
    const frame = ofAll() ? null : props.frame;
    return all()
      .filter(
        (event) =>
          (frame === null || event.frame === frame) && (kind() === "" || event.event === kind()),
      )
      .reverse();
  });

  return (
    <Show
      when={error() === null}
      fallback={
        <p class="hint" role="alert">
          {error()!.message} {error()!.help}
        </p>
      }
    >
      <div class="events-tools">
        <label>
          Kind
          <select onChange={(event) => setQuery("event", event.currentTarget.value || null)}>
            <option value="">all</option>
            <For each={kinds()}>
              {(each) => (
                <option value={each} selected={each === kind()}>
                  {each}
                </option>
              )}
            </For>
          </select>
        </label>
        <Show when={props.frame !== null}>
          <label>
            <input
              type="checkbox"
              checked={ofAll()}
              onChange={(event) => setQuery("events", event.currentTarget.checked ? "all" : null)}
            />{" "}
            of the whole run
          </label>
        </Show>
        <span class="muted">
          {shown().length} shown{older() ? ", older ones not loaded yet" : ""}
        </span>
        <Show when={older()}>
          <button class="quiet" disabled={busy()} onClick={more}>
            Load older
          </button>
        </Show>
      </div>
      <Show when={read() !== null} fallback={<p class="hint">Loading…</p>}>
        <Show
          when={shown().length > 0}
          fallback={
            <p class="hint">
              No events{props.frame === null || ofAll() ? "" : " of this frame"}
              {older() ? " among the newest" : ""}.
            </p>
          }
        >
          <Rows {...props} events={shown()} onEnd={more} />
        </Show>
      </Show>
    </Show>
  );
}

/** As many rows as are seen, of however many there are. */
function Rows(props: TabProps & { events: readonly Event[]; onEnd(): void }) {
  let box!: HTMLDivElement;
  const [top, setTop] = createSignal(0);
  const [height, setHeight] = createSignal(0);
  const first = () => Math.max(0, Math.floor(top() / ROW_PX) - MARGIN);
  const last = () => Math.min(props.events.length, Math.ceil((top() + height()) / ROW_PX) + MARGIN);
  const seen = createMemo(() => props.events.slice(first(), last()));
  onMount(() => {
    const watch = new ResizeObserver(() => setHeight(box.clientHeight));
    watch.observe(box);
    onCleanup(() => watch.disconnect());
  });

  function onScroll(): void {
    setTop(box.scrollTop);
    if (box.scrollHeight - box.scrollTop - box.clientHeight < 10 * ROW_PX) props.onEnd();
  }

  return (
    <div
      ref={box}
      class="events-box"
      tabindex="0"
      role="region"
      aria-label="Events"
      onScroll={onScroll}
    >
      <div
        class="events"
        role="table"
        aria-label="Events, newest first"
        aria-rowcount={props.events.length}
        style={{ height: `${props.events.length * ROW_PX}px` }}
      >
        <For each={seen()}>{(event, i) => <Row {...props} event={event} at={first() + i()} />}</For>
      </div>
    </div>
  );
}

function Row(props: TabProps & { event: Event; at: number }) {
  const event = () => props.event;
  return (
    <div
      class="events-row"
      role="row"
      aria-rowindex={props.at + 1}
      style={{ top: `${props.at * ROW_PX}px` }}
    >
      <span role="cell" class="number muted">
        {event().seq}
      </span>
      <span role="cell" class="mono muted">
        <time title={moment(event().ts_ms)}>{clock(event().ts_ms)}</time>
      </span>
      <span role="cell" class="mono" title={event().flame ?? undefined}>
        {event().event}{" "}
        <Show when={event().flame}>{(flame) => <span class="muted">{flame()}</span>}</Show>
      </span>
      <span role="cell" class="events-frame">
        <Show when={event().frame}>
          {(frame) => <FrameLink id={frame()} run={props.run} content={props.content} />}
        </Show>
      </span>
      <span role="cell" class="events-what" title={event().summary}>
        <Show when={event().task}>
          {(task) => (
            <button class="link" onClick={() => log(task())}>
              log
            </button>
          )}
        </Show>{" "}
        {event().summary}
      </span>
    </div>
  );

  function log(task: string): void {
    if (event().frame !== null) setQuery("frame", event().frame);
    props.onLog(task);
  }
}
