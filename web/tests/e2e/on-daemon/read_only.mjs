// A run of a real daemon whose journal was changed while no daemon ran: its living task is stopped from the
// page, and the run is accepted there.

import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { launch, open, until } from "../browser.mjs";
import { Daemon } from "../daemon.mjs";

const daemon = new Daemon();
let browser;

const PLAN = `
name: release
frames:
  - {id: hold, goal: Hold, run: "until [ -e go ]; do sleep 0.05; done"}
  - {id: publish, goal: Publish, depends_on: [hold], run: "echo published >> ledger"}
`;

before(async () => {
  await daemon.start({ "plan.yaml": PLAN });
  browser = await launch();
});
after(async () => {
  await browser?.close();
  await daemon.stop();
});

const runs = async () => JSON.parse(await daemon.fornax("runs", "--json"));

test("a changed run is read-only; its task is stopped and it is accepted from the page", async () => {
  const { id, project } = await daemon.run("plan.yaml");
  const isRunning = ([view]) => view.tasks_running === 1;
  await until(runs, isRunning, "its task runs", 20_000);
  await daemon.fornax("down");
  const journal = join(daemon.project, ".fornax/runs", id, "events.jsonl");
  const text = readFileSync(journal, "utf8");
  writeFileSync(journal, text.replace('"name":"release"', '"name":"Release"'));
  await daemon.fornax("up", "--detach");
  await until(runs, isRunning, "its task goes on", 20_000);

  const { page, wrong } = await open(browser, await daemon.link());
  await page.getByText("read-only", { exact: true }).waitFor();
  await page.getByRole("link", { name: "Release" }).click();
  await page.locator(".tree [role=row]").getByText("publish").first().waitFor();
  const head = page.locator(".run-title");
  await head.getByRole("button", { name: "Stop" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Stop" }).click();
  await page.getByRole("dialog").waitFor({ state: "detached" });
  await page.getByText("0 running").waitFor({ timeout: 20_000 });

  await page.getByRole("button", { name: "Accept the run" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByText("echo published >> ledger").waitFor();
  await dialog.getByRole("button", { name: "Accept" }).click();
  await dialog.waitFor({ state: "detached" });
  await page.locator(".mark").waitFor({ state: "detached" });
  const [view] = await until(runs, ([found]) => found.foreign === null, "it is accepted", 20_000);
  assert.equal(view.project, project);
  await page.locator(`.run-title .status-${view.status}`).waitFor({ timeout: 20_000 });
  assert.deepEqual(wrong, []);
});
