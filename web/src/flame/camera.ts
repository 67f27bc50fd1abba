// What the chart and the minimap look at: which stretch of the axis, with idle time folded or not. Kept in
// the address, so that a link shows the same.

import { batch, createEffect, createMemo, createSignal, on, onCleanup } from "solid-js";
import { STRAIGHT, axisOf } from "../model/idle.ts";
import type { Axis, Work } from "../model/idle.ts";
import type { Scale } from "../model/lod.ts";
import { place, setQuery } from "../router.ts";
import { settings } from "../settings.ts";
import type { Shown } from "./scene.ts";
import { WHOLE, between, extentOf, keep, resolve, slotLength } from "./viewport.ts";
import type { Extent, View, Viewport } from "./viewport.ts";

interface Source {
  shown(): Shown;
  work(): Work;
  /** The moment up to which the chart goes: now, or the run's end. */
  now(): number;
}

/** All that holds at one moment. */
export interface Look {
  readonly now_ms: number;
  readonly axis: Axis;
  readonly extent: Extent;
  readonly view: View;
}

export interface Idle {
  readonly folded: boolean;
  readonly others: ReadonlySet<number>;
}

export interface Camera {
  /** How things are now. */
  look(): Look;
  /** What is seen on so many pixels. */
  scale(look: Look, width: number): Scale;
  /** Shows another stretch. */
  show(view: View): void;
  /** Shows all, or follows, or stays where it is. */
  mode(): Viewport["mode"];
  setMode(mode: Viewport["mode"]): void;
  /** Whether idle time is folded, and the moments at which the stretches begin that are not as the rest. */
  idle(): Idle;
  toggleIdle(): void;
  /** Folds or unfolds the idle stretch that begins at a moment. */
  toggleGap(from_ms: number): void;
}

/** The address changes at most this often while one moves. */
const ADDRESS_DELAY_MS = 300;

export function createCamera(source: Source): Camera {
  const [viewport, setViewport] = createSignal<Viewport>(WHOLE);
  const [others, setOthers] = createSignal<ReadonlySet<number>>(new Set());
  const idleFolded = createMemo(() => {
    const asked = place().query.get("idle");
    return asked === "show" || asked === "fold" ? asked === "fold" : settings().foldIdle;
  });
  const idle = createMemo(() => ({ folded: idleFolded(), others: others() }));

  function look(): Look {
    const { layout, width } = source.shown();
    if (width !== "time") {
      const extent = { from: 0, now: layout.to, to: layout.to };
      return {
        now_ms: layout.to,
        axis: STRAIGHT,
        extent,
        view: resolve(viewport(), extent, STRAIGHT),
      };
    }
    const now_ms = Math.max(source.now(), layout.to);
    const axis = axisOf(source.work(), now_ms, idle().folded, idle().others);
    const extent = extentOf(layout, axis, now_ms);
    return { now_ms, axis, extent, view: resolve(viewport(), extent, axis) };
  }

  function scale({ now_ms, axis, view }: Look, width: number): Scale {
    const { layout } = source.shown();
    const slot_ms = layout.slots === 0 ? 0 : slotLength(layout, axis, now_ms);
    return {
      axis,
      left: view.from,
      perPixel: view.span / Math.max(width, 1),
      width,
      now_ms,
      slot_ms,
    };
  }

  const show = (view: View) => setViewport(keep(view, look().axis));

  keepInAddress(viewport, look, (range) =>
    show(between(look().extent, look().axis.at(range[0]), look().axis.at(range[1]))),
  );
  // A stretch of one unit is none of another.
  createEffect(
    on(
      () => source.shown().width,
      () => setViewport(WHOLE),
      { defer: true },
    ),
  );

  return {
    look,
    scale,
    show,
    mode: () => viewport().mode,
    setMode: (mode) => setViewport({ ...keep(look().view, look().axis), mode }),
    idle,
    toggleIdle: () =>
      batch(() => {
        setOthers(new Set<number>());
        const folds = !idleFolded();
        setQuery("idle", folds === settings().foldIdle ? null : folds ? "fold" : "show");
      }),
    toggleGap: (from_ms) =>
      setOthers((before) => {
        const after = new Set(before);
        if (!after.delete(from_ms)) after.add(from_ms);
        return after;
      }),
  };
}

/** Begins with the stretch that the address names, and names there the one that is set. */
function keepInAddress(
  viewport: () => Viewport,
  look: () => Look,
  begin: (range: [from: number, to: number]) => void,
): void {
  const range = ["from", "to"].map((name) => Number(place().query.get(name) ?? NaN));
  if (range.every(Number.isFinite)) begin(range as [number, number]);
  let timer: ReturnType<typeof setTimeout> | undefined;
  const write = () => {
    timer = undefined;
    const { view, axis } = look();
    const name = (at: number) =>
      viewport().mode === "free" ? String(Number(axis.moment(at).toPrecision(14))) : null;
    batch(() => {
      setQuery("from", name(view.from));
      setQuery("to", name(view.from + view.span));
    });
  };
  createEffect(
    on(viewport, () => (timer ??= setTimeout(write, ADDRESS_DELAY_MS)), { defer: true }),
  );
  onCleanup(() => clearTimeout(timer));
}
