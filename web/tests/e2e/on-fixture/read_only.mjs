// A run that this installation did not begin is shown, nothing of it can be changed, and what accepting it
// executes is shown before it is accepted.

import assert from "node:assert/strict";
import { test } from "node:test";
import { READ_ONLY, WHY, addReadOnlyRun } from "../../fixture/read_only.mjs";
import { open, until } from "../browser.mjs";
import { browser, fixture, url } from "../setup.mjs";

const runUrl = (frame = null) =>
  `${url}/runs/${READ_ONLY}${frame === null ? "" : `?frame=${frame}`}`;
const run = () => fixture.runs.get(READ_ONLY).run;

test("the list marks it, and it counts as nothing that goes on", async () => {
  addReadOnlyRun(fixture);
  const { page, wrong } = await open(browser, url);
  const row = page.getByRole("row").filter({ has: page.getByRole("link", { name: "Release" }) });
  await row.getByText("read-only", { exact: true }).waitFor();
  await row.getByText(WHY).waitFor();
  await page.getByText("2 going on").waitFor();
  await page.goto(`${url}/inbox`);
  await page.getByRole("heading", { name: "Inbox" }).waitFor();
  assert.equal(await page.getByText("Which tag?").count(), 0);
  assert.deepEqual(wrong, []);
});

test("what the daemon would refuse is disabled, with the reason", async () => {
  addReadOnlyRun(fixture);
  const { page, wrong } = await open(browser, runUrl("f-ro0002"));
  await page.locator(".run-why").getByText(WHY).waitFor();
  await page.locator("#tree-f-ro0003").waitFor();
  const head = page.locator(".run-title");
  for (const name of ["Stop", "Pause", "Retry"])
    assert.equal(await head.getByRole("button", { name }).count(), 0, name);
  await page.getByRole("group", { name: "A question" }).getByText("accept the run first").waitFor();
  assert.ok(await page.getByRole("button", { name: "latest" }).isDisabled());
  assert.equal(await page.getByRole("button", { name: "Edit the goal" }).count(), 0);
  await page.locator(".details").getByRole("button", { name: "Actions" }).click();
  const enabled = page.locator("[role=menuitem][aria-disabled=false]");
  await page.getByRole("menuitem", { name: "Compare it" }).waitFor();
  assert.deepEqual(await enabled.evaluateAll((items) => items.map((item) => item.dataset.action)), [
    "frame.compare",
  ]);
  await page.getByRole("menuitem", { name: "Retry it" }).getByText("accept the run").waitFor();
  await page.getByRole("menuitem", { name: "Stop its task" }).getByText("runs here").waitFor();
  await page.keyboard.press("Escape");
  await page.keyboard.press("f");
  await page.keyboard.press("r");
  await page.waitForFunction(() => document.querySelector(".run-title") !== null);
  assert.deepEqual(fixture.commands, []);
  assert.deepEqual(fixture.calls, []);
  assert.deepEqual(wrong, []);
});

test("its living tasks can be stopped, and what became of them is shown", async () => {
  addReadOnlyRun(fixture, { running: true });
  const { page, wrong } = await open(browser, runUrl());
  await page.locator(".run-title").getByRole("button", { name: "Stop" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Stop" }).click();
  await page.getByRole("dialog").waitFor({ state: "detached" });
  const [stop] = fixture.commands;
  assert.deepEqual([stop.command.type, stop.command.target], ["stop", run().id]);
  // The daemon sends no changes of a read-only run.
  const held = fixture.runs.get(READ_ONLY);
  held.run = { ...held.run, tasks_running: 0 };
  await page.getByText("0 running").waitFor();
  await page
    .locator(".run-title")
    .getByRole("button", { name: "Stop" })
    .waitFor({ state: "detached" });
  assert.deepEqual(wrong, []);
});

test("it is accepted by the digest that is shown, and goes on", async () => {
  addReadOnlyRun(fixture);
  const { page, wrong } = await open(browser, runUrl());
  await page.getByRole("button", { name: "Accept the run" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByText("npm publish --access public").waitFor();
  await dialog.getByText("NPM_CONFIG_PROVENANCE=true").waitFor();
  await dialog.getByText("executes this, as its frames become ready").waitFor();
  await dialog.getByRole("button", { name: "Accept" }).click();
  await dialog.waitFor({ state: "detached" });
  assert.deepEqual(fixture.accepted, [{ key: READ_ONLY, digest: "d1" }]);
  await page.locator(".run-title .status-running").waitFor();
  assert.equal(await page.locator(".mark").count(), 0);
  await page.locator("#tree-f-ro0003").waitFor();
  await page.locator(".run-title").getByRole("button", { name: "Pause" }).waitFor();
  assert.deepEqual(wrong, []);
});

test("records that have changed meanwhile are shown again", async () => {
  addReadOnlyRun(fixture);
  const { page } = await open(browser, runUrl());
  await page.getByRole("button", { name: "Accept the run" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByText("npm publish").waitFor();
  fixture.candidates.set(READ_ONLY, { digest: "d2", work: [] });
  await dialog.getByRole("button", { name: "Accept" }).click();
  await dialog.getByText("its records have changed since").waitFor();
  await dialog.getByText("accepting it executes nothing").waitFor();
  assert.deepEqual(fixture.accepted, []);
  await dialog.getByRole("button", { name: "Accept" }).click();
  await dialog.waitFor({ state: "detached" });
  assert.deepEqual(fixture.accepted, [{ key: READ_ONLY, digest: "d2" }]);
});

test("work that may have run since is said to be lost, and Escape accepts nothing", async () => {
  addReadOnlyRun(fixture);
  const candidate = fixture.candidates.get(READ_ONLY);
  fixture.candidates.set(READ_ONLY, { ...candidate, loses_open_work: true });
  const { page } = await open(browser, runUrl());
  await page.getByRole("button", { name: "Accept the run" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByText("marks it as lost and executes nothing").waitFor();
  await page.keyboard.press("Escape");
  await dialog.waitFor({ state: "detached" });
  assert.deepEqual(fixture.accepted, []);
  await until(
    () => page.evaluate(() => document.activeElement?.textContent ?? ""),
    (text) => text.includes("Accept the run"),
    "the focus is where it was",
  );
});
