// How runs are told apart, and which go on.

import type { RunView } from "../api/types.gen.ts";

/** A run's name within the page: its id is one only within its project. */
export function runKey(project: string, run: string): string {
  return `${project}/${run}`;
}

/** Whether the run goes on. */
export function isOpen(run: RunView): boolean {
  return run.ended_ms === null;
}
