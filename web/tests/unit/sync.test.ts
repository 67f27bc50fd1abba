import { isDeepStrictEqual } from "node:util";
import { expect, test } from "vitest";
import { Leader } from "../../src/sync/leader.ts";
import { judge, readChange, readPosition, readSnapshot } from "../../src/sync/protocol.ts";
import { Random, forSeeds } from "./random.ts";
import { FakeDaemon, FakeTab, FakeWire, NO_FAULTS, truth } from "./world.ts";

/** Lets answers that have arrived be taken in. */
const settle = () => new Promise((resolve) => setImmediate(resolve));

/** A stretch of life with faults drawn from the seed, then calm. Says what each tab shows wrongly. */
async function live(random: Random, rules: typeof judge): Promise<string[]> {
  const daemon = new FakeDaemon(random);
  const rate = () => (random.chance(0.5) ? 0 : random.next() * 0.3);
  const faults = { double: rate(), lose: rate(), swap: rate(), cut: rate() / 5, refuse: rate() };
  const wire = new FakeWire(daemon, faults);
  const leader = new Leader(wire, rules);
  const tabs: FakeTab[] = [];
  for (let i = 0; i < 150; i++) {
    if (tabs.length === 0 || random.chance(0.05)) {
      const tab = new FakeTab();
      tabs.push(tab);
      leader.join(tab.tell);
    }
    if (random.chance(0.02)) leader.leave(tabs.splice(random.below(tabs.length), 1)[0]!.tell);
    if (random.chance(0.02)) daemon.restart();
    if (random.chance(0.05)) leader.wake();
    if (random.chance(0.5)) daemon.change();
    wire.step();
    await settle();
  }
  wire.faults = NO_FAULTS;
  // What was lost last is noticed when the next change comes.
  daemon.change();
  for (let i = 0; i < 400 && wire.step(); i++) await settle();
  return tabs.flatMap((tab, i) => {
    const right = isDeepStrictEqual(tab.shows(), truth(daemon)) && tab.connection === "live";
    return [...tab.wrong, ...(right ? [] : [`tab ${i} (${tab.connection}) does not show what is`])];
  });
}

test("whatever the network does, every tab ends with what the daemon holds", async () => {
  await forSeeds(300, async (random) => expect(await live(random, judge)).toEqual([]));
}, 60_000);

test("without the check for gaps the same test finds tabs that are wrong", async () => {
  const blind: typeof judge = (at, id) => (judge(at, id) === "gap" ? "apply" : judge(at, id));
  let found = 0;
  for (let seed = 1; seed <= 20; seed++) found += (await live(new Random(seed), blind)).length;
  expect(found).toBeGreaterThan(0);
}, 60_000);

test("without dropping what is old the same test finds tabs that are wrong", async () => {
  const eager: typeof judge = (at, id) => (judge(at, id) === "drop" ? "apply" : judge(at, id));
  let found = 0;
  for (let seed = 1; seed <= 20; seed++) found += (await live(new Random(seed), eager)).length;
  expect(found).toBeGreaterThan(0);
}, 60_000);

test("a daemon that comes back is found within a second, and one that stays away is called gone", async () => {
  await forSeeds(20, async (random) => {
    const daemon = new FakeDaemon(random);
    const wire = new FakeWire(daemon, NO_FAULTS);
    const tab = new FakeTab();
    new Leader(wire).join(tab.tell);
    const until = async (holds: () => boolean) => {
      for (let i = 0; i < 1_000 && !holds(); i++) {
        wire.step();
        await settle();
      }
      expect(holds()).toBe(true);
    };
    await until(() => tab.connection === "live");
    wire.faults = { ...NO_FAULTS, refuse: 1 };
    wire.signedOut = 0;
    daemon.restart();
    await until(() => wire.now > 25_000);
    expect(tab.connection).toBe("gone");
    wire.faults = NO_FAULTS;
    const back_ms = wire.now;
    await until(() => tab.connection === "live");
    expect(wire.now - back_ms).toBeLessThan(1_000);
  });
});

test("positions, changes and snapshots are read strictly", () => {
  expect(readPosition("a:b:7")).toEqual({ epoch: "a:b", seq: 7 });
  for (const bad of ["", "7", ":7", "a:", "a:-1", "a:1.5", "a:99999999999999999"]) {
    expect(() => readPosition(bad), bad).toThrow("EPOCH:SEQ");
  }
  const empty = { seq: 1, projects: [], runs: [], frames: [], tasks: [], events: [] };
  expect(readChange(JSON.stringify({ ...empty, new_field: 1 }))).toEqual(empty);
  for (const bad of [
    "",
    "null",
    "[]",
    "{}",
    JSON.stringify({ ...empty, frames: [{}] }),
    JSON.stringify({ ...empty, seq: "1" }),
  ]) {
    expect(() => readChange(bad), bad).toThrow();
  }
  const snapshot = new FakeDaemon(new Random(1)).snapshot() as Record<string, unknown>;
  expect(readSnapshot(snapshot)).toEqual(snapshot);
  for (const bad of [
    { epoch: "" },
    { seq: null },
    { frames: { id: ["a"], run: [] } },
    { runs: [{}] },
  ]) {
    expect(() => readSnapshot({ ...snapshot, ...bad }), JSON.stringify(bad)).toThrow();
  }
});
