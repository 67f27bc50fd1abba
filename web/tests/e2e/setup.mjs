// What each of these tests begins with: a browser, a stand-in daemon with the scenario in it, and ways
// to find things on the page. Importing this sets it up and takes it down; the values are live.

import { after, afterEach, before, beforeEach } from "node:test";
import { LIVE, scenario } from "../fixture/scenario.mjs";
import { launch } from "./browser.mjs";

export let browser;
export let fixture;
export let url;

before(async () => {
  browser = await launch();
});
after(() => browser.close());
beforeEach(async () => {
  fixture = scenario();
  url = await fixture.start(0);
});
afterEach(async () => {
  for (const context of browser.contexts()) await context.close();
  await fixture.stop();
});

export const RUN = () => `${url}/runs/${LIVE}`;
export const idOf = (key) =>
  [...fixture.runs.get(LIVE).frames.values()].find((frame) => frame.key === key).id;
export const frameUrl = (key) => `${RUN()}?frame=${idOf(key)}`;
export const treeRow = (page, key) => page.locator(`#tree-${idOf(key)}`);
export const live = (page) => page.locator(".connection-live").waitFor();
export const chosen = (page) =>
  page.evaluate(() => new URLSearchParams(location.search).get("frame"));
export const tab = (page, name) => page.getByRole("tab", { name, exact: true }).click();

/** How many pixels of the chart have about a colour. */
export const pixelsOf = (page, rgb) =>
  page.locator(".chart-box canvas").evaluate((canvas, [r, g, b]) => {
    const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    let count = 0;
    for (let at = 0; at < data.length; at += 4) {
      if (Math.abs(data[at] - r) + Math.abs(data[at + 1] - g) + Math.abs(data[at + 2] - b) < 12)
        count += 1;
    }
    return count;
  }, rgb);
export const RED = [0xef, 0x44, 0x44];
export const GREEN = [0x22, 0xc5, 0x5e];
