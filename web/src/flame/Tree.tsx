// The frames as a tree of text, beside the chart and with the same selection: for the keyboard, for
// screen readers, and for names that have no room in a bar. Only the rows in sight are in the document.

import { createEffect, createMemo, createSignal, For, on, onCleanup, onMount } from "solid-js";
import { duration } from "../format.ts";
import type { FrameTable } from "../model/columns.ts";
import { FUTURE, RUNNING } from "../model/layout.ts";
import type { Layout } from "../model/layout.ts";
import { INVALIDATED, glyph, word } from "../model/status.ts";

interface Props {
  frames: FrameTable;
  layout: Layout;
  now_ms: number;
  selected: string | null;
  onSelect(frame: string): void;
  onOpen(): void;
}

const ROW_PX = 26;
const OVERSCAN = 8;

export function Tree(props: Props) {
  let box!: HTMLDivElement;
  const [folded, setFolded] = createSignal<ReadonlySet<string>>(new Set());
  const [scroll, setScroll] = createSignal(0);
  const [height, setHeight] = createSignal(0);
  // Most changes leave the order of children as it is.
  const tree = createMemo(() => props.layout, undefined, { equals: (one, other) => one.children === other.children });
  const bars = createMemo(() => {
    const rows = new Set([...folded()].map((id) => props.frames.row(id)));
    return unfolded(tree(), (bar) => rows.has(bar));
  });
  const chosen = createMemo(() => {
    const bar = props.selected === null ? undefined : props.frames.row(props.selected);
    return bar === undefined ? -1 : bars().indexOf(bar);
  });
  const first = () => Math.max(0, Math.floor(scroll() / ROW_PX) - OVERSCAN);
  const shown = createMemo(() => bars().slice(first(), Math.ceil((scroll() + height()) / ROW_PX) + OVERSCAN));

  onMount(() => {
    const resized = new ResizeObserver(() => setHeight(box.clientHeight));
    resized.observe(box);
    onCleanup(() => resized.disconnect());
  });
  // What is chosen elsewhere is unfolded and brought into sight.
  createEffect(on(() => props.selected, (selected) => {
    const bar = selected === null ? undefined : props.frames.row(selected);
    if (bar === undefined) return;
    const above: string[] = [];
    for (let up = props.layout.parent[bar]!; up >= 0; up = props.layout.parent[up]!) above.push(props.frames.id.get(up));
    if (above.some((id) => folded().has(id))) setFolded((before) => new Set([...before].filter((id) => !above.includes(id))));
    const y = chosen() * ROW_PX;
    if (y < box.scrollTop || y > box.scrollTop + box.clientHeight - ROW_PX) box.scrollTop = y - box.clientHeight / 2;
  }));

  const hasChildren = (bar: number) => props.layout.childStart[bar + 1]! > props.layout.childStart[bar]!;
  const fold = (bar: number, isFolded: boolean) => {
    const id = props.frames.id.get(bar);
    setFolded((before) => {
      const after = new Set(before);
      if (isFolded) after.add(id);
      else after.delete(id);
      return after;
    });
  };
  const choose = (index: number) => {
    const bar = bars()[Math.min(Math.max(index, 0), bars().length - 1)];
    if (bar !== undefined) props.onSelect(props.frames.id.get(bar));
  };

  function onKeyDown(event: KeyboardEvent): void {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const bar = bars()[chosen()] ?? -1;
    const isFolded = bar >= 0 && folded().has(props.frames.id.get(bar));
    const keys: Record<string, () => void> = {
      ArrowDown: () => choose(chosen() + 1),
      ArrowUp: () => choose(chosen() - 1),
      Home: () => choose(0),
      End: () => choose(bars().length - 1),
      ArrowRight: () => (bar >= 0 && isFolded ? fold(bar, false) : bar >= 0 && hasChildren(bar) && choose(chosen() + 1)),
      ArrowLeft: () => {
        if (bar >= 0 && hasChildren(bar) && !isFolded) fold(bar, true);
        else if (bar >= 0 && props.layout.parent[bar]! >= 0) props.onSelect(props.frames.id.get(props.layout.parent[bar]!));
      },
      " ": () => bar >= 0 && hasChildren(bar) && fold(bar, !isFolded),
      Enter: () => props.onOpen(),
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
      role="tree"
      tabindex="0"
      aria-label="Frames"
      aria-activedescendant={props.selected === null ? undefined : `tree-${props.selected}`}
      onScroll={() => setScroll(box.scrollTop)}
      onKeyDown={onKeyDown}
    >
      <div role="presentation" style={{ height: `${bars().length * ROW_PX}px` }}>
        <div role="presentation" style={{ transform: `translateY(${first() * ROW_PX}px)` }}>
          <For each={shown()}>{(bar) => <Row bar={bar} />}</For>
        </div>
      </div>
    </div>
  );

  function Row(row: { bar: number }) {
    // A change of the layout means that a frame has changed.
    const frame = createMemo(() => {
      void props.layout;
      return props.frames.get(row.bar);
    });
    const isFolded = () => folded().has(frame().id);
    const took = () => {
      const { kind, start, end } = props.layout;
      if (kind[row.bar] === FUTURE) return "";
      return duration((kind[row.bar] === RUNNING ? props.now_ms : end[row.bar]!) - start[row.bar]!);
    };
    return (
      <div
        id={`tree-${frame().id}`}
        role="treeitem"
        class="tree-row"
        classList={{ chosen: props.selected === frame().id, struck: props.frames.status.codes[row.bar] === INVALIDATED }}
        aria-level={props.layout.depth[row.bar]! + 1}
        aria-expanded={hasChildren(row.bar) ? !isFolded() : undefined}
        aria-selected={props.selected === frame().id}
        aria-label={`${frame().title}, ${word(frame().status)}${took() === "" ? "" : `, ${took()}`}`}
        style={{ "padding-left": `${8 + Math.min(props.layout.depth[row.bar]!, 12) * 14}px` }}
        onClick={() => props.onSelect(frame().id)}
        onDblClick={() => hasChildren(row.bar) && fold(row.bar, !isFolded())}
      >
        <span
          class="tree-fold"
          aria-hidden="true"
          onClick={(event) => {
            if (!hasChildren(row.bar)) return;
            event.stopPropagation();
            fold(row.bar, !isFolded());
          }}
        >
          {hasChildren(row.bar) ? (isFolded() ? "▸" : "▾") : ""}
        </span>
        <span class={`status status-${frame().status}`} aria-hidden="true">{glyph(frame().status)}</span>
        <span class="tree-title">{frame().title}</span>
        <span class="muted number">{took()}</span>
      </div>
    );
  }
}

/** The bars from top to bottom as a tree shows them, without what is within a folded one. */
function unfolded(layout: Layout, isFolded: (bar: number) => boolean): number[] {
  const { childStart, children, count } = layout;
  const bars: number[] = [];
  const below = (owner: number, into: number[]) => {
    for (let i = childStart[owner + 1]! - 1; i >= childStart[owner]!; i--) into.push(children[i]!);
  };
  const stack: number[] = [];
  below(count, stack);
  while (stack.length > 0) {
    const bar = stack.pop()!;
    bars.push(bar);
    if (!isFolded(bar)) below(bar, stack);
  }
  return bars;
}

