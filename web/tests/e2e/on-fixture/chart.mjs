// The flame chart and the tree beside it, in a real browser.

import assert from "node:assert/strict";
import { test } from "node:test";
import AxeBuilder from "@axe-core/playwright";
import { LIVE } from "../../fixture/scenario.mjs";
import { addLarge } from "../../fixture/large.mjs";
import { open, until } from "../browser.mjs";
import {
  GREEN,
  RED,
  RUN,
  browser,
  chosen,
  fixture,
  frameUrl,
  idOf,
  live,
  pixelsOf,
  treeRow,
  url,
} from "../setup.mjs";

const query = (page, name) =>
  page.evaluate((wanted) => new URLSearchParams(location.search).get(wanted), name);
const rows = (page) => page.getByRole("treegrid").getAttribute("aria-rowcount").then(Number);

test("the chart is drawn, zoomed, moved and walked", async () => {
  const { page, wrong } = await open(browser, RUN());
  await live(page);
  const chart = page.locator(".chart-box");
  await until(
    () => pixelsOf(page, RED),
    (count) => count > 1_000,
    "failed frames in red",
  );
  const before = await pixelsOf(page, GREEN);
  const box = await chart.boundingBox();
  await page.mouse.move(box.x + 60, box.y + 85);
  for (let i = 0; i < 6; i++) await page.mouse.wheel(0, -200);
  await until(
    () => pixelsOf(page, GREEN),
    (count) => Math.abs(count - before) > 2_000,
    "zoomed in",
  );
  const zoomed = await pixelsOf(page, GREEN);
  await page.mouse.down();
  await page.mouse.move(box.x + 700, box.y + 85, { steps: 4 });
  await page.mouse.up();
  await until(
    () => pixelsOf(page, GREEN),
    (count) => count !== zoomed,
    "moved",
  );
  assert.equal(await chosen(page), null, "a drag chooses nothing");
  await chart.focus();
  await page.keyboard.press("0");
  await until(
    () => pixelsOf(page, GREEN),
    (count) => Math.abs(count - before) < 2_000,
    "everything again",
  );
  await page.keyboard.press("ArrowDown");
  assert.equal(await chosen(page), idOf("build"));
  await page.keyboard.press("ArrowDown");
  assert.equal(await chosen(page), idOf("research"));
  await page.keyboard.press("ArrowRight");
  assert.equal(await chosen(page), idOf("infra"));
  await page.keyboard.press("ArrowUp");
  assert.equal(await chosen(page), idOf("build"));
  assert.equal(await treeRow(page, "build").getAttribute("aria-selected"), "true");
  await page.keyboard.press("Enter");
  assert.equal(await page.evaluate(() => document.activeElement.textContent), "Details");
  await chart.focus();
  await page.keyboard.press("Escape");
  assert.equal(await chosen(page), null);
  await page.mouse.click(box.x + 100, box.y + 38);
  assert.equal(await chosen(page), idOf("build"));
  await page.mouse.move(box.x + 100, box.y + 39);
  await page.locator(".tip").getByText("Build app").waitFor();
  assert.deepEqual(wrong, []);
});

test("the tree of frames is walked, folded and opened by keys", async () => {
  const { page } = await open(browser, RUN());
  const tree = page.getByRole("treegrid");
  await treeRow(page, "build").waitFor();
  await tree.focus();
  await page.keyboard.press("Home");
  assert.equal(await chosen(page), idOf("build"));
  await page.keyboard.press("ArrowDown");
  assert.equal(await chosen(page), idOf("research"));
  await page.keyboard.press("ArrowLeft");
  assert.equal(await treeRow(page, "research").getAttribute("aria-expanded"), "false");
  assert.equal(await treeRow(page, "read-spec").count(), 0);
  await page.keyboard.press("Space");
  assert.equal(await treeRow(page, "research").getAttribute("aria-expanded"), "true");
  await page.keyboard.press("End");
  assert.ok(await treeRow(page, "announce").isVisible());
  await page.keyboard.press("Enter");
  assert.equal(await page.evaluate(() => document.activeElement.getAttribute("role")), "tab");
});

/** Runs in the page before it: counts how often the chart is drawn, and the rectangles of the last time. */
function countDrawing() {
  window.drawn = { times: 0, rectangles: 0 };
  const { fillRect, setTransform } = CanvasRenderingContext2D.prototype;
  const isChart = (brush) => brush.canvas.closest(".chart-box") !== null;
  CanvasRenderingContext2D.prototype.fillRect = function (...box) {
    if (isChart(this)) window.drawn.rectangles += 1;
    return fillRect.apply(this, box);
  };
  // Each time begins with it.
  CanvasRenderingContext2D.prototype.setTransform = function (...matrix) {
    if (isChart(this)) window.drawn = { times: window.drawn.times + 1, rectangles: 0 };
    return setTransform.apply(this, matrix);
  };
}
const drawn = (page) => page.evaluate(() => ({ ...window.drawn }));
const rest = (page, ms) =>
  page.evaluate((ms) => new Promise((resolve) => setTimeout(resolve, ms)), ms);

test("a double click shows a bar as wide as the chart, and folds a row of the tree; Escape chooses nothing", async () => {
  const { page, wrong } = await open(browser, RUN());
  await treeRow(page, "build").waitFor();
  await treeRow(page, "auth").click();
  const before = await page.locator(".minimap-window").boundingBox();
  const box = await page.locator(".chart-box").boundingBox();
  // The second row of the chart holds the run's first groups; the left one is in sight from the left edge.
  await page.mouse.dblclick(box.x + 40, box.y + 26 + 22 + 12);
  await until(
    () => page.locator(".minimap-window").boundingBox(),
    (now) => now.width < before.width * 0.9,
    "the window is narrower",
  );
  const row = treeRow(page, "auth");
  const was = await row.getAttribute("aria-expanded");
  await row.dblclick();
  await until(
    () => row.getAttribute("aria-expanded"),
    (now) => now !== was,
    "folded or unfolded",
  );
  await page.getByRole("treegrid").focus();
  await page.keyboard.press("Escape");
  await until(
    () => chosen(page),
    (frame) => frame === null,
    "nothing is chosen",
  );
  assert.deepEqual(wrong, []);
});

test("a chart of what has ended is not drawn again and again", async () => {
  const [key] = [...fixture.hidden];
  const { page } = await open(browser, `${url}/runs/${key}`, { before: countDrawing });
  await page.getByRole("row", { name: "Unit tests" }).waitFor();
  await until(
    () => drawn(page),
    ({ times }) => times > 0,
    "it was drawn",
  );
  await rest(page, 300);
  const { times } = await drawn(page);
  // A stretch in which a chart that goes on is drawn at least once.
  await rest(page, 1_200);
  assert.equal((await drawn(page)).times, times);
});

test("a change is drawn once, and with it the tree and all else", async () => {
  const { page, wrong } = await open(browser, RUN(), { before: countDrawing });
  await live(page);
  await treeRow(page, "deploy").waitFor();
  await rest(page, 500);
  const before = (await drawn(page)).times;
  const changes = 10;
  for (let i = 1; i <= changes; i++) {
    fixture.change(LIVE, { frames: [{ id: idOf("deploy"), title: `Staging deploy ${i}` }] });
    await treeRow(page, "deploy").getByText(`Staging deploy ${i}`, { exact: true }).waitFor();
    await page.evaluate(() => new Promise((then) => requestAnimationFrame(() => setTimeout(then))));
  }
  const { times } = await drawn(page);
  // Besides, it grows by a pixel now and then.
  assert.ok(
    times - before >= changes && times - before <= changes + 4,
    `drawn ${times - before} times for ${changes} changes`,
  );
  fixture.change(LIVE, { frames: [{ id: idOf("deploy"), title: "Staging deploy" }] });
  assert.deepEqual(wrong, []);
});

test("what is drawn is bounded by what is seen, not by how much there is", async () => {
  const rectangles = [];
  for (const count of [5_000, 50_000]) {
    const { page, context } = await open(
      browser,
      `${url}/runs/${addLarge(fixture, "mixed", count)}`,
      { before: countDrawing },
    );
    await until(
      () => drawn(page),
      ({ times }) => times > 0,
      "it was drawn",
      20_000,
    );
    await rest(page, 500);
    rectangles.push((await drawn(page)).rectangles);
    await context.close();
  }
  const [few, many] = rectangles;
  assert.ok(many < few * 2, `${few} rectangles for 5,000 frames, ${many} for 50,000`);
});

test("time in which nobody worked is folded, and unfolds by a click, by keys and all at once", async () => {
  const { page, wrong } = await open(browser, `${url}/runs/${addLarge(fixture, "idle", 300)}`);
  const gaps = page.locator(".idle-gap");
  await until(
    () => gaps.count(),
    (count) => count === 6,
    "six nights",
  );
  const first = gaps.first();
  assert.match(await first.getAttribute("aria-label"), /^\d+h .* in which nobody worked$/);
  const wide = async () => (await first.boundingBox()).width;
  assert.ok((await wide()) < 80, `${await wide()} px`);
  await first.click();
  await until(wide, (width) => width > 150, "unfolded");
  assert.equal(await first.getAttribute("aria-expanded"), "true");
  await first.focus();
  await page.keyboard.press("Enter");
  await until(wide, (width) => width < 80, "folded again");
  await page.locator(".chart-box").focus();
  await page.keyboard.press("i");
  await until(
    () => query(page, "idle"),
    (idle) => idle === "show",
    "in the address",
  );
  const share = () =>
    page.evaluate(() => {
      const widths = [...document.querySelectorAll(".idle-gap")].map((gap) => gap.clientWidth);
      return (
        widths.reduce((sum, width) => sum + width, 0) /
        document.querySelector(".chart-box").clientWidth
      );
    });
  await until(share, (idle) => idle > 0.8, "unfolded, most of the run is idle");
  await page.getByRole("button", { name: "Fold idle" }).click();
  await until(share, (idle) => idle > 0 && idle < 0.35, "folded, it is not");
  assert.deepEqual(wrong, []);
});

test("the width of a bar can stand for what was used", async () => {
  const { page, wrong } = await open(browser, `${RUN()}?width=cost`);
  await live(page);
  const select = page.getByLabel("Width");
  assert.equal(await select.inputValue(), "cost");
  let before = await until(
    () => pixelsOf(page, GREEN),
    (count) => count > 0,
    "drawn",
  );
  for (const width of ["messages", "tokens", "artifacts", "cost", "equal", "time"]) {
    await select.selectOption(width);
    await until(
      () => query(page, "width"),
      (now) => now === (width === "time" ? null : width),
      "in the address",
    );
    const last = before;
    before = await until(
      () => pixelsOf(page, GREEN),
      (count) => count > 0 && count !== last,
      `${width} looks different`,
    );
    assert.ok((await pixelsOf(page, RED)) > 50, `failures are seen by ${width}`);
  }
  assert.deepEqual(wrong, []);
});

test("what waited within a bar is seen, and the bar's status too", async () => {
  const { page } = await open(browser, RUN());
  await live(page);
  const before = await until(
    () => pixelsOf(page, GREEN),
    (count) => count > 1_000,
    "drawn",
  );
  const frame = fixture.runs.get(LIVE).frames.get(idOf("ci"));
  const spans = [{ doing: "waiting", from_ms: frame.started_ms }];
  fixture.change(LIVE, { frames: [{ id: frame.id, spans: [] }] });
  const working = await until(
    () => pixelsOf(page, GREEN),
    (count) => count > before,
    "worked on all the time",
  );
  fixture.change(LIVE, { frames: [{ id: frame.id, spans }] });
  const waiting = await until(
    () => pixelsOf(page, GREEN),
    (count) => count < before - 500,
    "waited all the time",
  );
  assert.ok(waiting > working - 240 * 19, "its foot is as before");
  await page.getByText("within a bar").click();
  await page.getByText("waiting for you").waitFor();
});

test("frames that a filter does not find step back, and one goes through those that it finds", async () => {
  const { page, wrong } = await open(browser, RUN());
  await live(page);
  const filter = page.getByLabel("Filter frames");
  const before = await until(
    () => pixelsOf(page, GREEN),
    (count) => count > 1_000,
    "drawn",
  );
  await filter.fill("status:failed tool:claude");
  await until(
    () => query(page, "filter"),
    (text) => text === "status:failed tool:claude",
    "in the address",
  );
  await page.getByText("2 frames", { exact: true }).waitFor();
  await until(
    () => pixelsOf(page, GREEN),
    (count) => count < before / 4,
    "what is green steps back",
  );
  assert.ok((await pixelsOf(page, RED)) > 500, "what is found does not");
  assert.match(await treeRow(page, "jwt").getAttribute("class"), /dimmed/);
  await filter.press("Enter");
  assert.equal(await chosen(page), idOf("passkeys"));
  await page.getByText("1 of 2 frames").waitFor();
  await filter.press("Enter");
  assert.equal(await chosen(page), idOf("login"));
  await filter.press("Enter");
  assert.equal(await chosen(page), idOf("passkeys"), "from the last to the first");
  await filter.press("Shift+Enter");
  assert.equal(await chosen(page), idOf("login"));
  await page.locator(".chart-box").focus();
  await page.keyboard.press("]");
  assert.equal(await chosen(page), idOf("passkeys"));
  await filter.press("Escape");
  await until(
    () => query(page, "filter"),
    (text) => text === null,
    "cleared",
  );
  await until(
    () => pixelsOf(page, GREEN),
    (count) => Math.abs(count - before) < before / 3,
    "all is back",
  );
  await page.locator(".filter-menu summary").first().click();
  await page.getByRole("checkbox", { name: /blocked/ }).check();
  await page.locator(".filter-value", { hasText: "failed" }).click();
  assert.equal(await query(page, "filter"), "status:blocked,failed");
  await page.keyboard.press("Escape");
  assert.equal(await page.getByRole("checkbox").count(), 0);
  await page.reload();
  assert.equal(await filter.inputValue(), "status:blocked,failed");
  assert.deepEqual(wrong, []);
});

test("frames fold in chart and tree alike, and show that something failed in them", async () => {
  const { page, wrong } = await open(browser, frameUrl("passkeys"));
  await live(page);
  const all = await rows(page);
  const auth = treeRow(page, "auth");
  await auth.locator(".tree-fold").click();
  await until(
    () => rows(page),
    (count) => count === all - 6,
    "what is within is gone",
  );
  assert.equal(await chosen(page), idOf("auth"), "the choice goes to what is folded");
  assert.match(await auth.getAttribute("aria-label"), /6 folded/);
  await page.getByRole("button", { name: "Unfold all (6)" }).waitFor();
  await page.locator(".chart-box").focus();
  await page.keyboard.press("Space");
  await until(
    () => rows(page),
    (count) => count === all,
    "unfolded from the chart",
  );
  await page.keyboard.press("Space");
  await until(
    () => rows(page),
    (count) => count === all - 6,
    "and folded",
  );
  await page.goto(frameUrl("jwt"));
  await treeRow(page, "jwt").waitFor();
  await page.getByRole("treegrid").focus();
  await page.keyboard.press("Home");
  await page.keyboard.press("ArrowLeft");
  await until(
    () => rows(page),
    (count) => count === 2,
    "only the root",
  );
  await until(
    () => pixelsOf(page, RED),
    (count) => count > 40,
    "and on it that something failed",
  );
  await page.getByRole("button", { name: /Unfold all/ }).click();
  await until(
    () => rows(page),
    (count) => count === all,
    "all of it",
  );
  assert.deepEqual(wrong, []);
});

test("in a large tree what is completed folds by itself, and stays as a person leaves it", async () => {
  const key = addLarge(fixture, "typical", 3_000, { live: true });
  const { page, wrong } = await open(browser, `${url}/runs/${key}`);
  await live(page);
  const { frames, run } = fixture.runs.get(key);
  const count = await until(
    () => rows(page),
    (found) => found > 10 && found < frames.size,
    "some of it is folded",
  );
  const folded = page.locator('[role=row][aria-expanded="false"]').first();
  const id = (await folded.getAttribute("id")).slice(5);
  const within = [...frames.values()].filter((frame) => frame.parent === id).length;
  await folded.locator(".tree-fold").click();
  await until(
    () => rows(page),
    (found) => found === count + within,
    "unfolded",
  );
  const going = [...frames.values()].find(
    (frame) => frame.status === "in_progress" && !frame.group,
  );
  fixture.change(key, { frames: [{ id: going.id, title: "Renamed" }] });
  await page.goto(`${url}/runs/${key}?frame=${going.id}`);
  await page.getByRole("row", { name: /Renamed/ }).waitFor();
  const hidden = [...frames.values()].find((frame) => frame.parent === id);
  await page.goto(`${url}/runs/${key}?frame=${hidden.id}`);
  await page.locator(`#tree-${hidden.id}`).waitFor();
  assert.equal(run.id, "RUN-20261121-900");
  assert.deepEqual(wrong, []);
});

test("the minimap shows where one is, and moves the chart by mouse and by keys", async () => {
  const { page, wrong } = await open(browser, RUN());
  await live(page);
  const map = page.locator(".minimap");
  const box = await map.boundingBox();
  const [from, to] = [
    page.getByRole("slider", { name: /begins/ }),
    page.getByRole("slider", { name: /ends/ }),
  ];
  const value = (edge) => edge.getAttribute("aria-valuenow").then(Number);
  await until(
    () => value(to),
    (at) => at === 100,
    "all is shown",
  );
  await page.mouse.move(box.x + 1, box.y + 20);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width * 0.3, box.y + 20, { steps: 3 });
  await page.mouse.up();
  await until(
    () => value(from),
    (at) => Math.abs(at - 30) <= 1,
    "the edge was dragged",
  );
  await to.focus();
  await page.keyboard.press("PageDown");
  await page.keyboard.press("ArrowLeft");
  await until(
    () => value(to),
    (at) => Math.abs(at - 88) <= 1,
    "the other by keys",
  );
  assert.match(await to.getAttribute("aria-valuetext"), /^\d\d:\d\d:\d\d$/);
  await page.mouse.move(box.x + box.width * 0.5, box.y + 20);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width * 0.4, box.y + 20, { steps: 3 });
  await page.mouse.up();
  await until(
    () => value(from),
    (at) => Math.abs(at - 20) <= 1,
    "the window was dragged",
  );
  const clock = (at) => new Date(Number(at)).toTimeString().slice(0, 8);
  for (const [name, edge] of [
    ["from", from],
    ["to", to],
  ]) {
    await until(
      async () => [clock(await query(page, name)), await edge.getAttribute("aria-valuetext")],
      ([kept, said]) => kept === said,
      `${name} is in the address`,
    );
  }
  const back = await page.evaluate(() => history.length);
  const range = [await value(from), await value(to)];
  await page.reload();
  await until(
    async () => [await value(from), await value(to)],
    (now) => Math.abs(now[0] - range[0]) <= 1 && Math.abs(now[1] - range[1]) <= 1,
    "and a link shows the same",
  );
  await page.getByRole("button", { name: "Fit", exact: true }).click();
  await until(
    () => query(page, "from"),
    (at) => at === null,
    "all of it needs no range",
  );
  assert.equal(await page.evaluate(() => history.length), back, "moving fills no history");
  assert.deepEqual(wrong, []);
});

test("a click on the minimap keeps how much is shown, also where that is less than can be seen there", async () => {
  const key = addLarge(fixture, "idle", 300);
  const { started_ms } = fixture.runs.get(key).run;
  const { page, wrong } = await open(
    browser,
    `${url}/runs/${key}?idle=show&from=${started_ms + 1_000}&to=${started_ms + 2_500}`,
  );
  const map = page.locator(".minimap");
  await map.waitFor();
  const box = await map.boundingBox();
  await page.mouse.click(box.x + box.width * 0.25, box.y + 20);
  const shown = async () => Number(await query(page, "to")) - Number(await query(page, "from"));
  await until(
    () => query(page, "from"),
    (from) => Number(from) > started_ms + 60_000,
    "another place",
  );
  assert.ok(Math.abs((await shown()) - 1_500) < 50, `${await shown()} ms are shown, not 1,500`);
  assert.deepEqual(wrong, []);
});

test("a tip says what a frame is for, under a pointer that rests and for what is chosen by keys", async () => {
  const { page, wrong } = await open(browser, frameUrl("passkeys"));
  await live(page);
  await page.locator(".details").getByText("Let people sign in").waitFor();
  const asked = () => fixture.requests.get(`/api/frames/${idOf("notes")}`) ?? 0;
  await page.locator(".chart-box").focus();
  await page.keyboard.press("t");
  const tip = page.getByRole("tooltip");
  await tip.getByText("Let people sign in with a passkey").waitFor();
  for (const part of ["Passkeys", "failed", "attempt 2", "tokens", "Registration works"])
    assert.ok((await tip.textContent()).includes(part), part);
  await page.keyboard.press("Escape");
  assert.equal(await tip.count(), 0);
  assert.equal(await chosen(page), idOf("passkeys"), "Escape closes one thing at a time");
  assert.equal(asked(), 0);
  assert.deepEqual(wrong, []);
});

test("two fingers zoom", async () => {
  const { page, context } = await open(browser, RUN());
  await live(page);
  const box = await page.locator(".chart-box").boundingBox();
  const session = await context.newCDPSession(page);
  const touch = (type, apart) =>
    session.send("Input.dispatchTouchEvent", {
      type,
      touchPoints:
        apart === 0
          ? []
          : [-1, 1].map((side, id) => ({ x: box.x + 300 + side * apart, y: box.y + 150, id })),
    });
  const span = async () => Number(await query(page, "to")) - Number(await query(page, "from"));
  await touch("touchStart", 50);
  await touch("touchMove", 75);
  await touch("touchMove", 100);
  await touch("touchEnd", 0);
  const zoomed = await until(span, (length) => length > 0, "a stretch of its own");
  const whole = await page.evaluate(
    () =>
      document.querySelector(".minimap-window").getBoundingClientRect().width /
      document.querySelector(".minimap").clientWidth,
  );
  assert.ok(whole > 0.4 && whole < 0.6, `${whole} of the whole is shown, ${zoomed} ms`);
  assert.equal(await chosen(page), null);
});

test("the system's own colours are used where a person has chosen some", async () => {
  const { page } = await open(browser, RUN());
  await page.emulateMedia({ forcedColors: "active" });
  await live(page);
  await until(
    () => pixelsOf(page, RED),
    (count) => count === 0,
    "none of the page's own red",
  );
  await page.emulateMedia({ forcedColors: "none" });
  await until(
    () => pixelsOf(page, RED),
    (count) => count > 1_000,
    "until they are given up",
  );
});

test("axe finds nothing in chart, tree and filter with idle time, folded and dimmed frames, open menus and a tip", async () => {
  const key = addLarge(fixture, "idle", 300);
  for (const [theme, width] of [
    ["dark", 1400],
    ["light", 1400],
    ["light", 390],
  ]) {
    const { page, context } = await open(browser, `${url}/runs/${key}?filter=status:failed`, {
      theme,
      width,
    });
    await page.locator(".idle-gap").first().waitFor();
    await page.getByRole("treegrid").focus();
    for (const pressed of ["Home", "ArrowDown", "ArrowLeft"]) await page.keyboard.press(pressed);
    await page.getByRole("button", { name: /Unfold all/ }).waitFor();
    await page.locator(".chart-box").focus();
    await page.keyboard.press("t");
    await page.getByRole("tooltip").waitFor();
    if (width > 720) await page.getByText("within a bar").click();
    await page.locator(".filter-menu summary").nth(1).click();
    await page.getByRole("checkbox").first().waitFor();
    const { violations } = await new AxeBuilder({ page })
      .include(".chart")
      .include(".tree")
      .include(".filter")
      .analyze();
    assert.deepEqual(
      violations.map(
        ({ id, nodes }) =>
          `${id}: ${nodes.slice(0, 3).map((node) => `${node.target} ${node.failureSummary}`)}`,
      ),
      [],
      `${theme}, ${width} px`,
    );
    await context.close();
  }
});
