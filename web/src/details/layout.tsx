// Where the panel is, and how large: remembered in this browser. On a phone it is always below.

import { createSignal } from "solid-js";

export const LAYOUTS = [
  { name: "bottom", title: "Show the panel below", keys: "p b", glyph: "⬓" },
  { name: "side", title: "Show the panel at the side", keys: "p s", glyph: "◨" },
  { name: "full", title: "Show the panel alone", keys: "p f", glyph: "▣" },
] as const;

export type PanelLayout = (typeof LAYOUTS)[number]["name"];

const KEY = "fornax.panel";
const LEAST = 0.2;
const MOST = 0.8;
/** How far one press of an arrow goes. */
const STEP = 0.03;

interface Kept {
  layout: PanelLayout;
  /** By layout: its share of the room. */
  bottom: number;
  side: number;
}

function read(): Kept {
  const kept: Kept = { layout: "bottom", bottom: 0.45, side: 0.4 };
  try {
    const found = JSON.parse(localStorage.getItem(KEY) ?? "{}") as Partial<Kept>;
    if (LAYOUTS.some(({ name }) => name === found.layout)) kept.layout = found.layout!;
    for (const each of ["bottom", "side"] as const)
      if (typeof found[each] === "number") kept[each] = within(found[each]);
  } catch {
    // What is kept there is of no use: as if nothing was.
  }
  return kept;
}

function within(share: number): number {
  return Number.isFinite(share) ? Math.min(MOST, Math.max(LEAST, share)) : 0.45;
}

const [kept, setKept] = createSignal(read());

function keep(change: Partial<Kept>): void {
  setKept((before) => ({ ...before, ...change }));
  try {
    localStorage.setItem(KEY, JSON.stringify(kept()));
  } catch {
    // A browser that keeps nothing forgets it with the page.
  }
}

export const layout = (): PanelLayout => kept().layout;
export const setLayout = (name: PanelLayout): void => keep({ layout: name });
/** The panel's share of the room, 0 to 1. */
export const size = (): number => (layout() === "side" ? kept().side : kept().bottom);

function resize(share: number): void {
  keep({ [layout() === "side" ? "side" : "bottom"]: within(share) });
}

/** The edge of the panel, by which it is resized. */
export function Separator(props: { panel(): HTMLElement }) {
  const isSide = () => layout() === "side";

  function onPointerDown(event: PointerEvent & { currentTarget: HTMLElement }): void {
    event.preventDefault();
    event.currentTarget.setPointerCapture(event.pointerId);
  }

  function onPointerMove(event: PointerEvent & { currentTarget: HTMLElement }): void {
    if (!event.currentTarget.hasPointerCapture(event.pointerId)) return;
    const room = props.panel().parentElement!.getBoundingClientRect();
    resize(
      isSide()
        ? (room.right - event.clientX) / room.width
        : (room.bottom - event.clientY) / room.height,
    );
  }

  function onKeyDown(event: KeyboardEvent): void {
    const grow = isSide()
      ? { ArrowLeft: STEP, ArrowRight: -STEP }
      : { ArrowUp: STEP, ArrowDown: -STEP };
    const by = (grow as Record<string, number>)[event.key];
    const to = by !== undefined ? size() + by : { Home: LEAST, End: MOST }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    resize(to);
  }

  return (
    <div
      class="separator"
      role="separator"
      tabindex="0"
      aria-label="Size of the panel"
      aria-orientation={isSide() ? "vertical" : "horizontal"}
      aria-valuenow={Math.round(size() * 100)}
      aria-valuemin={LEAST * 100}
      aria-valuemax={MOST * 100}
      onPointerDown={onPointerDown}
      onPointerMove={onPointerMove}
      onKeyDown={onKeyDown}
    />
  );
}
