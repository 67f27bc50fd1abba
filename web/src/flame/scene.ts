// What is drawn of a run, and the sizes in which it is.

import type { FrameTable } from "../model/columns.ts";
import type { Fold } from "../model/fold.ts";
import type { Layout } from "../model/layout.ts";
import type { Scale } from "../model/lod.ts";
import type { Width } from "../model/widths.ts";
import { cost, count, duration } from "../format.ts";
import type { Palette } from "./palette.ts";

/** Height of a chart row, its gap included. */
export const ROW_PX = 22;
/** Height of the axis. */
export const AXIS_PX = 26;
export const BAR_PX = ROW_PX - 3;

/** The frames of a run as they lie in the chart. */
export interface Shown {
  readonly frames: FrameTable;
  readonly fold: Fold;
  /** What the width of a bar stands for. */
  readonly width: Width;
  /** By time; for other widths, by counts. */
  readonly layout: Layout;
  /** By bar: the count that its width stands for; null for time. */
  readonly counts: Float64Array | null;
  /** By bar: the status to be seen, with DIMMED for those that a filter does not find. */
  readonly codes: Uint8Array;
}

export interface Scene {
  readonly shown: Shown;
  readonly scale: Scale;
  /** The chart's height and how far it is scrolled down. */
  readonly height: number;
  readonly top: number;
  readonly palette: Palette;
  readonly selected: number;
  readonly hovered: number;
  /** Whether the run goes on, so that the line stands for now and not for its end. */
  readonly live: boolean;
}

export type Brush = CanvasRenderingContext2D;

/** A count, or a length of time, as the axis and the bars say it. */
export function amount(value: number, width: Width): string {
  if (width === "time") return duration(value);
  if (width !== "cost") return count(value);
  return value === 0 ? "$0" : (cost({ cost_usd: value, estimated: false }) ?? "$0");
}

export function rowTop(scene: Scene, row: number): number {
  return AXIS_PX + 3 + row * ROW_PX - scene.top;
}
