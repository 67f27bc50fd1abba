// The filter of a run's frames, kept in the address: a line to write in, and a menu for each field.

import { createEffect, createMemo, createSignal, For, on, onCleanup, Show } from "solid-js";
import { useCommands } from "../commands/registry.ts";
import { plural } from "../format.ts";
import type { FrameTable } from "../model/columns.ts";
import { FILTER_FIELDS, isEmpty, parseFilter, writeFilter } from "../model/filter.ts";
import type { Filter, FilterField } from "../model/filter.ts";
import { keepSame } from "../model/same.ts";
import { FRAME_STATUSES, glyph, word } from "../model/status.ts";
import { place, setQuery } from "../router.ts";

interface Props {
  frames: FrameTable;
  /** Changes whenever a frame does. */
  version: number;
  filter: Filter;
  /** How many frames the filter finds, and which of them is chosen, from 1; 0 for none. */
  found: number;
  chosen: number;
  onMatch(step: 1 | -1): void;
}

/** What is written is looked for when one pauses so long. */
const PAUSE_MS = 150;

export function FilterBar(props: Props) {
  let input!: HTMLInputElement;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const kept = () => place().query.get("filter") ?? "";
  const keep = (text: string) => {
    clearTimeout(timer);
    timer = undefined;
    setQuery("filter", text.trim() === "" ? null : text);
  };
  const active = () => !isEmpty(props.filter);
  // What was changed elsewhere, but never what one is writing.
  createEffect(
    on(kept, (text) => {
      if (
        timer === undefined &&
        writeFilter(parseFilter(input.value)) !== writeFilter(parseFilter(text))
      )
        input.value = text;
    }),
  );
  onCleanup(() => clearTimeout(timer));
  useCommands(() => [
    {
      id: "filter.focus",
      title: "Filter frames",
      group: "Run",
      keys: ["/"],
      run: () => input.select(),
    },
    {
      id: "filter.next",
      title: "Next frame that the filter finds",
      group: "Run",
      keys: ["]"],
      repeats: true,
      unavailable: none,
      run: () => props.onMatch(1),
    },
    {
      id: "filter.previous",
      title: "Frame before that the filter finds",
      group: "Run",
      keys: ["["],
      repeats: true,
      unavailable: none,
      run: () => props.onMatch(-1),
    },
    {
      id: "filter.clear",
      title: "Clear the filter",
      group: "Run",
      keys: ["f e"],
      unavailable: none,
      run: clear,
    },
  ]);

  function none(): string | null {
    return active() ? null : "there is no filter";
  }

  function clear(): void {
    input.value = "";
    keep("");
  }

  function onKeyDown(event: KeyboardEvent): void {
    if (event.key === "Enter") {
      event.preventDefault();
      if (input.value !== kept()) keep(input.value);
      props.onMatch(event.shiftKey ? -1 : 1);
    } else if (event.key === "Escape") {
      event.preventDefault();
      event.stopPropagation();
      if (input.value === "") input.blur();
      else clear();
    }
  }

  function toggle(field: FilterField, value: string): void {
    const values = props.filter.fields[field] ?? [];
    const next = values.includes(value)
      ? values.filter((each) => each !== value)
      : [...values, value];
    const text = writeFilter({
      ...props.filter,
      fields: { ...props.filter.fields, [field]: next },
    });
    input.value = text;
    keep(text);
  }

  return (
    <search class="filter" aria-label="Frames">
      <input
        ref={input}
        type="search"
        aria-label="Filter frames"
        aria-keyshortcuts="/"
        placeholder="Filter: status:failed tool:claude words"
        spellcheck={false}
        autocomplete="off"
        onInput={() => {
          clearTimeout(timer);
          timer = setTimeout(() => keep(input.value), PAUSE_MS);
        }}
        onKeyDown={onKeyDown}
      />
      <For each={FILTER_FIELDS}>
        {(field) => (
          <FieldMenu
            field={field}
            frames={props.frames}
            version={props.version}
            chosen={props.filter.fields[field] ?? []}
            onToggle={(value) => toggle(field, value)}
          />
        )}
      </For>
      <Show when={active()}>
        <span class="filter-found muted" role="status">
          {props.chosen > 0 ? `${props.chosen} of ` : ""}
          {plural(props.found, "frame")}
        </span>
        <button
          class="quiet"
          aria-label="Frame before"
          title="Frame before (Shift+Enter)"
          disabled={props.found === 0}
          onClick={() => props.onMatch(-1)}
        >
          ↑
        </button>
        <button
          class="quiet"
          aria-label="Next frame"
          title="Next frame (Enter)"
          disabled={props.found === 0}
          onClick={() => props.onMatch(1)}
        >
          ↓
        </button>
        <button class="quiet" title="Clear the filter (Esc)" onClick={clear}>
          Clear
        </button>
      </Show>
    </search>
  );
}

/** The values of a field that there are, each with how many frames have it. */
function FieldMenu(props: {
  field: FilterField;
  frames: FrameTable;
  version: number;
  chosen: readonly string[];
  onToggle(value: string): void;
}) {
  let menu!: HTMLDetailsElement;
  const [isOpen, setOpen] = createSignal(false);
  const values = createMemo((before: readonly Counted[]) => {
    if (!isOpen()) return keepSame([], before);
    void props.version;
    return keepSame(valuesOf(props.frames, props.field), before);
  }, []);
  const said = (value: string) =>
    props.field === "status" ? `${glyph(value as never)} ${word(value)}` : value;
  return (
    <details
      ref={menu}
      class="filter-menu"
      onToggle={() => setOpen(menu.open)}
      onFocusOut={(event) => {
        if (!(event.relatedTarget instanceof Node && menu.contains(event.relatedTarget)))
          menu.open = false;
      }}
      onKeyDown={(event) => {
        if (event.key !== "Escape" || !menu.open) return;
        event.stopPropagation();
        menu.open = false;
        menu.querySelector("summary")?.focus();
      }}
    >
      <summary classList={{ active: props.chosen.length > 0 }}>
        {props.field}
        {props.chosen.length > 0 ? ` (${props.chosen.length})` : ""}
      </summary>
      {/* Takes the focus from a press between its boxes, which would else close it. */}
      <div class="filter-values" role="group" aria-label={props.field} tabindex="-1">
        <For each={values()} fallback={<p class="muted">No frame has a {props.field}.</p>}>
          {([value, count]) => (
            <label>
              <input
                type="checkbox"
                checked={props.chosen.includes(value)}
                onChange={() => props.onToggle(value)}
              />
              <span class="filter-value">{said(value)}</span>
              <span class="muted number">{count}</span>
            </label>
          )}
        </For>
      </div>
    </details>
  );
}

type Counted = readonly [value: string, count: number];

function valuesOf(frames: FrameTable, field: FilterField): readonly Counted[] {
  const column = {
    status: frames.status,
    tool: frames.tool,
    role: frames.agentRole,
    phase: frames.phase,
  }[field];
  const counts = new Map<string, number>();
  for (let row = 0; row < frames.length; row++) {
    const value = column.get(row);
    if (value !== null) counts.set(value, (counts.get(value) ?? 0) + 1);
  }
  const rank = (value: string) => (field === "status" ? FRAME_STATUSES.indexOf(value as never) : 0);
  return [...counts].sort(([a], [b]) => rank(a) - rank(b) || a.localeCompare(b)).slice(0, 200);
}
