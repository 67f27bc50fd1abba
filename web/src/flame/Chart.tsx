// The flame chart: a canvas, and how mouse and keys move it.

import { createEffect, createMemo, createSignal, on, onCleanup, onMount, Show } from "solid-js";
import { duration } from "../format.ts";
import type { FrameTable } from "../model/columns.ts";
import { FUTURE, RUNNING } from "../model/layout.ts";
import type { Layout } from "../model/layout.ts";
import { endOf, startOf } from "../model/lod.ts";
import type { Scale } from "../model/lod.ts";
import { FRAME_STATUSES, IN_PROGRESS, glyph, word } from "../model/status.ts";
import { theme } from "../ui/theme.ts";
import { AXIS_PX, ROW_PX, draw } from "./draw.ts";
import { barAt } from "./hit.ts";
import { actionOf, walk } from "./keys.ts";
import type { KeyAction } from "./keys.ts";
import { readPalette } from "./palette.ts";
import type { Palette } from "./palette.ts";
import { WHOLE, extentOf, fit, pan, resolve, reveal, slotLength, zoom } from "./viewport.ts";
import type { Extent, Viewport } from "./viewport.ts";

interface Props {
  frames: FrameTable;
  layout: Layout;
  /** Whether the run goes on. */
  live: boolean;
  /** The moment up to which the chart goes: now, or the run's end. */
  now(): number;
  selected: string | null;
  onSelect(frame: string | null): void;
  /** Enter on a frame. */
  onOpen(): void;
}

/** Movement under this is a click. */
const DRAG_PX = 4;
/** What grows is drawn again when it has grown by a pixel, but at least this often. */
const SLOWEST_REDRAW_MS = 1_000;

interface Tip {
  bar: number;
  /** In the window. */
  x: number;
  y: number;
}

export function Chart(props: Props) {
  let box!: HTMLDivElement;
  let canvas!: HTMLCanvasElement;
  let palette: Palette | null = null;
  let size = { width: 0, height: 0 };
  let frame = 0;
  let growth: ReturnType<typeof setTimeout> | undefined;
  let drag: { x: number; y: number; from: Viewport; top: number; moved: boolean } | null = null;
  const [viewport, setViewport] = createSignal<Viewport>(WHOLE);
  const [top, setTop] = createSignal(0);
  const [tip, setTip] = createSignal<Tip | null>(null);
  const selectedBar = createMemo(() => {
    void props.layout;
    return props.selected === null ? -1 : (props.frames.row(props.selected) ?? -1);
  });

  const now = () => Math.max(props.now(), props.layout.to);
  const extent = (): Extent => extentOf(props.layout, now());
  const view = () => resolve(viewport(), extent());
  const scale = (): Scale => {
    const { from_ms, span_ms } = view();
    const now_ms = now();
    const slot_ms = slotLength(props.layout, now_ms);
    return { from_ms, msPerPixel: span_ms / Math.max(size.width, 1), width: size.width, now_ms, slot_ms };
  };
  const lastTop = () => Math.max(0, props.layout.rows * ROW_PX + AXIS_PX + 8 - size.height);

  const redraw = () => {
    if (frame === 0) frame = requestAnimationFrame(paint);
  };

  function paint(): void {
    frame = 0;
    clearTimeout(growth);
    if (size.width === 0) return;
    const brush = canvas.getContext("2d", { alpha: false })!;
    const ratio = devicePixelRatio;
    palette ??= readPalette(box, ratio);
    const current = scale();
    brush.setTransform(ratio, 0, 0, ratio, 0, 0);
    draw(brush, {
      layout: props.layout, frames: props.frames, scale: current, height: size.height, top: Math.min(top(), lastTop()),
      palette, selected: selectedBar(), hovered: tip()?.bar ?? -1, live: props.live,
    });
    if (props.live) growth = setTimeout(redraw, Math.min(current.msPerPixel, SLOWEST_REDRAW_MS));
  }

  onMount(() => {
    const resized = new ResizeObserver(() => {
      size = { width: box.clientWidth, height: box.clientHeight };
      canvas.width = Math.round(size.width * devicePixelRatio);
      canvas.height = Math.round(size.height * devicePixelRatio);
      palette = null;
      // At once: an emptied canvas must not be seen.
      paint();
    });
    resized.observe(box);
    box.addEventListener("wheel", onWheel, { passive: false });
    onCleanup(() => {
      resized.disconnect();
      cancelAnimationFrame(frame);
      clearTimeout(growth);
    });
  });

  createEffect(on([viewport, top, tip, selectedBar, () => props.layout, () => props.live], redraw));
  createEffect(on(theme, () => {
    palette = null;
    redraw();
  }, { defer: true }));
  // What is chosen elsewhere is brought into sight.
  createEffect(on(selectedBar, (bar) => {
    if (bar < 0 || size.width === 0) return;
    const current = scale();
    setViewport(reveal(view(), extent(), startOf(props.layout, bar, current), endOf(props.layout, bar, current)));
    const y = props.layout.y[bar]! * ROW_PX;
    const room = size.height - AXIS_PX - ROW_PX;
    if (y < top() || y > top() + room) setTop(clampTop(y - room / 2));
  }, { defer: true }));

  const clampTop = (value: number) => Math.min(Math.max(value, 0), lastTop());
  const momentAt = (x: number) => view().from_ms + (x / Math.max(size.width, 1)) * view().span_ms;
  const place = (event: MouseEvent) => {
    const { left, top: upper } = box.getBoundingClientRect();
    return { x: event.clientX - left, y: event.clientY - upper };
  };
  const barUnder = (event: MouseEvent): number => {
    const { x, y } = place(event);
    if (y < AXIS_PX) return -1;
    const row = Math.floor((y - AXIS_PX - 3 + top()) / ROW_PX);
    return barAt(props.layout, props.frames.status.codes, scale(), x, row);
  };

  function onWheel(event: WheelEvent): void {
    event.preventDefault();
    setTip(null);
    // A pinch comes as small steps with the control key.
    const unit = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 16 : event.ctrlKey ? 5 : 1;
    const [dx, dy] = [event.deltaX * unit, event.deltaY * unit];
    if (event.shiftKey) setTop(clampTop(top() + (dy || dx)));
    else if (Math.abs(dx) > Math.abs(dy)) setViewport(pan(view(), extent(), (dx / size.width) * view().span_ms));
    else setViewport(zoom(view(), extent(), Math.exp(Math.min(Math.max(dy, -300), 300) * 0.0022), momentAt(place(event).x)));
  }

  function onPointerDown(event: PointerEvent): void {
    if (event.button !== 0) return;
    box.setPointerCapture(event.pointerId);
    drag = { x: event.clientX, y: event.clientY, from: view(), top: top(), moved: false };
  }

  function onPointerMove(event: PointerEvent): void {
    if (!drag) {
      const bar = barUnder(event);
      setTip(bar < 0 ? null : { bar, x: event.clientX, y: event.clientY });
      return;
    }
    const [dx, dy] = [event.clientX - drag.x, event.clientY - drag.y];
    drag.moved ||= Math.abs(dx) + Math.abs(dy) > DRAG_PX;
    if (!drag.moved) return;
    setTip(null);
    if (dx !== 0) setViewport(pan(drag.from, extent(), (-dx / size.width) * drag.from.span_ms));
    setTop(clampTop(drag.top - dy));
  }

  function onPointerUp(event: PointerEvent): void {
    if (drag && !drag.moved) {
      const bar = barUnder(event);
      props.onSelect(bar < 0 ? null : props.frames.id.get(bar));
    }
    drag = null;
  }

  function fitBar(bar: number): void {
    if (bar < 0) return;
    const current = scale();
    setViewport(fit(extent(), startOf(props.layout, bar, current), endOf(props.layout, bar, current)));
  }

  function act(action: KeyAction): void {
    switch (action.do) {
      case "walk": {
        const bar = walk(props.layout, selectedBar(), action.move);
        if (bar >= 0) props.onSelect(props.frames.id.get(bar));
        return;
      }
      case "zoom": {
        const bar = selectedBar();
        const middle = view().from_ms + view().span_ms / 2;
        const at = bar < 0 ? middle : startOf(props.layout, bar, scale());
        const inSight = at > view().from_ms && at < view().from_ms + view().span_ms;
        setViewport(zoom(view(), extent(), action.factor, inSight ? at : middle));
        return;
      }
      case "pan":
        setViewport(pan(view(), extent(), action.share * view().span_ms));
        return;
      case "scroll":
        setTop(clampTop(top() + action.pages * size.height));
        return;
      case "fit":
        setViewport(WHOLE);
        setTop(0);
        return;
      case "follow":
        setViewport(viewport().mode === "follow" ? { ...view(), mode: "free" } : { ...view(), mode: "follow" });
        return;
      case "fitFrame":
        fitBar(selectedBar());
        return;
      case "open":
        if (selectedBar() >= 0) props.onOpen();
        return;
      case "close":
        setTip(null);
        props.onSelect(null);
    }
  }

  function onKeyDown(event: KeyboardEvent): void {
    const action = actionOf(event);
    if (!action) return;
    event.preventDefault();
    act(action);
  }

  const spoken = () => {
    const bar = selectedBar();
    if (bar < 0) return "";
    return `${props.frames.title.get(bar)}, ${word(FRAME_STATUSES[props.frames.status.codes[bar]!]!)}`;
  };

  return (
    <section class="chart" aria-label="Flame chart">
      <div class="chart-tools">
        <Legend />
        <span class="spacer" />
        <button class="quiet" title="Zoom out (−)" aria-label="Zoom out" onClick={() => act({ do: "zoom", factor: 1.6 })}>−</button>
        <button class="quiet" title="Zoom in (+)" aria-label="Zoom in" onClick={() => act({ do: "zoom", factor: 1 / 1.6 })}>+</button>
        <button class="quiet" title="Show the whole run (0)" aria-pressed={viewport().mode === "fit"} onClick={() => act({ do: "fit" })}>Fit</button>
        <Show when={props.live}>
          <button class="quiet" title="Keep now in sight (N)" aria-pressed={viewport().mode === "follow"} onClick={() => act({ do: "follow" })}>Follow</button>
        </Show>
      </div>
      <div
        ref={box}
        class="chart-box"
        tabindex="0"
        role="application"
        aria-label="Flame chart. Arrow keys walk the tree, W and S zoom, A and D move, 0 shows everything. The same frames are in the tree of frames."
        onPointerDown={onPointerDown}
        onPointerMove={onPointerMove}
        onPointerUp={onPointerUp}
        onPointerCancel={() => (drag = null)}
        onPointerLeave={() => setTip(null)}
        onDblClick={(event) => fitBar(barUnder(event))}
        onKeyDown={onKeyDown}
      >
        <canvas ref={canvas} />
        <Show when={tip()}>{(at) => <Tooltip frames={props.frames} layout={props.layout} scale={scale()} tip={at()} />}</Show>
      </div>
      <p class="unseen" aria-live="polite">{spoken()}</p>
    </section>
  );
}

function Legend() {
  return (
    <ul class="legend" aria-label="What the colours mean">
      {FRAME_STATUSES.map((status) => (
        <li><i class={`swatch swatch-${status}`} aria-hidden="true" />{glyph(status)} {word(status)}</li>
      ))}
    </ul>
  );
}

/** What is under the pointer, in words; made of text only. */
function Tooltip(props: { frames: FrameTable; layout: Layout; scale: Scale; tip: Tip }) {
  const view = () => props.frames.get(props.tip.bar);
  const took = () => {
    const { bar } = props.tip;
    if (props.layout.kind[bar] === FUTURE) return null;
    const length = duration(endOf(props.layout, bar, props.scale) - startOf(props.layout, bar, props.scale));
    return props.layout.kind[bar] === RUNNING && props.frames.status.codes[bar] === IN_PROGRESS ? `${length} so far` : length;
  };
  const facts = () => [took(), view().tool, view().phase, view().agent_role, view().id].filter((fact) => fact !== null);
  const place = () => {
    const x = Math.max(4, Math.min(props.tip.x + 14, innerWidth - 330));
    const isLow = props.tip.y > innerHeight * 0.6;
    return `translate(${x}px, ${props.tip.y + (isLow ? -14 : 18)}px) ${isLow ? "translateY(-100%)" : ""}`;
  };
  return (
    <div class="tip" style={{ transform: place() }}>
      <strong>{view().title}</strong>
      <span class={`status status-${view().status}`}>{glyph(view().status)} {view().skipped ? "skipped" : word(view().status)}</span>
      <Show when={view().reason}>{(reason) => <span class="tip-reason">{reason()}</span>}</Show>
      <span class="muted">{facts().join(" · ")}</span>
    </div>
  );
}
