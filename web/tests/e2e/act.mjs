// Doing actions on the page as a person does: with the mouse, or with the keyboard alone.

import assert from "node:assert/strict";
import { until } from "./browser.mjs";

/** How many presses of Tab reach anything on a page. */
const TABS_MOST = 80;

/** Presses Tab until what has the focus matches. */
async function reach(page, selector) {
  for (let presses = 0; presses < TABS_MOST; presses++) {
    if (await page.evaluate((wanted) => document.activeElement?.matches(wanted) ?? false, selector))
      return;
    await page.keyboard.press("Tab");
  }
  throw new Error(`no way by Tab to ${selector}`);
}

const shownFrame = (page) => page.evaluate(() => new URLSearchParams(location.search).get("frame"));
const told = (page) => page.locator(".details-head .mono").first();

/** `Mod+Enter`, or `f p`: one press after the other. */
async function pressKeys(page, keys) {
  for (const part of keys.split(" ")) await page.keyboard.press(part.replace("Mod", "Control"));
}

export const MOUSE = {
  name: "with the mouse",
  async choose(page, frame) {
    await page.locator(`#tree-${frame}`).click();
    await until(
      () => told(page).textContent(),
      (text) => text === frame,
      "it is told of",
    );
  },
  async act(page, { title }) {
    await page.locator(".panel").getByRole("button", { name: "Actions" }).click();
    // Names begin so: "Always allow" is not "Allow".
    await page
      .getByRole("menuitem", {
        name: new RegExp(`^${title.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")}`),
      })
      .click();
  },
  async fill(page, fields) {
    for (const [label, value] of Object.entries(fields)) {
      const field = page.getByRole("dialog").getByLabel(label, { exact: false }).first();
      if (await field.evaluate((element) => element.localName === "select"))
        await field.selectOption(value);
      else {
        await field.click();
        await field.fill(value);
      }
    }
  },
  submit: (page) => page.getByRole("dialog").locator("[type=submit]").click(),
  press: (page, button) => page.getByRole("button", { name: button, exact: true }).first().click(),
};

export const KEYBOARD = {
  name: "with the keyboard alone",
  async choose(page, frame) {
    await reach(page, ".tree");
    await page.keyboard.press("Home");
    for (let rows = 0; (await shownFrame(page)) !== frame; rows++) {
      assert.ok(rows < 100, `no way by arrows to ${frame}`);
      await page.keyboard.press("ArrowDown");
    }
    await until(
      () => told(page).textContent(),
      (text) => text === frame,
      "it is told of",
    );
  },
  act: (page, { keys }) => pressKeys(page, keys),
  async fill(page, fields) {
    for (const [label, value] of Object.entries(fields)) {
      const field = page.getByRole("dialog").getByLabel(label, { exact: false }).first();
      await reach(page, `[id="${await field.getAttribute("id")}"]`);
      if (await field.evaluate((element) => element.localName === "select")) {
        while ((await field.inputValue()) !== value) await page.keyboard.press("ArrowDown");
      } else {
        await page.keyboard.press("Control+a");
        await page.keyboard.insertText(value);
      }
    }
  },
  submit: (page) => page.keyboard.press("Control+Enter"),
  async press(page, button) {
    await page.keyboard.press("Escape");
    const wanted = page.getByRole("button", { name: button, exact: true }).first();
    await wanted.evaluate((element) => element.setAttribute("data-wanted", ""));
    await reach(page, "[data-wanted]");
    await page.keyboard.press("Enter");
  },
};

/** Does an action with a hand: chooses its frame, begins it, fills in what is asked. */
export async function perform(hand, page, { frame, title, keys, fields, foreseen, asks = true }) {
  if (frame !== undefined) await hand.choose(page, frame);
  await hand.act(page, { title, keys });
  if (!asks) return;
  const dialog = page.getByRole("dialog");
  await dialog.waitFor();
  for (const text of foreseen ?? []) await dialog.getByText(text).first().waitFor();
  await hand.fill(page, fields ?? {});
  await hand.submit(page);
  await dialog.waitFor({ state: "detached" }).catch(async (error) => {
    throw new Error(`${title}: ${await dialog.textContent().catch(() => error)}`);
  });
}
