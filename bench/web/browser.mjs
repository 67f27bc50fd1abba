// Pages and what they cost.
//
// Cost is the CPU time of the page's main thread as Chromium counts it (Performance.getMetrics in
// thread ticks: TaskDuration, without what the questions themselves cost): scripts, styles, layout,
// painting, collecting garbage. Time in which the thread had to wait for a core is not in it, so that a
// busy machine changes it little. Work of other threads is not in it either: raster, the page's worker.

import { launch } from "../../web/tests/e2e/browser.mjs";

const SIZE = { width: 1_400, height: 860 };
/** A page is quiet when its main thread has worked less than that, in milliseconds, for so long. */
const QUIET = { cpu: 3, during: 150 };

export { launch };

/** A page that nothing has been loaded into yet: no cache, no compiled code. */
export async function newPage(browser, prepare) {
  const context = await browser.newContext({ viewport: SIZE });
  const page = await context.newPage();
  const wrong = [];
  page.on("pageerror", (error) => wrong.push(String(error)));
  if (prepare) await context.addInitScript(prepare);
  const devtools = await context.newCDPSession(page);
  await devtools.send("Performance.enable", { timeDomain: "threadTicks" });

  /** Milliseconds of the main thread since the page was navigated to. */
  async function cpu() {
    const { metrics } = await devtools.send("Performance.getMetrics");
    const of = (name) => metrics.find((metric) => metric.name === name).value * 1_000;
    return of("TaskDuration") - of("DevToolsCommandDuration");
  }

  /** Waits until the page has nothing more to do. Says what it has cost by then. */
  async function quiet() {
    for (let before = await cpu(); ; ) {
      await delay(QUIET.during);
      const now = await cpu();
      if (now - before < QUIET.cpu) return now;
      before = now;
    }
  }

  /** What it costs to do something in the page until it is quiet again. */
  async function costOf(act) {
    const before = await quiet();
    await act();
    return (await quiet()) - before;
  }

  async function close() {
    await context.close();
    if (wrong.length > 0) throw new Error(`the page failed: ${wrong.join("; ")}`);
  }

  return { page, devtools, cpu, quiet, costOf, close };
}

export function delay(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
