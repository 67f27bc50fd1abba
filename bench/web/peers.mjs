// What the other charts cost: to be there at first, and to show one change.

import { newPage } from "./browser.mjs";

export const PEERS = ["d3-flame-graph", "flame-chart-js"];

export async function peer(browser, server, name) {
  const opened = await newPage(browser);
  const { page, quiet, costOf, close } = opened;
  await page.goto(`${server.url}/?peer=${name}`);
  await page.waitForSelector("[data-drawn]", { timeout: 120_000, state: "attached" });
  const first = await quiet();
  // In a task of its own: what the debugger runs is not counted.
  const update = await costOf(() => page.evaluate(() => void setTimeout(window.change)));
  await close();
  return { first, update };
}
