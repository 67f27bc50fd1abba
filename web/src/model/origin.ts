// Read-only runs: this installation did not write their records. They are shown, and nothing of them is
// executed or changed before a person accepts them. Pure.

import type { RunView } from "../api/types.gen.ts";

/** Whether a run is read-only. */
export function isReadOnly(run: Pick<RunView, "foreign">): boolean {
  return run.foreign != null;
}

/** Why nothing can be changed in a run; null where it can. */
export function unlessReadOnly(run: Pick<RunView, "foreign">): string | null {
  return isReadOnly(run) ? "Read-only: accept the run first." : null;
}

/** Why a run stands as it does, without that it is read-only: that is shown apart. */
export function ownReason(run: RunView): string | null {
  return isReadOnly(run) && run.ended_ms === null ? null : run.reason;
}

/** When what is known of a run ends: of a read-only one that has not ended, that is not known. */
export function endOf(run: RunView, now_ms: number): number | null {
  return run.ended_ms ?? (isReadOnly(run) ? null : now_ms);
}
