// The bar to search a log with.

import { createEffect, createSignal, on, onCleanup, onMount, Show } from "solid-js";
import { plural } from "../format.ts";
import type { Finder } from "./finder.ts";
import type { Hit } from "./source.ts";

interface Props {
  finder: Finder;
  /** How large the log is. */
  total: number;
  /** The place in the log that one looks at. */
  place(): number;
  onShow(hit: Hit | null): void;
  onClose(): void;
}

/** So long nothing is typed before the search begins: it reads the whole log. */
const PAUSE_MS = 180;

export function Find(props: Props) {
  let input!: HTMLInputElement;
  const [regex, setRegex] = createSignal(false);
  let timer: ReturnType<typeof setTimeout> | undefined;
  /** From where the first hit is looked for. */
  let place = 0;

  function begin(from = 0): void {
    clearTimeout(timer);
    const pattern = input.value;
    if (pattern === "") props.finder.clear();
    else void props.finder.search({ pattern, regex: regex() }, from);
  }

  function beginSoon(): void {
    clearTimeout(timer);
    place = props.place();
    timer = setTimeout(begin, PAUSE_MS);
  }

  async function step(by: 1 | -1): Promise<void> {
    const { finder } = props;
    const { query } = finder;
    if (query?.pattern !== input.value || query.regex !== regex()) return begin();
    const isLast = finder.current === finder.hits.length - 1;
    if (by === 1 && isLast && finder.isFull) return begin(finder.hits.at(-1)!.offset + 1);
    if (by === -1 && finder.current === 0 && finder.from > 0) return begin();
    if (by === 1 && isLast) await finder.goOn();
    props.onShow(finder.step(by, props.place()));
  }

  function onKeyDown(event: KeyboardEvent): void {
    if (event.key !== "Enter" && event.key !== "Escape") return;
    event.preventDefault();
    event.stopPropagation();
    if (event.key === "Escape") props.onClose();
    else void step(event.shiftKey ? -1 : 1);
  }

  // As one types, the nearest is shown as soon as it is found.
  createEffect(
    on(props.finder.version, () => {
      const { finder } = props;
      if (finder.current >= 0 || finder.hits.length === 0) return;
      if (finder.isOver || finder.hits.at(-1)!.offset >= place) props.onShow(finder.step(1, place));
    }),
  );
  onMount(() => {
    place = props.place();
    input.focus();
  });
  onCleanup(() => clearTimeout(timer));

  return (
    <div class="log-find" role="search">
      <input
        ref={input}
        type="search"
        aria-label="Find in the whole log"
        placeholder="Find in the whole log"
        maxlength="300"
        spellcheck={false}
        autocomplete="off"
        onInput={beginSoon}
        onKeyDown={onKeyDown}
      />
      <button
        class="quiet"
        aria-pressed={regex()}
        aria-label="Regular expression"
        title="Regular expression"
        onClick={() => {
          setRegex(!regex());
          begin();
        }}
      >
        .*
      </button>
      <button
        class="quiet"
        aria-label="Line before"
        title="Line before (Shift Enter)"
        onClick={() => void step(-1)}
      >
        ↑
      </button>
      <button
        class="quiet"
        aria-label="Next line"
        title="Next line (Enter)"
        onClick={() => void step(1)}
      >
        ↓
      </button>
      <span class="log-found" role="status">
        {said()}
      </span>
      <span class="muted">{progress()}</span>
      <span class="spacer" />
      <button
        class="quiet"
        aria-label="Close the search"
        title="Close (Esc)"
        onClick={() => props.onClose()}
      >
        ✕
      </button>
      <Show when={outOfSight()}>
        {(hit) => (
          <p class="log-found-text">
            <span class="muted">further on in this line:</span> {hit().text}
          </p>
        )}
      </Show>
    </div>
  );

  /** Does not change with every step of a search, which would chatter. */
  function said(): string {
    props.finder.version();
    const { query, error, lines, current, isOver, from } = props.finder;
    if (error !== null) return error.message;
    if (query === null) return "";
    if (current >= 0)
      return `${current + 1} of ${isOver ? plural(lines, "line") : "…"}${from > 0 ? " from here on" : ""}`;
    return isOver ? "No line has it" : "";
  }

  function progress(): string {
    props.finder.version();
    const { query, isOver, searched } = props.finder;
    if (query === null || isOver || props.total === 0) return "";
    return `searching, ${Math.floor((100 * Math.min(searched, props.total)) / props.total)} %`;
  }

  /** A match behind what is shown of a very long line. */
  function outOfSight(): Hit | null {
    props.finder.version();
    const hit = props.finder.hits[props.finder.current];
    return hit !== undefined && (hit.marks.length === 0 || hit.marks[0]![0] > 4_000) ? hit : null;
  }
}
