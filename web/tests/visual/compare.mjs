// `npm run e2e:visual` compares the page with its pictures; with `-- --update` they are made anew, those
// in docs/ too. What differs is written to tests/visual/different/ beside what was expected.

import assert from "node:assert/strict";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { basename } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import pixelmatch from "pixelmatch";
import { PNG } from "pngjs";
import { launch } from "../e2e/browser.mjs";
import { PICTURES, take } from "./pictures.mjs";

const UPDATE = process.argv.includes("--update");
const DIFFERENT = fileURLToPath(new URL("different/", import.meta.url));
/** How much a colour may differ, 0 to 1. */
const THRESHOLD = 0.06;
/** Letters may be drawn a little differently, which is a few pixels here and there; of a square of this
 *  side so many may differ. */
const SIDE = 16;
const MAY_DIFFER = 60;

let browser;
before(async () => {
  browser = await launch();
  rmSync(DIFFERENT, { recursive: true, force: true });
});
after(() => browser.close());

const pathOf = (name) =>
  fileURLToPath(
    name.startsWith("docs/")
      ? new URL(`../../../${name}`, import.meta.url)
      : new URL(`expected/${name}.png`, import.meta.url),
  );

/** How many pixels differ in the square where most do, and a picture of that. */
function compare(expected, actual) {
  const [before, now] = [PNG.sync.read(expected), PNG.sync.read(actual)];
  if (before.width !== now.width || before.height !== now.height)
    return { count: Infinity, diff: actual };
  const { width, height } = now;
  const diff = new PNG({ width, height });
  const count = pixelmatch(before.data, now.data, diff.data, width, height, {
    threshold: THRESHOLD,
    windowSize: SIDE,
  });
  return { count, diff: PNG.sync.write(diff) };
}

function keep(name, files) {
  mkdirSync(DIFFERENT, { recursive: true });
  for (const [kind, bytes] of Object.entries(files))
    writeFileSync(`${DIFFERENT}${basename(name, ".png")}.${kind}.png`, bytes);
}

for (const [name, picture] of Object.entries(PICTURES)) {
  test(name, async () => {
    const actual = await take(browser, picture);
    if (UPDATE) return writeFileSync(pathOf(name), actual);
    const expected = readFileSync(pathOf(name));
    const { count, diff } = compare(expected, actual);
    if (count <= MAY_DIFFER) return;
    keep(name, { expected, actual, diff });
    assert.fail(
      `${count} pixels of a square of ${SIDE} by ${SIDE} differ: see ${DIFFERENT}. If that is meant: npm run e2e:visual -- --update`,
    );
  });
}

test("a bar of another colour, and a text that is moved, are found", async () => {
  const picture = PICTURES["typical-dark"];
  const expected = readFileSync(pathOf("typical-dark"));
  const greener = await take(browser, { ...picture, theme: "dark" }, () => {
    document.documentElement.style.setProperty("--status-completed", "#16a34a");
    dispatchEvent(new Event("resize"));
    document.querySelector(".chart-box").style.width = "calc(100% - 0.01px)";
  });
  assert.ok(compare(expected, greener).count > MAY_DIFFER, "a darker green");
  const moved = await take(browser, picture, () => {
    document.querySelector(".run-title, h1").style.transform = "translateX(6px)";
  });
  assert.ok(compare(expected, moved).count > MAY_DIFFER, "a title 6 px further on");
});
