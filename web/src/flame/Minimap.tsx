// The whole run on a narrow strip, and on it a window: what of it the chart shows. Its edges are dragged, or
// moved by keys.

import { createEffect, createMemo, createSignal, For, on, onCleanup, onMount } from "solid-js";
import { inNextFrame } from "../animation.ts";
import { clock } from "../format.ts";
import type { Scale } from "../model/lod.ts";
import { theme } from "../ui/theme.ts";
import type { Camera } from "./camera.ts";
import { drawProfile, profileOf } from "./minimap.ts";
import { onForcedColours, paletteOf } from "./palette.ts";
import { amount } from "./scene.ts";
import type { Shown } from "./scene.ts";
import { WHOLE, between, pan, resolve } from "./viewport.ts";

interface Props {
  shown: Shown;
  camera: Camera;
  live: boolean;
}

/** While a run goes on, its profile is not drawn again for so many times as long as it took, within these bounds. */
const REST = 80;
const SHORTEST_REST_MS = 500;
const LONGEST_REST_MS = 1_000;
/** So long what is news waits at least: what has changed is to be seen in the chart first. */
const WAIT_MS = 50;
/** A window narrower than that could not be taken hold of. */
const NARROWEST_PX = 8;
const STEP = 0.02;
/** Where the window is drawn, in percent: as fine as can be seen, so that nothing is moved by less. */
const percent = (share: number) => `${Math.round(share * 20_000) / 200}%`;

type Part = "from" | "to" | "window";

export function Minimap(props: Props) {
  let box!: HTMLDivElement;
  let canvas!: HTMLCanvasElement;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let callOff = () => {};
  let restUntil_ms = -Infinity;
  let height = 0;
  let drag: { part: Part; x: number; from: number; to: number } | null = null;
  const [width, setWidth] = createSignal(0);
  /** The window in shares of the whole; it moves with the chart. */
  const [window, setWindow] = createSignal(
    { from: 0, to: 1 },
    { equals: (one, other) => one.from === other.from && one.to === other.to },
  );

  /** All there is, as the chart shows it when all is fitted in. */
  const whole = () => {
    const look = props.camera.look();
    return { look, all: resolve(WHOLE, look.extent, look.axis) };
  };
  const scale = (): Scale => {
    const { look, all } = whole();
    return props.camera.scale({ ...look, view: all }, width());
  };

  function paint(): void {
    callOff();
    clearTimeout(timer);
    timer = undefined;
    if (width() === 0) return;
    const began_ms = performance.now();
    const brush = canvas.getContext("2d", { alpha: false })!;
    const ratio = canvas.width / width();
    brush.setTransform(ratio, 0, 0, ratio, 0, 0);
    drawProfile(brush, profileOf(props.shown, scale()), paletteOf(box), width(), height);
    const now_ms = performance.now();
    restUntil_ms =
      now_ms + Math.min(Math.max(REST * (now_ms - began_ms), SHORTEST_REST_MS), LONGEST_REST_MS);
  }

  const redrawAtOnce = () => (callOff = inNextFrame("draw", paint));
  const redraw = () => {
    timer ??= setTimeout(
      () => {
        timer = undefined;
        // Between animation frames, which it would hold up; where nobody looks, when somebody does.
        if (document.hidden) redrawAtOnce();
        else paint();
      },
      Math.max(restUntil_ms - performance.now(), WAIT_MS),
    );
  };
  const place = () => {
    const {
      look: { view },
      all,
    } = whole();
    const share = (at: number) => Math.min(Math.max((at - all.from) / all.span, 0), 1);
    setWindow({ from: share(view.from), to: share(view.from + view.span) });
  };

  onMount(() => {
    const resized = new ResizeObserver(() => {
      height = box.clientHeight;
      setWidth(box.clientWidth);
      canvas.width = Math.round(width() * devicePixelRatio);
      canvas.height = Math.round(height * devicePixelRatio);
      paint();
    });
    resized.observe(box);
    const beat = setInterval(() => {
      if (!props.live || document.hidden) return;
      place();
      redraw();
    }, 1_000);
    onCleanup(() => {
      resized.disconnect();
      clearInterval(beat);
      clearTimeout(timer);
      callOff();
    });
  });
  onForcedColours(redrawAtOnce);
  // What a person changes is seen at once, what is news when it has its turn.
  createEffect(
    on([theme, props.camera.idle, createMemo(() => props.shown.width)], redrawAtOnce, {
      defer: true,
    }),
  );
  createEffect(on(() => props.shown, redraw, { defer: true }));
  createEffect(place);

  /** Shows what is between two shares of the whole. */
  function show(from: number, to: number): void {
    const { look, all } = whole();
    const at = (share: number) => all.from + Math.min(Math.max(share, 0), 1) * all.span;
    props.camera.show(between(look.extent, at(from), at(to)));
  }

  function move(part: Part, by: number, { from, to }: { from: number; to: number }): void {
    const least = NARROWEST_PX / Math.max(width(), 1);
    if (part === "from") show(Math.min(from + by, to - least), to);
    else if (part === "to") show(from, Math.max(to + by, from + least));
    else {
      const { look, all } = whole();
      props.camera.show(
        pan(
          { ...look.view, from: all.from + from * all.span, span: (to - from) * all.span },
          look.extent,
          by * all.span,
        ),
      );
    }
  }

  const shareAt = (x: number) => (x - box.getBoundingClientRect().left) / Math.max(width(), 1);

  function onPointerDown(event: PointerEvent): void {
    if (event.button !== 0) return;
    event.preventDefault();
    box.setPointerCapture(event.pointerId);
    const taken =
      event.target instanceof HTMLElement
        ? (event.target.dataset.part as Part | undefined)
        : undefined;
    const at = shareAt(event.clientX);
    const isWhole = window().from === 0 && window().to === 1;
    if (taken && !(taken === "window" && isWhole)) {
      drag = { part: taken, x: event.clientX, ...window() };
      if (event.target instanceof HTMLElement) event.target.focus();
      return;
    }
    // Elsewhere, a new window begins; a click alone brings the window there.
    drag = { part: "to", x: event.clientX, from: at, to: at };
  }

  function onPointerMove(event: PointerEvent): void {
    if (!drag) return;
    const by = (event.clientX - drag.x) / Math.max(width(), 1);
    if (drag.from === drag.to) {
      if (Math.abs(event.clientX - drag.x) > 4)
        show(Math.min(drag.from, drag.from + by), Math.max(drag.from, drag.from + by));
      return;
    }
    move(drag.part, by, drag);
  }

  function onPointerUp(event: PointerEvent): void {
    if (drag && drag.from === drag.to && Math.abs(event.clientX - drag.x) <= 4) {
      const { from, to } = window();
      if (to - from < 1) move("window", drag.from - (from + to) / 2, window());
    }
    drag = null;
  }

  function onKeyDown(part: Part, event: KeyboardEvent): void {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const steps: Record<string, number> = {
      ArrowLeft: -STEP,
      ArrowDown: -STEP,
      ArrowRight: STEP,
      ArrowUp: STEP,
      PageUp: STEP * 5,
      PageDown: -STEP * 5,
      Home: -1,
      End: 1,
    };
    const by = steps[event.key];
    if (by === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    move(part, by, window());
  }

  const said = (share: number) => {
    const { look, all } = whole();
    const at = look.axis.moment(all.from + share * all.span);
    return props.shown.width === "time" ? clock(at) : amount(Math.max(at, 0), props.shown.width);
  };
  const EDGES = [
    ["from", "Where the chart begins"],
    ["to", "Where the chart ends"],
  ] as const;

  return (
    <div
      ref={box}
      class="minimap"
      role="group"
      aria-label="The whole run"
      onPointerDown={onPointerDown}
      onPointerMove={onPointerMove}
      onPointerUp={onPointerUp}
      onPointerCancel={() => (drag = null)}
    >
      <canvas ref={canvas} aria-hidden="true" />
      <i class="minimap-out minimap-before" style={{ width: percent(window().from) }} />
      <i class="minimap-out minimap-after" style={{ width: percent(1 - window().to) }} />
      <i
        class="minimap-window"
        data-part="window"
        style={{ left: percent(window().from), width: percent(window().to - window().from) }}
      />
      <For each={EDGES}>
        {([edge, name]) => (
          <div
            class="minimap-edge"
            data-part={edge}
            role="slider"
            tabindex="0"
            aria-label={name}
            aria-orientation="horizontal"
            aria-valuemin="0"
            aria-valuemax="100"
            aria-valuenow={Math.round(window()[edge] * 100)}
            aria-valuetext={said(window()[edge])}
            style={{ left: percent(window()[edge]) }}
            onKeyDown={(event) => onKeyDown(edge, event)}
          />
        )}
      </For>
    </div>
  );
}
