// Logs: opened at their end, at a line or at what is found; followed; apart and as one.

import assert from "node:assert/strict";
import { test } from "node:test";
import { APP, LIVE } from "../../fixture/scenario.mjs";
import { open, until } from "../browser.mjs";
import { browser, fixture, frameUrl, idOf, live, tab, url } from "../setup.mjs";

const taskOf = (key) => fixture.runs.get(LIVE).frames.get(idOf(key)).task;
/** The page of a task's log. */
const logUrl = (key, rest = "") => `${url}/logs/${APP}/${taskOf(key)}${rest}`;
const hash = (page) => page.evaluate(() => location.hash);
const box = (page) => page.locator(".log-box");
/** The numbers that stand beside the lines in sight. */
const numbers = (page) =>
  page
    .locator("button.log-number")
    .evaluateAll((all) => all.map((each) => Number(each.dataset.number)));
const current = (page) => page.locator(".log-line.current .log-text").textContent();
const found = (page) => page.locator(".log-found");
/** Whether a line is where one can see it. A row that is drawn anew at this moment is not. */
const inSight = (line) =>
  line.evaluate((element) => {
    const box = element.closest(".log-box")?.getBoundingClientRect();
    const { top, bottom } = element.getBoundingClientRect();
    return box !== undefined && top >= box.top && bottom <= box.bottom;
  });
/** How often a log, or something about it, was asked for. */
const asked = (key, part = "") =>
  fixture.requests.get(`/api/tasks/${taskOf(key)}/logs/stdout${part}`) ?? 0;

test("a log of a gibibyte opens at its end at once, and pages back whole", async () => {
  const { page, wrong } = await open(browser, frameUrl("create"));
  await page.locator(".details h2").waitFor();
  await tab(page, "Log");
  await page.getByText(/line 016777215/).waitFor();
  assert.equal(asked("create"), 1, "one page of it was asked for");
  const firstLine = async () =>
    Number(/line (\d+)/.exec(await page.locator(".log-line").nth(1).textContent())[1]);
  let last = await firstLine();
  for (let i = 0; i < 12; i++) {
    await box(page).evaluate((element) => element.scrollBy(0, -30_000));
    last = await until(firstLine, (line) => line < last, "earlier lines");
    const lines = await page.locator(".log-line").allTextContents();
    assert.ok(lines.length < 120, `${lines.length} nodes`);
    for (const line of lines.slice(1, -1)) assert.match(line, /^line \d{9} ·é漢🔥 -{37}$/u);
    const numbers = lines.slice(1, -1).map((line) => Number(line.slice(5, 14)));
    assert.deepEqual(
      numbers,
      numbers.map((_, at) => numbers[0] + at),
      "no line missing or twice",
    );
  }
  await page.getByRole("button", { name: "Jump to end" }).click();
  await page.getByText(/line 016777215/).waitFor();
  assert.deepEqual(wrong, []);
});

test("the log of an earlier attempt is read where it is asked for", async () => {
  const { page } = await open(browser, frameUrl("passkeys"));
  const { task } = fixture.runs.get(LIVE).frames.get(idOf("passkeys"));
  const first = task.replace(/-2$/, "-1");
  fixture.writeLog(first, "stdout", "the first attempt\n");
  await page.locator(".tasks").getByRole("button", { name: "log" }).first().click();
  await page.getByText("the first attempt").waitFor();
  await page.getByLabel("Attempt").selectOption(task);
  await page.getByText("See the report.").waitFor();
  await page.getByRole("tab", { name: "stderr" }).click();
  await page.getByText("no transports in the assertion").waitFor();
  assert.equal(await page.getByText("See the report.").count(), 0);
});

test("a log is followed while one looks at its end, and only then", async () => {
  const { page, wrong } = await open(browser, frameUrl("list"));
  const task = fixture.runs.get(LIVE).frames.get(idOf("list")).task;
  await tab(page, "Log");
  await page.getByText("Writing tests first").waitFor();
  await until(
    () => fixture.following,
    (count) => count === 1,
    "it follows",
  );
  fixture.writeLog(task, "stdout", "caf");
  fixture.writeLog(task, "stdout", Buffer.from("é\n").subarray(0, 1));
  fixture.writeLog(task, "stdout", Buffer.from("é\n").subarray(1));
  await page.getByText("café").waitFor();
  fixture.writeLog(task, "stdout", Array.from({ length: 500 }, (_, i) => `more ${i}\n`).join(""));
  await page.getByText("more 499").waitFor();
  await box(page).evaluate((element) => element.scrollBy(0, -2_000));
  await page.getByRole("button", { name: "Jump to end" }).waitFor();
  await until(
    () => fixture.following,
    (count) => count === 0,
    "scrolled up, it does not",
  );
  const top = await box(page).evaluate((element) => element.scrollTop);
  fixture.writeLog(task, "stdout", "after the pause\n");
  assert.equal(await box(page).evaluate((element) => element.scrollTop), top);
  await page.getByRole("button", { name: "Jump to end" }).click();
  await page.getByText("after the pause").waitFor();
  await until(
    () => fixture.following,
    (count) => count === 1,
    "at the end, it does again",
  );
  await box(page).evaluate((element) => element.scrollBy(0, -2_000));
  await until(
    () => fixture.following,
    (count) => count === 0,
    "paused once more",
  );
  await box(page).evaluate((element) => element.scrollBy(0, 20_000));
  await until(
    () => fixture.following,
    (count) => count === 1,
    "scrolled down to the end, it follows",
  );
  await tab(page, "Details");
  await until(
    () => fixture.following,
    (count) => count === 0,
    "hidden, it does not",
  );
  await tab(page, "Log");
  await until(
    () => fixture.following,
    (count) => count === 1,
    "seen again, it does",
  );
  fixture.writeLog(task, "stdout", "the last words\n");
  fixture.change(LIVE, {
    frames: [{ id: idOf("list"), status: "completed", ended_ms: Date.now() }],
    tasks: [{ id: task, state: "completed", ended_ms: Date.now() }],
  });
  await page.getByText("the last words").waitFor();
  await until(
    () => fixture.following,
    (count) => count === 0,
    "over, it does not",
  );
  assert.equal(await page.getByText("the last words").count(), 1);
  assert.deepEqual(wrong, []);
});

test("a link to lines of a gibibyte opens there, at once, and says which lines it means", async () => {
  const { page, wrong } = await open(browser, logUrl("create", "#L8000120-L8000140"));
  const line = page.locator(".log-line.linked").first();
  await line.waitFor();
  assert.deepEqual(
    [asked("create", "/line"), asked("create")],
    [1, 1],
    "where it is, and one page from there",
  );
  assert.match(await line.textContent(), /^line 008000119 /, "lines are counted from 1");
  assert.equal(await page.locator(".log-line.linked").count(), 21);
  await until(() => inSight(line), Boolean, "where one can see it");
  assert.equal((await numbers(page)).includes(8_000_120), true);
  // Paging at either end keeps the numbers.
  for (const by of [-30_000, 30_000]) {
    await box(page).evaluate((element, y) => element.scrollBy(0, y), by);
    const text = await until(
      () =>
        page
          .locator(".log-line", { has: page.locator("button") })
          .nth(3)
          .evaluate((row) => [row.textContent, row.querySelector("button").dataset.number]),
      ([shown]) => shown !== "",
      "lines",
    );
    assert.equal(Number(/line (\d+)/.exec(text[0])[1]) + 1, Number(text[1]));
  }
  await page.goto(logUrl("create", "#L99999999999"));
  await page.getByText("There is no line 99999999999: this is the last.").waitFor();
  await page.getByText(/line 016777215/).waitFor();
  assert.deepEqual(wrong, []);
});

test("a line's number sets the link, with Shift a range, and the link leads back there", async () => {
  const { page, context, wrong } = await open(browser, frameUrl("passkeys"));
  await context.grantPermissions(["clipboard-read", "clipboard-write"]);
  await tab(page, "Log");
  await page.getByText("See the report.").waitFor();
  const number = (line) => page.getByRole("button", { name: `Line ${line}`, exact: true });
  await number(395).click();
  assert.equal(await hash(page), "#L395");
  await number(399).click({ modifiers: ["Shift"] });
  assert.equal(await hash(page), "#L395-L399");
  await number(397).click({ modifiers: ["Shift"] });
  assert.equal(await hash(page), "#L395-L397");
  assert.equal(await page.locator(".log-line.linked").count(), 3);
  await page.getByRole("button", { name: "Copy link to lines 395 to 397" }).click();
  await page.getByText("Copied the link.").waitFor();
  const link = await page.evaluate(() => navigator.clipboard.readText());
  const query = new URL(link).searchParams;
  assert.deepEqual(
    ["frame", "tab", "task", "stream"].map((name) => query.get(name)),
    [idOf("passkeys"), "log", taskOf("passkeys"), null],
  );
  await page.goto("about:blank");
  await page.goto(link);
  await until(
    () => page.locator(".log-line.linked").count(),
    (count) => count === 3,
    "the same lines",
  );
  // Of another log they would be other lines.
  await page.getByRole("tab", { name: "stderr" }).click();
  await page.getByText("no transports in the assertion").waitFor();
  assert.equal(await hash(page), "");
  assert.equal(await page.locator(".log-line.linked").count(), 0);
  await page.getByLabel("Open in a page of its own").click();
  await page.locator(".log-page").getByText("no transports in the assertion").waitFor();
  await page.locator(".log-page").getByRole("link", { name: "Build app" }).click();
  await page.locator(".panel").waitFor();
  assert.deepEqual(wrong, []);
});

test("the keyboard alone goes to lines, to both ends, and through what is found", async () => {
  const { page, wrong } = await open(browser, logUrl("passkeys"));
  await page.getByText("See the report.").waitFor();
  await box(page).focus();
  await page.keyboard.press("g");
  await until(
    () => box(page).evaluate((element) => element.scrollTop),
    (top) => top === 0,
    "the begin",
  );
  await until(
    () => numbers(page),
    (all) => all[0] === 1,
    "line 1",
  );
  await page.keyboard.press(":");
  await page.keyboard.type("120-122");
  await page.keyboard.press("Enter");
  await until(
    () => page.locator(".log-line.linked").count(),
    (count) => count === 3,
    "the lines",
  );
  assert.equal(await hash(page), "#L120-L122");
  await page.keyboard.press("End");
  await until(
    async () =>
      page
        .getByText("See the report.")
        .evaluate((element) => element.closest(".log-line") !== null),
    Boolean,
    "the end",
  );
  await page.keyboard.press("/");
  await page.keyboard.type("case 39");
  await until(
    () => found(page).textContent(),
    (text) => /^\d+ of 11 lines$/.test(text),
    "what is found",
  );
  await page.keyboard.press("Enter");
  await page.keyboard.press("Escape");
  assert.equal(await page.evaluate(() => document.activeElement.className), "log-box");
  assert.equal(await page.locator("mark").count(), 0, "a search that is closed marks nothing");
  assert.deepEqual(wrong, []);
});

test("a search finds what colours cut apart, marks it, and goes around", async () => {
  const task = taskOf("list");
  const lines = Array.from({ length: 3_000 }, (_, i) =>
    i % 1_000 === 7 ? `\x1b[3${i % 8}mnee\x1b[0mdle ${i} Needle 🔥 needle\n` : `hay ${i}\n`,
  );
  fixture.writeLog(task, "stdout", lines.join(""));
  const { page, wrong } = await open(browser, logUrl("list"));
  await page.getByText("hay 2999").waitFor();
  await box(page).focus();
  await page.keyboard.press("Control+f");
  await page.keyboard.type("needle");
  // Nothing is at or below what is in sight, so it is the last one.
  await until(
    () => found(page).textContent(),
    (text) => text === "3 of 3 lines",
    "the hits",
  );
  assert.equal(await current(page), "needle 2007 Needle 🔥 needle");
  await until(() => inSight(page.locator(".log-line.current")), Boolean, "where one can see it");
  assert.deepEqual(await page.locator(".log-line.current mark").allTextContents(), [
    "nee",
    "dle",
    "Needle",
    "needle",
  ]);
  await page.keyboard.press("Enter");
  await until(
    () => current(page),
    (text) => /needle 7 /.test(text),
    "around",
  );
  await page.keyboard.press("Shift+Enter");
  await until(
    () => current(page),
    (text) => /needle 2007 /.test(text),
    "and back",
  );
  await page.keyboard.press("Shift+Enter");
  await until(
    () => current(page),
    (text) => /needle 1007 /.test(text),
    "the one before",
  );
  await page.getByLabel("Find in the whole log").fill("Needle");
  await until(
    () => page.locator(".log-line.current mark").allTextContents(),
    (marks) => marks.join() === "Needle",
    "a capital means capitals",
  );
  await page.getByRole("button", { name: "Regular expression" }).click();
  await page.getByLabel("Find in the whole log").fill("^needle 1\\d+ .* needle$");
  await until(
    () => found(page).textContent(),
    (text) => / of 1 line$/.test(text),
    "by a regular expression",
  );
  await page.getByLabel("Find in the whole log").fill("(");
  await page.getByText("is no regular expression").waitFor();
  await page.getByLabel("Find in the whole log").fill("nothing has this");
  await page.getByText("No line has it").waitFor();
  // What is written meanwhile is found too, when one goes on.
  await page.getByRole("button", { name: "Regular expression" }).click();
  await page.getByLabel("Find in the whole log").fill("late");
  await page.getByText("No line has it").waitFor();
  fixture.writeLog(task, "stdout", "a late needle\n");
  await page.getByLabel("Find in the whole log").press("Enter");
  await until(
    () => found(page).textContent(),
    (text) => text === "1 of 1 line",
    "the late one",
  );
  // That a pattern is refused is no mistake of the page.
  assert.deepEqual(
    wrong.filter((text) => !/status of 400/.test(text)),
    [],
  );
});

test("a search in a gibibyte tells how far it is, shows what it found, and ends when it is closed", async () => {
  fixture.searchPause_ms = 30;
  const { page, wrong } = await open(browser, logUrl("create", "#L1000"));
  await page.locator(".log-line.linked").waitFor();
  await box(page).focus();
  await page.keyboard.press("/");
  await page.keyboard.type("line 000123456");
  await until(
    () => page.locator(".log-find").textContent(),
    (text) => /searching, \d+ %/.test(text),
    "how far it is",
  );
  await until(
    () => page.locator(".log-line.current").count(),
    (count) => count === 1,
    "the first hit, before all is searched",
  );
  assert.match(await current(page), /^line 000123456 /);
  assert.deepEqual(
    await page
      .locator(".log-line.current button")
      .evaluateAll((all) => all.map((each) => each.dataset.number)),
    ["123457"],
  );
  assert.equal(fixture.searching, 1);
  await page.keyboard.press("Escape");
  await until(
    () => fixture.searching,
    (count) => count === 0,
    "nobody searches any more",
  );
  assert.deepEqual(wrong, []);
});

test("a match far into a very long line is told, where the line does not show it", async () => {
  const task = taskOf("list");
  fixture.writeLog(task, "stdout", `${"x".repeat(9_000)} needle in the long line\n`);
  const { page } = await open(browser, logUrl("list"));
  await page.getByText("more in this line").waitFor();
  await box(page).focus();
  await page.keyboard.press("/");
  await page.keyboard.type("needle");
  await page.getByText("needle in the long line").waitFor();
});

test("long lines are wrapped where one wants that, and it is remembered", async () => {
  const task = taskOf("list");
  const words = Array.from({ length: 120 }, (_, i) => `word${i}`).join(" ");
  fixture.writeLog(task, "stdout", `${words} 漢字漢字\tafter\n${"é".repeat(700)}\nlast\n`);
  const { page, wrong } = await open(browser, logUrl("list"), { width: 700, height: 600 });
  await page.getByText("last", { exact: true }).waitFor();
  const widest = () => box(page).evaluate((element) => element.scrollWidth - element.clientWidth);
  assert.ok((await widest()) > 100, "not wrapped, one scrolls");
  await page.getByRole("button", { name: "Wrap" }).click();
  await until(widest, (width) => width <= 0, "nothing is wider than the log");
  const all = (await page.locator(".log-text").allTextContents()).join("");
  assert.ok(all.includes(`${words} 漢字漢字\tafter`), "nothing is lost");
  const rows = await page
    .locator(".log-line")
    .evaluateAll((each) =>
      each.map((row) => [
        row.querySelector(".log-text").getBoundingClientRect().right,
        row.getBoundingClientRect().height,
      ]),
    );
  for (const [right, height] of rows)
    assert.ok(right <= 700 && height === 18, `${right} ${height}`);
  assert.deepEqual((await numbers(page)).slice(-3), [3, 4, 5], "a line has one number");
  await page.reload();
  await page.getByText("last", { exact: true }).waitFor();
  assert.equal(
    await page.getByRole("button", { name: "Wrap" }).getAttribute("aria-pressed"),
    "true",
  );
  assert.ok((await widest()) <= 0);
  assert.deepEqual(wrong, []);
});

test("both outputs are one log in their order, whose lines are told apart", async () => {
  const task = taskOf("list");
  fixture.writeLog(task, "stderr", "a warning\n");
  fixture.writeLog(task, "stdout", "goes on\n");
  const { page, wrong } = await open(browser, logUrl("list"));
  await page.getByText("goes on").waitFor();
  await page.getByRole("tab", { name: "both" }).click();
  await page.getByText("a warning").waitFor();
  const texts = () => page.locator(".log-text").allTextContents();
  assert.deepEqual((await texts()).slice(-2), ["a warning", "goes on"]);
  const marked = () => page.locator(".from-stderr .log-text").allTextContents();
  await until(marked, (lines) => lines.join() === "a warning", "the line of standard error");
  fixture.writeLog(task, "stderr", "another\n");
  await until(marked, (lines) => lines.join() === "a warning,another", "and the next");
  assert.equal(await page.getByRole("button", { name: "Line 5, standard error" }).count(), 1);
  assert.equal(await page.locator(".log-note").count(), 0);
  // Where nobody knows the order, that is said.
  await page.goto(logUrl("passkeys", "?stream=merged"));
  await page.getByText("no transports in the assertion").waitFor();
  await page.getByText("their order is not known").waitFor();
  assert.deepEqual(wrong, []);
});

test("what one has selected stays selected while more is written", async () => {
  const task = taskOf("list");
  const { page } = await open(browser, logUrl("list"));
  await page.getByText("Writing tests first").dblclick();
  const selected = () => page.evaluate(() => getSelection().toString());
  const before = await selected();
  assert.notEqual(before, "");
  fixture.writeLog(task, "stdout", "more\n");
  await page.getByText("more", { exact: true }).waitFor();
  assert.equal(await selected(), before);
});

test("the logs of what runs are listed with their last lines, and lead to their pages", async () => {
  fixture.writeLog(taskOf("list"), "stdout", "\x1b[32mgreen\x1b[0m <b>line</b>\n\n");
  const { page, wrong } = await open(browser, `${url}/logs`);
  await live(page);
  const entry = page.locator(".logs-list li", { hasText: "List endpoint" });
  await entry.getByText("green <b>line</b>").waitFor();
  fixture.writeLog(taskOf("list"), "stdout", "later\n");
  await entry.getByText("later").waitFor();
  const before = await page.locator(".logs-list li").count();
  fixture.change(LIVE, {
    frames: [{ id: idOf("deploy"), status: "completed", ended_ms: Date.now() }],
    tasks: [{ id: taskOf("deploy"), state: "completed", ended_ms: Date.now() }],
  });
  await until(
    () => page.locator(".logs-list li").count(),
    (count) => count === before - 1,
    "one has ended",
  );
  await entry.getByRole("link").click();
  await page.locator(".log-page").getByText("later").waitFor();
  await page.goto(`${url}/logs/${APP}/t-nobody-1`);
  await page.getByText("There is no such task").waitFor();
  assert.deepEqual(wrong, []);
});

test("on a phone no log is wider than the screen", async () => {
  for (const path of [logUrl("hostile"), logUrl("list", "#L1"), `${url}/logs`]) {
    const { page } = await open(browser, path, { width: 390, height: 844 });
    await page.locator(".log-line, .logs-last").first().waitFor();
    const width = await page.evaluate(() =>
      Math.max(document.querySelector("main").scrollWidth, document.documentElement.scrollWidth),
    );
    assert.ok(width <= 390, `${path}: ${width} px`);
  }
});
