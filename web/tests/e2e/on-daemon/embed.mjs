// A run framed by a page of another port, on a real daemon and in a real browser: only what is made for it,
// only by whom the daemon was told, and by nobody unless it was told.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtempSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { launch, until } from "../browser.mjs";

const BIN = resolve(
  process.env.FORNAX_BIN ??
    fileURLToPath(new URL("../../../../target/debug/fornax", import.meta.url)),
);
const home = mkdtempSync(join(tmpdir(), "fornax-embed-"));
const project = join(home, "project");
const env = {
  ...process.env,
  XDG_STATE_HOME: join(home, "state"),
  XDG_CONFIG_HOME: join(home, "config"),
  HOME: home,
};
const call = promisify(execFile);
const fornax = async (...args) => (await call(BIN, args, { cwd: project, env })).stdout;

/** Pages of other tools, on ports of their own: each frames what its query says. */
const tools = [];
let browser;
let run;

function tool() {
  const server = createServer((request, response) => {
    const framed =
      new URL(request.url, "http://localhost").searchParams.get("frame") ?? "about:blank";
    response.setHeader("content-type", "text/html");
    response.end(
      `<!doctype html><title>a tool</title><iframe width="1000" height="600" src="${framed.replaceAll('"', "%22")}"></iframe>`,
    );
  });
  tools.push(server);
  return new Promise((done) => server.listen(0, () => done(server.address().port)));
}

before(async () => {
  mkdirSync(project);
  writeFileSync(
    join(project, "plan.yaml"),
    "name: framed\ngoal: Be framed\nframes:\n  - id: one\n    goal: One\n    run: echo one\n",
  );
  browser = await launch();
});
after(async () => {
  await browser?.close();
  for (const server of tools) server.close();
  await fornax("down").catch(() => {});
  rmSync(home, { recursive: true, force: true });
});

/** Starts the daemon anew, and signs a browser in at a host name. */
async function signedIn(host, ...options) {
  await fornax("down").catch(() => {});
  await fornax("up", "--detach", "--bind", "127.0.0.1:0", ...options);
  run ??= JSON.parse(await fornax("run", "plan.yaml", "--json"));
  const context = await browser.newContext();
  const page = await context.newPage();
  const link = new URL((await fornax("open", "--print")).trim());
  link.hostname = host;
  await page.goto(link.href);
  await page.locator(".connection-live").waitFor();
  const address = await page.evaluate(async () => {
    const { runs } = await (await fetch("/api/snapshot")).json();
    return `/embed/run/${runs[0].id}?project=${runs[0].project}`;
  });
  return { context, page, embed: link.origin + address, origin: link.origin };
}

/** What becomes of an address in a frame: what it shows, or why the browser does not show it. */
async function framed(context, outer, address) {
  const page = await context.newPage();
  const said = [];
  page.on("console", (message) => said.push(message.text()));
  page.on(
    "response",
    (response) => response.status() >= 400 && said.push(`status ${response.status()}`),
  );
  await page.goto(`${outer}/?frame=${encodeURIComponent(address)}`);
  const shown = page.frameLocator("iframe").locator(".chart-box");
  const outcome = await until(
    async () =>
      (await shown.count()) > 0
        ? "shown"
        : (said.find((text) => /frame-ancestors|X-Frame-Options|status 4/i.test(text)) ?? null),
    (seen) => seen !== null,
    `${address} in ${outer}`,
    15_000,
  );
  return { page, outcome };
}

test("nobody may frame anything by default", async () => {
  const port = await tool();
  const { context, embed } = await signedIn("127.0.0.1");
  const { outcome } = await framed(context, `http://127.0.0.1:${port}`, embed);
  assert.match(outcome, /status 403|frame-ancestors|X-Frame-Options/i);
  await context.close();
});

test("whom the daemon was told frames a run, live, and nothing else; others frame nothing", async () => {
  const [allowed, other] = [await tool(), await tool()];
  const { context, embed, origin } = await signedIn(
    "127.0.0.1",
    "--embed-origin",
    `http://127.0.0.1:${allowed}`,
    "--embed-origin",
    `http://localhost:${allowed}`,
  );
  const { page, outcome } = await framed(context, `http://127.0.0.1:${allowed}`, embed);
  assert.equal(outcome, "shown");
  const inner = page.frameLocator("iframe");
  await inner.getByText("framed in Fornax").waitFor();
  assert.equal(
    await inner.getByRole("button", { name: /stop|retry|allow/i }).count(),
    0,
    "it does nothing",
  );
  assert.equal(await inner.getByText("not live").count(), 0);
  assert.match(
    (await framed(context, `http://127.0.0.1:${other}`, embed)).outcome,
    /frame-ancestors/,
  );
  for (const path of ["/", new URL(embed).pathname.replace("/embed/run", "/runs/p")]) {
    assert.match(
      (await framed(context, `http://127.0.0.1:${allowed}`, origin + path)).outcome,
      /status 403/,
      path,
    );
  }
  // Another host name is another site: the cookie would not be sent, and the daemon does not answer.
  assert.match((await framed(context, `http://localhost:${allowed}`, embed)).outcome, /status 403/);
  await context.close();
});

test("the host name is the one where one is signed in", async () => {
  const port = await tool();
  const { context, embed } = await signedIn(
    "localhost",
    "--embed-origin",
    `http://localhost:${port}`,
  );
  assert.equal((await framed(context, `http://localhost:${port}`, embed)).outcome, "shown");
  const stranger = await browser.newContext();
  const { page, outcome } = await framed(stranger, `http://localhost:${port}`, embed);
  assert.equal(outcome, "status 401");
  await page.frameLocator("iframe").getByText("fornax open").waitFor();
  await stranger.close();
  await context.close();
});

test("an origin of another machine, or that is none, is refused when the daemon starts", async () => {
  await fornax("down").catch(() => {});
  for (const origin of [
    "https://example.com",
    "http://example.com",
    "*",
    "http://localhost:3000/page",
  ]) {
    await assert.rejects(
      fornax("up", "--detach", "--embed-origin", origin),
      /no origin of a page on this machine/,
    );
  }
});
