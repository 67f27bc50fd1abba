// Every place of the page in both themes, at both widths and with the system's colours: what a machine can
// check of whether everybody can use it.

import assert from "node:assert/strict";
import { test } from "node:test";
import AxeBuilder from "@axe-core/playwright";
import { open } from "../browser.mjs";
import { addReadOnlyRun } from "../../fixture/read_only.mjs";
import { LIVE } from "../../fixture/scenario.mjs";
import { PLACES, TOOLS, letSomeWait } from "../places.mjs";
import { browser, fixture, idOf, url } from "../setup.mjs";

const WIDTHS = [
  [1400, 860],
  [390, 844],
];

async function violations(page) {
  // The colours within a line of a log are those that the program chose.
  const found = await new AxeBuilder({ page })
    .exclude(".log-line *")
    .withTags(["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"])
    .analyze();
  return found.violations.map(
    ({ id, help, nodes }) =>
      `${id}: ${help}: ${nodes
        .slice(0, 3)
        .map((node) => `${node.target} ${node.failureSummary?.split("\n")[1] ?? ""}`)
        .join("; ")}`,
  );
}

for (const place of PLACES) {
  test(`${place.name}: axe finds nothing, the headings are in order, nothing is too wide`, async () => {
    fixture.tools = TOOLS;
    letSomeWait();
    const { page, wrong } = await open(browser, url + place.path(), { theme: "dark" });
    await place.ready(page).waitFor();
    for (const [theme, width, height] of [
      ["dark", 1400, 860],
      ["light", 1400, 860],
      ["light", 390, 844],
    ]) {
      await page.setViewportSize({ width, height });
      await page.emulateMedia({ colorScheme: theme });
      await page.locator(`:root[data-theme=${theme}]`).waitFor();
      assert.deepEqual(await violations(page), [], `${theme}, ${width} px`);
      const levels = await page.evaluate(() =>
        [...document.querySelectorAll("h1,h2,h3,h4")]
          .filter((heading) => heading.checkVisibility())
          .map((heading) => Number(heading.tagName[1])),
      );
      assert.equal(levels.filter((level) => level === 1).length, 1, `one main heading: ${levels}`);
      assert.ok(
        await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth),
        `nothing is wider than ${width} px`,
      );
    }
    assert.deepEqual(wrong, []);
  });
}

test("palette and help: axe finds nothing", async () => {
  for (const theme of ["dark", "light"]) {
    const { page, context } = await open(browser, `${url}/inbox`, { theme });
    await page.getByRole("heading", { name: "Inbox" }).waitFor();
    await page.keyboard.press("Control+k");
    await page.locator(".palette [role=option]").first().waitFor();
    assert.deepEqual(await violations(page), [], theme);
    await page.keyboard.press("Escape");
    await page.locator(".palette").waitFor({ state: "detached" });
    await page.keyboard.press("?");
    await page.getByRole("heading", { name: "Keys", exact: true }).waitFor();
    assert.deepEqual(await violations(page), [], theme);
    await context.close();
  }
});

test("the menu of actions, a form and a toast: axe finds nothing", async () => {
  for (const theme of ["dark", "light"]) {
    const { page, context } = await open(browser, `${url}/runs/${LIVE}?frame=${idOf("list")}`, {
      theme,
    });
    await page.locator(".details").getByRole("button", { name: "Actions" }).click();
    await page.getByRole("menuitem").first().waitFor();
    assert.deepEqual(await violations(page), [], `${theme}: the menu`);
    await page.getByRole("menuitem", { name: "Plan a frame within it" }).click();
    await page.getByRole("dialog").waitFor();
    assert.deepEqual(await violations(page), [], `${theme}: the form`);
    await page.keyboard.press("Escape");
    fixture.answer = () => ({
      error: { kind: "conflict", message: "it was paused already", help: "look again" },
    });
    await page.locator(".run-title").getByRole("button", { name: "Pause" }).click();
    await page.getByText("it was paused already").waitFor();
    assert.deepEqual(await violations(page), [], `${theme}: the toast`);
    await context.close();
  }
});

test("a read-only run and the dialogs that ask a person's trust: axe finds nothing", async () => {
  const [{ dir }] = [...fixture.projects.values()];
  const executes = 'tools:\n  check:\n    cmd:\n    - "./scripts/check"\n';
  const programs = ["./scripts/check"];
  const diff = "--- fornax.yaml\n+++ fornax.yaml\n@@ -1 +1 @@\n-one: 1\n+two: 2\n";
  fixture.reviews.set(dir, { standing: "undecided", digest: "d1", executes, programs, diff });
  addReadOnlyRun(fixture);
  for (const [theme, width, height] of [
    ["dark", 1400, 860],
    ["light", 390, 844],
  ]) {
    const { page, context } = await open(browser, url, { theme, width, height });
    const dialog = page.getByRole("dialog");
    await page.getByText("read-only", { exact: true }).waitFor();
    await page.getByRole("button", { name: "Review" }).click();
    await dialog.getByText('- "./scripts/check"').waitFor();
    assert.deepEqual(await violations(page), [], `${theme}: the configuration`);
    await page.keyboard.press("Escape");
    await page.getByRole("link", { name: "Release" }).click();
    await page.getByRole("button", { name: "Accept the run" }).waitFor();
    assert.deepEqual(await violations(page), [], `${theme}: the run`);
    await page.getByRole("button", { name: "Accept the run" }).click();
    await dialog.getByText("npm publish").waitFor();
    assert.deepEqual(await violations(page), [], `${theme}: the run's work`);
    assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth));
    await context.close();
  }
});

test("what can be pressed is large enough to be hit", async () => {
  for (const [width, height] of WIDTHS) {
    const { page, context } = await open(browser, `${url}/inbox`, { width, height });
    letSomeWait();
    await page.getByRole("article").first().waitFor();
    const small = await page.evaluate(() =>
      [...document.querySelectorAll("button, select, a[href], input")].flatMap((target) => {
        const { width: across, height: down } = target.getBoundingClientRect();
        const isHidden = across === 0 || target.matches(".skip");
        return isHidden || (across >= 24 && down >= 24)
          ? []
          : [`${target.outerHTML.slice(0, 80)}: ${across} x ${down}`];
      }),
    );
    assert.deepEqual(small, []);
    await context.close();
  }
});

test("with the system's colours the chosen one is told by a border, and nothing moves for those who want that", async () => {
  const context = await browser.newContext({ forcedColors: "active", reducedMotion: "reduce" });
  const page = await context.newPage();
  letSomeWait();
  await page.goto(`${url}/inbox`);
  const chosen = page.locator(".inbox-item.chosen");
  await chosen.waitFor();
  assert.equal(await chosen.evaluate((element) => getComputedStyle(element).outlineStyle), "solid");
  assert.equal(
    await page
      .locator(".places a[aria-current]")
      .evaluate((element) => getComputedStyle(element).outlineStyle),
    "solid",
  );
  await fixture.stop();
  const sign = page.locator(".connection-reconnecting i");
  await sign.waitFor();
  assert.equal(await sign.evaluate((element) => getComputedStyle(element).animationName), "none");
  await fixture.start();
});
