// Every action on a real daemon that runs a real plan: with the mouse, and again with the keyboard alone.

import assert from "node:assert/strict";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, afterEach, before, test } from "node:test";
import { KEYBOARD, MOUSE, perform } from "../act.mjs";
import { launch, open, until } from "../browser.mjs";
import { Daemon } from "../daemon.mjs";

const daemon = new Daemon();
let browser;

/** One works until it is let go, with others that wait for it; one fails until it is mended; one is done. */
const PLAN = `
name: all actions
goal: Try every action
frames:
  - {id: talk, goal: Talk, run: "while [ ! -e go ]; do sleep 0.05; done"}
  - {id: later, goal: Later, depends_on: [talk], run: "true"}
  - {id: after, goal: After, depends_on: [later], run: "true"}
  - {id: broken, goal: Broken, run: "test -e mended"}
  - {id: done, goal: Done, run: "true"}
`;

before(async () => {
  await daemon.start({ "plan.yaml": PLAN, "notes.md": "# Notes\n" });
  browser = await launch();
});
after(async () => {
  await browser?.close();
  await daemon.stop();
});
afterEach(async () => {
  for (const context of browser.contexts()) await context.close();
  await daemon.fornax("stop", "all").catch(() => {});
  for (const name of ["go", "mended"]) rmSync(join(daemon.project, name), { force: true });
});

/** The run that is looked at, as the daemon tells it. */
class World {
  constructor(page, run) {
    this.page = page;
    this.run = run;
  }

  get = async (path) =>
    (await this.page.request.get(`${daemon.url}/api/${path}?project=${this.run.project}`)).json();

  async frames() {
    const { frames } = await this.get(`runs/${this.run.id}`);
    return frames.id.map((id, row) =>
      Object.fromEntries(Object.entries(frames).map(([name, column]) => [name, column[row]])),
    );
  }

  async frame(key) {
    const found = (await this.frames()).find((frame) => frame.key === key || frame.title === key);
    assert.ok(found, `there is a frame ${key}`);
    return found;
  }

  detail = async (key) => this.get(`frames/${(await this.frame(key)).id}`);

  becomes = (key, status) =>
    until(
      async () =>
        (await this.frames()).find((frame) => frame.key === key || frame.title === key)?.status,
      (now) => now === status,
      `${key} ${status}`,
      20_000,
    );
}

/** What is done, in this order: to which frame, and what is so afterwards. */
const FRAME_ACTIONS = [
  {
    frame: "all actions",
    title: "Push a frame under it",
    keys: "Mod+Enter",
    fields: { Goal: "Work by hand", Title: "Hand" },
    async then(world) {
      const hand = await world.becomes("Hand", "in_progress").then(() => world.frame("Hand"));
      await until(
        () => world.page.locator(".details-head .mono").first().textContent(),
        (text) => text === hand.id,
        "it is chosen",
      );
    },
  },
  {
    frame: "Hand",
    title: "Add a decision",
    keys: "f d",
    fields: {
      "What was decided": "Use sqlite",
      Why: "it is small",
      "What else": "postgres\nfiles",
    },
    then: async (world) =>
      assert.deepEqual((await world.detail("Hand")).decisions[0], {
        decision: "Use sqlite",
        reason: "it is small",
        alternatives: ["postgres", "files"],
      }),
    shows: "Use sqlite",
  },
  {
    frame: "Hand",
    title: "Add an artifact",
    keys: "f u",
    fields: { "File in the project": "notes.md" },
    then: async (world) => assert.equal((await world.detail("Hand")).artifacts[0].path, "notes.md"),
    shows: "notes.md",
  },
  {
    frame: "Hand",
    title: "Summarise its conversation",
    keys: "f s",
    fields: { heed: "what is open" },
    toast: "Noted",
  },
  {
    frame: "Hand",
    title: "Plan a frame within it",
    keys: "f p",
    fields: { Goal: "Take one step", Title: "Step" },
    then: (world) => world.becomes("Step", "planned"),
    shows: "Step",
  },
  {
    frame: "Hand",
    title: "Plan several frames within it",
    keys: "f Shift+P",
    fields: { Goals: "Second\nThird", Order: "chain" },
    then: (world) => world.becomes("Third", "planned"),
  },
  {
    frame: "Step",
    title: "Activate it",
    keys: "f a",
    asks: false,
    then: (world) => world.becomes("Step", "in_progress"),
  },
  {
    frame: "Step",
    title: "Block it",
    keys: "f b",
    fields: { Why: "no key" },
    then: (world) => world.becomes("Step", "blocked"),
    shows: "no key",
  },
  {
    frame: "Step",
    title: "Activate it",
    keys: "f a",
    asks: false,
    then: (world) => world.becomes("Step", "in_progress"),
  },
  {
    frame: "Step",
    title: "Fail it",
    keys: "f x",
    fields: { Why: "no luck" },
    then: (world) => world.becomes("Step", "failed"),
    shows: "no luck",
  },
  {
    frame: "Second",
    title: "Invalidate it",
    keys: "f i",
    fields: { Why: "not wanted" },
    foreseen: ["Dropped with it", "Third"],
    then: async (world) => {
      await world.becomes("Second", "invalidated");
      await world.becomes("Third", "invalidated");
    },
  },
  {
    frame: "Hand",
    title: "Navigate to it",
    keys: "f n",
    asks: false,
    toast: "You work in “\u2068Hand\u2069” now.",
  },
  {
    frame: "Hand",
    title: "Complete it",
    keys: "Mod+Backspace",
    fields: { Results: "All is well", "The same": "well" },
    then: (world) => world.becomes("Hand", "completed"),
    shows: "All is well",
  },
  {
    frame: "broken",
    title: "Retry it",
    keys: "f r",
    asks: false,
    first: () => writeFileSync(join(daemon.project, "mended"), ""),
    then: (world) => world.becomes("broken", "completed"),
  },
  {
    frame: "done",
    title: "Retry from here",
    keys: "f Shift+R",
    asks: false,
    then: (world) =>
      until(
        async () => (await world.detail("done")).tasks.length,
        (tasks) => tasks === 2,
        "a second attempt",
        20_000,
      ),
  },
];

const HOLDS = [
  {
    frame: "later",
    title: "Set a checkpoint",
    keys: "f q",
    fields: { "What is to be decided": "Is it wanted?" },
    then: (world) =>
      until(
        async () => (await world.frame("later")).asks.length,
        (asks) => asks === 1,
        "it is asked",
      ),
    shows: "Is it wanted?",
  },
  {
    frame: "later",
    title: "Answer what is asked",
    keys: "f w",
    fields: { Answer: "go on" },
    then: (world) =>
      until(
        async () => (await world.frame("later")).asks.length,
        (asks) => asks === 0,
        "it is answered",
      ),
  },
  {
    frame: "talk",
    title: "Pause it:",
    keys: "f z",
    asks: false,
    then: (world) =>
      until(
        async () => (await world.frame("talk")).paused,
        (paused) => paused,
        "it is paused",
      ),
    shows: "paused",
  },
  {
    frame: "talk",
    title: "Go on with it after a pause",
    keys: "f Shift+Z",
    asks: false,
    then: (world) =>
      until(
        async () => (await world.frame("talk")).paused,
        (paused) => !paused,
        "it goes on",
      ),
  },
];

const STOPS = [
  {
    frame: "talk",
    title: "Stop its task alone",
    keys: "t k",
    then: (world) =>
      until(
        async () => (await world.detail("talk")).tasks.at(-1).state,
        (state) => state === "cancelled",
        "it is stopped",
        20_000,
      ),
  },
  {
    frame: "talk",
    title: "Retry it",
    keys: "f r",
    asks: false,
    then: (world) => world.becomes("talk", "in_progress"),
  },
  {
    frame: "talk",
    title: "Stop it, with all",
    keys: "f k",
    then: (world) =>
      until(
        async () => (await world.frame("talk")).status,
        (status) => status !== "in_progress",
        "it is stopped",
        20_000,
      ),
  },
];

async function carryOut(hand, world, step) {
  const { page } = world;
  step.first?.();
  const { id } = await world.frame(step.frame);
  await page.locator(`#tree-${id}`).waitFor();
  await perform(hand, page, { ...step, frame: id });
  await step.then?.(world);
  if (step.shows) await page.locator(".details").getByText(step.shows).first().waitFor();
  if (step.toast) await page.locator(".toast").getByText(step.toast).first().waitFor();
}

/** Goes to a run, and waits until what can be done is there. */
async function look(page, run) {
  await page.goto(`${daemon.url}/runs/${run.project}/${run.id}`);
  await page.locator(".panel [role=tab]").first().waitFor();
}

async function begin() {
  const { page, wrong } = await open(browser, await daemon.link());
  await page.locator(".connection-live").waitFor();
  const run = await daemon.run("plan.yaml");
  await look(page, run);
  const world = new World(page, run);
  await world.becomes("done", "completed");
  await world.becomes("broken", "failed");
  return { page, wrong, world };
}

for (const hand of [MOUSE, KEYBOARD]) {
  test(`frames are pushed, planned, moved, noted in and retried ${hand.name}`, async () => {
    const { page, wrong, world } = await begin();
    for (const step of FRAME_ACTIONS) await carryOut(hand, world, step);
    await hand.choose(page, (await world.frame("talk")).id);
    await hand.act(page, { title: "Edit its goal", keys: "f g" });
    const goal = page.getByRole("textbox", { name: "Goal" });
    await goal.waitFor();
    await page.keyboard.press("Control+a");
    await page.keyboard.insertText("Talk on");
    if (hand === MOUSE) await page.getByRole("button", { name: "Save" }).click();
    else await page.keyboard.press("Control+Enter");
    await until(
      async () => (await world.detail("talk")).goal,
      (text) => text === "Talk on",
      "the goal",
    );
    assert.deepEqual(wrong, []);
  });

  test(`frames are held and stopped ${hand.name}`, async () => {
    const { wrong, world } = await begin();
    for (const step of [...HOLDS, ...STOPS]) await carryOut(hand, world, step);
    assert.deepEqual(wrong, []);
  });

  test(`runs are held, stopped, retried and run again, and a task is rerun ${hand.name}`, async () => {
    const { page, wrong, world } = await begin();
    const status = async () => (await world.get(`runs/${world.run.id}`)).run;
    const act = (title, keys, more = {}) =>
      perform(hand, page, { title, keys, asks: false, ...more });
    await act("Pause the run", "r z");
    await until(
      async () => (await status()).paused,
      (paused) => paused,
      "the run is paused",
    );
    // Who uses keys alone presses them when the page offers it, not before.
    const offers = (name) => page.getByRole("button", { name }).first().waitFor();
    await offers("Go on");
    await act("Go on with the run", "r Shift+Z");
    await until(
      async () => (await status()).paused,
      (paused) => !paused,
      "the run goes on",
    );
    await act("Stop the run", "r k", { asks: true });
    await until(
      async () => (await status()).status,
      (now) => now === "cancelled",
      "the run is stopped",
      20_000,
    );
    await offers("Retry");
    await act("Retry what did not succeed", "r r");
    await world.becomes("talk", "in_progress");
    await act("Run the plan again", "r a", { asks: true });
    await until(
      () => new URL(page.url()).pathname,
      (path) => path.startsWith("/runs/") && !path.endsWith(world.run.id),
      "another run is shown",
    );
    await look(page, world.run);
    const { id } = await world.frame("done");
    await perform(hand, page, { frame: id, title: "Rerun its task", keys: "t e" });
    await until(
      () => new URL(page.url()).pathname,
      (path) => !path.endsWith(world.run.id),
      "the task's own run is shown",
    );
    await page.getByRole("heading", { name: "rerun of" }).first().waitFor();
    assert.deepEqual(wrong, []);
  });

  test(`a plan and a task are run from the list, and all is stopped ${hand.name}`, async () => {
    const { page, wrong } = await begin();
    const begins = async (button, fields) => {
      await page.goto(`${daemon.url}/`);
      await hand.press(page, button);
      await page.getByRole("dialog").waitFor();
      await hand.fill(page, fields);
      await hand.submit(page);
      await page.locator(".run-title").waitFor();
    };
    await page.goto(`${daemon.url}/`);
    await hand.press(page, "Run a plan");
    await hand.fill(page, { "The plan's file": "missing.yaml" });
    await hand.submit(page);
    await page.getByRole("dialog").getByRole("alert").getByText("missing.yaml").waitFor();
    await begins("Run a plan", { "The plan's file": "plan.yaml" });
    await begins("Run a task", { "What it is told": "while [ ! -e go ]; do sleep 0.05; done" });
    await page.locator(".run-title .status-running").waitFor();
    await hand.press(page, "Stop all");
    await page.getByRole("dialog").waitFor();
    await hand.submit(page);
    await page.locator(".run-title .status-cancelled").waitFor();
    await until(
      async () => JSON.parse(await daemon.fornax("ps", "--json").catch(() => "[]")),
      (all) => JSON.stringify(all).includes("running") === false,
      "nothing runs",
      20_000,
    );
    assert.deepEqual(wrong, []);
  });
}
