// What the pictures show: each is made with a clock that stands, one time zone, one face, so that it is
// the same on any machine with the same browser.

import { open, until } from "../e2e/browser.mjs";
import { LARGE_NOW, addLarge } from "../fixture/large.mjs";
import { LIVE, scenario } from "../fixture/scenario.mjs";

const DAY = { theme: "light" };
const NIGHT = { theme: "dark" };
const SMALL = { width: 960, height: 560 };
const PHONE = { width: 390, height: 844 };

/** By name: how the page is opened, and at which address. The two in docs are those of the README. */
export const PICTURES = {
  "docs/dashboard.png": {
    ...NIGHT,
    width: 1400,
    height: 860,
    at: ({ run, frame }) => `${run}?frame=${frame("passkeys")}`,
    sees: ".details h2",
  },
  "docs/dashboard-idle.png": {
    ...DAY,
    width: 1400,
    height: 700,
    at: ({ large }) => large("idle", 400, "Move the shop to the new store"),
  },
  "typical-dark": { ...NIGHT, ...SMALL, at: ({ run }) => run },
  "typical-light": { ...DAY, ...SMALL, at: ({ run }) => run },
  "deep-light": { ...DAY, ...SMALL, at: ({ large }) => large("deep", 300) },
  "wide-dark": { ...NIGHT, ...SMALL, at: ({ large }) => large("wide", 300) },
  "mixed-light": { ...DAY, ...SMALL, at: ({ large }) => large("mixed", 150) },
  "mixed-dark": { ...NIGHT, ...SMALL, at: ({ large }) => large("mixed", 150) },
  "idle-dark": { ...NIGHT, ...SMALL, at: ({ large }) => large("idle", 300) },
  "ten-thousand-dark": { ...NIGHT, ...SMALL, at: ({ large }) => large("typical", 10_000) },
  "ten-thousand-light": { ...DAY, ...SMALL, at: ({ large }) => large("mixed", 10_000) },
  "graph-dark": { ...NIGHT, ...SMALL, at: ({ run }) => `${run}?view=graph`, sees: ".graph" },
  "table-light": {
    ...DAY,
    ...SMALL,
    at: ({ run }) => `${run}?view=table`,
    sees: ".run-body table, .run-body [role=grid], .run-body [role=table]",
  },
  "runs-light": { ...DAY, ...SMALL, at: () => "/", sees: ".run-name" },
  "phone-runs-dark": { ...NIGHT, ...PHONE, at: () => "/", sees: ".run-name" },
  "phone-run-light": { ...DAY, ...PHONE, at: ({ run }) => run },
};

/** The picture as it is now, as a PNG. `before` may change the page before it is taken. */
export async function take(browser, { at, sees, ...how }, before = () => {}) {
  const fixture = scenario(LARGE_NOW);
  fixture.now = () => LARGE_NOW;
  const { frames } = fixture.runs.get(LIVE);
  const frame = (key) => [...frames.values()].find((each) => each.key === key).id;
  // Hostile text is no sight for the documentation; tests of its own look at it.
  frames.delete(frame("hostile"));
  const large = (shape, count, name = shape) => {
    const key = addLarge(fixture, shape, count);
    fixture.runs.get(key).run.name = name;
    return `/runs/${key}`;
  };
  const path = at({ run: `/runs/${LIVE}`, frame, large });
  const url = await fixture.start(0);
  const { page, context, wrong } = await open(browser, `${url}${path}`, {
    ...how,
    timezone: "UTC",
    locale: "en-GB",
    still_ms: LARGE_NOW,
    before: useFaces,
  });
  await page.locator(".connection-live").waitFor();
  await page
    .locator(sees ?? "canvas")
    .first()
    .waitFor();
  await page.evaluate(before);
  const picture = await settled(page);
  await context.close();
  await fixture.stop();
  if (wrong.length > 0) throw new Error(wrong.join("\n"));
  return picture;
}

/** Those of Debian, which are drawn alike everywhere. */
function useFaces() {
  addEventListener("DOMContentLoaded", () => {
    const { style } = document.documentElement;
    style.setProperty("--face", '"DejaVu Sans"');
    style.setProperty("--mono", '"DejaVu Sans Mono"');
  });
}

/** Taken again until nothing moves any more. */
async function settled(page) {
  let last = Buffer.alloc(0);
  return until(
    async () => {
      const before = last;
      last = await page.screenshot({ animations: "disabled", caret: "hide" });
      return { picture: last, same: before.equals(last) };
    },
    ({ same }) => same,
    "a picture that stays",
    20_000,
  ).then(({ picture }) => picture);
}
