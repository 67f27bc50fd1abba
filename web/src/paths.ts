// Addresses within the page.

import { runKey } from "./sync/apply.ts";

export function runPath(project: string, run: string, frame?: string): string {
  const path = `/runs/${encodeURIComponent(project)}/${encodeURIComponent(run)}`;
  return frame === undefined ? path : `${path}?frame=${encodeURIComponent(frame)}`;
}

/** Where runs are compared; with one, where others are chosen. */
export function comparePath(runs: readonly { project: string; id: string }[]): string {
  return `/compare?runs=${runs.map(pairOf).join(",")}`;
}

/** Where frames are compared. */
export function compareFramesPath(frames: readonly { project: string; id: string }[]): string {
  return `/compare?frames=${frames.map(pairOf).join(",")}`;
}

function pairOf({ project, id }: { project: string; id: string }): string {
  return `${encodeURIComponent(project)}/${encodeURIComponent(id)}`;
}

/** Reads what stands after `runs=` or `frames=`. Ids hold neither of the two signs. */
export function readPairs(raw: string | null): { project: string; id: string }[] {
  const found = (raw ?? "").split(",").flatMap((pair) => {
    const [project, id, ...more] = pair.split("/");
    return project && id && more.length === 0 ? [{ project, id }] : [];
  });
  return found.filter(
    (pair, i) =>
      found.findIndex((each) => each.project === pair.project && each.id === pair.id) === i,
  );
}

/** A part of a path as it was before it was escaped; null where it is not well escaped. */
export function unescaped(part: string): string | null {
  try {
    return decodeURIComponent(part);
  } catch {
    return null;
  }
}

/** The run that a path is about; null where it is about none. */
export function runOf(path: string): { project: string; run: string; key: string } | null {
  const [project, run] = (/^\/runs\/([^/]+)\/([^/]+)$/.exec(path) ?? []).slice(1).map(unescaped);
  return project == null || run == null ? null : { project, run, key: runKey(project, run) };
}

/** The page of a task's log. */
export function logPath(project: string, task: string, stream = "stdout"): string {
  const path = `/logs/${encodeURIComponent(project)}/${encodeURIComponent(task)}`;
  return stream === "stdout" ? path : `${path}?stream=${stream}`;
}
