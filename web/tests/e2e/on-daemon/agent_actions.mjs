// Everything that can be said to a real agent and done with its conversation, with a scripted model behind
// it: with the mouse, and again with the keyboard alone.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, afterEach, before, test } from "node:test";
import { KEYBOARD, MOUSE, perform } from "../act.mjs";
import { launch, open, until } from "../browser.mjs";
import { BIN, Daemon, ROOT } from "../daemon.mjs";

const AGENTS = process.env.FORNAX_TEST_AGENTS ?? join(ROOT, "target/agents");
const daemon = new Daemon();
let browser;
let stub;

const bash = (command) => ({
  tools: [[{ name: "Bash", args: { command, description: "does it" } }]],
});
const SCRIPT = {
  defaults: { usage: { input: 1_000, output: 50 } },
  rules: [
    { id: "title", when: { tools: false }, reply: { text: "A title" } },
    {
      id: "second",
      when: { user: "SECOND" },
      replies: [bash("echo two > two.txt"), { text: "The second is done." }],
    },
    { id: "third", when: { user: "THIRD" }, reply: { text: "The third is done." } },
    {
      id: "slow",
      when: { user: "SLOW" },
      replies: [
        bash("echo no > denied.txt"),
        bash("touch began; while [ ! -e go ]; do sleep 0.1; done"),
        { text: "The first is done." },
      ],
    },
  ],
};

before(async () => {
  const script = join(daemon.home, "script.json");
  writeFileSync(script, JSON.stringify(SCRIPT));
  stub = spawn(join(BIN, "../fornax-stub-model"), ["--script", script], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const [line] = await once(stub.stdout, "data");
  await daemon.start(
    { "fornax.yaml": "tools:\n  agent: {driver: claude, cmd: [claude]}\n" },
    {
      PATH: `${join(AGENTS, "node_modules/.bin")}:${process.env.PATH}`,
      CLAUDE_CONFIG_DIR: join(daemon.home, "claude"),
      ANTHROPIC_BASE_URL: /http:\S+/.exec(String(line))[0],
      ANTHROPIC_API_KEY: "none-needed",
      CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: "1",
      DISABLE_AUTOUPDATER: "1",
    },
  );
  browser = await launch();
});
after(async () => {
  await browser?.close();
  await daemon.stop();
  stub?.kill();
});
afterEach(async () => {
  for (const context of browser.contexts()) await context.close();
  for (const name of ["began", "go", "two.txt", "denied.txt"])
    rmSync(join(daemon.project, name), { force: true });
});

const PATIENCE_MS = 90_000;
const made = (name) => existsSync(join(daemon.project, name));

for (const hand of [MOUSE, KEYBOARD]) {
  test(`an agent is denied, allowed, interrupted, told, and its conversation resumed ${hand.name}`, async () => {
    const { page, wrong } = await open(browser, await daemon.link());
    await page.locator(".connection-live").waitFor();
    const run = JSON.parse(
      await daemon.fornax("task", "agent", "SLOW please", "--detach", "--json"),
    );
    const home = `${daemon.url}/runs/${run.project}/${run.id}`;
    const tasks = async () =>
      (
        await (
          await page.request.get(`${daemon.url}/api/runs/${run.id}?project=${run.project}`)
        ).json()
      ).tasks;
    const task = async (field) => (await tasks())[field].at(-1);
    const waits = (what) =>
      until(
        () => task("waits"),
        (asked) => asked.length === 1 && asked[0].title.includes(what),
        `it asks for ${what}`,
        PATIENCE_MS,
      );
    await page.goto(home);
    const frame = await until(
      () => task("frame"),
      (found) => found !== undefined,
      "it has a task",
    );
    await page.locator(".panel [role=tab]").first().waitFor();
    const act = (title, keys, more = {}) => perform(hand, page, { frame, title, keys, ...more });

    await waits("denied.txt");
    await act("Deny what", "t d", { fields: { "Why; its agent": "not that" } });
    await waits("began");
    assert.ok(!made("denied.txt"));
    await act("Allow what", "t a");
    await until(
      () => made("began"),
      (there) => there,
      "it was allowed",
      PATIENCE_MS,
    );
    await act("Interrupt its agent", "t i", { asks: false });
    await until(
      () => task("idle"),
      (idle) => idle,
      "it waits for a prompt",
      PATIENCE_MS,
    );
    await act("Have its agent shorten", "t c", { asks: false });
    await page.locator(".toast").getByText("To be shortened").first().waitFor();
    await act("Tell its agent", "t t", { fields: { "What it is told": "SECOND please" } });
    await waits("two.txt");
    await act("Always allow", "t Shift+A");
    await page.locator(".run-title .status-completed").waitFor({ timeout: PATIENCE_MS });
    assert.ok(made("two.txt"));

    for (const [title, keys, fields, heading] of [
      ["Resume its conversation", "t r", { "What it is told": "THIRD please" }, /THIRD/],
      ["Branch off a copy", "t b", { "What it is told": "THIRD please" }, /THIRD/],
      ["Rerun its task", "t e", {}, /rerun of/],
    ]) {
      await page.goto(home);
      await page.locator(".panel [role=tab]").first().waitFor();
      await act(title, keys, { fields });
      await page
        .locator(".run-title")
        .getByRole("heading", { name: heading })
        .waitFor({ timeout: 20_000 });
      if (heading.source === "THIRD")
        await page.locator(".run-title .status-completed").waitFor({ timeout: PATIENCE_MS });
    }
    assert.deepEqual(wrong, []);
  });
}
