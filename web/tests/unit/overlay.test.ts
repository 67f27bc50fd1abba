// What is shown before the daemon has said it: whatever the order in which answers and events come, in
// the end the page shows what the daemon says, and what was refused leaves nothing.

import { expect, test } from "vitest";
import type { FrameDetail } from "../../src/api/types.gen.ts";
import { Overlay, withChanges } from "../../src/sync/overlay.ts";
import type { Change } from "../../src/sync/overlay.ts";
import { forSeeds } from "./random.ts";
import type { Random } from "./random.ts";

type Said = Pick<FrameDetail, "goal" | "decisions" | "artifacts">;
const nothing = (): Said => ({ goal: "first", decisions: [], artifacts: [] });
const shown = (said: Said, overlay: Overlay, frame: string) =>
  withChanges(said as FrameDetail, overlay.of(frame));

function someChange(random: Random, frame: string, n: number): Change {
  return random.pick<Change>([
    { kind: "goal", frame, goal: `goal ${n}` },
    { kind: "decision", frame, decision: `decision ${n}` },
    { kind: "decision", frame, decision: `decision ${n}`, reason: "because" },
    { kind: "artifact", frame, path: `path ${n}` },
    { kind: "child", frame, title: `child ${n}` },
    { kind: "told", frame, text: `text ${n}` },
  ]);
}

test("in the end the page shows what the daemon says, and before that what was asked for as well", () =>
  forSeeds(300, (random) => {
    const overlay = new Overlay();
    const frames = ["f-1", "f-2"];
    const daemon = new Map(frames.map((frame) => [frame, nothing()]));
    const page = new Map(frames.map((frame) => [frame, nothing()]));
    /** Asked for and not carried out; carried out and not told here. */
    const asked: { cmdId: string; change: Change }[] = [];
    const untold: string[] = [];
    const load = (frame: string) => {
      const held = overlay.settledOf(frame);
      page.set(frame, structuredClone(daemon.get(frame)!));
      for (const cmdId of held) overlay.drop(cmdId);
    };
    const carryOut = () => {
      const { cmdId, change } = asked.shift()!;
      if (random.chance(0.3)) return overlay.drop(cmdId);
      daemon.set(change.frame, withChanges(daemon.get(change.frame)! as FrameDetail, [change]));
      untold.push(cmdId);
    };
    const tell = () => {
      const at = random.below(untold.length);
      overlay.settle(untold[at]!);
      // An event and an answer may both come.
      if (random.chance(0.5)) untold.splice(at, 1);
    };
    for (let n = 0; n < 60; n++) {
      const choice = random.below(4);
      const frame = random.pick(frames);
      if (choice === 0) {
        const change = someChange(random, frame, n);
        overlay.add(`c-${n}`, change);
        asked.push({ cmdId: `c-${n}`, change });
        if (change.kind === "goal")
          expect(shown(page.get(frame)!, overlay, frame).goal).toBe(change.goal);
      } else if (choice === 1 && asked.length > 0) carryOut();
      else if (choice === 2 && untold.length > 0) tell();
      else load(frame);
    }
    while (asked.length > 0) carryOut();
    while (untold.length > 0) tell();
    for (const frame of frames) {
      load(frame);
      expect(overlay.of(frame)).toEqual([]);
      expect(shown(page.get(frame)!, overlay, frame)).toEqual(daemon.get(frame));
    }
  }));

test("a change is shown once it is added, until an answer that was asked for after it was done", () => {
  let changes = 0;
  const overlay = new Overlay(() => (changes += 1));
  overlay.add("c", { kind: "goal", frame: "f", goal: "new" });
  expect(overlay.settledOf("f")).toEqual([]);
  overlay.settle("c");
  overlay.settle("c");
  overlay.settle("of another tab");
  expect(changes).toBe(2);
  expect(overlay.settledOf("f")).toEqual(["c"]);
  expect(overlay.of("f")).toHaveLength(1);
  overlay.drop("c");
  expect(overlay.of("f")).toEqual([]);
});
