// A task whose supervisor does not do its work waits for a person; one that waits for the disk does not.

import assert from "node:assert/strict";
import { test } from "node:test";
import { LIVE } from "../../fixture/scenario.mjs";
import { open } from "../browser.mjs";
import { browser, fixture, idOf, url } from "../setup.mjs";

test("a supervisor that does not respond is in the inbox with its reason until its task is stopped", async () => {
  const { page, wrong } = await open(browser, `${url}/inbox`);
  await page.getByText("Nothing waits for you").waitFor();
  const frame = fixture.runs.get(LIVE).frames.get(idOf("list"));
  const stalled = (reason, needs_you) => [
    { task: frame.task, reason, needs_you, since_ms: Date.now() },
  ];
  const blocked = (reason, needs_you) => ({
    status: "blocked",
    reason,
    stalled: stalled(reason, needs_you),
  });
  fixture.change(LIVE, { run: blocked("its logs cannot be written: the disk is full", false) });
  fixture.change(LIVE, { run: blocked("its supervisor (process 7) does not answer", true) });
  const item = page.getByRole("article");
  await item.getByText("its supervisor (process 7) does not answer").waitFor();
  assert.equal(await item.count(), 1);
  assert.match(await item.getByRole("heading").textContent(), /supervisor.*List endpoint/);
  await item.getByRole("button", { name: "Stop the task" }).click();
  await page.locator(".toast").getByText("Stopping the task").waitFor();
  const { type, target } = fixture.commands[0].command;
  assert.deepEqual([type, target], ["stop", frame.task]);
  fixture.change(LIVE, { run: { status: "running", reason: null, stalled: [] } });
  await page.getByText("Nothing waits for you").waitFor();
  assert.deepEqual(wrong, []);
});
