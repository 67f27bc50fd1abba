// What each view of a run is given.

import type { RunView } from "../api/types.gen.ts";
import type { FrameTable, TaskTable } from "../model/columns.ts";
import type { Fold } from "../model/fold.ts";
import type { Layout } from "../model/layout.ts";

export interface ViewProps {
  run: RunView;
  frames: FrameTable;
  tasks: TaskTable;
  /** A number that changes with every change of frames or tasks: read it to be told. */
  version: number;
  layout: Layout;
  /** Which frames are folded. */
  fold: Fold;
  /** Folds a frame or unfolds it. */
  onFold(frame: string, isFolded: boolean): void;
  onUnfoldAll(): void;
  /** By frame's row: 1 for those that the filter finds; null where there is no filter. */
  matching: Uint8Array | null;
  /** Whether the run goes on. */
  live: boolean;
  /** The moment up to which the run goes: now, or its end. */
  now(): number;
  /** The chosen frame. */
  selected: string | null;
  onSelect(frame: string | null): void;
  /** Chooses the next frame that the filter finds, or the one before. */
  onMatch(step: 1 | -1): void;
  /** Enter on a frame: show all about it. */
  onOpen(): void;
}
