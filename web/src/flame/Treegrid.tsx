// The frames as a table of text that unfolds, beside the chart and with the same selection: for the keyboard,
// for screen readers, and for names that have no room in a bar. Only the rows in sight are in the document.

import { createEffect, createMemo, createSignal, For, on, onCleanup, onMount } from "solid-js";
import { cost, count, duration } from "../format.ts";
import type { Fold } from "../model/fold.ts";
import type { FrameTable } from "../model/columns.ts";
import { FUTURE, RUNNING } from "../model/layout.ts";
import type { Layout } from "../model/layout.ts";
import { inOrder } from "../model/order.ts";
import { isSame } from "../model/same.ts";
import { BADNESS, DIMMED, FRAME_STATUSES, INVALIDATED, glyph, word } from "../model/status.ts";
import { sumsOf } from "../model/sums.ts";

interface Props {
  frames: FrameTable;
  layout: Layout;
  fold: Fold;
  /** By bar: with DIMMED for those that a filter does not find. */
  codes: Uint8Array;
  now_ms: number;
  selected: string | null;
  onSelect(frame: string | null): void;
  onOpen(): void;
  onFold(frame: string, isFolded: boolean): void;
}

const ROW_PX = 26;
const OVERSCAN = 8;
const COLUMNS = ["Frame", "Status", "Took", "Tokens", "Cost"] as const;

export function Treegrid(props: Props) {
  let box!: HTMLDivElement;
  const [scroll, setScroll] = createSignal(0);
  const [height, setHeight] = createSignal(0);
  // Most changes leave the order of children, and what is folded, as they are.
  const tree = createMemo(() => props.layout, undefined, {
    equals: (one, other) => one.children === other.children,
  });
  const folded = createMemo(() => props.fold.folded, undefined, { equals: isSame });
  const bars = createMemo(() => inOrder(tree(), folded()));
  const sums = createMemo(
    () => {
      // A change of the layout means that a frame has changed.
      void props.layout;
      const known = sumsOf(props.frames);
      return { known, changes: known.changes };
    },
    undefined,
    { equals: (one, other) => one.known === other.known && one.changes === other.changes },
  );
  const chosen = createMemo(() => {
    const bar = props.selected === null ? undefined : props.frames.row(props.selected);
    return bar === undefined ? -1 : bars().indexOf(bar);
  });
  const first = () => Math.max(0, Math.floor(scroll() / ROW_PX) - OVERSCAN);
  const shown = createMemo(() => [
    ...bars().subarray(first(), Math.ceil((scroll() + height()) / ROW_PX) + OVERSCAN),
  ]);

  onMount(() => {
    const resized = new ResizeObserver(() => setHeight(box.clientHeight));
    resized.observe(box);
    onCleanup(() => resized.disconnect());
  });
  // What is chosen elsewhere is brought into sight.
  createEffect(
    on([() => props.selected, () => chosen() < 0], () => {
      if (chosen() < 0) return;
      const y = chosen() * ROW_PX;
      const room = box.clientHeight - 2 * ROW_PX;
      if (y < box.scrollTop || y > box.scrollTop + room) box.scrollTop = y - room / 2;
    }),
  );

  const holdsOthers = (bar: number) =>
    props.layout.childStart[bar + 1]! > props.layout.childStart[bar]!;
  const isFolded = (bar: number) => props.fold.folded[bar] === 1;
  const fold = (bar: number, folds: boolean) => props.onFold(props.frames.id.get(bar), folds);
  const choose = (index: number) => {
    const bar = bars()[Math.min(Math.max(index, 0), bars().length - 1)];
    if (bar !== undefined) props.onSelect(props.frames.id.get(bar));
  };

  function onKeyDown(event: KeyboardEvent): void {
    if (
      event.metaKey ||
      event.altKey ||
      (event.ctrlKey && event.key !== "Home" && event.key !== "End")
    )
      return;
    const bar = bars()[chosen()] ?? -1;
    const canFold = bar >= 0 && holdsOthers(bar);
    const page = Math.max(1, Math.floor(height() / ROW_PX) - 2);
    const keys: Record<string, () => void> = {
      ArrowDown: () => choose(chosen() + 1),
      ArrowUp: () => choose(chosen() - 1),
      PageDown: () => choose(chosen() + page),
      PageUp: () => choose(chosen() - page),
      Home: () => choose(0),
      End: () => choose(bars().length - 1),
      ArrowRight() {
        if (canFold && isFolded(bar)) fold(bar, false);
        else if (canFold) choose(chosen() + 1);
      },
      ArrowLeft() {
        if (canFold && !isFolded(bar)) fold(bar, true);
        else if (bar >= 0 && props.layout.parent[bar]! >= 0)
          props.onSelect(props.frames.id.get(props.layout.parent[bar]!));
      },
      " ": () => canFold && fold(bar, !isFolded(bar)),
      Enter: () => props.onOpen(),
      Escape: () => props.onSelect(null),
    };
    const act = keys[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  }

  return (
    <div
      ref={box}
      class="tree"
      role="treegrid"
      tabindex="0"
      aria-label="Frames"
      aria-rowcount={bars().length + 1}
      aria-colcount={COLUMNS.length}
      aria-activedescendant={
        props.selected === null || chosen() < 0 ? undefined : `tree-${props.selected}`
      }
      onScroll={() => setScroll(box.scrollTop)}
      onKeyDown={onKeyDown}
    >
      <div class="tree-row tree-head" role="row" aria-rowindex="1">
        <For each={COLUMNS}>
          {(column, i) => (
            <span
              role="columnheader"
              aria-colindex={i() + 1}
              class={`tree-${column.toLowerCase()}`}
            >
              {column}
            </span>
          )}
        </For>
      </div>
      <div role="rowgroup" style={{ height: `${bars().length * ROW_PX}px` }}>
        <div role="presentation" style={{ transform: `translateY(${first() * ROW_PX}px)` }}>
          <For each={shown()}>{(bar, i) => <Row bar={bar} index={first() + i()} />}</For>
        </div>
      </div>
    </div>
  );

  function Row(row: { bar: number; index: number }) {
    const frame = createMemo(() => {
      void props.layout;
      return props.frames.get(row.bar);
    });
    const took = () => {
      const { kind, start, end } = props.layout;
      if (kind[row.bar] === FUTURE) return "";
      return duration((kind[row.bar] === RUNNING ? props.now_ms : end[row.bar]!) - start[row.bar]!);
    };
    const tokens = () => {
      const used = sums().known.tokens(row.bar);
      return used > 0 ? count(used) : "";
    };
    const money = () => cost(sums().known.cost(row.bar)) ?? "";
    /** The worst of what is folded in it, where that is worse than itself. */
    const worse = () => {
      const worst = props.fold.worst[row.bar]!;
      return BADNESS[worst]! > BADNESS[props.frames.status.codes[row.bar]!]!
        ? FRAME_STATUSES[worst]!
        : null;
    };
    const said = () => {
      const folded =
        props.fold.count[row.bar]! > 0
          ? `${props.fold.count[row.bar]} folded${worse() ? `, the worst ${word(worse()!)}` : ""}`
          : "";
      return [
        frame().title,
        word(frame().status),
        took(),
        tokens() && `${tokens()} tokens`,
        money(),
        folded,
      ]
        .filter((part) => part !== "")
        .join(", ");
    };
    return (
      <div
        id={`tree-${frame().id}`}
        role="row"
        class="tree-row"
        classList={{
          chosen: props.selected === frame().id,
          struck: props.frames.status.codes[row.bar] === INVALIDATED,
          dimmed: props.codes[row.bar]! >= DIMMED,
        }}
        aria-rowindex={row.index + 2}
        aria-level={props.layout.depth[row.bar]! + 1}
        aria-expanded={holdsOthers(row.bar) ? !isFolded(row.bar) : undefined}
        aria-selected={props.selected === frame().id}
        aria-label={said()}
        onClick={() => props.onSelect(frame().id)}
        onDblClick={() => holdsOthers(row.bar) && fold(row.bar, !isFolded(row.bar))}
      >
        <span
          role="gridcell"
          aria-colindex="1"
          class="tree-frame"
          style={{ "padding-left": `${indent(props.layout.depth[row.bar]!)}px` }}
        >
          <span
            class="tree-fold"
            aria-hidden="true"
            onDblClick={(event) => event.stopPropagation()}
            onClick={(event) => {
              if (!holdsOthers(row.bar)) return;
              event.stopPropagation();
              fold(row.bar, !isFolded(row.bar));
            }}
          >
            {holdsOthers(row.bar) ? (isFolded(row.bar) ? "▸" : "▾") : ""}
          </span>
          <span class={`status status-${frame().status}`} aria-hidden="true">
            {glyph(frame().status)}
          </span>
          <span class="tree-title">{frame().title}</span>
          <span class="tree-folded muted" classList={{ [`status-${worse()}`]: worse() !== null }}>
            {props.fold.count[row.bar]! > 0
              ? `${worse() ? glyph(worse()!) : ""}${props.fold.count[row.bar]}`
              : ""}
          </span>
        </span>
        <span
          role="gridcell"
          aria-colindex="2"
          class={`tree-status status status-${frame().status}`}
        >
          {word(frame().status)}
        </span>
        <span role="gridcell" aria-colindex="3" class="tree-took muted number">
          {took()}
        </span>
        <span role="gridcell" aria-colindex="4" class="tree-tokens muted number">
          {tokens()}
        </span>
        <span role="gridcell" aria-colindex="5" class="tree-cost muted number">
          {money()}
        </span>
      </div>
    );
  }
}

/** How far a title stands in, in pixels: less and less with depth, so that there is room for it. */
function indent(depth: number): number {
  return 8 + Math.min(depth, 7) * 14 + Math.min(Math.max(depth - 7, 0), 20) * 2;
}
