// A real agent on the page, with a scripted model behind it: what it asks is answered there, and what
// it used is told there, to the token.

import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { launch, open } from "../browser.mjs";

const root = fileURLToPath(new URL("../../../..", import.meta.url));
const BIN = resolve(process.env.FORNAX_BIN ?? join(root, "target/debug/fornax"));
const AGENTS = process.env.FORNAX_TEST_AGENTS ?? join(root, "target/agents");
const home = mkdtempSync(join(tmpdir(), "fornax-agent-page-"));
const project = join(home, "project");
const call = promisify(execFile);
let env;
let stub;
let browser;
const fornax = async (...args) => (await call(BIN, args, { cwd: project, env })).stdout.trim();

/** Two model calls: one that asks for a command, one that ends. */
const SCRIPT = {
  defaults: { usage: { input: 1000, output: 50, cache_read: 200 } },
  rules: [
    { id: "title", when: { tools: false }, reply: { text: "A title" } },
    {
      id: "ask",
      when: { user: "ASKING" },
      replies: [
        {
          tools: [
            [{ name: "Bash", args: { command: "echo yes > asked.txt", description: "writes" } }],
          ],
        },
        { text: "It is written." },
      ],
    },
  ],
};

before(async () => {
  mkdirSync(project);
  writeFileSync(join(project, "fornax.yaml"), "tools:\n  agent: {driver: claude, cmd: [claude]}\n");
  writeFileSync(join(home, "script.json"), JSON.stringify(SCRIPT));
  stub = spawn(join(BIN, "../fornax-stub-model"), ["--script", join(home, "script.json")], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const [line] = await once(stub.stdout, "data");
  const base = /http:\S+/.exec(String(line))[0];
  env = {
    PATH: `${join(AGENTS, "node_modules/.bin")}:${process.env.PATH}`,
    HOME: home,
    XDG_STATE_HOME: join(home, "state"),
    XDG_CONFIG_HOME: join(home, "config"),
    CLAUDE_CONFIG_DIR: join(home, "claude"),
    ANTHROPIC_BASE_URL: base,
    ANTHROPIC_API_KEY: "none-needed",
    CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: "1",
    DISABLE_AUTOUPDATER: "1",
  };
  await fornax("up", "--detach");
  await fornax("trust");
  browser = await launch();
});
after(async () => {
  await browser?.close();
  await fornax("down", "--stop-tasks").catch(() => {});
  stub?.kill();
  rmSync(home, { recursive: true, force: true });
});

test("a question is answered on the page, and all usage is told there", async () => {
  const { page, wrong } = await open(browser, await fornax("open", "--print"));
  await page.locator(".connection-live").waitFor();
  const run = JSON.parse(await fornax("task", "agent", "ASKING please", "--detach", "--json"));
  const url = new URL(page.url()).origin;
  await page.goto(`${url}/runs/${run.project}/${run.id}`);
  const frame = page.getByRole("row", { name: /ASKING/ }).last();
  await frame.click();
  const details = page.locator(".details");
  await details.getByText("echo yes > asked.txt").first().waitFor({ timeout: 60_000 });
  assert.ok(!existsSync(join(project, "asked.txt")), "it waits for the answer");
  await details.getByRole("button", { name: "Allow" }).click();
  await page.locator(".run-title .status-completed").waitFor({ timeout: 60_000 });
  assert.ok(existsSync(join(project, "asked.txt")));
  const shown = JSON.parse(await fornax("show", run.id, "--json")).run.usage;
  assert.deepEqual([shown.input, shown.output, shown.cache_read], [2000, 100, 400]);
  // The run's, and the task's.
  const told = page.getByTitle("2000 in, 100 out, 400 read from the cache");
  await told.nth(1).waitFor();
  for (const text of await told.allTextContents()) assert.match(text, /2[.,]?5/);
  assert.deepEqual(wrong, []);
});
