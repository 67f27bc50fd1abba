// Asks for what is compared.

import type { Artifact, FrameDetail } from "../api/types.gen.ts";
import { address, ask, getFrame, getRun } from "../api/client.ts";
import { FrameTable, TaskTable } from "../model/columns.ts";
import { copyOf } from "./outputs.ts";
import type { Side } from "./match.ts";

export async function loadSide(project: string, run: string, signal: AbortSignal): Promise<Side> {
  const detail = await getRun(project, run, signal);
  const [frames, tasks] = [new FrameTable(), new TaskTable()];
  frames.load(detail.frames, [...detail.frames.id.keys()]);
  tasks.load(detail.tasks, [...detail.tasks.id.keys()]);
  return { run: detail.run, frames, tasks };
}

/** A frame, and what only the record of its newest task tells. */
export interface FrameOutputs {
  readonly detail: FrameDetail;
  readonly tool_version: string | null;
  readonly commit: string | null;
}

export async function loadFrame(
  project: string,
  frame: string,
  signal: AbortSignal,
): Promise<FrameOutputs> {
  const detail = await getFrame(project, frame, signal);
  const task = detail.tasks.at(-1);
  const record = task && (await taskRecord(project, task.id, signal));
  return {
    detail,
    tool_version: textAt(record, "tool_version"),
    commit: textAt(record, "git", "commit"),
  };
}

async function taskRecord(project: string, task: string, signal: AbortSignal): Promise<unknown> {
  const response = await ask(address(["tasks", task], { project }), { signal });
  return ((await response.json()) as { record: unknown }).record;
}

function textAt(value: unknown, ...path: string[]): string | null {
  let at = value;
  for (const name of path)
    at = typeof at === "object" && at !== null ? (at as Record<string, unknown>)[name] : undefined;
  return typeof at === "string" ? at : null;
}

/** Longer texts are not held against each other. */
export const LONGEST_TEXT = 1_024 * 1_024;

/** An artifact's copy as text; or why it cannot be shown. */
export async function loadCopy(
  project: string,
  artifact: Artifact,
  signal: AbortSignal,
): Promise<{ text: string } | { why: string }> {
  const copy = copyOf(artifact);
  if (!copy) return { why: "no copy was kept of a file so large" };
  if (artifact.bytes > LONGEST_TEXT) return { why: "the file is too large to be shown" };
  const response = await ask(address(["tasks", copy.task, "artifacts", copy.name], { project }), {
    signal,
  });
  const bytes = new Uint8Array(await response.arrayBuffer());
  if (bytes.subarray(0, 8_000).includes(0)) return { why: "the file is binary" };
  return { text: new TextDecoder().decode(bytes) };
}

/** Longer looking for the least difference is not worth it. */
const TIMEOUT_MS = 2_000;

/** The difference of two texts as hunks; null where they are too different, or too long, to find it. */
export async function textDifference(before: string, after: string): Promise<string | null> {
  if (before.length + after.length > 2 * LONGEST_TEXT) return null;
  const { OMIT_HEADERS, createTwoFilesPatch } = await import("diff");
  const ended = (text: string) => (text === "" || text.endsWith("\n") ? text : `${text}\n`);
  return new Promise((resolve) => {
    createTwoFilesPatch("", "", ended(before), ended(after), undefined, undefined, {
      context: 3,
      timeout: TIMEOUT_MS,
      headerOptions: OMIT_HEADERS,
      callback: (patch) => resolve(patch ?? null),
    });
  });
}
