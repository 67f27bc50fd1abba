// The flame chart: a canvas, and how pointers and keys move it.

import {
  createEffect,
  createMemo,
  createSignal,
  lazy,
  on,
  onCleanup,
  onMount,
  Show,
  Suspense,
} from "solid-js";
import type { TaskTable } from "../model/columns.ts";
import type { Work } from "../model/idle.ts";
import type { Layout } from "../model/layout.ts";
import { endOf, startOf, toPixel } from "../model/lod.ts";
import type { Scale } from "../model/lod.ts";
import { FRAME_STATUSES, word } from "../model/status.ts";
import { WIDTHS } from "../model/widths.ts";
import type { Width } from "../model/widths.ts";
import { inNextFrame } from "../animation.ts";
import { useCommands } from "../commands/registry.ts";
import { theme } from "../ui/theme.ts";
import { Gaps } from "./Gaps.tsx";
import { Minimap } from "./Minimap.tsx";
import { Tools, setWidth } from "./Tools.tsx";
import type { Tip } from "./Tooltip.tsx";
import { createCamera } from "./camera.ts";
import { draw, gapsInSight } from "./draw.ts";
import type { GapInSight } from "./draw.ts";
import { gestures } from "./gestures.ts";
import { barAt } from "./hit.ts";
import { actionOf, walk } from "./keys.ts";
import type { KeyAction } from "./keys.ts";
import { onForcedColours, paletteOf } from "./palette.ts";
import { AXIS_PX, ROW_PX } from "./scene.ts";
import type { Shown } from "./scene.ts";
import { fit, pan, reveal, zoom } from "./viewport.ts";
import type { View } from "./viewport.ts";

interface Props {
  project: string;
  shown: Shown;
  /** The layout by time, and when somebody worked. */
  layout: Layout;
  work: Work;
  tasks: TaskTable;
  /** Whether the run goes on. */
  live: boolean;
  /** The moment up to which the chart goes: now, or the run's end. */
  now(): number;
  selected: string | null;
  onSelect(frame: string | null): void;
  /** Enter on a frame. */
  onOpen(): void;
  /** Folds a frame, or unfolds it. */
  onFold(frame: string, isFolded: boolean): void;
  onUnfoldAll(): void;
  /** Chooses the next frame that the filter finds, or the one before. */
  onMatch(step: 1 | -1): void;
}

const Tooltip = lazy(async () => ({ default: (await import("./Tooltip.tsx")).Tooltip }));

const WIDTH_KEYS: Record<Width, string> = {
  time: "t",
  tokens: "k",
  cost: "c",
  messages: "m",
  artifacts: "a",
  equal: "e",
};

/** What grows is drawn again when it has grown by a pixel, but at least this often. */
const SLOWEST_REDRAW_MS = 1_000;

export function Chart(props: Props) {
  let box!: HTMLDivElement;
  let canvas!: HTMLCanvasElement;
  let size = { width: 0, height: 0 };
  let callOff = () => {};
  let growth: ReturnType<typeof setTimeout> | undefined;
  let held: { view: View; top: number } | null = null;
  const [top, setTop] = createSignal(0);
  const [tip, setTip] = createSignal<Tip | null>(null);
  const [gaps, setGaps] = createSignal<readonly GapInSight[]>([]);
  const camera = createCamera({
    shown: () => props.shown,
    work: () => props.work,
    now: () => props.now(),
  });
  const layout = () => props.shown.layout;
  const selectedBar = createMemo(() => {
    const bar = props.selected === null ? undefined : props.shown.frames.row(props.selected);
    // A frame that has just come has no bar until the next layout.
    return bar === undefined || bar >= layout().count ? -1 : bar;
  });
  const hidden = createMemo(() => props.shown.fold.hidden);
  const foldedAway = createMemo(() => hidden()?.reduce((sum, isHidden) => sum + isHidden, 0) ?? 0);
  const scale = (): Scale => camera.scale(camera.look(), size.width);
  const lastTop = () => Math.max(0, layout().rows * ROW_PX + AXIS_PX + 8 - size.height);
  const clampTop = (value: number) => Math.min(Math.max(value, 0), lastTop());

  const redraw = () => (callOff = inNextFrame("draw", paint));

  function paint(): void {
    callOff();
    clearTimeout(growth);
    if (size.width === 0) return;
    const brush = canvas.getContext("2d", { alpha: false })!;
    const ratio = canvas.width / size.width;
    const current = scale();
    brush.setTransform(ratio, 0, 0, ratio, 0, 0);
    draw(brush, {
      shown: props.shown,
      scale: current,
      height: size.height,
      top: clampTop(top()),
      palette: paletteOf(box),
      selected: selectedBar(),
      hovered: tip()?.bar ?? -1,
      live: props.live,
    });
    setGaps(gapsInSight(current));
    if (props.live && props.shown.width === "time")
      growth = setTimeout(redraw, Math.min(current.perPixel, SLOWEST_REDRAW_MS));
  }

  onMount(() => {
    const resized = new ResizeObserver(() => {
      size = { width: box.clientWidth, height: box.clientHeight };
      canvas.width = Math.round(size.width * devicePixelRatio);
      canvas.height = Math.round(size.height * devicePixelRatio);
      // At once: an emptied canvas must not be seen.
      paint();
    });
    resized.observe(box);
    box.addEventListener("wheel", onWheel, { passive: false });
    onCleanup(() => {
      resized.disconnect();
      callOff();
      clearTimeout(growth);
    });
  });

  onForcedColours(redraw);
  createEffect(() => {
    void camera.look();
    redraw();
  });
  createEffect(on([top, tip, selectedBar, () => props.shown, () => props.live, theme], redraw));
  // What is chosen elsewhere is brought into sight.
  createEffect(
    on(
      selectedBar,
      (bar) => {
        if (bar < 0 || size.width === 0 || layout().y[bar]! < 0) return;
        const [from, to] = places(bar);
        const { view, extent } = camera.look();
        const shown = reveal(view, extent, from, to);
        if (shown !== view) camera.show(shown);
        const y = layout().y[bar]! * ROW_PX;
        const room = size.height - AXIS_PX - ROW_PX;
        if (y < top() || y > top() + room) setTop(clampTop(y - room / 2));
      },
      { defer: true },
    ),
  );

  /** From where to where a bar is on the axis. */
  function places(bar: number): [from: number, to: number] {
    const current = scale();
    return [
      current.axis.at(startOf(layout(), bar, current)),
      current.axis.at(endOf(layout(), bar, current)),
    ];
  }

  function barUnder(event: MouseEvent): number {
    const { left, top: upper } = box.getBoundingClientRect();
    const [x, y] = [event.clientX - left, event.clientY - upper];
    if (y < AXIS_PX) return -1;
    return barAt(
      layout(),
      props.shown.codes,
      scale(),
      x,
      Math.floor((y - AXIS_PX - 3 + top()) / ROW_PX),
    );
  }

  function onWheel(event: WheelEvent): void {
    event.preventDefault();
    setTip(null);
    // A pinch comes as small steps with the control key.
    const unit = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 16 : event.ctrlKey ? 5 : 1;
    const [dx, dy] = [event.deltaX * unit, event.deltaY * unit];
    const { view, extent } = camera.look();
    if (event.shiftKey) setTop(clampTop(top() + (dy || dx)));
    else if (Math.abs(dx) > Math.abs(dy))
      camera.show(pan(view, extent, (dx / size.width) * view.span));
    else {
      const at =
        view.from +
        ((event.clientX - box.getBoundingClientRect().left) / Math.max(size.width, 1)) * view.span;
      camera.show(zoom(view, extent, Math.exp(Math.min(Math.max(dy, -300), 300) * 0.0022), at));
    }
  }

  const pointers = gestures(() => box, {
    start: () => (held = { view: camera.look().view, top: top() }),
    drag(dx, dy) {
      if (!held) return;
      setTip(null);
      if (dx !== 0)
        camera.show(pan(held.view, camera.look().extent, (-dx / size.width) * held.view.span));
      setTop(clampTop(held.top - dy));
    },
    pinch(factor, x, dx) {
      if (!held) return;
      const { extent } = camera.look();
      const zoomed = zoom(
        held.view,
        extent,
        1 / factor,
        held.view.from + (x / size.width) * held.view.span,
      );
      camera.show(pan(zoomed, extent, (-dx / size.width) * zoomed.span));
    },
    click(event) {
      const bar = barUnder(event);
      props.onSelect(bar < 0 ? null : props.shown.frames.id.get(bar));
    },
    hover(event) {
      const bar = barUnder(event);
      setTip(bar < 0 ? null : { bar, x: event.clientX, y: event.clientY });
    },
  });

  function fitBar(bar: number): void {
    if (bar >= 0) camera.show(fit(camera.look().extent, ...places(bar)));
  }

  /** What is chosen, in words, as where the pointer is. */
  function toggleTip(): void {
    const bar = selectedBar();
    if (tip() !== null || bar < 0 || layout().y[bar]! < 0) return void setTip(null);
    const current = scale();
    const { left, top: upper } = box.getBoundingClientRect();
    const x = Math.min(Math.max(toPixel(startOf(layout(), bar, current), current), 0), size.width);
    setTip({ bar, x: left + x, y: upper + AXIS_PX + (layout().y[bar]! + 1) * ROW_PX - top() });
  }

  function act(action: KeyAction): void {
    const { view, extent } = camera.look();
    const bar = selectedBar();
    const does: { [A in KeyAction as A["do"]]: (action: A) => void } = {
      walk({ move }) {
        const next = walk(layout(), bar, move);
        if (next >= 0) props.onSelect(props.shown.frames.id.get(next));
      },
      zoom({ factor }) {
        const middle = view.from + view.span / 2;
        const at = bar < 0 ? middle : places(bar)[0];
        const inSight = at > view.from && at < view.from + view.span;
        camera.show(zoom(view, extent, factor, inSight ? at : middle));
      },
      pan: ({ share }) => camera.show(pan(view, extent, share * view.span)),
      scroll: ({ pages }) => setTop(clampTop(top() + pages * size.height)),
      fit() {
        camera.setMode("fit");
        setTop(0);
      },
      follow: () => camera.setMode(camera.mode() === "follow" ? "free" : "follow"),
      fitFrame: () => fitBar(bar),
      fold() {
        if (bar >= 0)
          props.onFold(props.shown.frames.id.get(bar), props.shown.fold.folded[bar] === 0);
      },
      idle: () => camera.toggleIdle(),
      tip: () => toggleTip(),
      match: ({ step }) => props.onMatch(step),
      open: () => bar >= 0 && props.onOpen(),
      close() {
        if (tip() !== null) setTip(null);
        else props.onSelect(null);
      },
    };
    (does[action.do] as (action: KeyAction) => void)(action);
  }

  // Their keys are heard while the chart has the focus; see own_keys.ts.
  useCommands(() => {
    const command = (action: KeyAction, title: string) => ({
      id: `chart.${action.do}`,
      title,
      group: "Chart",
      run: () => act(action),
    });
    return [
      command({ do: "fit" }, "Show the whole run"),
      command({ do: "fitFrame" }, "Show the chosen frame as wide as the chart"),
      command({ do: "follow" }, "Keep now in sight"),
      command({ do: "idle" }, "Fold or show idle time"),
      command({ do: "fold" }, "Fold or unfold the chosen frame"),
      {
        id: "chart.unfold",
        title: "Unfold all frames",
        group: "Chart",
        keys: ["v u"],
        run: () => props.onUnfoldAll(),
      },
      ...WIDTHS.map((width) => ({
        id: `chart.width.${width}`,
        title: `Width by ${width}`,
        group: "Chart",
        keys: [`b ${WIDTH_KEYS[width]}`],
        run: () => setWidth(width),
      })),
    ];
  });

  function onKeyDown(event: KeyboardEvent): void {
    const action = actionOf(event);
    if (!action) return;
    event.preventDefault();
    act(action);
  }

  const spoken = () => {
    const bar = selectedBar();
    if (bar < 0) return "";
    const { frames, fold } = props.shown;
    const folded =
      fold.count[bar]! > 0
        ? `, ${fold.count[bar]} frames folded in it, the worst ${word(FRAME_STATUSES[fold.worst[bar]!]!)}`
        : "";
    return `${frames.title.get(bar)}, ${word(FRAME_STATUSES[frames.status.codes[bar]!]!)}${folded}`;
  };

  return (
    <section class="chart" aria-label="Flame chart">
      <Tools
        width={props.shown.width}
        camera={camera}
        live={props.live}
        hasIdle={gaps().length > 0 || camera.look().axis.gaps.length > 0}
        folded={foldedAway()}
        act={act}
        onUnfoldAll={props.onUnfoldAll}
      />
      <Minimap shown={props.shown} camera={camera} live={props.live} />
      <div
        ref={box}
        class="chart-box"
        tabindex="0"
        role="application"
        aria-label="Flame chart. Arrow keys walk the tree, Space folds, W and S zoom, A and D move, 0 shows everything, T says more. The same frames are in the tree of frames."
        {...pointers}
        onPointerLeave={() => setTip(null)}
        onDblClick={(event) => fitBar(barUnder(event))}
        onKeyDown={onKeyDown}
      >
        <canvas ref={canvas} />
        <Gaps gaps={gaps()} width={size.width} onToggle={(from_ms) => camera.toggleGap(from_ms)} />
        <Suspense>
          <Show when={tip()}>
            {(at) => (
              <Tooltip
                project={props.project}
                shown={props.shown}
                layout={props.layout}
                tasks={props.tasks}
                now_ms={props.now()}
                tip={at()}
              />
            )}
          </Show>
        </Suspense>
      </div>
      <p class="unseen" aria-live="polite">
        {spoken()}
      </p>
    </section>
  );
}
