// The daemon goes and comes back under what a person is doing.

import assert from "node:assert/strict";
import { test } from "node:test";
import { LIVE } from "../../fixture/scenario.mjs";
import { open, until } from "../browser.mjs";
import { browser, fixture, frameUrl, idOf, live, tab } from "../setup.mjs";

test("a log that is followed goes on where it was, without a line lost or doubled", async () => {
  const { page, wrong } = await open(browser, frameUrl("list"));
  await live(page);
  await tab(page, "Log");
  const { task } = fixture.runs.get(LIVE).frames.get(idOf("list"));
  fixture.writeLog(task, "stdout", "before it went\n");
  await page.getByText("before it went").waitFor();
  await fixture.stop();
  await until(
    () => page.locator(".connection-live").count(),
    (count) => count === 0,
    "the page knows",
  );
  fixture.writeLog(task, "stdout", "while it was away\n");
  fixture.renew();
  await fixture.start();
  await page.getByText("while it was away").waitFor();
  fixture.writeLog(task, "stdout", "since it is back\n");
  await page.getByText("since it is back").waitFor();
  for (const line of ["before it went", "while it was away", "since it is back"])
    assert.equal(await page.getByText(line).count(), 1, line);
  await until(
    () => fixture.following,
    (count) => count === 1,
    "one connection for it",
  );
  assert.deepEqual(wrong, []);
});
