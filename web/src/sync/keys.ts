// How runs are told apart, and which go on.

import type { RunView } from "../api/types.gen.ts";
import { isReadOnly } from "../model/origin.ts";

/** A run's name within the page: its id is one only within its project. */
export function runKey(project: string, run: string): string {
  return `${project}/${run}`;
}

/** Whether the run goes on. A read-only one does not, and the daemon sends no changes of it. */
export function isOpen(run: RunView): boolean {
  return run.ended_ms === null && !isReadOnly(run);
}
