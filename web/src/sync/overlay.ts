// What a person asked for and is shown before the daemon has said that it is done: an overlay over what
// it says. Each change has the id of its command. It stays until what the daemon says is known to hold
// it: once the command was answered, or an event that it led to came, the next answer about its frame
// does. Where the daemon refuses, it is dropped. Pure.
//
// What cannot be taken back (stop, invalidate, allow) is never here: it is shown when it is so.

import type { FrameDetail } from "../api/types.gen.ts";

/** Something that is to become of a frame. */
export type Change =
  | { readonly kind: "goal"; readonly frame: string; readonly goal: string }
  | {
      readonly kind: "decision";
      readonly frame: string;
      readonly decision: string;
      readonly reason?: string;
    }
  | { readonly kind: "artifact"; readonly frame: string; readonly path: string }
  /** A frame that is to be within it. */
  | { readonly kind: "child"; readonly frame: string; readonly title: string }
  /** Its agent is to be told something. */
  | { readonly kind: "told"; readonly frame: string; readonly text: string };

export class Overlay {
  #changes = new Map<string, { change: Change; settled: boolean }>();
  #changed: () => void;

  /** `changed` is called with every change of what is shown, or of what is known of it. */
  constructor(changed: () => void = () => {}) {
    this.#changed = changed;
  }

  add(cmdId: string, change: Change): void {
    this.#changes.set(cmdId, { change, settled: false });
    this.#changed();
  }

  /** The daemon has done it: it said so, or an event of this command came. */
  settle(cmdId: string): void {
    const found = this.#changes.get(cmdId);
    if (!found || found.settled) return;
    found.settled = true;
    this.#changed();
  }

  /** The daemon has refused it. */
  drop(cmdId: string): void {
    if (this.#changes.delete(cmdId)) this.#changed();
  }

  /** The commands about a frame that are done: what is asked about the frame from now on holds them. */
  settledOf(frame: string): string[] {
    return [...this.#changes]
      .filter(([, { change, settled }]) => settled && change.frame === frame)
      .map(([cmdId]) => cmdId);
  }

  /** What is to become of a frame, in the order in which it was asked for. */
  of(frame: string): Change[] {
    return [...this.#changes.values()]
      .filter(({ change }) => change.frame === frame)
      .map(({ change }) => change);
  }
}

/** A frame as it will be. */
export function withChanges(detail: FrameDetail, changes: readonly Change[]): FrameDetail {
  if (changes.length === 0) return detail;
  const shown = { ...detail, decisions: [...detail.decisions], artifacts: [...detail.artifacts] };
  for (const change of changes) {
    if (change.kind === "goal") shown.goal = change.goal;
    else if (change.kind === "decision")
      shown.decisions.push({
        decision: change.decision,
        ...(change.reason === undefined ? {} : { reason: change.reason }),
      });
    else if (change.kind === "artifact")
      shown.artifacts.push({ path: change.path, bytes: 0, sha256: "" });
  }
  return shown;
}
