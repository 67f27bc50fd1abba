// The project that one looks at: of which runs, inbox and tools are shown; null for all.

import { createMemo, createRoot } from "solid-js";
import { runOf } from "./paths.ts";
import { place } from "./router.ts";

/** Places that are about one project or all of them, as `?project=` says. */
const OF_PROJECT = ["/", "/inbox", "/tools", "/logs"];

/** The project that was chosen. It lasts while one is at places that are about something else. */
export const chosenProject = createRoot(() =>
  createMemo((before: string | null): string | null => {
    const { path, query } = place();
    return OF_PROJECT.includes(path) ? query.get("project") : before;
  }, null),
);

/** The project that what is shown belongs to: the run's, else the one that was chosen. */
export function shownProject(): string | null {
  return runOf(place().path)?.project ?? chosenProject();
}

/** A path with the project in its query. */
export function inProject(path: string, project: string | null = chosenProject()): string {
  return project === null ? path : `${path}?project=${encodeURIComponent(project)}`;
}

/** Where one goes who chooses another project: the same place, or its runs. */
export function placeOf(project: string | null): string {
  const { path } = place();
  return inProject(OF_PROJECT.includes(path) ? path : "/", project);
}
