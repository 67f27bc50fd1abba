// What our page costs: the built one, told by the stand-in daemon of its tests as a daemon tells it.

import { Fixture } from "../../web/tests/fixture/server.mjs";
import { delay, newPage } from "./browser.mjs";
import { KEY } from "./data.mjs";

/** How many changes there are to be seen, one after the other. */
const CHANGES = 60;
const STORM = { seconds: 5, perSecond: 2_000, every_ms: 10 };
const GESTURES = 40;

/** A stand-in with the run in it, which goes on. */
export class Stand extends Fixture {
  #frames;
  #children = new Map();
  #planned;
  #running;

  constructor({ project, run, frames, tasks }) {
    super();
    this.addProject(project);
    this.addRun(run, frames, tasks);
    this.root = frames[0];
    this.#frames = this.runs.get(KEY).frames;
    for (const { id, parent } of frames) this.#children.has(parent) ? this.#children.get(parent).push(id) : this.#children.set(parent, [id]);
    const leaves = frames.filter((frame) => !frame.group);
    this.#planned = leaves.filter(({ status }) => status === "planned").map(({ id }) => id);
    this.#running = leaves.filter(({ status }) => status === "in_progress").map(({ id }) => id);
  }

  /** What happens next: by turns a leaf begins, one ends, and an agent goes on. The root's name says which
   *  change it was. */
  tell(number) {
    const changed = this.#next(number);
    this.change(KEY, { frames: [...changed, { id: this.root.id, title: `Build it #${number}` }] });
  }

  #next(number) {
    const now_ms = Date.now();
    if (number % 3 === 0 && this.#planned.length > 0) {
      const id = this.#planned.shift();
      this.#running.push(id);
      const above = this.#above(id).filter((group) => this.#frames.get(group).started_ms === null);
      return [id, ...above].map((each) => ({ id: each, status: "in_progress", started_ms: now_ms }));
    }
    if (number % 3 === 1 && this.#running.length > 1) {
      const ended = [this.#running.shift()];
      const isOver = (id) => ended.includes(id) || this.#frames.get(id).ended_ms !== null;
      for (const group of this.#above(ended[0])) if (this.#children.get(group).every(isOver)) ended.push(group);
      return ended.map((id) => ({ id, status: "completed", ended_ms: now_ms }));
    }
    const id = this.#running[number % this.#running.length];
    return [{ id, turns: this.#frames.get(id).turns + 1 }];
  }

  #above(id) {
    const { parent } = this.#frames.get(id);
    return parent === null || parent === this.root.id ? [] : [parent, ...this.#above(parent)];
  }
}

/** Runs in the page before it: notes when something was drawn, and when which change was. */
function watchDrawing() {
  const seen = { draws: 0, changes: new Map(), gaps: null, long: [] };
  window.bench = seen;
  const { fillText } = CanvasRenderingContext2D.prototype;
  const { port1, port2 } = new MessageChannel();
  port1.onmessage = ({ data }) => seen.changes.set(data, performance.timeOrigin + performance.now());
  CanvasRenderingContext2D.prototype.fillText = function (text, x, y) {
    seen.draws += 1;
    const mark = text.indexOf("#");
    const number = mark < 0 ? 0 : Number.parseInt(text.slice(mark + 1));
    if (number > 0 && !seen.changes.has(number)) {
      seen.changes.set(number, 0);
      // A message sent while drawing comes when the frame has been made.
      port2.postMessage(number);
    }
    fillText.call(this, text, x, y);
  };
  new PerformanceObserver((list) => {
    for (const { duration } of list.getEntries()) seen.long.push(duration);
  }).observe({ type: "longtask" });
}

export async function openRun(browser, stand) {
  const opened = await newPage(browser, watchDrawing);
  await opened.page.goto(`${stand.url}/runs/${KEY}`);
  await drawn(opened.page);
  return opened;
}

function drawn(page) {
  return page.waitForFunction(() => window.bench.draws > 0, null, { timeout: 120_000, polling: 100 });
}

/** Cold, warm (opened again from the list of runs), and one change. */
export async function fornax(browser, stand) {
  const { page, quiet, costOf, close } = await openRun(browser, stand);
  const first = await quiet();
  const warm = await again(page, costOf);
  const { update } = await changes(stand, page, quiet, 12);
  await close();
  return { first, warm, update };
}

async function again(page, costOf) {
  const press = (selector) => page.evaluate((link) => void setTimeout(() => document.querySelector(link).click()), selector);
  await costOf(() => press("a[href='/']"));
  return costOf(async () => {
    await page.evaluate(() => (window.bench.draws = 0));
    await press("a[href^='/runs/']");
    await drawn(page);
  });
}

/** Changes one after the other: what each costs, and how long it takes from the daemon to the screen. */
export async function changes(stand, page, quiet, count = CHANGES) {
  const told = [];
  const before = await quiet();
  for (let i = 0; i < count; i++) {
    const number = stand.number = (stand.number ?? 0) + 1;
    told.push([number, performance.timeOrigin + performance.now()]);
    stand.tell(number);
    await delay(100);
  }
  const cpu = await quiet();
  const seen = await page.evaluate(() => [...window.bench.changes]);
  // A change is on the screen when it or a later one is.
  const latencies = told.map(([number, at]) => seen.find(([drawn, when]) => drawn >= number && when > 0)?.[1] - at);
  if (latencies.some(Number.isNaN)) throw new Error("the last change was not drawn");
  return { update: (cpu - before) / count, latencies };
}

/** Zooms in and out and pans, by wheel: tasks over 50 ms, and what a step costs. */
export async function gestures({ page, quiet, cpu }) {
  await quiet();
  const box = await page.locator(".chart-box").boundingBox();
  await page.mouse.move(box.x + box.width * 0.6, box.y + box.height * 0.4);
  await page.evaluate(() => (window.bench.long = []));
  const before = await cpu();
  const steps = [...Array(GESTURES).fill([0, -120]), ...Array(GESTURES).fill([90, 0]), ...Array(GESTURES).fill([0, 120])];
  for (const [dx, dy] of steps) await page.mouse.wheel(dx, dy);
  const after = await quiet();
  const long = await page.evaluate(() => window.bench.long);
  return { long: long.length, longest: Math.max(0, ...long), step: (after - before) / steps.length };
}

/** Very many changes: the gaps between animation frames, and how busy the main thread is. */
export async function storm(stand, { page, quiet, cpu }) {
  await quiet();
  await page.evaluate(() => {
    window.bench.gaps = [];
    let last = performance.now();
    const tick = () => {
      const now = performance.now();
      window.bench.gaps?.push(now - last);
      last = now;
      if (window.bench.gaps) requestAnimationFrame(tick);
    };
    requestAnimationFrame(tick);
  });
  const [before, began] = [await cpu(), performance.now()];
  let sent = 0;
  for (let elapsed = 0; elapsed < STORM.seconds * 1_000; elapsed = performance.now() - began) {
    const due = Math.floor((elapsed / 1_000) * STORM.perSecond);
    for (; sent < due; sent++) stand.tell((stand.number = (stand.number ?? 0) + 1));
    await delay(STORM.every_ms);
  }
  const elapsed = performance.now() - began;
  const busy = ((await cpu()) - before) / elapsed;
  const gaps = (await page.evaluate(() => {
    const { gaps } = window.bench;
    window.bench.gaps = null;
    return gaps;
  })).sort((a, b) => a - b);
  return { rate: sent / (elapsed / 1_000), worst: gaps.at(-1), p99: gaps[Math.floor(gaps.length * 0.99)], over: gaps.filter((gap) => gap > 33.4).length, frames: gaps.length, busy };
}
