// The statuses of a frame: their order in columns, their rank where one must stand for many, and
// how they are shown besides by colour.

import type { Doing, FrameStatus, RunStatus, TaskState } from "../api/types.gen.ts";

export const FRAME_STATUSES = [
  "planned",
  "in_progress",
  "completed",
  "failed",
  "blocked",
  "invalidated",
] as const satisfies readonly FrameStatus[];

/** A status as it stands in a column: its place in FRAME_STATUSES. */
export type StatusCode = number;

export const PLANNED: StatusCode = FRAME_STATUSES.indexOf("planned");
export const IN_PROGRESS: StatusCode = FRAME_STATUSES.indexOf("in_progress");
export const COMPLETED: StatusCode = FRAME_STATUSES.indexOf("completed");
export const FAILED: StatusCode = FRAME_STATUSES.indexOf("failed");
export const BLOCKED: StatusCode = FRAME_STATUSES.indexOf("blocked");
export const INVALIDATED: StatusCode = FRAME_STATUSES.indexOf("invalidated");

/** From bad to good: where many share a pixel, the first of them is shown. */
const WORST_FIRST = [FAILED, BLOCKED, IN_PROGRESS, INVALIDATED, PLANNED, COMPLETED];

/** By status: the higher, the worse; never 0. */
export const BADNESS = Uint8Array.from(FRAME_STATUSES, (_, code) => {
  return WORST_FIRST.length - WORST_FIRST.indexOf(code);
});

/** Added to the status of a frame that a filter does not find. */
export const DIMMED = 8;

/** By status, dimmed or not: which of those that share a pixel is shown. What is found is before what is
 *  not, and then the worse before the better. */
export const RANK = Uint8Array.from({ length: 2 * DIMMED }, (_, code) => {
  return code < DIMMED
    ? (BADNESS[code] ?? 0) + FRAME_STATUSES.length
    : (BADNESS[code - DIMMED] ?? 0);
});

export const TASK_STATES = [
  "queued",
  "running",
  "paused",
  "completed",
  "failed",
  "timeout",
  "cancelled",
  "lost",
] as const satisfies readonly TaskState[];

const GLYPHS: Record<FrameStatus | RunStatus | TaskState, string> = {
  planned: "◷",
  queued: "◷",
  in_progress: "▶",
  running: "▶",
  stopping: "◼",
  completed: "✓",
  failed: "✕",
  timeout: "✕",
  lost: "?",
  // Two bars as of a pause: common fonts have no ⏸.
  blocked: "‖",
  paused: "‖",
  invalidated: "⊘",
  cancelled: "⊘",
};

const WORDS: Partial<Record<string, string>> = { in_progress: "in progress", timeout: "timed out" };

/** The sign for a status. The selector after it keeps browsers from drawing a coloured picture. */
export function glyph(status: FrameStatus | RunStatus | TaskState): string {
  return `${GLYPHS[status] ?? "?"}\uFE0E`;
}

/** How a run stands, for those who look: one that is paused does not run. */
export function standing(run: { status: RunStatus; paused: boolean }): RunStatus | "paused" {
  return run.paused && run.status === "running" ? "paused" : run.status;
}

/** The words for a status. */
export function word(status: string): string {
  return WORDS[status] ?? status;
}

/** What is done in a frame that is under way but not worked on. */
export const NOT_WORKING = [
  "waiting",
  "blocked",
  "paused",
  "queued",
] as const satisfies readonly Doing[];

const DOING: Record<Doing, { glyph: string; word: string }> = {
  working: { glyph: GLYPHS.in_progress, word: "working" },
  waiting: { glyph: "⚑", word: "waiting for you" },
  blocked: { glyph: GLYPHS.blocked, word: "blocked" },
  paused: { glyph: GLYPHS.paused, word: "paused" },
  queued: { glyph: GLYPHS.queued, word: "queued" },
};

/** The sign and the words for what is done in a frame. */
export function doingGlyph(doing: Doing): string {
  return `${DOING[doing].glyph}\uFE0E`;
}

export function doingWord(doing: Doing): string {
  return DOING[doing].word;
}
