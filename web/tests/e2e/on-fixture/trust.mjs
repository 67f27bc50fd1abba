// What a project's fornax.yaml executes is shown before it is trusted, and what is accepted is what was shown.

import assert from "node:assert/strict";
import { test } from "node:test";
import { open } from "../browser.mjs";
import { browser, fixture, url } from "../setup.mjs";

const REVIEW = {
  standing: "undecided",
  digest: "d1",
  executes: 'tools:\n  check:\n    cmd:\n    - "./scripts/check"\n',
  programs: ["./scripts/check"],
  filters: [
    {
      name: "x",
      kind: "clean",
      command: "./clean",
      digest: "f1",
      is_trusted: false,
      trusted_before: null,
    },
    {
      name: "x",
      kind: "smudge",
      command: "cat",
      digest: "f2",
      is_trusted: true,
      trusted_before: null,
    },
  ],
};

function dirOf() {
  return [...fixture.projects.values()][0].dir;
}

test("a configuration is reviewed and trusted, by the digest that is shown", async () => {
  const dir = dirOf();
  fixture.decisions.length = 0;
  fixture.reviews.set(dir, REVIEW);
  const { page, wrong } = await open(browser, url);
  await page.getByText("Nobody has accepted what this project's fornax.yaml executes").waitFor();
  await page.getByRole("button", { name: "Review" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByText('- "./scripts/check"').waitFor();
  await dialog.getByText("is a file of the project").waitFor();
  await dialog.getByText("filter.x.clean = ./clean").waitFor();
  assert.equal(await dialog.getByText("filter.x.smudge").count(), 0, "trusted before");
  await dialog.getByRole("button", { name: "Trust", exact: true }).click();
  await dialog.waitFor({ state: "detached" });
  await page.locator(".notice").waitFor({ state: "detached" });
  assert.deepEqual(fixture.decisions, [
    { decision: "accept", dir, digest: "d1", filters: ["f1"], always: false },
  ]);
  assert.deepEqual(wrong, []);
  fixture.reviews.clear();
});

test("a file that has changed meanwhile is shown again", async () => {
  const dir = dirOf();
  fixture.decisions.length = 0;
  fixture.reviews.set(dir, REVIEW);
  const { page } = await open(browser, url);
  await page.getByRole("button", { name: "Review" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByText('- "./scripts/check"').waitFor();
  fixture.reviews.set(dir, { ...REVIEW, digest: "d2", executes: "tools:\n  other:\n" });
  await dialog.getByRole("button", { name: "Always trust" }).click();
  await dialog.getByText("has changed since it was shown").waitFor();
  await dialog.getByText("other:").waitFor();
  assert.deepEqual(fixture.decisions, []);
  await dialog.getByRole("button", { name: "Always trust" }).click();
  await dialog.waitFor({ state: "detached" });
  assert.deepEqual(fixture.decisions, [
    { decision: "accept", dir, digest: "d2", filters: ["f1"], always: true },
  ]);
  fixture.reviews.clear();
});

test("what is put off is not shown again, and nothing is decided", async () => {
  const dir = dirOf();
  fixture.decisions.length = 0;
  fixture.reviews.set(dir, REVIEW);
  const { page } = await open(browser, url);
  await page.getByRole("button", { name: "Not now" }).click();
  await page.locator(".notice").waitFor({ state: "detached" });
  assert.deepEqual(fixture.decisions, []);
  fixture.reviews.clear();
});
