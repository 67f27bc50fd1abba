// A run as a table: a row for each frame that does work, in the order of any column, with what its agent
// does now. Only the rows in sight are in the document.

import { createEffect, createMemo, createSignal, For, on, onCleanup, onMount } from "solid-js";
import {
  cost,
  duration,
  isUsed,
  moment,
  plural,
  shortMoment,
  tokens,
  usageInFull,
} from "../format.ts";
import {
  firstSort,
  parseSort,
  roleOf,
  sortedRows,
  stepOf,
  sumOf,
  taskOf,
  tookOf,
  writeSort,
  BY_START,
} from "../model/sorting.ts";
import type { Sortable } from "../model/sorting.ts";
import { word } from "../model/status.ts";
import { place, setQuery } from "../router.ts";
import { second } from "../state.ts";
import { Status } from "../ui/Status.tsx";
import type { ViewProps } from "./view.ts";
import "../styles/table.css";

const ROW_PX = 30;
const OVERSCAN = 10;

interface Column {
  readonly by: Sortable;
  readonly title: string;
  readonly kind: string;
}

/** `narrow`: shown on a phone too. */
const COLUMNS: readonly Column[] = [
  { by: "status", title: "Status", kind: "narrow" },
  { by: "title", title: "Frame", kind: "narrow" },
  { by: "tool", title: "Tool", kind: "wide-only" },
  { by: "role", title: "Role, phase", kind: "wide-only" },
  { by: "attempt", title: "Try", kind: "number wide-only" },
  { by: "started", title: "Started", kind: "wide-only" },
  { by: "took", title: "Took", kind: "number narrow" },
  { by: "tokens", title: "Tokens", kind: "number wide-only" },
  { by: "cost", title: "Cost", kind: "number narrow" },
  { by: "turns", title: "Turns", kind: "number wide-only" },
  { by: "step", title: "Now, or why", kind: "wide-only" },
];

export function TableView(props: ViewProps) {
  let box!: HTMLDivElement;
  let grid!: HTMLTableElement;
  const [scroll, setScroll] = createSignal(0);
  const [height, setHeight] = createSignal(0);
  const sort = createMemo(() => parseSort(place().query.get("sort")));
  const moved = () => (props.live ? second() : props.now());
  // A change of the layout means that frames have changed. Time alone moves no rows.
  const rows = createMemo(() => {
    void props.layout;
    return sortedRows(props.frames, props.tasks, props.matching, sort(), props.now());
  });
  const sums = createMemo(() => {
    void props.layout;
    return sumOf(props.frames, rows(), moved());
  });
  const first = () => Math.max(0, Math.floor(scroll() / ROW_PX) - OVERSCAN);
  const last = () => Math.min(rows().length, Math.ceil((scroll() + height()) / ROW_PX) + OVERSCAN);
  const shown = createMemo(() => Array.from(rows().subarray(first(), last())));
  const chosen = createMemo(() => {
    const row = props.selected === null ? undefined : props.frames.row(props.selected);
    return row === undefined ? -1 : rows().indexOf(row);
  });
  const idOf = (row: number) => `table-${props.frames.id.get(row)}`;

  onMount(() => {
    const resized = new ResizeObserver(() => setHeight(box.clientHeight));
    resized.observe(box);
    onCleanup(() => resized.disconnect());
  });
  // What is chosen elsewhere is brought into sight.
  createEffect(
    on(
      () => props.selected,
      () => {
        if (chosen() < 0) return;
        const [y, room] = [chosen() * ROW_PX, box.clientHeight - 3 * ROW_PX];
        if (y < box.scrollTop || y > box.scrollTop + room) box.scrollTop = y - room / 2;
      },
    ),
  );

  function sortBy(by: Sortable): void {
    const next = sort().by === by ? { by, down: !sort().down } : firstSort(by);
    setQuery("sort", writeSort(next) === writeSort(BY_START) ? null : writeSort(next));
  }

  function onKeyDown(event: KeyboardEvent): void {
    if (event.target !== grid || event.ctrlKey || event.metaKey || event.altKey) return;
    const page = Math.max(1, Math.floor(height() / ROW_PX) - 3);
    const step = {
      ArrowDown: 1,
      ArrowUp: -1,
      PageDown: page,
      PageUp: -page,
      Home: -Infinity,
      End: Infinity,
    }[event.key];
    if (step !== undefined && rows().length > 0) {
      const to = Math.min(
        Math.max(Math.max(chosen(), step === 1 ? -1 : 0) + step, 0),
        rows().length - 1,
      );
      props.onSelect(props.frames.id.get(rows()[to]!));
    } else if (event.key === "Enter") props.onOpen();
    else if (event.key === "Escape") props.onSelect(null);
    else return;
    event.preventDefault();
  }

  const isShown = () => chosen() >= first() && chosen() < last();
  const spacer = (count: number) => (
    <tr aria-hidden="true" style={{ height: `${count * ROW_PX}px` }}>
      <td />
    </tr>
  );
  const direction = (by: Sortable) =>
    sort().by !== by ? undefined : sort().down ? "descending" : "ascending";

  return (
    <section class="table-view" aria-label="Table">
      <div class="table-scroll" ref={box} onScroll={() => setScroll(box.scrollTop)}>
        <table
          ref={grid}
          role="grid"
          tabindex="0"
          aria-label="Frames. Up and down choose a frame, Enter shows all about it."
          aria-rowcount={rows().length + 2}
          aria-activedescendant={isShown() ? idOf(rows()[chosen()]!) : undefined}
          onKeyDown={onKeyDown}
        >
          <thead>
            <tr aria-rowindex={1}>
              <For each={COLUMNS}>
                {(column) => (
                  <th
                    scope="col"
                    class={`${column.kind} of-${column.by}`}
                    aria-sort={direction(column.by)}
                  >
                    <button class="sort" onClick={() => sortBy(column.by)}>
                      {column.title}
                      <span class="sort-sign" aria-hidden="true">
                        {sort().by !== column.by ? "" : sort().down ? " ▼" : " ▲"}
                      </span>
                    </button>
                  </th>
                )}
              </For>
            </tr>
          </thead>
          <tbody>
            {spacer(first())}
            <For each={shown()}>
              {(row, i) => (
                <Row {...props} row={row} id={idOf(row)} index={first() + i()} now_ms={moved()} />
              )}
            </For>
            {spacer(rows().length - last())}
          </tbody>
          <tfoot>
            <tr aria-rowindex={rows().length + 2}>
              <th scope="row" colspan="2" class="narrow">
                {rows().length === 0 ? "No frame matches" : plural(rows().length, "frame")}
              </th>
              <td class="wide-only" />
              <td class="wide-only" />
              <td class="wide-only" />
              <td class="wide-only" />
              <td class="number narrow" title="One after another">
                {duration(sums().took_ms)}
              </td>
              <td class="number wide-only" title={usageInFull(sums().usage)}>
                {isUsed(sums().usage) ? tokens(sums().usage) : ""}
              </td>
              <td class="number narrow">{cost(sums().usage) ?? ""}</td>
              <td class="number wide-only">{sums().turns || ""}</td>
              <td class="wide-only" />
            </tr>
          </tfoot>
        </table>
      </div>
    </section>
  );
}

function Row(props: ViewProps & { row: number; id: string; index: number; now_ms: number }) {
  const frame = createMemo(() => {
    void props.layout;
    return props.frames.get(props.row);
  });
  const task = createMemo(() => {
    void props.version;
    const row = taskOf(props.frames, props.tasks, props.row);
    return row < 0 ? null : props.tasks.get(row);
  });
  const step = () => {
    void props.version;
    return stepOf(props.frames, props.tasks, props.row);
  };
  const took = () =>
    frame().started_ms === null ? "" : duration(tookOf(props.frames, props.row, props.now_ms));
  const usage = () => (isUsed(frame().usage) ? frame().usage : null);
  return (
    <tr
      id={props.id}
      class="table-row"
      classList={{
        chosen: props.selected === frame().id,
        struck: frame().status === "invalidated",
      }}
      aria-rowindex={props.index + 2}
      aria-selected={props.selected === frame().id}
      onClick={() => props.onSelect(frame().id)}
      onDblClick={() => props.onOpen()}
    >
      <td class="narrow">
        <Status
          status={frame().status}
          label={
            frame().skipped
              ? "skipped"
              : frame().paused
                ? `${word(frame().status)}, held`
                : undefined
          }
        />
      </td>
      <td class="narrow tree-title" title={frame().title}>
        {frame().title}
      </td>
      <td class="wide-only">{frame().tool}</td>
      <td class="wide-only muted">{roleOf(props.frames, props.row)}</td>
      <td class="number wide-only">{task()?.attempt ?? ""}</td>
      <td class="wide-only muted">
        <time title={frame().started_ms === null ? "" : moment(frame().started_ms!)}>
          {frame().started_ms === null ? "" : shortMoment(frame().started_ms!, props.now_ms)}
        </time>
      </td>
      <td class="number narrow">{took()}</td>
      <td class="number wide-only" title={usage() ? usageInFull(usage()!) : ""}>
        {usage() ? tokens(usage()!) : ""}
      </td>
      <td class="number narrow">{usage() ? (cost(usage()!) ?? "") : ""}</td>
      <td class="number wide-only">{frame().turns || ""}</td>
      <td class="wide-only muted" title={step() ?? ""}>
        {step()}
      </td>
    </tr>
  );
}
