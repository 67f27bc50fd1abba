// Chromium for tests: Debian's, or the one that CHROMIUM names.

import { chromium } from "playwright-core";

const FLAGS =
  "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-component-update --disable-sync";

export function launch() {
  return chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: FLAGS.split(" "),
  });
}

/** A page of its own, and what went wrong in it: errors, and what the security policy refused. Its clock may
 *  be made to stand at a moment. */
export async function open(
  browser,
  url,
  { width = 1400, height = 860, theme = "dark", before, timezone, locale, still_ms } = {},
) {
  const context = await browser.newContext({
    viewport: { width, height },
    colorScheme: theme,
    timezoneId: timezone,
    locale,
  });
  const wrong = [];
  const page = await context.newPage();
  watch(page, wrong);
  if (still_ms !== undefined) await page.clock.setFixedTime(still_ms);
  if (before) await context.addInitScript(before);
  await page.goto(url);
  return { page, context, wrong };
}

export function watch(page, wrong) {
  page.on("pageerror", (error) => wrong.push(String(error)));
  page.on("dialog", (dialog) => {
    wrong.push(`a dialog: ${dialog.message()}`);
    void dialog.dismiss();
  });
  page.on("console", (message) => {
    // That a connection failed is said where a test breaks it.
    if (
      message.type() === "error" &&
      !/net::ERR_|status of (401|404|409|416|503)/.test(message.text())
    )
      wrong.push(message.text());
  });
}

/** Waits until something holds; fails with what was last seen. */
export async function until(look, holds, what, limit_ms = 5_000) {
  const end = Date.now() + limit_ms;
  for (;;) {
    const seen = await look();
    if (holds(seen)) return seen;
    if (Date.now() > end) throw new Error(`${what}: last seen ${JSON.stringify(seen)}`);
    await new Promise((resolve) => setTimeout(resolve, 15));
  }
}
