// The built page in a real browser, against a stand-in daemon that can do what a real one rarely does.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { gzipSync } from "node:zlib";
import { APP, LIVE, SITE } from "../../fixture/scenario.mjs";
import { open, until, watch } from "../browser.mjs";
import {
  RED,
  RUN,
  browser,
  chosen,
  fixture,
  frameUrl,
  idOf,
  live,
  pixelsOf,
  tab,
  treeRow,
  url,
} from "../setup.mjs";

test("nothing in the page is inline", () => {
  const html = readFileSync(new URL("../../../dist/index.html", import.meta.url), "utf8");
  assert.doesNotMatch(html, /style=|<style|<script(?![^>]* src=)|\son\w+=/);
});

test("what is loaded first is under 60 kB, of a run with its chart and its panel under 80", async () => {
  for (const [path, most] of [
    ["/", 60_000],
    [`/runs/${LIVE}`, 80_000],
  ]) {
    const context = await browser.newContext();
    const scripts = new Set();
    // Of the context: what workers load is counted too.
    context.on("response", (response) => {
      if (new URL(response.url()).pathname.endsWith(".js"))
        scripts.add(new URL(response.url()).pathname);
    });
    const page = await context.newPage();
    await page.goto(url + path);
    await live(page);
    await page.locator("main h1").waitFor();
    if (path !== "/") await page.locator(".panel-body .details").waitFor();
    const size = [...scripts].reduce(
      (sum, name) =>
        sum + gzipSync(readFileSync(new URL(`../../../dist${name}`, import.meta.url))).length,
      0,
    );
    assert.ok(scripts.size >= 2, `${[...scripts]}`);
    assert.ok(size < most, `${path}: ${size} bytes in ${scripts.size} files`);
  }
});

test("runs are listed newest first, by project, and older ones are loaded", async () => {
  const { page, wrong } = await open(browser, url);
  await page.getByRole("link", { name: "Build app" }).waitFor();
  const names = () => page.locator("tbody .run-name a").allTextContents();
  assert.deepEqual((await names()).slice(0, 3), ["Site refresh", "Build app", "Nightly checks"]);
  const before = (await names()).length;
  await page.getByRole("button", { name: "Load more" }).click();
  await until(
    async () => (await names()).length,
    (count) => count === before + 50,
    "one page more",
  );
  await page.getByRole("button", { name: "Load more" }).click();
  await until(
    async () => (await names()).length,
    (count) => count === fixture.runs.size,
    "all of them",
  );
  await until(
    () => page.getByRole("button", { name: "Load more" }).count(),
    (count) => count === 0,
    "nothing more to load",
  );
  await page.getByLabel("Project").selectOption({ label: "site" });
  await until(
    names,
    (found) => found.length === 1 && found[0] === "Site refresh",
    "one project's runs",
  );
  assert.deepEqual(wrong, []);
});

test("two projects may have a run of the same id, and each shows its own frames", async () => {
  const { page } = await open(browser, `${url}/runs/${SITE}/RUN-20261121-003`);
  await until(
    () => page.getByRole("row").count(),
    (count) => count === 1 + 3,
    "the site's frames",
  );
  await page.goto(RUN());
  await page.getByRole("row", { name: "Research" }).waitFor();
});

test("changes are shown as they come", async () => {
  const { page, wrong } = await open(browser, RUN());
  await treeRow(page, "deploy").waitFor();
  await live(page);
  assert.match(await treeRow(page, "deploy").getAttribute("aria-label"), /in progress/);
  fixture.change(LIVE, {
    frames: [{ id: idOf("deploy"), status: "failed", reason: "no", ended_ms: Date.now() }],
  });
  await until(
    () => treeRow(page, "deploy").getAttribute("aria-label"),
    (label) => /failed/.test(label),
    "the new status",
  );
  await until(
    () => page.locator(".details").textContent(),
    (text) => /Failed 4/.test(text),
    "it among those that failed",
  );
  fixture.change(LIVE, {
    run: { status: "failed", ended_ms: Date.now(), reason: "4 frames failed" },
  });
  await page.getByRole("button", { name: "Retry" }).waitFor();
  assert.equal(await page.getByRole("button", { name: "Stop", exact: true }).count(), 0);
  assert.deepEqual(wrong, []);
});

test("a run that starts appears by itself, and can be opened", async () => {
  const { page } = await open(browser, url);
  await live(page);
  const { frames } = fixture.runs.get(LIVE);
  const root = {
    ...[...frames.values()][0],
    id: "f-new000",
    run: "RUN-20261121-004",
    title: "Fresh",
  };
  fixture.addRun(
    {
      ...fixture.runs.get(LIVE).run,
      id: "RUN-20261121-004",
      name: "Fresh run",
      root: root.id,
      started_ms: Date.now(),
      seq: 1,
    },
    [root],
  );
  fixture.tellRun(`${APP}/RUN-20261121-004`);
  await page.getByRole("link", { name: "Fresh run" }).click();
  await page.getByRole("row", { name: "Fresh" }).waitFor();
  assert.equal(
    fixture.requests.get("/api/runs/RUN-20261121-004"),
    undefined,
    "all of it came as changes",
  );
});

test("all tabs share one connection, and the eighth does not hang", async () => {
  const { page, context, wrong } = await open(browser, RUN());
  await live(page);
  const pages = [page];
  for (let i = 0; i < 7; i++) {
    const next = await context.newPage();
    watch(next, wrong);
    await next.goto(RUN());
    await live(next);
    pages.push(next);
  }
  assert.equal(fixture.streams, 1);
  fixture.change(LIVE, {
    frames: [{ id: idOf("deploy"), status: "completed", ended_ms: Date.now() }],
  });
  for (const each of pages) {
    await each.bringToFront();
    await until(
      () => treeRow(each, "deploy").getAttribute("aria-label"),
      (label) => /completed/.test(label),
      "the change in each tab",
    );
  }
  for (const each of pages) await each.close();
  await until(
    () => fixture.streams,
    (count) => count === 0,
    "no tab, no connection",
  );
  assert.deepEqual(wrong, []);
});

test("without shared workers one tab holds the connection for all, and when it is closed another does", async () => {
  const {
    page: first,
    context,
    wrong,
  } = await open(browser, RUN(), { before: () => delete window.SharedWorker });
  await live(first);
  const others = [];
  for (let i = 0; i < 6; i++) {
    const page = await context.newPage();
    watch(page, wrong);
    await page.goto(RUN());
    await live(page);
    others.push(page);
  }
  assert.equal(fixture.streams, 1, "one connection for all of them");
  const change = async (key, pages) => {
    fixture.change(LIVE, {
      frames: [{ id: idOf(key), status: "completed", ended_ms: Date.now() }],
    });
    for (const page of pages) {
      await page.bringToFront();
      await until(
        () => treeRow(page, key).getAttribute("aria-label"),
        (label) => /completed/.test(label),
        `${key} in each tab`,
      );
    }
  };
  await change("deploy", [first, ...others]);
  await first.close();
  await change("smoke", others);
  await until(
    () => fixture.streams,
    (count) => count === 1,
    "another one holds the connection",
  );
  for (const page of others) await live(page);
  for (const page of others) await page.close();
  await until(
    () => fixture.streams,
    (count) => count === 0,
    "no tab, no connection",
  );
  assert.deepEqual(wrong, []);
});

test("a tab that holds the connection and does not answer is relieved of it, and goes on with the others", async () => {
  const {
    page: first,
    context,
    wrong,
  } = await open(browser, RUN(), { before: () => delete window.SharedWorker });
  await live(first);
  const second = await context.newPage();
  watch(second, wrong);
  await second.goto(RUN());
  await live(second);
  // As one that the browser has put to sleep.
  const asleep = first.evaluate(() => {
    for (const end = Date.now() + 5_000; Date.now() < end;);
  });
  fixture.change(LIVE, {
    frames: [{ id: idOf("deploy"), status: "completed", ended_ms: Date.now() }],
  });
  await second.evaluate(() => dispatchEvent(new Event("focus")));
  await until(
    () => treeRow(second, "deploy").getAttribute("aria-label"),
    (label) => /completed/.test(label),
    "the change",
    4_500,
  );
  await asleep;
  fixture.change(LIVE, {
    frames: [{ id: idOf("smoke"), status: "completed", ended_ms: Date.now() }],
  });
  for (const page of [first, second]) {
    await page.bringToFront();
    for (const key of ["deploy", "smoke"])
      await until(
        () => treeRow(page, key).getAttribute("aria-label"),
        (label) => /completed/.test(label),
        key,
      );
    await live(page);
  }
  await until(
    () => fixture.streams,
    (count) => count === 1,
    "one connection again",
  );
  assert.deepEqual(wrong, []);
});

test("with neither shared workers nor locks a tab connects by itself", async () => {
  const before = () => {
    delete window.SharedWorker;
    Object.defineProperty(navigator, "locks", { value: undefined });
  };
  const { page, wrong } = await open(browser, RUN(), { before });
  await live(page);
  fixture.change(LIVE, {
    frames: [{ id: idOf("deploy"), status: "completed", ended_ms: Date.now() }],
  });
  await until(
    () => treeRow(page, "deploy").getAttribute("aria-label"),
    (label) => /completed/.test(label),
    "the change",
  );
  assert.deepEqual(wrong, []);
});

test("a lost change is noticed, and what was lost is shown", async () => {
  const { page } = await open(browser, RUN());
  await live(page);
  const opened = fixture.opened;
  fixture.change(
    LIVE,
    { frames: [{ id: idOf("deploy"), status: "completed", ended_ms: Date.now() }] },
    { lost: true },
  );
  fixture.change(LIVE, {
    frames: [{ id: idOf("smoke"), status: "completed", ended_ms: Date.now() }],
  });
  for (const key of ["deploy", "smoke"]) {
    await until(
      () => treeRow(page, key).getAttribute("aria-label"),
      (label) => /completed/.test(label),
      key,
    );
  }
  assert.equal(fixture.opened, opened + 1, "the stream was opened again");
});

test("a reset and another life of the daemon lead to a new snapshot", async () => {
  const { page } = await open(browser, RUN());
  await live(page);
  const finish = (key) =>
    Object.assign(fixture.runs.get(LIVE).frames.get(idOf(key)), {
      status: "completed",
      ended_ms: Date.now(),
    });
  finish("deploy");
  fixture.reset();
  await until(
    () => treeRow(page, "deploy").getAttribute("aria-label"),
    (label) => /completed/.test(label),
    "after a reset",
  );
  finish("smoke");
  fixture.renew();
  await until(
    () => treeRow(page, "smoke").getAttribute("aria-label"),
    (label) => /completed/.test(label),
    "after a restart",
  );
  await live(page);
});

test("a daemon that is gone is said to be, and found within a second of its return", async () => {
  const { page } = await open(browser, RUN());
  await live(page);
  await treeRow(page, "deploy").waitFor();
  await fixture.stop();
  await page.locator(".connection-reconnecting").waitFor();
  await page.getByText("The daemon does not answer").waitFor();
  assert.ok(await treeRow(page, "deploy").isVisible(), "what was known stays in sight");
  fixture.renew();
  await fixture.start();
  const back = Date.now();
  await live(page);
  assert.ok(Date.now() - back < 1_000, `${Date.now() - back} ms`);
  assert.equal(await page.getByText("The daemon does not answer").count(), 0);
});

test("who is signed out is told what to do, calmly", async () => {
  fixture.signedOut = true;
  const { page, wrong } = await open(browser, url);
  await page.getByText("fornax open").waitFor();
  await page.locator(".connection-signed_out").waitFor();
  const asked = fixture.requests.get("/api/snapshot");
  fixture.signedOut = false;
  await page.evaluate(() => dispatchEvent(new Event("focus")));
  await page.getByRole("link", { name: "Build app" }).waitFor();
  assert.ok(asked <= 3, `${asked} requests`);
  assert.deepEqual(wrong, []);
});

test("a run that has ended is loaded, also one too old for the list", async () => {
  const [key] = [...fixture.hidden];
  const { page } = await open(browser, `${url}/runs/${key}`);
  await page.getByRole("row", { name: "Unit tests" }).waitFor();
  await page.goto(`${url}/runs/${APP}/RUN-20200101-001`);
  await page.getByText("There is no such run").waitFor();
  await page.goto(`${url}/nowhere`);
  await page.getByText("There is no such page").waitFor();
});

test("stopping asks first, shows nothing before the daemon says so, and tells why it was refused", async () => {
  const { page, wrong } = await open(browser, RUN());
  await page.getByRole("button", { name: "Stop", exact: true }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Cancel" }).click();
  await page.getByRole("button", { name: "Stop", exact: true }).click();
  await page.keyboard.press("Escape");
  assert.equal(fixture.commands.length, 0);
  fixture.answer = () => ({
    error: { kind: "conflict", message: "the run has <b>ended</b>", help: "retry it" },
  });
  await page.getByRole("button", { name: "Stop", exact: true }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Stop", exact: true }).click();
  await page.getByText("the run has <b>ended</b>").waitFor();
  await page.getByText("retry it", { exact: true }).waitFor();
  const [{ cmd_id, project, command }] = fixture.commands;
  assert.match(cmd_id, /^[0-9a-f-]{36}$/);
  assert.deepEqual(
    [project, command],
    [APP, { type: "stop", target: "RUN-20261121-003", reason: "stopped from the page" }],
  );
  assert.ok(await page.locator(".run-title .status-running").isVisible(), "not optimistic");
  fixture.change(LIVE, { run: { status: "stopping" } });
  await page.locator(".run-title .status-stopping").waitFor();
  assert.deepEqual(wrong, []);
});

test("a run that is paused says so, and is let go on where it was paused", async () => {
  const { page, wrong } = await open(browser, frameUrl("list"));
  const title = page.locator(".run-title");
  await title.getByRole("button", { name: "Pause" }).click();
  await until(
    () => fixture.commands.length,
    (count) => count === 1,
    "the order",
  );
  assert.deepEqual(fixture.commands[0].command, { type: "pause", target: "RUN-20261121-003" });
  fixture.change(LIVE, {
    run: {
      paused: true,
      usage: {
        input: 9_000,
        output: 800,
        cache_read: 0,
        cache_write: 0,
        reasoning: 0,
        cost_usd: 1.2,
        estimated: false,
      },
    },
    frames: [{ id: idOf("list"), paused: true }],
  });
  await title.locator(".status-paused").waitFor();
  // The frame is paused with its run: it cannot go on alone.
  assert.equal(await page.locator(".details").getByRole("button", { name: "Go on" }).count(), 0);
  await title.getByRole("button", { name: "Go on" }).click();
  await until(
    () => fixture.commands.length,
    (count) => count === 2,
    "the other order",
  );
  assert.deepEqual(fixture.commands[1].command, { type: "unpause", target: "RUN-20261121-003" });
  await page.goto(url);
  await page.getByRole("row", { name: "Build app" }).locator(".status-paused").waitFor();
  assert.equal(
    await page.getByRole("row", { name: "Build app" }).getByRole("cell").last().textContent(),
    "$1.20",
  );
  assert.deepEqual(wrong, []);
});

test("a failed frame can be done again, alone or with what depends on it", async () => {
  const { page } = await open(browser, frameUrl("passkeys"));
  const details = page.locator(".details");
  await details.getByRole("button", { name: "↻ Retry" }).click();
  await details.getByRole("button", { name: "Retry from here" }).click();
  await until(
    () => fixture.commands.length,
    (count) => count === 2,
    "two commands",
  );
  assert.deepEqual(
    fixture.commands.map(({ command }) => command),
    [
      { type: "retry", target: idOf("passkeys"), from: null },
      { type: "retry", target: "RUN-20261121-003", from: idOf("passkeys") },
    ],
  );
  assert.notEqual(fixture.commands[0].cmd_id, fixture.commands[1].cmd_id);
});

test("details show goal, history, attempts, errors and links", async () => {
  const { page } = await open(browser, frameUrl("passkeys"));
  const details = page.locator(".details");
  await details.getByText("Let people sign in with a passkey.").waitFor();
  const text = await details.textContent();
  for (const part of [
    "Registration works.",
    "Tasks (2 attempts)",
    "exit_nonzero",
    "exit 1",
    "exit code 1: 3 of 41 tests failed",
  ]) {
    assert.ok(text.includes(part), part);
  }
  await details.getByRole("link", { name: "JWT tokens" }).click();
  assert.equal(await chosen(page), idOf("jwt"));
  await page.goto(frameUrl("notes"));
  await details.getByRole("button", { name: "notes/libraries.md" }).click();
  const [download] = await Promise.all([
    page.waitForEvent("download"),
    page.getByRole("link", { name: "Download" }).click(),
  ]);
  assert.equal(download.suggestedFilename(), "libraries.md");
  await page.getByRole("list", { name: "Artifacts" }).getByText("no copy kept").first().waitFor();
});

test("hostile text is text", async () => {
  const { page, wrong } = await open(browser, frameUrl("hostile"));
  await page.locator(".details h2").waitFor();
  assert.match(
    await page.locator(".details h2").textContent(),
    /<img src=x onerror="alert\(1\)"> <\/script><script>/,
  );
  await page.locator(".chart-box").hover({ position: { x: 180, y: 190 } });
  await tab(page, "Log");
  await page.getByText("after the long line").waitFor();
  await page.getByText("more in this line").waitFor();
  await tab(page, "Events");
  await page.locator(".events").waitFor();
  assert.equal(await page.locator("img, b, #page script").count(), 0);
  assert.deepEqual(wrong, []);
});

test("the events of a run are listed, newest first, and new ones come", async () => {
  const { page } = await open(browser, RUN());
  await tab(page, "Events");
  const first = page.locator(".events-row").first();
  await first.waitFor();
  fixture.change(LIVE, {
    events: [{ event: "frame_updated", summary: "something new", frame: idOf("list") }],
  });
  await until(
    () => first.textContent(),
    (text) => /something new/.test(text),
    "the new event",
  );
  const numbers = (await page.locator(".events-row .number").allTextContents()).map(Number);
  assert.deepEqual(
    numbers,
    [...numbers].sort((a, b) => b - a),
  );
  assert.equal(new Set(numbers).size, numbers.length);
});

test("both themes, kept over a reload", async () => {
  const { page } = await open(browser, RUN(), { theme: "light" });
  await live(page);
  const background = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  assert.equal(await background(), "rgb(255, 255, 255)");
  await page.getByRole("button", { name: "Use the dark theme" }).click();
  assert.equal(await background(), "rgb(12, 15, 20)");
  await until(
    () => pixelsOf(page, RED),
    (count) => count > 1_000,
    "the chart in the dark theme",
  );
  await page.reload();
  assert.equal(await background(), "rgb(12, 15, 20)");
});

test("on a phone nothing is wider than the screen", async () => {
  const { page } = await open(browser, url, { width: 390, height: 844 });
  await page.getByRole("link", { name: "Build app" }).waitFor();
  const width = () => page.evaluate(() => document.querySelector("main").scrollWidth);
  assert.ok((await width()) <= 390, `${await width()} px`);
  await page.getByRole("link", { name: "Build app" }).click();
  await treeRow(page, "build").waitFor();
  assert.ok((await width()) <= 390, `${await width()} px`);
  await treeRow(page, "survey").click();
  await page.locator(".details h2").waitFor();
  assert.ok((await width()) <= 390, `${await width()} px`);
});
