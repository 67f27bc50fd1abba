// Rounds and tables. In a round each contender has its turn, so that whatever slows the machine down
// meets all of them alike; ratios are made within a round, and their median is what counts.

import { execFileSync } from "node:child_process";
import { existsSync, readFileSync, readdirSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";
import { gzipSync } from "node:zlib";

import { fixed, median } from "../numbers.mjs";

const ROOT = path.join(import.meta.dirname, "../..");
const SIZES = [50, 1_000, 10_000, 100_000];
const LARGEST = 1_000_000;

const HELP = `bench/web/run [--rounds N] [--sizes N,N] [--parts PART,PART]

Measures the page's chart beside d3-flame-graph and flame-chart-js, on the same frames in the same browser.
Parts: peers (first paint and an update, beside them), latency (from a change to the screen), gestures
(zoom and pan), storm (2,000 changes a second), million (1,000,000 frames), script; all by default.

  --rounds N   how often each has its turn (5)
  --sizes N,N  frames (${SIZES.join(",")})

Wants a built page (make web) and Chromium (CHROMIUM names it). Prints tables and writes nothing.
`;

export async function main(args) {
  const { values } = parseArgs({
    args,
    options: {
      rounds: { type: "string", default: "5" },
      sizes: { type: "string", default: SIZES.join(",") },
      parts: { type: "string", default: Object.keys(PARTS).join(",") },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  const [rounds, sizes, parts] = [Number(values.rounds), values.sizes.split(",").map(Number), values.parts.split(",")];
  if (values.help || !(rounds >= 1) || !sizes.every((size) => size >= 50) || !parts.every((part) => part in PARTS)) {
    console.log(HELP);
    process.exitCode = values.help ? 0 : 2;
    return;
  }
  if (!existsSync(path.join(ROOT, "web/dist/index.html"))) throw new Error("web/dist is missing: make web");
  if (!existsSync(path.join(import.meta.dirname, "node_modules"))) {
    execFileSync("npm", ["ci", "--no-audit", "--no-fund", "--ignore-scripts"], { cwd: import.meta.dirname, stdio: ["ignore", "ignore", "inherit"] });
  }
  // What it imports is there only now.
  const [{ launch }, data] = await Promise.all([import("./browser.mjs"), import("./data.mjs")]);
  const browser = await launch();
  console.log(`${browser.browserType().name()} ${browser.version()} on ${os.cpus().length} x ${os.cpus()[0]?.model.trim()}, load ${fixed(os.loadavg()[0])}\n`);
  try {
    for (const part of parts) await PARTS[part]({ browser, rounds, sizes, runOf: data.runOf });
  } finally {
    await browser.close();
  }
  console.log("CPU is that of the page's main thread. It changes with the machine: quote the ratios only.");
}

const PARTS = { peers: besidePeers, latency, gestures, storm, million, script };

/** First paint and one update beside the other charts. */
async function besidePeers({ browser, rounds, sizes, runOf }) {
  const [{ PEERS, peer }, { PeerServer }, { Stand, fornax }] = await Promise.all([import("./peers.mjs"), import("./server.mjs"), import("./fornax.mjs")]);
  const server = new PeerServer();
  await server.start();
  try {
    for (const size of sizes) {
      const run = runOf(size);
      server.tree = JSON.stringify(run.tree);
      const contenders = { "fornax": (stand) => fornax(browser, stand), "an empty page": () => peer(browser, server, "nothing") };
      for (const name of PEERS) contenders[name] = () => peer(browser, server, name);
      await withStand(new Stand(run), async (stand) => {
        const results = await inTurns(contenders, rounds, stand);
        print(size, results);
      });
    }
  } finally {
    await server.stop();
  }
}

async function inTurns(contenders, rounds, ...given) {
  const results = new Map(Object.keys(contenders).map((name) => [name, []]));
  for (let round = 0; round < rounds; round++) {
    for (const [name, once] of Object.entries(contenders)) {
      progress(`${round + 1}/${rounds}: ${name}`);
      results.get(name).push(await once(...given));
    }
  }
  progress("");
  return results;
}

const BUDGETS = { 50: { first: 50 }, 100_000: { first: 250, warm: 60 } };
const UPDATE_BUDGET_MS = 8;

function print(size, results) {
  const middle = (name, key) => median(results.get(name).map((once) => once[key]));
  const ours = results.get("fornax");
  const times = (name, key) => median(results.get(name).map((once, round) => once[key] / ours[round][key]));
  const budget = (key) => (key === "update" ? UPDATE_BUDGET_MS : BUDGETS[size]?.[key]);
  console.log(`${size.toLocaleString("en-US")} frames: main-thread CPU, ms; in brackets how many times that of fornax`);
  row("", ["cold", "one update", "warm"]);
  for (const name of results.keys()) {
    const cells = ["first", "update", "warm"].map((key) => {
      if (results.get(name)[0][key] === undefined) return "";
      if (name === "fornax") return `${fixed(middle(name, key))}${budget(key) ? ` of ${budget(key)}` : ""}`;
      return `${fixed(middle(name, key))} (${fixed(times(name, key))}x)`;
    });
    row(name, cells);
  }
  console.log();
}

/** From the daemon's change to the screen. */
async function latency({ browser, sizes, runOf }) {
  const { Stand, changes, openRun } = await import("./fornax.mjs");
  row("one change", ["p50, ms", "p99, ms", "CPU, ms"]);
  row("budget", ["", "33", String(UPDATE_BUDGET_MS)]);
  for (const size of sizes) {
    await withStand(new Stand(runOf(size)), async (stand) => {
      const { page, quiet, close } = await openRun(browser, stand);
      await changes(stand, page, quiet, 10);
      const { update, latencies } = await changes(stand, page, quiet);
      latencies.sort((a, b) => a - b);
      await close();
      row(frames(size), [fixed(median(latencies)), fixed(latencies[Math.ceil(latencies.length * 0.99) - 1]), fixed(update)]);
    });
  }
  console.log();
}

async function gestures({ browser, sizes, runOf }) {
  const { Stand, gestures: gesture, openRun } = await import("./fornax.mjs");
  row("zoom and pan", ["long tasks", "longest, ms", "CPU a step"]);
  row("budget", ["0", "50", ""]);
  for (const size of sizes) {
    await withStand(new Stand(runOf(size)), async (stand) => {
      const opened = await openRun(browser, stand);
      const { long, longest, step } = await gesture(opened);
      await opened.close();
      row(frames(size), [String(long), fixed(longest), fixed(step)]);
    });
  }
  console.log();
}

async function storm({ browser, sizes, runOf }) {
  const { Stand, openRun, storm: rage } = await import("./fornax.mjs");
  row("very many changes", ["changes/s", "worst gap, ms", "p99 gap, ms", "over 33 ms", "main thread"]);
  row("budget", ["2,000", "33", "33", "0", ""]);
  for (const size of sizes) {
    await withStand(new Stand(runOf(size)), async (stand) => {
      const opened = await openRun(browser, stand);
      const { rate, worst, p99, over, frames: seen, busy } = await rage(stand, opened);
      await opened.close();
      row(frames(size), [fixed(rate), fixed(worst), fixed(p99), `${over} of ${seen}`, `${Math.round(busy * 100)} % busy`]);
    });
  }
  console.log();
}

async function million({ browser, rounds, runOf }) {
  const { Stand, openRun } = await import("./fornax.mjs");
  // Without tasks: with them the snapshot is longer than any text that a browser or Node can hold.
  await withStand(new Stand({ ...runOf(LARGEST), tasks: [] }), async (stand) => {
    const once = async () => {
      const { quiet, close } = await openRun(browser, stand);
      const cpu = await quiet();
      await close();
      return cpu;
    };
    const results = await inTurns({ fornax: once }, Math.min(rounds, 3));
    row(frames(LARGEST), ["cold, CPU ms"]);
    row("fornax", [`${fixed(median(results.get("fornax")))} of 1,000`]);
  });
  console.log();
}

async function script() {
  const assets = path.join(ROOT, "web/dist/assets");
  const html = readFileSync(path.join(ROOT, "web/dist/index.html"), "utf8");
  // What the first page names, and the worker, which it starts at once.
  const first = readdirSync(assets).filter((name) => name.endsWith(".js") && (html.includes(name) || name.startsWith("worker")));
  const size = first.reduce((sum, name) => sum + gzipSync(readFileSync(path.join(assets, name))).length, 0);
  row("script", ["gzipped, kB"]);
  row("first load", [`${fixed(size / 1_000)} of 60`]);
  console.log();
}

async function withStand(stand, work) {
  stand.url = await stand.start(0);
  try {
    await work(stand);
  } finally {
    await stand.stop();
  }
}

const frames = (size) => `${size.toLocaleString("en-US")} frames`;

function row(name, cells) {
  console.log(name.padEnd(20) + cells.map((cell) => cell.padStart(16)).join(""));
}

function progress(text) {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${text}`);
}
