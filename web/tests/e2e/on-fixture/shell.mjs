// The page's frame: places, palette, keys, inbox, settings, what is told by itself.

import assert from "node:assert/strict";
import { test } from "node:test";
import { APP, LIVE, SITE } from "../../fixture/scenario.mjs";
import { open, until, watch } from "../browser.mjs";
import { PLACES, TOOLS, letSomeWait } from "../places.mjs";
import { RUN, browser, chosen, fixture, idOf, live, treeRow, url } from "../setup.mjs";

const path = (page) => page.evaluate(() => location.pathname + location.search);
const at = (page, wanted) =>
  until(
    () => path(page),
    (seen) => seen === wanted,
    wanted,
  );
const focused = (page) => page.evaluate(() => document.activeElement.textContent.trim());
const heading = (page, name) => page.getByRole("heading", { level: 1, name });
const taskOf = (key) => fixture.runs.get(LIVE).frames.get(idOf(key)).task;

async function inbox(options = {}) {
  letSomeWait();
  const opened = await open(browser, `${url}/inbox`, options);
  await opened.page.getByRole("article").nth(5).waitFor();
  return opened;
}

test("places are gone to by links and by keys, and the focus goes to their headings", async () => {
  fixture.tools = TOOLS;
  const { page, wrong } = await open(browser, url);
  await live(page);
  await page
    .getByRole("navigation", { name: "Places" })
    .getByRole("link", { name: "Tools" })
    .click();
  await until(
    () => focused(page),
    (text) => text === "Tools",
    "the heading has the focus",
  );
  assert.equal(await page.title(), "Tools · Fornax");
  for (const [keys, wanted, title] of [
    ["gi", "/inbox", "Inbox"],
    ["gs", "/settings", "Settings"],
    ["gr", "/", "Runs"],
  ]) {
    for (const key of keys) await page.keyboard.press(key);
    await at(page, wanted);
    await until(
      () => focused(page),
      (text) => text === title,
      `${title} has the focus`,
    );
  }
  assert.equal(await page.locator(".places a[aria-current=page]").textContent(), "Runs");
  await page.goBack();
  await heading(page, "Settings").waitFor();
  await page.goto(`${url}/nowhere`);
  await page.getByText("There is no such page").waitFor();
  assert.deepEqual(wrong, []);
});

test("the first stop of Tab leads past the bars", async () => {
  const { page } = await open(browser, url);
  await heading(page, "Runs").waitFor();
  await page.keyboard.press("Tab");
  assert.equal(await focused(page), "Skip to content");
  await page.keyboard.press("Enter");
  assert.equal(await page.evaluate(() => document.activeElement.id), "main");
  await heading(page, "Runs").waitFor();
});

test("a project is chosen wherever one is, and stays chosen", async () => {
  letSomeWait();
  const { page } = await open(browser, url);
  await page.getByLabel("Project").selectOption({ label: "site" });
  await at(page, `/?project=${SITE}`);
  await page.keyboard.press("g");
  await page.keyboard.press("i");
  await at(page, `/inbox?project=${SITE}`);
  await page.getByText("Nothing waits for you").waitFor();
  await page.getByLabel("Project").selectOption({ label: "harbour" });
  await at(page, `/inbox?project=${APP}`);
  await page.getByRole("article").first().waitFor();
  await page.goto(RUN());
  await treeRow(page, "build").waitFor();
  assert.equal(await page.getByLabel("Project").inputValue(), APP);
});

test("the palette finds commands, runs and frames, and says why something cannot be done", async () => {
  const { page, wrong } = await open(browser, RUN());
  await treeRow(page, "build").waitFor();
  const option = page.locator(".palette [role=option][aria-selected=true]");
  await page.keyboard.press("Control+k");
  await page.getByRole("combobox", { name: "Find" }).fill("passk");
  await until(
    () => option.textContent(),
    (text) => text.includes("Passkeys"),
    "the frame",
  );
  assert.equal(
    await page.getByRole("combobox", { name: "Find" }).getAttribute("aria-activedescendant"),
    await option.getAttribute("id"),
  );
  await page.keyboard.press("Enter");
  assert.equal(await chosen(page), idOf("passkeys"));
  assert.equal(await page.locator(".palette").count(), 0);
  await page.keyboard.press("Control+k");
  await page.keyboard.type("site refr");
  await until(
    () => option.textContent(),
    (text) => text.includes("Site refresh"),
    "the run",
  );
  await page.keyboard.press("Enter");
  await at(page, `/runs/${SITE}/RUN-20261121-003`);
  fixture.change(`${SITE}/RUN-20261121-003`, {
    run: { status: "completed", ended_ms: Date.now() },
  });
  await page.locator(".run-title .status-completed").waitFor();
  await page.keyboard.press("Control+k");
  await page.keyboard.type("next frame that the filter");
  await until(
    () => option.textContent(),
    (text) => text.includes("there is no filter"),
    "why it cannot be done",
  );
  await page.keyboard.press("Enter");
  assert.ok(await page.locator(".palette").isVisible(), "nothing was done");
  await page.keyboard.press("Escape");
  assert.equal(await page.locator(".palette").count(), 0);
  assert.deepEqual(fixture.commands, []);
  assert.deepEqual(wrong, []);
});

test("no two commands have the same key, wherever one is", async () => {
  fixture.tools = TOOLS;
  letSomeWait();
  const { page } = await open(browser, url);
  for (const place of PLACES.filter(({ framed }) => !framed)) {
    await page.goto(url + place.path());
    await place.ready(page).waitFor();
    await page.keyboard.press("?");
    await page.getByRole("heading", { name: "Keys", exact: true }).waitFor();
    const keys = await page.locator("dl[data-scope=page] kbd").allTextContents();
    assert.ok(keys.length > 5, place.name);
    const first = keys.map((text) => text.split(" then "));
    const clash = first.flatMap((one, i) =>
      first
        .slice(i + 1)
        .filter((other) =>
          one.slice(0, other.length).every((key, at) => key === other[at] || at >= one.length),
        )
        .map((other) => `${one} and ${other}`),
    );
    assert.deepEqual(clash, [], place.name);
    await page.keyboard.press("Escape");
  }
});

test("keys are not heard in fields, in dialogs, or when single keys are turned off", async () => {
  const { page } = await inbox();
  const field = page.getByRole("textbox", { name: "Your answer" });
  await field.focus();
  await page.keyboard.type("?ginjk");
  assert.equal(await field.inputValue(), "?ginjk");
  assert.equal(await path(page), "/inbox");
  assert.equal(await page.locator("dialog").count(), 0);
  await page.keyboard.press("Control+k");
  await page.locator(".palette").waitFor();
  await page.keyboard.press("Escape");
  await page.goto(`${url}/settings`);
  await page.getByLabel("Single keys").uncheck();
  await heading(page, "Settings").click();
  for (const key of ["g", "i", "?"]) await page.keyboard.press(key);
  await page.keyboard.press("Control+k");
  await page.locator(".palette").waitFor();
  assert.equal(await path(page), "/settings");
  assert.equal(await page.locator(".help").count(), 0);
});

test("the chart's own keys come first while it has the focus, and the second of two is still heard", async () => {
  const { page } = await open(browser, RUN());
  await treeRow(page, "build").waitFor();
  await page.locator(".chart-box").focus();
  await page.keyboard.press("ArrowDown");
  assert.equal(await chosen(page), idOf("build"));
  await page.keyboard.press("g");
  await page.keyboard.press("s");
  await at(page, "/settings");
});

test("what waits is in the inbox, and is answered with the keyboard alone", async () => {
  const { page, wrong } = await inbox();
  assert.match(await page.title(), /^\(6\) Inbox/);
  assert.match(await page.locator("link[rel=icon]").getAttribute("href"), /waiting/);
  const title = () => page.locator(".inbox-item.chosen h2").textContent();
  assert.match(await title(), /List endpoint/);
  await page.keyboard.press("a");
  assert.equal(await focused(page), "by cursor");
  await page.keyboard.press("Enter");
  await until(
    () => fixture.commands.length,
    (count) => count === 1,
    "answered",
  );
  assert.deepEqual(fixture.commands[0].command, {
    type: "answer",
    checkpoint: "q1",
    answer: "by cursor",
  });
  // Nothing goes before the daemon says so.
  assert.match(await title(), /List endpoint/);
  fixture.change(LIVE, { frames: [{ id: idOf("list"), asks: [] }] });
  await until(title, (text) => /Data table/.test(text), "the next one took its place");
  assert.ok(
    await page.evaluate(() => document.activeElement.matches(".inbox-item.chosen")),
    "and has the focus",
  );
  await page.keyboard.press("y");
  await until(
    () => fixture.commands.length,
    (count) => count === 2,
    "allowed",
  );
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("n");
  await until(
    () => fixture.commands.length,
    (count) => count === 3,
    "denied",
  );
  assert.deepEqual(
    fixture.commands
      .slice(1)
      .map(({ command }) => [command.type, command.permission, command.decision]),
    [
      ["decide", "p1", "allow"],
      ["decide", "p2", "deny"],
    ],
  );
  // What is on its way to the daemon is not sent twice.
  await until(
    () => page.locator(".inbox-item[aria-busy=true]").count(),
    (count) => count === 0,
    "both have been taken",
  );
  await page.keyboard.press("k");
  await page.keyboard.press("Shift+Y");
  await until(
    () => fixture.commands.length,
    (count) => count === 4,
    "allowed for good",
  );
  assert.equal(fixture.commands[3].command.decision, "always");
  for (const key of ["j", "j", "j"]) await page.keyboard.press(key);
  await until(title, (text) => /A question: Update/.test(text), "the question without options");
  await page.keyboard.press("Enter");
  await page.keyboard.type("https://staging.example");
  await page.keyboard.press("Enter");
  await until(
    () => fixture.commands.length,
    (count) => count === 5,
    "answered in words",
  );
  assert.equal(fixture.commands[4].command.answer, "https://staging.example");
  await page.keyboard.press("Escape");
  await page.keyboard.press("o");
  await at(page, `/runs/${LIVE}?frame=${idOf("update")}`);
  assert.deepEqual(wrong, []);
});

test("what is set aside stays away, and what is refused stays", async () => {
  const { page } = await inbox();
  fixture.answer = () => ({
    error: { kind: "conflict", message: "it was answered already", help: "look again" },
  });
  await page.getByRole("button", { name: "Allow", exact: true }).first().click();
  await page.getByText("it was answered already").waitFor();
  assert.equal(await page.getByRole("article").count(), 6);
  await page.getByRole("article").first().getByRole("button", { name: "Set aside" }).click();
  await until(
    () => page.getByRole("article").count(),
    (count) => count === 5,
    "one less",
  );
  await page.reload();
  await until(
    () => page.getByRole("article").count(),
    (count) => count === 5,
    "after a reload too",
  );
});

test("who says no can say why, also on a phone", async () => {
  for (const width of [1400, 390]) {
    fixture.commands.length = 0;
    const { page, wrong, context } = await inbox({ width, height: 844 });
    fixture.change(LIVE, {
      frames: [
        {
          id: idOf("list"),
          asks: [
            { id: "q9", kind: "approval", question: "May it begin?", options: ["go on", "block"] },
          ],
        },
      ],
    });
    const waiting = page.getByRole("article").filter({ hasText: "npm install" });
    await waiting.getByRole("button", { name: "Deny and say why…" }).click();
    await page.keyboard.type("use pnpm");
    await page.keyboard.press("Enter");
    const held = page.getByRole("article").filter({ hasText: "May it begin?" });
    await held.getByRole("button", { name: "block and say why…" }).click();
    await held.getByRole("textbox").fill("the numbers are wrong");
    await held.getByRole("button", { name: "block", exact: true }).last().click();
    await page
      .getByRole("article")
      .filter({ hasText: "src/table.ts" })
      .getByRole("button", { name: "Allow", exact: true })
      .click();
    await until(
      () => fixture.commands.length,
      (count) => count === 3,
      "all three",
    );
    assert.deepEqual(
      fixture.commands.map(({ command }) => command),
      [
        {
          type: "decide",
          target: taskOf("table"),
          permission: "p1",
          decision: "deny",
          note: "use pnpm",
        },
        { type: "answer", checkpoint: "q9", answer: "block: the numbers are wrong" },
        {
          type: "decide",
          target: taskOf("table"),
          permission: "p2",
          decision: "allow",
          note: null,
        },
      ],
    );
    assert.ok(
      await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth),
      `nothing is wider than ${width} px`,
    );
    assert.deepEqual(wrong, []);
    await context.close();
  }
});

test("the ways to look at a run, its exports and the projects are in the palette, each way with keys", async () => {
  const { page, wrong } = await open(browser, `${url}/runs/${LIVE}`);
  await treeRow(page, "build").waitFor();
  await page.locator("h1").click();
  await page.keyboard.press("v");
  await page.keyboard.press("t");
  await page.getByRole("grid").waitFor();
  await page.keyboard.press("v");
  await page.keyboard.press("f");
  await treeRow(page, "build").waitFor();
  await page.keyboard.press("b");
  await page.keyboard.press("k");
  await until(
    () => page.getByLabel("Width").inputValue(),
    (width) => width === "tokens",
    "width by tokens",
  );
  for (const name of [
    "Show the run as graph",
    "Compare the run with others",
    "Export the run as JSON",
    "Open an exported run",
    "Look at all projects",
    "Look at project harbour",
  ]) {
    await page.keyboard.press("Control+k");
    await page.locator(".palette input").fill(name);
    await page.locator(".palette [role=option]").filter({ hasText: name }).first().waitFor();
    await page.keyboard.press("Escape");
  }
  await page.keyboard.press("r");
  await page.keyboard.press("c");
  await until(
    () => path(page),
    (seen) => seen.startsWith("/compare"),
    "the comparison",
  );
  assert.deepEqual(wrong, []);
});

test("notifications: off until turned on, one for each item, and none for what is in sight", async () => {
  const before = () => {
    window.Notification = class {
      static permission = "default";
      static requestPermission = async () => (window.Notification.permission = "granted");
      constructor(title, { body, tag }) {
        window.noteTold({ title, body, tag });
      }
      close() {}
    };
  };
  const ask = (id) =>
    fixture.change(LIVE, {
      frames: [{ id: idOf("list"), asks: [{ id, kind: "question", question: `which, ${id}?` }] }],
    });
  const { page, context, wrong } = await open(browser, url, { before });
  const told = [];
  await context.exposeFunction("noteTold", (notification) => void told.push(notification));
  await live(page);
  ask("q1");
  await page.locator(".inbox-link .badge").waitFor();
  assert.deepEqual(told, [], "off");
  await page.goto(`${url}/settings`);
  await page.getByLabel("Notifications").check();
  await until(
    () => page.getByLabel("Notifications").isChecked(),
    (is) => is,
    "the browser allowed it",
  );
  const other = await context.newPage();
  watch(other, wrong);
  await other.addInitScript(() => (window.Notification.permission = "granted"));
  await other.goto(`${url}/settings`);
  await live(other);
  ask("q2");
  const [only] = await until(
    () => told,
    (all) => all.length > 0,
    "told",
  );
  assert.match(only.body, /harbour › Build app › List endpoint\nwhich, q2\?/);
  await other.goto(`${url}/inbox`);
  await other.getByText("which, q2?").waitFor();
  await other.bringToFront();
  ask("q3");
  await other.getByText("which, q3?").waitFor();
  // As long as the tabs give each other, and longer.
  await page.evaluate(() => new Promise((resolve) => setTimeout(resolve, 1_200)));
  assert.deepEqual(
    told.filter(({ body }) => !body.includes("q2")),
    [],
    "in sight",
  );
  assert.equal(told.length, 1, "once");
  assert.deepEqual(wrong, []);
});

test("one region tells what ends and what waits, in one sentence, but not what the person did", async () => {
  const { page } = await open(browser, RUN());
  await treeRow(page, "build").waitFor();
  await live(page);
  const said = () => page.locator("#told").textContent();
  const ended = (key, event, cmd_id = null) =>
    fixture.change(LIVE, {
      frames: [{ id: idOf(key) }],
      events: [{ event, frame: idOf(key), summary: "", cmd_id }],
    });
  assert.equal(await said(), "");
  for (const key of ["list", "update", "table"]) ended(key, "frame_completed");
  ended("deploy", "frame_failed");
  await until(
    said,
    (text) => text === "3 frames completed, Staging deploy failed.",
    "one sentence",
  );
  await page.evaluate(() => {
    window.sentences = 0;
    new MutationObserver(() => (window.sentences += 1)).observe(document.getElementById("told"), {
      childList: true,
      characterData: true,
      subtree: true,
    });
  });
  await page.locator(".run-head").getByRole("button", { name: "Stop" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Stop" }).click();
  await until(
    () => fixture.commands.length,
    (count) => count === 1,
    "told to stop",
  );
  ended("list", "frame_blocked", fixture.commands[0].cmd_id);
  for (let i = 0; i < 40; i++) ended("update", "frame_completed");
  letSomeWait();
  await until(
    said,
    (text) => text === "6 new items in the inbox. 40 frames completed.",
    "summed up, later",
    8_000,
  );
  assert.equal(await page.evaluate(() => window.sentences), 1);
});

test("all is stopped after asking, of the project in sight or of all", async () => {
  const { page } = await open(browser, url);
  await live(page);
  const dialog = page.getByRole("dialog");
  const press = () => page.locator(".stop-all").click();
  await press();
  await dialog.getByRole("button", { name: "Cancel" }).click();
  assert.equal(fixture.calls.length, 0);
  await press();
  await dialog.getByRole("button", { name: "Stop all" }).click();
  await until(
    () => fixture.calls.length,
    (count) => count === 1,
    "told",
  );
  await page.goto(`${url}/?project=${SITE}`);
  await live(page);
  await press();
  await dialog.getByRole("button", { name: "Stop all" }).click();
  await until(
    () => fixture.calls.length,
    (count) => count === 2,
    "told again",
  );
  assert.deepEqual(
    fixture.calls.map((call) => [call.name, call.arguments.scope]),
    [
      ["flame_stop_all", "all"],
      ["flame_stop_all", "project"],
    ],
  );
  assert.equal(fixture.calls[1].project, SITE);
});

test("a checkpoint before a frame is approved or denied by one key", async () => {
  for (const [key, wanted] of [
    ["y", "go on"],
    ["n", "block"],
  ]) {
    fixture.change(LIVE, {
      frames: [
        {
          id: idOf("delete"),
          asks: [
            { id: `c-${key}`, kind: "approval", question: "Begin?", options: ["go on", "block"] },
          ],
        },
      ],
    });
    const { page, context } = await open(browser, `${url}/inbox`);
    await page.getByText("A frame waits for your approval").waitFor();
    await page.keyboard.press(key);
    await until(
      () => fixture.commands.at(-1)?.command.checkpoint,
      (id) => id === `c-${key}`,
      key,
    );
    assert.equal(fixture.commands.at(-1).command.answer, wanted);
    await context.close();
  }
});

test("settings are kept, and the same in every tab", async () => {
  const { page, context } = await open(browser, `${url}/settings`, { theme: "dark" });
  const other = await context.newPage();
  await other.goto(url);
  await live(other);
  const theme = (of) => of.evaluate(() => document.documentElement.dataset.theme);
  assert.equal(await theme(other), "dark");
  await page.getByRole("radio", { name: "Light" }).check();
  await until(
    () => theme(other),
    (seen) => seen === "light",
    "in the other tab",
  );
  await page.getByLabel("As the system").check();
  await until(
    () => theme(other),
    (seen) => seen === "dark",
    "as the system again",
  );
  await page.keyboard.press("Control+Shift+L");
  await until(
    () => theme(page),
    (seen) => seen === "light",
    "by its key",
  );
  assert.ok(await page.getByRole("radio", { name: "Light" }).isChecked());
});

test("tools are listed with what is wrong, and a project whose file is wrong says so", async () => {
  fixture.tools = TOOLS;
  const { page } = await open(browser, `${url}/tools?project=${APP}`);
  await page.getByText("npm install -g @anthropic-ai/claude-code").waitFor();
  assert.match(
    await page.getByRole("row", { name: "shell" }).textContent(),
    /✓ yes5\.2\.37\/usr\/bin\/bash/,
  );
  fixture.tools = null;
  await page.getByRole("button", { name: "Look again" }).click();
  await page.getByText("fornax.yaml is wrong").waitFor();
});

test("a part of the page that is not there any more is said to be, and the rest goes on", async () => {
  const { page } = await open(browser, url);
  await live(page);
  await page.route("**/assets/tools-*.js", (route) => route.fulfill({ status: 404, body: "{}" }));
  await page.getByRole("link", { name: "Tools" }).click();
  await page.getByText("This page is older than the daemon").waitFor();
  await page
    .getByRole("navigation", { name: "Places" })
    .getByRole("link", { name: "Runs" })
    .click();
  await heading(page, "Runs").waitFor();
});

test("an embedded run shows and does nothing", async () => {
  const [project, run] = LIVE.split("/");
  for (const address of [`/embed/run/${run}?project=${project}`, `/embed/run/${LIVE}`]) {
    const { page, context, wrong } = await open(browser, url + address);
    await page.locator(".chart-box").waitFor();
    await page.locator(".chart-box").focus();
    for (const key of ["ArrowDown", "?", "g", "i", "Control+k"]) await page.keyboard.press(key);
    assert.equal(await page.locator("dialog, header.top, nav").count(), 0);
    assert.equal(await page.evaluate(() => location.pathname.startsWith("/embed/")), true);
    const links = await page
      .locator("a")
      .evaluateAll((all) => all.map((link) => [link.target, link.rel]));
    assert.deepEqual(links, [["_blank", "noopener"]], "what leads away opens a page of its own");
    assert.deepEqual(wrong, []);
    await context.close();
  }
  const { page } = await open(browser, `${url}/embed/run/RUN-20261121-003`);
  await page.getByText("Which project's").waitFor();
  assert.deepEqual(fixture.commands, []);
});
