// The page on a real daemon. FORNAX_BIN names the program; its state is in a directory of this test's own.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtempSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { after, before, afterEach, test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { snapshotHash } from "../../fixture/truth.mjs";
import { launch, open, until, watch } from "../browser.mjs";

const BIN = resolve(
  process.env.FORNAX_BIN ??
    fileURLToPath(new URL("../../../../target/debug/fornax", import.meta.url)),
);
const home = mkdtempSync(join(tmpdir(), "fornax-page-"));
const project = join(home, "project");
const env = {
  ...process.env,
  XDG_STATE_HOME: join(home, "state"),
  XDG_CONFIG_HOME: join(home, "config"),
  HOME: home,
};
const call = promisify(execFile);
const fornax = async (...args) => (await call(BIN, args, { cwd: project, env })).stdout;

const HOSTILE = `<img src=x onerror="alert(1)">`;
/** Writes until a file is there; then one frame fails, and what depends on it is blocked. */
const PLAN = `
name: page check
goal: Show the page
frames:
  - id: talk
    goal: Talk until told
    run: |
      i=0
      while [ ! -e go ]; do i=$((i + 1)); printf '\\033[32mline %d\\033[0m é漢🔥\\n' $i; sleep 0.05; done
      echo the last line
  - id: odd
    goal: '${HOSTILE}'
    run: echo '${HOSTILE}'
  - id: break
    goal: Break
    depends_on: [talk]
    run: echo it breaks >&2; test -e mended
  - id: rest
    goal: Rest
    depends_on: [break]
    run: "true"
`;

let browser;
let url;

before(async () => {
  mkdirSync(project);
  writeFileSync(join(project, "plan.yaml"), PLAN);
  await fornax("up", "--detach");
  url = /http:\/\/[^\s]+/.exec(await fornax("status"))[0];
  browser = await launch();
});
after(async () => {
  await browser?.close();
  await fornax("stop", "all").catch(() => {});
  await fornax("down").catch(() => {});
  rmSync(home, { recursive: true, force: true });
});
afterEach(async () => {
  for (const context of browser.contexts()) await context.close();
  rmSync(join(project, "go"), { force: true });
  rmSync(join(project, "mended"), { force: true });
});

const link = async () => (await fornax("open", "--print")).trim();
const start = async () => JSON.parse(await fornax("run", "plan.yaml", "--detach", "--json"));
const row = (page, name) => page.getByRole("row", { name });
const becomes = (page, name, status) =>
  until(
    () => row(page, name).getAttribute("aria-label"),
    (label) => label.includes(status),
    `${name} ${status}`,
    15_000,
  );

test("who is not signed in sees nothing; a link signs in, once", async () => {
  const { page } = await open(browser, url);
  assert.match(await page.textContent("body"), /fornax open/);
  const once = await link();
  await page.goto(once);
  await page.locator(".connection-live").waitFor();
  assert.equal(new URL(page.url()).pathname, "/");
  const second = await open(browser, once);
  assert.equal(await second.page.locator(".connection-live").count(), 0, "the link works once");
});

test("a run is watched from its start to its failure, and done again", async () => {
  const { page, context, wrong } = await open(browser, await link());
  await page.locator(".connection-live").waitFor();
  const run = await start();
  await page.getByRole("link", { name: "page check" }).first().click();
  await becomes(page, /^Talk|^talk/i, "in progress");
  await row(page, /^Talk|^talk/i).click();
  await page.getByRole("tab", { name: "Log", exact: true }).click();
  await page.getByText("line 3 é漢🔥", { exact: false }).first().waitFor();
  const other = await context.newPage();
  watch(other, wrong);
  await other.goto(page.url());
  await other.locator(".connection-live").waitFor();
  writeFileSync(join(project, "go"), "");
  await page.getByText("the last line").waitFor();
  for (const each of [page, other]) {
    await each.bringToFront();
    await becomes(each, /^break/i, "failed");
    await becomes(each, /^rest/i, "blocked");
    await each.locator(".run-title").getByRole("button", { name: "Retry" }).waitFor();
  }
  await other.close();
  await row(page, /^break/i).click();
  await page.getByRole("tab", { name: "stderr" }).click();
  await page.getByText("it breaks").waitFor();
  await page.getByRole("tab", { name: "Details", exact: true }).click();
  await page.locator(".details").getByText("exit_nonzero").first().waitFor();
  await page.getByRole("tab", { name: "Events", exact: true }).click();
  await page.locator(".events").getByText("task_failed").first().waitFor();
  writeFileSync(join(project, "mended"), "");
  await page.locator(".run-title").getByRole("button", { name: "Retry" }).click();
  await becomes(page, /^rest/i, "completed");
  await page.locator(".run-title .status-completed").waitFor();
  assert.equal((await page.goto(`${url}/runs/${run.project}/${run.id}`)).status(), 200);
  await becomes(page, /^rest/i, "completed");
  assert.equal(await page.locator("img").count(), 0);
  assert.deepEqual(wrong, []);
});

test("a run is stopped, after a question", async () => {
  const { page, wrong } = await open(browser, await link());
  await page.locator(".connection-live").waitFor();
  const run = await start();
  await page.goto(`${url}/runs/${run.project}/${run.id}`);
  await becomes(page, /^Talk|^talk/i, "in progress");
  await page.locator(".run-title").getByRole("button", { name: "Stop" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Stop" }).click();
  await page.locator(".run-title .status-cancelled").waitFor();
  assert.deepEqual(wrong, []);
});

test("frames show as they are pushed; a question is answered on the page", async () => {
  const { page, wrong } = await open(browser, await link());
  await page.locator(".connection-live").waitFor();
  await fornax(
    "frame",
    "push",
    "Choose a store",
    "--title",
    "The store",
    "--success-criteria",
    HOSTILE,
  );
  await page
    .getByRole("link", { name: /By hand/ })
    .first()
    .click();
  await becomes(page, /^The store/, "in progress");
  await row(page, /^The store/).click();
  await page.locator(".details").getByText(HOSTILE).waitFor();
  await fornax("frame", "add-decision", HOSTILE, "--reason", "it is small");
  await page.locator(".details").getByText("it is small").waitFor();
  const asked = fornax(
    "frame",
    "request-input",
    `${HOSTILE} Which one?`,
    "--options",
    "sqlite",
    "--options",
    HOSTILE,
  );
  await page
    .getByRole("group", { name: "A question" })
    .getByRole("button", { name: "sqlite" })
    .click();
  assert.equal((await asked).trim(), "sqlite");
  await page.getByRole("group", { name: "A question" }).waitFor({ state: "detached" });
  await fornax("frame", "pop", "--results", "sqlite it is");
  await becomes(page, /^The store/, "completed");
  await page.locator(".details").getByText("sqlite it is").waitFor();
  assert.equal(await page.locator("img").count(), 0);
  assert.deepEqual(wrong, []);
});

/** What each tab shows, and of which moment. */
const states = (tabs) => Promise.all(tabs.map((tab) => tab.evaluate(() => window.fornax?.state())));

/** Opens tabs on an address, each with a way to ask what it holds. */
async function tabsOn(context, address, count, wrong) {
  const tabs = [];
  for (let i = 0; i < count; i++) {
    const tab = await context.newPage();
    watch(tab, wrong);
    await tab.goto(`${url}${address}?debug`);
    await tab.locator(".connection-live").waitFor();
    tabs.push(tab);
  }
  return tabs;
}

/** Has a question asked that takes any text, and opens it. Whoever asked does not wait; the question stays. */
async function openQuestion(page) {
  await fornax("frame", "push", "Choose a name", "--title", "The name");
  const asking = call(BIN, ["frame", "request-input", "Which name?"], { cwd: project, env });
  asking.catch(() => {});
  await page
    .getByRole("link", { name: /By hand/ })
    .first()
    .click();
  await row(page, /^The name/).click();
  const field = page.getByRole("group", { name: "A question" }).getByRole("textbox");
  await field.waitFor();
  asking.child.kill();
  return field;
}

test("the daemon is ended and comes back under a run; twelve tabs find it within a second and go on", async () => {
  const { page: log, context, wrong } = await open(browser, await link());
  await log.locator(".connection-live").waitFor();
  const run = await start();
  const path = `/runs/${run.project}/${run.id}`;
  const tabs = [
    log,
    ...(await tabsOn(context, path, 5, wrong)),
    ...(await tabsOn(context, "/", 6, wrong)),
  ];
  const field = await openQuestion(tabs.at(-1));
  await field.fill("half a na");
  await log.bringToFront();
  await log.goto(`${url}${path}?debug`);
  await becomes(log, /^Talk|^talk/i, "in progress");
  await row(log, /^Talk|^talk/i).click();
  await log.getByRole("tab", { name: "Log", exact: true }).click();
  await log
    .getByText(/line \d+ é漢🔥/)
    .first()
    .waitFor();
  await fornax("down");
  await log.getByText("The daemon does not answer").waitFor();
  await fornax("up", "--detach", "--bind", new URL(url).host);
  const back = Date.now();
  await until(
    () => states(tabs),
    (all) => all.every((state) => state?.connection === "live"),
    "twelve tabs live",
  );
  assert.ok(Date.now() - back < 1_000, `${Date.now() - back} ms`);
  assert.equal(await field.inputValue(), "half a na", "what was being written is still there");
  await field.press("End");
  await field.pressSequentially("me");
  assert.equal(await field.inputValue(), "half a name");
  writeFileSync(join(project, "go"), "");
  writeFileSync(join(project, "mended"), "");
  await log.bringToFront();
  await log.getByText("the last line").waitFor();
  assert.equal(
    await log.getByText("the last line").count(),
    1,
    "a log that is followed goes on where it was",
  );
  await becomes(log, /^rest/i, "completed");
  const snapshot = async () =>
    (await context.request.get(`${url}/api/snapshot`, { headers: { origin: url } })).json();
  const [truth, all] = await until(
    async () => [await snapshot(), await states(tabs)],
    ([{ epoch, seq }, seen]) => seen.every((state) => state.epoch === epoch && state.seq === seq),
    "all of them at the daemon's moment",
  );
  assert.deepEqual(new Set(all.map(({ hash }) => hash)), new Set([snapshotHash(truth)]));
  await field.press("Enter");
  await tabs.at(-1).getByRole("group", { name: "A question" }).waitFor({ state: "detached" });
  assert.deepEqual(wrong, []);
});
