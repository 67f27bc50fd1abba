// Details, actions, artifacts and the panel, against the stand-in daemon.

import assert from "node:assert/strict";
import { test } from "node:test";
import { LIVE } from "../../fixture/scenario.mjs";
import { open, until } from "../browser.mjs";
import { RUN, browser, chosen, fixture, frameUrl, idOf, live, tab, treeRow } from "../setup.mjs";

const details = (page) => page.locator(".details");
const dialog = (page) => page.getByRole("dialog");
const focused = (page) => page.evaluate(() => document.activeElement?.textContent ?? "");

async function choose(page, name) {
  await page.getByRole("button", { name: "Actions" }).click();
  await page.getByRole("menuitem", { name }).click();
}

test("a goal is edited in place, and shown before the daemon has told it", async () => {
  const { page, wrong } = await open(browser, frameUrl("passkeys"));
  await live(page);
  await page.getByRole("button", { name: "Edit the goal" }).click();
  const area = page.getByRole("textbox", { name: "Goal" });
  await area.fill("not this");
  await area.press("Escape");
  await details(page).getByText("Let people sign in").waitFor();
  assert.equal(fixture.calls.length, 0, "Escape leaves it as it was");
  await page.keyboard.press("Enter");
  await area.fill("Let people sign in with anything");
  fixture.refusal = { kind: "conflict", message: "it is invalidated", help: "push another" };
  await area.press("Control+Enter");
  await page.getByRole("alert").getByText("it is invalidated push another").waitFor();
  assert.equal(
    await area.inputValue(),
    "Let people sign in with anything",
    "what was typed is kept",
  );
  // The daemon's own word for it is held back: what is shown is what was asked for.
  let answered;
  await page.route(
    "**/api/frames/*",
    (route) => new Promise((resolve) => (answered = () => resolve(route.continue()))),
  );
  await page.getByRole("button", { name: "Save" }).click();
  await details(page).locator(".pending", { hasText: "with anything" }).waitFor();
  await until(
    () => answered,
    (there) => there !== undefined,
    "the frame is asked for again",
  );
  answered();
  await until(
    () => page.locator(".pending").count(),
    (count) => count === 0,
    "the daemon has said it",
  );
  await details(page).getByText("Let people sign in with anything").waitFor();
  assert.match(await focused(page), /edit/, "the focus is where it was");
  assert.deepEqual(wrong, []);
});

test("a form keeps what was typed when the daemon refuses, and gives the focus back", async () => {
  const { page, wrong } = await open(browser, frameUrl("ui"));
  await live(page);
  await choose(page, "Plan a frame within it");
  await dialog(page).getByRole("button", { name: "Plan" }).click();
  assert.equal(await dialog(page).getByLabel("Goal").getAttribute("aria-invalid"), "true");
  assert.equal(await page.evaluate(() => document.activeElement.getAttribute("name")), "goal");
  await dialog(page).getByLabel("Goal").fill("Draw the <b>icons</b>");
  fixture.refusal = { kind: "conflict", message: "the frame is settled", help: "choose another" };
  await dialog(page).getByRole("button", { name: "Plan" }).click();
  await dialog(page).getByRole("alert").getByText("the frame is settled choose another").waitFor();
  assert.equal(await dialog(page).getByLabel("Goal").inputValue(), "Draw the <b>icons</b>");
  await dialog(page).getByLabel("Goal").press("Control+Enter");
  await dialog(page).waitFor({ state: "detached" });
  await details(page).getByRole("link", { name: "Draw the <b>icons</b>" }).waitFor();
  assert.match(await focused(page), /Actions/);
  await choose(page, "Plan a frame within it");
  await page.keyboard.press("Escape");
  await dialog(page).waitFor({ state: "detached" });
  assert.match(await focused(page), /Actions/);
  const plans = fixture.calls.filter(({ name }) => name === "flame_plan");
  assert.deepEqual(
    plans.map((call) => call.arguments),
    Array(2).fill({ goal: "Draw the <b>icons</b>", parent_id: idOf("ui") }),
  );
  assert.notEqual(plans[0].cmd_id, plans[1].cmd_id);
  assert.deepEqual(wrong, []);
});

test("what an invalidation takes with it is shown before, and nothing is dropped by looking", async () => {
  const { page, wrong } = await open(browser, frameUrl("api"));
  await live(page);
  await choose(page, "Invalidate it");
  for (const text of [
    "Dropped with it 14",
    "Completed, and from then on stale 3",
    "Tasks that are stopped 2",
    "Paging",
    "Schema",
    "(List endpoint)",
  ]) {
    await dialog(page).getByText(text).first().waitFor();
  }
  await page.keyboard.press("Escape");
  assert.match(await treeRow(page, "api").getAttribute("aria-label"), /in progress/);
  await choose(page, "Invalidate it");
  await dialog(page).getByLabel("Why").fill("not wanted");
  await dialog(page).getByLabel("Why").press("Enter");
  await until(
    () => treeRow(page, "paging").getAttribute("aria-label"),
    (label) => /invalidated/.test(label),
    "what waits for it is dropped",
  );
  assert.deepEqual(
    fixture.calls.map((call) => call.arguments.preview ?? false),
    [true, true, false],
  );
  assert.deepEqual(wrong, []);
});

test("an invalidation that is refused cannot be sent", async () => {
  const { page } = await open(browser, frameUrl("ui"));
  await live(page);
  fixture.refusal = { kind: "conflict", message: "it is the root of its run", help: null };
  await choose(page, "Invalidate it");
  await dialog(page).getByRole("alert").getByText("it is the root").waitFor();
  await dialog(page).getByLabel("Why").fill("because");
  await dialog(page).getByLabel("Why").press("Enter");
  assert.equal(await dialog(page).count(), 1);
  assert.equal(fixture.calls.length, 1);
});

test("the menu is walked by keys, and tells why something cannot be done now", async () => {
  const { page, wrong } = await open(browser, frameUrl("passkeys"));
  await live(page);
  await page.getByRole("button", { name: "Actions" }).focus();
  await page.keyboard.press("Enter");
  await until(
    () => focused(page),
    (text) => /Edit its goal/.test(text),
    "the first action",
  );
  await page.keyboard.press("ArrowUp");
  assert.match(await focused(page), /Stop its task alone.*is failed/);
  await page.keyboard.press("Enter");
  assert.equal(await dialog(page).count(), 0);
  await page.keyboard.press("Home");
  await page.keyboard.press("ArrowDown");
  assert.match(await focused(page), /Activate/);
  await page.keyboard.press("Escape");
  assert.match(await focused(page), /Actions/);
  assert.deepEqual(wrong, []);
});

test("a task before the newest can be done once more too", async () => {
  const { page, wrong } = await open(browser, frameUrl("passkeys"));
  await live(page);
  await page.getByRole("button", { name: "Rerun, attempt 1" }).click();
  await dialog(page).getByRole("button", { name: "Rerun" }).click();
  await until(
    () => fixture.commands.length,
    (count) => count === 1,
    "the order",
  );
  const [first] = [...fixture.runs.get(LIVE).tasks.values()].filter(
    (task) => task.frame === idOf("passkeys"),
  );
  assert.deepEqual(fixture.commands[0].command, {
    type: "rerun",
    target: first.id,
    tool: null,
    model: null,
  });
  assert.equal(
    await page.getByRole("button", { name: "Rerun, attempt 2" }).count(),
    0,
    "the newest has its actions in the menu",
  );
  assert.deepEqual(wrong, []);
});

test("what a person types into stays while the frame changes", async () => {
  fixture.change(LIVE, { tasks: [{ ...taskOf("list"), driver: "claude" }] });
  const { page, wrong } = await open(browser, frameUrl("list"));
  await live(page);
  const tell = page.getByLabel("Tell it after this turn");
  await tell.fill("look at the");
  fixture.change(LIVE, {
    tasks: [{ ...taskOf("list"), step: "reading" }],
    frames: [{ id: idOf("list"), seq: 99 }],
  });
  await details(page).getByText("reading").waitFor();
  assert.equal(await tell.inputValue(), "look at the");
  await tell.press("Control+Backspace");
  assert.equal(await dialog(page).count(), 0, "keys of the page are not for those who type");
  const filter = page.locator(".filter input[type=search]");
  await filter.fill("two words");
  await filter.press("Control+Backspace");
  assert.deepEqual(
    [await filter.inputValue(), await dialog(page).count()],
    ["two ", 0],
    "nor in any other field",
  );
  await filter.fill("");
  fixture.answer = () => ({ error: { kind: "conflict", message: "it is over", help: null } });
  await tell.fill("look at the tests");
  await tell.press("Enter");
  await page.locator(".toast-failed").getByText("it is over").waitFor();
  assert.equal(await tell.inputValue(), "look at the tests");
  assert.equal(await page.locator(".pending").count(), 0);
  assert.deepEqual(wrong, []);
});

const taskOf = (key) =>
  [...fixture.runs.get(LIVE).tasks.values()].find((task) => task.frame === idOf(key));

test("the context is asked for when it is opened, with its sections, its cuts and another budget", async () => {
  const { page, wrong } = await open(browser, frameUrl("list"));
  await live(page);
  await details(page).getByText("The context as its agent gets it").waitFor();
  assert.equal(fixture.calls.length, 0);
  await details(page).getByText("The context as its agent gets it").click();
  await details(page).getByText("About 1234 of 4000 tokens").waitFor();
  await details(page).getByText("results shortened it is long").waitFor();
  await details(page).getByText("<goal>a goal</goal>").waitFor();
  await details(page).getByLabel("With a budget of").fill("500");
  await details(page).getByLabel("With a budget of").press("Enter");
  await details(page).getByText("this is 500 of 500").waitFor();
  assert.deepEqual(wrong, []);
});

test("the panel is below, at the side or alone, of any size, and that is remembered", async () => {
  const { page, context, wrong } = await open(browser, `${RUN()}?tab=events`);
  await live(page);
  assert.equal(
    await page.getByRole("tab", { name: "Events", exact: true }).getAttribute("aria-selected"),
    "true",
  );
  const box = () => page.locator(".panel").boundingBox();
  const separator = page.getByRole("separator", { name: "Size of the panel" });
  const before = await box();
  await separator.focus();
  await page.keyboard.press("ArrowUp");
  await until(box, ({ height }) => height > before.height + 10, "it is higher");
  assert.equal(await separator.getAttribute("aria-valuenow"), "48");
  await page.getByRole("button", { name: "at the side" }).click();
  const narrow = await until(box, ({ x }) => x > 600, "it is at the side");
  const edge = await separator.boundingBox();
  await page.mouse.move(edge.x + 4, edge.y + 200);
  await page.mouse.down();
  await page.mouse.move(edge.x - 196, edge.y + 200);
  await page.mouse.up();
  const wide = await until(box, ({ width }) => width > narrow.width + 150, "it is wider");
  const again = await context.newPage();
  await again.goto(RUN());
  await again.locator(".panel-side").waitFor();
  assert.ok(Math.abs((await again.locator(".panel").boundingBox()).width - wide.width) < 2);
  await page.getByRole("button", { name: "alone" }).click();
  await page.locator(".chart-box").waitFor({ state: "hidden" });
  assert.deepEqual(wrong, []);
});

test("on a phone the panel is below and as wide as the screen, wherever it was", async () => {
  const { page } = await open(browser, frameUrl("notes"), {
    width: 390,
    height: 844,
    before: () => localStorage.setItem("fornax.panel", '{"layout":"side","side":0.3}'),
  });
  await live(page);
  await details(page).waitFor();
  assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), 390);
  assert.ok((await page.locator(".panel").boundingBox()).width >= 389);
  await page.getByRole("button", { name: "Actions" }).click();
  const menu = await page.getByRole("menu").boundingBox();
  assert.ok(
    menu.x >= 0 && menu.x + menu.width <= 390 && menu.y >= 0 && menu.y + menu.height <= 844,
    JSON.stringify(menu),
  );
});

test("artifacts are looked at: Markdown, JSON, images, a diff, bytes, and what is hostile", async () => {
  const { page, wrong } = await open(browser, `${frameUrl("notes")}&tab=artifacts`);
  await live(page);
  const shown = page.locator(".artifact");
  const list = page.getByRole("list", { name: "Artifacts" });
  await shown.getByRole("heading", { name: "Libraries", exact: true }).waitFor();
  await shown.getByText(`<img src=x onerror="alert(1)"><script>alert(1)</script>`).waitFor();
  await shown.getByText("(javascript:alert(1))").waitFor();
  assert.deepEqual(
    await shown
      .locator(".markdown a")
      .evaluateAll((links) => links.map((link) => [link.href, link.rel])),
    [["https://hono.dev/", "noopener noreferrer"]],
  );
  assert.equal(await shown.locator("img, script, b").count(), 0);
  await list.getByText("data.json").click();
  await shown.getByText(`"<b>"`).waitFor({ state: "detached" });
  await shown.locator("summary", { hasText: "1: {1}" }).click();
  await shown.getByText(`"<b>"`).waitFor();
  for (const name of ["shot.png", "chart.svg"]) {
    await list.getByText(name).click();
    await until(
      () =>
        shown
          .locator("img")
          .evaluate((image) => image.naturalWidth)
          .catch(() => 0),
      (width) => width > 0,
      `${name} is drawn`,
    );
  }
  await list.getByText("app.bin").click();
  await shown.getByText("00000040  40 41 42").waitFor();
  await list.getByText("changes.patch").click();
  await shown.locator(".diff").getByText("src/a.ts").first().waitFor();
  await list.getByText("javascript:alert(1)").click();
  await shown.getByText("No copy of it was kept").waitFor();
  assert.equal(await shown.getByRole("link").count(), 0);
  await list.getByText('a "quoted"').click();
  await shown.getByText(`\\n<img src=x onerror=alert(1)>\\u202egnp.exe`).waitFor();
  assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), 1400);
  assert.equal(await page.locator("#page script").count(), 0);
  await tab(page, "Diff");
  await page.locator(".diff").getByText("src/a.ts").first().waitFor();
  assert.deepEqual(wrong, []);
});

test("of an artifact of 3 GiB only the beginning is read", async () => {
  const { page, wrong } = await open(
    browser,
    `${frameUrl("notes")}&tab=artifacts&artifact=notes/huge.txt`,
  );
  const ranges = [];
  page.on(
    "request",
    (request) =>
      request.url().includes("/artifacts/huge.txt") && ranges.push(request.headers().range),
  );
  await page.reload();
  await page.locator(".artifact").getByText("line 000000000").waitFor();
  await page.getByText("256 KiB of 3.0 GiB").waitFor();
  await page.getByRole("button", { name: "Show more" }).click();
  await page.getByText("1.0 MiB of 3.0 GiB").waitFor();
  assert.deepEqual(ranges, ["bytes=0-262143", "bytes=0-1048575"]);
  assert.deepEqual(wrong, []);
});

test("events are filtered, older ones are loaded, and lead to their frame and log", async () => {
  const held = fixture.runs.get(LIVE);
  for (let i = 0; i < 2_000; i++)
    held.events.push({
      seq: ++held.run.seq,
      run: held.run.id,
      ts_ms: Date.now(),
      event: "task_progress",
      flame: null,
      frame: idOf("list"),
      task: null,
      summary: `step ${i}`,
    });
  const { page, wrong } = await open(browser, `${RUN()}?tab=events`);
  await live(page);
  const rows = page.locator(".events-row");
  await until(
    () => rows.first().textContent(),
    (text) => /step 1999/.test(text),
    "the newest first",
  );
  assert.ok((await rows.count()) < 100, "only those that are seen are in the document");
  await page.locator(".events-box").evaluate((box) => box.scrollTo(0, box.scrollHeight));
  await until(
    () => page.locator(".events").getAttribute("aria-rowcount"),
    (count) => Number(count) > 1_000,
    "an older page",
  );
  while ((await page.getByRole("button", { name: "Load older" }).count()) > 0)
    await page
      .getByRole("button", { name: "Load older" })
      .click({ timeout: 1_000 })
      .catch(() => {});
  await until(
    () => page.locator(".events").getAttribute("aria-rowcount"),
    (count) => Number(count) === held.events.length,
    "all of them",
  );
  await page.getByLabel("Kind").selectOption("frame_failed");
  await until(
    () => rows.count(),
    (count) => count === 4,
    "one kind",
  );
  await rows.getByRole("link", { name: "Login page" }).click();
  assert.equal(await chosen(page), idOf("login"));
  await until(
    () => rows.count(),
    (count) => count === 1,
    "those of the frame",
  );
  await page.getByLabel("of the whole run").check();
  await until(
    () => rows.count(),
    (count) => count === 4,
    "those of the run",
  );
  assert.deepEqual(wrong, []);
});

test("what Fornax did in a frame by itself can be undone, and only that", async () => {
  const { details: told } = fixture.runs.get(LIVE);
  told[idOf("list")] = {
    decisions: [
      { decision: "by hand" },
      { decision: "Pushed by itself", by_itself: { did: "pushed" } },
    ],
  };
  const { page, wrong } = await open(browser, frameUrl("list"));
  await live(page);
  await details(page).getByText("Pushed by itself").waitFor();
  assert.equal(await details(page).getByRole("button", { name: "undo" }).count(), 1);
  await choose(page, "Undo what Fornax last did");
  await until(
    () => fixture.commands.length,
    (count) => count === 1,
    "it is told",
  );
  assert.deepEqual(fixture.commands[0].command, { type: "undo_auto", frame: idOf("list") });
  await page.goto(frameUrl("update"));
  await page.getByRole("button", { name: "Actions" }).click();
  await page
    .getByRole("menuitem", { name: "Undo what Fornax last did" })
    .getByText("Fornax did nothing in it by itself.")
    .waitFor();
  assert.deepEqual(wrong, []);
});
