// The views of a run besides its flame chart, runs side by side, exports and what is imported.

import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import AxeBuilder from "@axe-core/playwright";
import { APP, LIVE } from "../../fixture/scenario.mjs";
import { open, until } from "../browser.mjs";
import { RUN, browser, chosen, fixture, idOf, live, url } from "../setup.mjs";

const HOSTILE = `<img src=x onerror="alert(1)">\n"quotes" \u202Egnp.exe\u202C`;
const view = (name, more = "") => `${RUN()}?view=${name}${more}`;
const graphNode = (page, name) =>
  page.locator(".node").and(page.locator(`[aria-label^="${name},"]`));
const query = (page, name) =>
  page.evaluate((each) => new URLSearchParams(location.search).get(each), name);
const past = (count) =>
  [...fixture.runs.values()]
    .map(({ run }) => run)
    .filter((run) => run.project === APP && run.ended_ms !== null)
    .slice(0, count);

async function expectAccessible(page) {
  const { violations } = await new AxeBuilder({ page }).analyze();
  assert.deepEqual(
    violations.map(({ id, nodes }) => [id, nodes.map(({ html }) => html.slice(0, 120))]),
    [],
  );
}

async function expectNarrow(page) {
  await page.setViewportSize({ width: 390, height: 844 });
  await until(
    () => page.evaluate(() => document.documentElement.scrollWidth - innerWidth),
    (over) => over <= 0,
    "nothing is wider than the phone",
  );
}

test("the graph shows what waits for what, follows what happens and is walked by keys", async () => {
  const { page, wrong } = await open(browser, view("graph"));
  await graphNode(page, "Passkeys").waitFor();
  assert.ok((await page.locator(".edge").count()) > 20);
  const before = await graphNode(page, "JWT tokens").getAttribute("transform");
  await live(page);
  fixture.change(LIVE, {
    frames: [
      {
        id: idOf("deploy"),
        status: "failed",
        reason: HOSTILE,
        title: HOSTILE,
        ended_ms: Date.now(),
      },
    ],
  });
  await until(
    () => page.locator(".node-failed").count(),
    (count) => count === 5,
    "the new status",
  );
  assert.equal(
    await graphNode(page, "JWT tokens").getAttribute("transform"),
    before,
    "nothing moved",
  );
  await page.getByRole("application", { name: "Graph" }).focus();
  await page.keyboard.press("ArrowRight");
  await until(
    () => chosen(page),
    (id) => id !== null,
    "a frame",
  );
  await page.goto(view("graph", `&frame=${idOf("jwt")}`));
  await page.getByRole("application", { name: "Graph" }).focus();
  await page.keyboard.press("ArrowRight");
  await until(
    () => chosen(page),
    (id) => id === idOf("passkeys"),
    "what waits for it",
  );
  await page.keyboard.press("PageUp");
  await until(
    () => chosen(page),
    (id) => id === idOf("auth"),
    "the group around",
  );
  await page.keyboard.press("Space");
  await until(
    () => graphNode(page, "Passkeys").count(),
    (count) => count === 0,
    "closed",
  );
  assert.match(
    await graphNode(page, "Auth").getAttribute("aria-label"),
    /6 frames within, 3 failed or blocked/,
  );
  await page.keyboard.press("Space");
  await graphNode(page, "Passkeys").waitFor();
  await page.keyboard.press("Enter");
  await until(
    () => page.evaluate(() => document.activeElement.closest(".panel") !== null),
    (isIn) => isIn,
    "the panel",
  );
  assert.deepEqual(wrong, []);
});

test("the graph is moved by mouse and keys, and a click chooses", async () => {
  const { page } = await open(browser, view("graph"));
  await graphNode(page, "Survey libraries").waitFor();
  const transform = () => page.locator(".graph-box svg > g").getAttribute("transform");
  const whole = await transform();
  const box = page.locator(".graph-box");
  const { x, y, width, height } = await box.boundingBox();
  await page.mouse.move(x + width / 2, y + height / 2);
  await page.mouse.wheel(0, -400);
  await until(transform, (now) => now !== whole, "larger");
  await box.focus();
  const zoomed = await transform();
  await page.keyboard.press("d");
  await until(transform, (now) => now !== zoomed, "moved");
  await page.keyboard.press("0");
  await until(transform, (now) => now === whole, "all of it");
  await graphNode(page, "Survey libraries").locator(".node-title").click();
  await until(
    () => chosen(page),
    (id) => id === idOf("survey"),
    "the frame",
  );
  await page.keyboard.press("Escape");
  await until(
    () => chosen(page),
    (id) => id === null,
    "none",
  );
});

test("a filter dims the graph and leaves the table what it finds", async () => {
  const { page } = await open(browser, view("graph", "&filter=status:failed"));
  await graphNode(page, "Passkeys").waitFor();
  assert.equal(
    await page.locator(".node.dim").and(page.locator('[aria-label^="Passkeys,"]')).count(),
    0,
  );
  assert.equal(
    await page.locator(".node.dim").and(page.locator('[aria-label^="JWT tokens,"]')).count(),
    1,
  );
  await page.goto(view("table", "&filter=status:failed"));
  await page.locator(".table-row").first().waitFor();
  assert.deepEqual(
    (await page.locator(".table-row td:nth-child(2)").allTextContents()).toSorted(),
    ["Container image", "Login page", "Passkeys"],
  );
  assert.match(await page.locator("tfoot").textContent(), /3 frames/);
});

test("a run of thousands of frames opens as a graph of closed groups", async () => {
  const { run, frames } = fixture.runs.get(LIVE);
  const [root] = frames.values();
  const made = Array.from({ length: 3_500 }, (_, i) => ({
    ...root,
    id: `f-m${i}`,
    parent: i % 70 === 0 ? root.id : `f-m${i - (i % 70)}`,
    key: `m${i}`,
    title: `Many ${i}`,
    group: i % 70 === 0,
    depends_on: i % 70 > 1 ? [`f-m${i - 1}`] : [],
  }));
  fixture.addRun(run, [...frames.values(), ...made], [...fixture.runs.get(LIVE).tasks.values()]);
  const { page, wrong } = await open(browser, view("graph"));
  await page.getByText(/of 3,550 frames/).waitFor();
  assert.ok((await page.locator(".node").count()) <= 700);
  await page.goto(view("table"));
  await until(
    () => page.getByRole("grid").getAttribute("aria-rowcount"),
    (count) => Number(count) > 3_400,
    "a row each",
  );
  assert.ok(
    (await page.locator(".table-row").count()) < 100,
    "only rows in sight are in the document",
  );
  assert.deepEqual(wrong, []);
});

test("the table is sorted by mouse and by keys, the address says how, and it shows what is done now", async () => {
  const { page, wrong } = await open(browser, view("table"));
  const titles = () => page.locator(".table-row td:nth-child(2)").allTextContents();
  await page.getByRole("button", { name: "Cost" }).and(page.locator(".sort")).click();
  await until(
    () => query(page, "sort"),
    (sort) => sort === "-cost",
    "the address",
  );
  assert.equal(await page.locator("th.of-cost").getAttribute("aria-sort"), "descending");
  const amounts = (await page.locator(".table-row td:nth-child(9)").allTextContents()).map((text) =>
    Number(text.replace(/[~$]/g, "") || 0),
  );
  assert.deepEqual(
    amounts,
    amounts.toSorted((a, b) => b - a),
  );
  await page.locator(".of-title .sort").focus();
  await page.keyboard.press("Enter");
  await until(
    () => query(page, "sort"),
    (sort) => sort === "title",
    "by title",
  );
  const shown = (await titles()).map((title) => title.toLowerCase());
  assert.deepEqual(shown, shown.toSorted());
  await live(page);
  fixture.change(LIVE, {
    tasks: [
      { id: fixture.runs.get(LIVE).frames.get(idOf("deploy")).task, step: `runs ${HOSTILE}` },
    ],
  });
  await page.goto(view("table", "&filter=deploy"));
  await page
    .getByText(/runs <img src=x/)
    .first()
    .waitFor();
  await page.getByRole("grid").focus();
  await page.keyboard.press("ArrowDown");
  await until(
    () => chosen(page),
    (id) => id === idOf("deploy"),
    "the first",
  );
  assert.deepEqual(wrong, []);
});

test("the cost view sums the same by frame, tool, model and time, and names what retries cost", async () => {
  const { page, wrong } = await open(browser, view("cost"));
  await page.locator(".cost-scroll tbody tr").first().waitFor();
  const [root] = await page
    .locator(".cost-scroll tbody tr")
    .first()
    .locator("td.number")
    .allTextContents();
  assert.match(root, /^~\$\d+\.\d\d$/);
  assert.equal(await page.locator(".cost-total").textContent(), root);
  for (const kind of ["Tool", "Model", "Time"]) {
    await page.getByRole("button", { name: kind, exact: true }).click();
    await until(
      () => query(page, "by"),
      (by) => by === kind.toLowerCase(),
      kind,
    );
    const costs = await page.locator(".cost-scroll tbody td:nth-child(3)").allTextContents();
    const sum = costs.reduce((all, text) => all + Number(text.replace(/[~$]/g, "") || 0), 0);
    assert.ok(Math.abs(sum - Number(root.slice(2))) < 0.05, `${kind}: ${sum}, ${root}`);
  }
  await page.getByRole("button", { name: "Retries" }).click();
  await page.getByRole("button", { name: "Passkeys" }).waitFor();
  assert.equal(await page.locator(".cost-scroll tbody tr").count(), 1);
  await page.getByRole("button", { name: "Passkeys" }).click();
  await until(
    () => chosen(page),
    (id) => id === idOf("passkeys"),
    "the frame",
  );
  const [run] = past(1);
  await page.goto(`${url}/runs/${run.project}/${run.id}?view=cost`);
  await page.getByRole("heading", { name: "No model was used" }).waitFor();
  assert.deepEqual(wrong, []);
});

test("runs are chosen in the list and compared: what differs first, results and artifacts as diffs", async () => {
  const { page, wrong } = await open(browser, url);
  const [one, other] = past(2);
  for (const run of [one, other]) await page.getByRole("checkbox", { name: run.id }).check();
  await page.getByRole("link", { name: "Compare 2 runs" }).click();
  await page.getByRole("heading", { name: "Compare runs" }).waitFor();
  const rows = page.locator(".compare-frames > tbody > tr");
  await until(
    () => rows.allTextContents(),
    (texts) =>
      /^▸ End to end.*status/.test(texts[0] ?? "") &&
      texts.some((text) => /results, 1 artifact changed, 1 artifact added; commit/.test(text)),
    "what differs",
  );
  await page.getByRole("button", { name: "Unit tests" }).click();
  await page.locator(".diff-removed", { hasText: "200 tests passed." }).waitFor();
  await page.locator(".diff-added", { hasText: "201 tests passed." }).waitFor();
  assert.equal(await page.locator(".diff-added .diff-sign").first().textContent(), "+");
  await page.locator("summary", { hasText: "report.txt" }).click();
  await page.locator(".diff-added", { hasText: "report.txt" }).waitFor();
  await page.locator("summary", { hasText: "<b>.bin" }).click();
  await page.getByText("no copy was kept of a file so large").waitFor();
  await expectAccessible(page);
  await expectNarrow(page);
  assert.deepEqual(wrong, []);
});

test("one run is compared with another that is chosen, and frames with frames; what is not there is said", async () => {
  const { page, wrong } = await open(browser, RUN());
  await page.getByRole("link", { name: "Compare", exact: true }).click();
  await page.getByText("Choose another run").waitFor();
  const [run] = past(1);
  await page.getByRole("combobox", { name: "Add a run" }).selectOption(`${run.project}/${run.id}`);
  await page.getByText("absent").first().waitFor();
  await page.goto(`${url}/compare?frames=${APP}/${idOf("passkeys")},${APP}/${idOf("notes")}`);
  await page.locator(".differs-sign").first().waitFor();
  await page.locator("summary", { hasText: "notes/libraries.md" }).waitFor();
  await page.goto(`${url}/compare?frames=${APP}/${idOf("passkeys")}`);
  await page.getByLabel("with the frame").fill(idOf("jwt"));
  await page.keyboard.press("Enter");
  await page.getByRole("link", { name: "JWT tokens" }).waitFor();
  await page.goto(`${url}/compare?runs=${APP}/RUN-19990101-001`);
  await page.getByRole("alert").getByText("there is no run").waitFor();
  assert.deepEqual(wrong, []);
});

async function exported(page, name) {
  await page.locator("summary", { hasText: "Export" }).click();
  const [download] = await Promise.all([
    page.waitForEvent("download"),
    page
      .locator(".export-items button")
      .filter({ has: page.getByText(name, { exact: true }) })
      .click(),
  ]);
  const path = join(mkdtempSync(join(tmpdir(), "fornax-export-")), download.suggestedFilename());
  await download.saveAs(path);
  return { path, bytes: readFileSync(path) };
}

test("a run is exported as JSON, trace, SVG and PNG, and the JSON opens again: read-only, the same", async () => {
  const { page, wrong } = await open(browser, RUN());
  await live(page);
  const json = await exported(page, "JSON");
  assert.match(json.path, /RUN-20261121-003-build-app\.json$/);
  const document = JSON.parse(json.bytes);
  assert.deepEqual(
    [document.format, document.version, document.frames.length, document.events.length > 10],
    ["fornax-run", 1, 50, true],
  );
  const trace = JSON.parse((await exported(page, "Chrome trace")).bytes);
  assert.ok(trace.traceEvents.some((event) => event.ph === "X" && event.name === "Passkeys"));
  const svg = (await exported(page, "SVG")).bytes.toString();
  assert.match(svg, /^<svg [^]*Passkeys[^]*<\/svg>$/);
  assert.doesNotMatch(svg, /<script|<img/);
  for (const name of ["PNG", "PNG of the view"]) {
    const { bytes } = await exported(page, name);
    assert.equal(bytes.subarray(1, 4).toString(), "PNG");
    assert.ok(bytes.readUInt32BE(16) >= 600, `${name} is ${bytes.readUInt32BE(16)} wide`);
  }
  const asked = () =>
    [...fixture.requests]
      .filter(([path]) => /^\/api\/(runs|frames|tasks|commands)/.test(path))
      .map(([path, count]) => `${path} ${count}`);
  const before = asked();
  await page.goto(`${url}/import`);
  await page.locator("input[type=file]").setInputFiles(json.path);
  await page.getByText("Imported, read-only.").waitFor();
  assert.equal(
    await page.getByRole("button", { name: /^(Stop|Retry|◼ Stop|↻ Retry)$/ }).count(),
    0,
  );
  for (const name of ["Graph", "Table", "Cost", "Flame"]) {
    await page.locator(".views").getByRole("button", { name }).click();
    await page
      .locator(
        {
          Graph: ".node",
          Table: ".table-row",
          Cost: ".cost-scroll tbody tr",
          Flame: ".chart-box canvas",
        }[name],
      )
      .first()
      .waitFor();
  }
  const again = await exported(page, "JSON");
  assert.equal(again.bytes.toString(), json.bytes.toString());
  assert.deepEqual(asked(), before, "nothing was asked about the run");
  assert.deepEqual(wrong, []);
});

test("what is no run is refused with the place of what is wrong; hostile text in one is only text", async () => {
  const { page, wrong } = await open(browser, RUN());
  await live(page);
  const document = JSON.parse((await exported(page, "JSON")).bytes);
  const path = join(mkdtempSync(join(tmpdir(), "fornax-import-")), "run.json");
  const give = async (value) => {
    writeFileSync(path, typeof value === "string" ? value : JSON.stringify(value));
    await page.locator("input[type=file]").setInputFiles(path);
  };
  await page.goto(`${url}/import`);
  await give("<html>");
  await page.getByRole("alert").getByText("is no JSON").waitFor();
  await give({
    ...document,
    frames: document.frames.map((frame, i) => (i === 7 ? { ...frame, status: HOSTILE } : frame)),
  });
  await page.getByRole("alert").getByText("frames[7].status is").waitFor();
  const hostile = (entry) =>
    Object.fromEntries(
      Object.entries(entry).map(([name, value]) => [
        name,
        [
          "title",
          "reason",
          "tool",
          "model",
          "step",
          "error",
          "phase",
          "agent_role",
          "summary",
          "event",
        ].includes(name)
          ? HOSTILE
          : value,
      ]),
    );
  await give({
    ...document,
    run: { ...document.run, name: HOSTILE, plan: HOSTILE, reason: HOSTILE },
    frames: document.frames.map(hostile),
    tasks: document.tasks.map(hostile),
    events: document.events.map(hostile),
  });
  await page.getByText("Imported, read-only.").waitFor();
  for (const name of ["Graph", "Table", "Cost"]) {
    await page.locator(".views").getByRole("button", { name }).click();
    await page
      .locator({ Graph: ".node", Table: ".table-row", Cost: ".cost-scroll tbody tr" }[name])
      .first()
      .waitFor();
    assert.equal(await page.locator("main img").count(), 0);
  }
  await expectNarrow(page);
  assert.deepEqual(wrong, []);
});

for (const theme of ["dark", "light"]) {
  test(`graph, table, cost and import are accessible and fit a phone in the ${theme} theme`, async () => {
    const { page, wrong } = await open(browser, view("graph"), { theme });
    const ready = { graph: ".node", table: ".table-row", cost: ".cost-scroll tbody tr" };
    for (const [name, sign] of Object.entries(ready)) {
      await page.setViewportSize({ width: 1400, height: 860 });
      await page.goto(view(name, `&frame=${idOf("passkeys")}`));
      await page.locator(sign).first().waitFor();
      await expectAccessible(page);
      await expectNarrow(page);
    }
    await page.goto(`${url}/import`);
    await page.getByRole("heading").first().waitFor();
    await expectAccessible(page);
    await expectNarrow(page);
    assert.deepEqual(wrong, []);
  });
}
