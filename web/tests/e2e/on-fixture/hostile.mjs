// Hostile text in every field of every view: nothing of it is run or becomes an element, nothing is loaded
// from elsewhere, nothing breaks the layout, on a wide screen and on a phone.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { CORPUS, PROJECT, RUN, hostile } from "../../fixture/hostile.mjs";
import { launch, open, until } from "../browser.mjs";
import { inspect, noteViolations } from "../inspect.mjs";

const NAMES = Object.keys(CORPUS);
const RUN_PATH = `/runs/${PROJECT}/${RUN}`;

let browser;
let fixture;
let url;
before(async () => {
  browser = await launch();
  fixture = hostile();
  url = await fixture.start(0);
});
after(async () => {
  await browser.close();
  await fixture.stop();
});

/** Goes through the page and collects what is wrong, with the place where it is. */
class Walk {
  wrong = [];
  #seen = new Set();
  #asked = new Set();

  constructor(page) {
    this.page = page;
    page.on("requestfinished", (request) => this.#asked.delete(request));
    page.on("requestfailed", (request) => this.#asked.delete(request));
    page.on("request", (request) => {
      // A log that is followed is never answered to its end.
      if (!/follow=true|\/api\/events/.test(request.url())) this.#asked.add(request);
      if (!request.url().startsWith(url) && !/^(blob|data):/.test(request.url()))
        this.wrong.push(`asked for ${request.url()}`);
    });
  }

  async look(where) {
    // Until what was asked for is here and drawn.
    const drawn = () =>
      this.page.evaluate(
        () => new Promise((then) => requestAnimationFrame(() => setTimeout(then))),
      );
    await drawn();
    await until(
      () => [...this.#asked].map((request) => request.url()),
      (open) => open.length === 0,
      `${where}: everything that was asked for`,
      60_000,
    );
    await drawn();
    for (const problem of await this.page.evaluate(inspect)) {
      if (this.#seen.has(problem)) continue;
      this.#seen.add(problem);
      this.wrong.push(`${where}: ${problem}`);
    }
  }

  /** To another place of the page, without loading it anew. */
  async goTo(path) {
    await this.page.evaluate((to) => {
      history.pushState(null, "", to);
      dispatchEvent(new PopStateEvent("popstate"));
    }, path);
  }

  /** To another place, loading the page anew: what the old one asked for is never answered. */
  async load(path) {
    await this.page.goto(`${url}${path}`);
    this.#asked.clear();
    await this.page.locator("canvas").first().waitFor();
  }

  /** Presses each button of a part of the page once, writes into what opens, and closes it again. */
  async pressAll(where, within) {
    const buttons = this.page.locator(within).locator("button:visible:enabled, summary:visible");
    const count = await buttons.count();
    for (let i = 0; i < count; i++) {
      const button = buttons.nth(i);
      if ((await buttons.count()) <= i || !(await button.isVisible())) continue;
      const name = (await button.textContent()).slice(0, 20);
      await button.click({ timeout: 2_000, force: true }).catch(() => {});
      await this.#writeInto();
      await this.look(`${where}, button ${name}`);
      await this.page.keyboard.press("Escape");
      if (new URL(this.page.url()).pathname !== RUN_PATH) await this.goTo(this.at);
    }
  }

  async #writeInto() {
    for (const field of await this.page
      .locator("dialog[open] :is(input:not([type]), input[type=text], textarea):visible")
      .all()) {
      await field.fill(CORPUS["right to left override"] + CORPUS.script);
    }
  }
}

const frameUrl = (nth) => `${RUN_PATH}?frame=f-${String(nth + 1).padStart(6, "0")}`;

async function walk(width, height, go) {
  const { page, wrong } = await open(browser, `${url}/`, { width, height, before: noteViolations });
  await page.locator(".connection-live").waitFor();
  const walking = new Walk(page);
  await go(walking, page);
  assert.deepEqual([...wrong, ...walking.wrong], []);
  await page.context().close();
}

async function places(walking, page) {
  const links = await page
    .locator("nav a[href^='/']")
    .evaluateAll((all) => all.map((link) => link.getAttribute("href")));
  assert.ok(links.length > 0, "places are found in the navigation");
  for (const path of new Set(["/", ...links, `/?project=${PROJECT}`])) {
    await walking.goTo(path);
    await walking.look(path);
  }
  const task = fixture.runs.get(`${PROJECT}/${RUN}`).frames.get("f-000002").task;
  for (const path of [
    `/compare?runs=${PROJECT}/${RUN},00000002/${RUN},00000017/${RUN}`,
    `/compare?frames=${PROJECT}/f-000003,${PROJECT}/f-000021`,
    `/logs/${PROJECT}/${task}`,
  ]) {
    await walking.goTo(path);
    await walking.look(path);
  }
  for (const text of [
    CORPUS.script,
    CORPUS["right to left override"],
    CORPUS["without blanks"].slice(0, 500),
  ]) {
    await walking.goTo(`/${encodeURIComponent(text)}`);
    await walking.look("a place that is none");
    await walking.goTo(`/runs/${PROJECT}/${encodeURIComponent(text)}`);
    await walking.look("a run that is none");
  }
}

async function views(walking, page) {
  await walking.goTo(RUN_PATH);
  const buttons = page.locator(".views button");
  await buttons.first().waitFor();
  for (let i = 0; i < (await buttons.count()); i++) {
    await buttons.nth(i).click();
    await walking.look(`view ${i}`);
    for (const box of await page.locator("[role=tree], [role=treegrid], .wide-table").all()) {
      await box.evaluate((element) => element.scrollBy(0, 400)).catch(() => {});
      await walking.look(`view ${i}, further down`);
    }
  }
  await buttons.first().click();
}

/** Every tab of every frame; with `few`, of each frame one tab, another each time. */
async function frames(walking, page, few) {
  for (const [nth, name] of NAMES.entries()) {
    await walking.goTo(frameUrl(nth));
    const tabs = page.locator("[role=tab]:visible");
    await tabs.first().waitFor();
    const count = await tabs.count();
    for (let i = few ? nth % count : 0; i < count; i += few ? count : 1) {
      await tabs.nth(i).click();
      await walking.look(`${name}, tab ${await tabs.nth(i).textContent()}`);
    }
  }
}

async function overlays(walking, page) {
  await walking.goTo(RUN_PATH);
  await page.keyboard.press("Control+k");
  await page.locator("dialog[open], [role=dialog]").first().waitFor();
  for (const query of ["", "o", CORPUS.image]) {
    await page.keyboard.type(query);
    await walking.look("the palette");
  }
  await page.keyboard.press("Escape");
  await page.keyboard.press("?");
  await walking.look("the help");
  await page.keyboard.press("Escape");
  const box = await page.locator("canvas").first().boundingBox();
  for (let i = 0; i < 40; i++) {
    await page.mouse.move(
      box.x + ((i * 37) % box.width),
      box.y + 30 + ((i * 23) % (box.height - 30)),
    );
    if (i % 4 === 0) await walking.look("over the chart");
  }
}

/** A run as another would send it: exported here, and opened again from its file. */
async function exported(walking, page) {
  await walking.goTo(RUN_PATH);
  await page.locator("summary", { hasText: "Export" }).click();
  const saved = page.waitForEvent("download");
  await page.getByRole("button", { name: /^JSON/ }).click();
  const file = await (await saved).path();
  await walking.goTo("/import");
  await page.locator("input[type=file]").setInputFiles(file);
  await page.locator("canvas").first().waitFor();
  await walking.look("an imported run");
  await page
    .locator("input[type=file]")
    .first()
    .setInputFiles({
      name: "harm.json",
      mimeType: "application/json",
      buffer: Buffer.from(
        JSON.stringify({ [CORPUS.script]: CORPUS.image, format: CORPUS["right to left override"] }),
      ),
    })
    .catch(() => {});
  await walking.look("a file that is no run");
}

/** Framed by another page it is loaded anew. */
async function framed(walking) {
  await walking.load(`/embed/run/${PROJECT}/${RUN}`);
  await walking.look("embedded");
}

test("the corpus is in every text field of the API, and in the inbox, the list and the run", async () => {
  const snapshot = JSON.stringify(fixture.snapshot());
  for (const [name, text] of Object.entries(CORPUS)) {
    assert.ok(
      snapshot.split(JSON.stringify(text).slice(1, -1)).length > 8 || text.length < 8,
      name,
    );
  }
});

test("on a wide screen hostile text is text, in every place, view and tab", async () => {
  await walk(1400, 860, async (walking, page) => {
    await places(walking, page);
    await views(walking, page);
    await frames(walking, page, false);
  });
});

test("on a phone it is, too", async () => {
  await walk(390, 844, async (walking, page) => {
    await places(walking, page);
    await views(walking, page);
    await frames(walking, page, true);
  });
});

test("it is in palette, help, tips, dialogs, and in what the daemon refuses", async () => {
  await walk(1400, 860, async (walking, page) => {
    await overlays(walking, page);
    let nth = 0;
    fixture.answer = () => ({
      error: {
        kind: "conflict",
        message: Object.values(CORPUS)[nth++ % NAMES.length],
        help: Object.values(CORPUS)[nth++ % NAMES.length],
      },
    });
    for (const name of ["image", "right to left override", "without blanks", "many lines"]) {
      walking.at = frameUrl(NAMES.indexOf(name));
      await walking.goTo(walking.at);
      await page.locator("[role=tab]:visible").first().click();
      await walking.pressAll(name, "main");
    }
    await exported(walking, page);
    await framed(walking);
  });
});

test("what a check of this finds, it finds", async () => {
  const { page } = await open(browser, `${url}/`, { before: noteViolations });
  await page.locator(".connection-live").waitFor();
  await page.evaluate(() => {
    const made = document.createElement("div");
    made.innerHTML = `<img class="harm" src="x"><p>${"W".repeat(50)}</p><p>before <i>\u202Eturned</i> after <a href="javascript:1">x</a></p>`;
    Object.assign(made.querySelector("p").style, {
      width: "50px",
      whiteSpace: "nowrap",
      overflowWrap: "normal",
    });
    made.querySelector("i").style.unicodeBidi = "normal";
    document.querySelector("main").append(made);
  });
  const found = (
    await until(
      () => page.evaluate(inspect),
      (all) => all.length >= 4,
      "what was put there",
    )
  ).join("\n");
  for (const what of [/made of text/, /spills out/, /turns the direction/, /leads to javascript/])
    assert.match(found, what);
});
