// A run as a flame chart, with the tree of its frames beside it.

import { createMemo } from "solid-js";
import { Chart } from "../flame/Chart.tsx";
import { Treegrid } from "../flame/Treegrid.tsx";
import type { Shown } from "../flame/scene.ts";
import type { FrameTable } from "../model/columns.ts";
import { foundIn } from "../model/fold.ts";
import type { Fold } from "../model/fold.ts";
import { workOf } from "../model/idle.ts";
import type { Layout } from "../model/layout.ts";
import { remembered } from "../model/remembered.ts";
import { DIMMED } from "../model/status.ts";
import { layByWidth, readWidth } from "../model/widths.ts";
import { place } from "../router.ts";
import { sparing } from "../sparing.ts";
import { second } from "../state.ts";
import type { ViewProps } from "./view.ts";

export function FlameView(props: ViewProps) {
  const codes = createMemo(() => codesOf(props.fold, props.matching));
  const fold = foldFrom(props);
  return (
    <div class="flame-view">
      <FlameChart {...props} codes={codes()} />
      <Treegrid
        frames={props.frames}
        layout={props.layout}
        fold={props.fold}
        codes={codes()}
        now_ms={props.live ? second() : props.now()}
        selected={props.selected}
        onSelect={props.onSelect}
        onOpen={props.onOpen}
        onFold={fold}
      />
    </div>
  );
}

const workIn = remembered((layout: Layout, frames: FrameTable) => workOf(frames, layout));

/** The chart alone. `codes` are what is to be seen of each bar's status. */
export function FlameChart(props: ViewProps & { codes: Uint8Array }) {
  const width = createMemo(() => readWidth(place().query.get("width")));
  const work = sparing(
    () => props.layout,
    (layout) => workIn(layout, props.frames),
    () => [props.frames],
  );
  const counted = createMemo(() => {
    const unit = width();
    return unit === "time" ? null : layByWidth(props.frames, props.layout, unit);
  });
  const shown = createMemo((): Shown => ({
    frames: props.frames,
    fold: props.fold,
    width: width(),
    layout: counted()?.layout ?? props.layout,
    counts: counted()?.within ?? null,
    codes: props.codes,
  }));
  return (
    <Chart
      project={props.run.project}
      shown={shown()}
      layout={props.layout}
      work={work()}
      tasks={props.tasks}
      live={props.live}
      now={props.now}
      selected={props.selected}
      onSelect={props.onSelect}
      onOpen={props.onOpen}
      onFold={foldFrom(props)}
      onUnfoldAll={props.onUnfoldAll}
      onMatch={props.onMatch}
    />
  );
}

/** Folds what holds others. Who has chosen something within it has then chosen the frame itself. */
function foldFrom(props: ViewProps): (id: string, isFolded: boolean) => void {
  return (id, isFolded) => {
    const { parent, childStart } = props.layout;
    const bar = props.frames.row(id);
    if (bar === undefined || childStart[bar + 1] === childStart[bar]) return;
    let chosen = props.selected === null ? -1 : (props.frames.row(props.selected) ?? -1);
    while (chosen >= 0 && chosen !== bar) chosen = parent[chosen]!;
    if (isFolded && chosen === bar) props.onSelect(id);
    props.onFold(id, isFolded);
  };
}

/** By bar: the status to be seen, dimmed where a filter finds neither it nor what is folded in it. */
function codesOf(fold: Fold, matching: Uint8Array | null): Uint8Array {
  if (matching === null) return fold.worst;
  const found = foundIn(fold, matching);
  return fold.worst.map((status, bar) => (found[bar] === 0 ? status + DIMMED : status));
}
