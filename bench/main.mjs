// Rounds, ratios and tables. What is measured stands in dispatch.mjs, ingest.mjs and capture.mjs.
//
// A part is a function of the place (place.mjs) that returns groups:
//   { name, title, metrics: [{ key, unit, better }], floor, contenders: [{ name, once }] }
// `once` does the thing once and returns a number for each metric. In a round every contender of a
// group has its turn, so that whatever slows the machine down meets all of them alike; ratios are
// made within a round, and their median is what counts.

import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";

import { capture } from "./capture.mjs";
import { dispatch } from "./dispatch.mjs";
import { ingest } from "./ingest.mjs";
import { fixed, median } from "./numbers.mjs";
import { Place } from "./place.mjs";

const PARTS = { dispatch, ingest, capture };

const HELP = `bench/run [PART...] [--rounds N] [--only TEXT]

Measures Fornax beside the machine's own limit and beside its peers, in turns.
Parts: ${Object.keys(PARTS).join(", ")}; all of them by default.

  --rounds N    how often each has its turn (5)
  --only TEXT   groups whose name contains TEXT
  --keep        keep the folder of the measurement, and say where it is

FORNAX names the binary (target/release/fornax), FLOOR that of bench/floor.rs (by default it is
built), TMPDIR a folder on the disk to be measured (/var/tmp). Peers are taken from PATH; what is missing there is named. Writes bench/results.json.
`;

export async function main(args) {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: {
      rounds: { type: "string", default: "5" },
      only: { type: "string", default: "" },
      keep: { type: "boolean", default: false },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  if (values.help) return console.log(HELP);
  const rounds = Number(values.rounds);
  const unknown = positionals.find((part) => !(part in PARTS));
  if (unknown !== undefined || !(rounds >= 1)) {
    console.error(HELP);
    process.exitCode = 2;
    return;
  }
  const parts = positionals.length > 0 ? positionals : Object.keys(PARTS);

  const place = new Place({ keep: values.keep });
  try {
    const results = { ...(await machine(place)), rounds, groups: [] };
    describe(results);
    for (const part of parts) {
      for (const group of await PARTS[part](place)) {
        if (!group.name.includes(values.only)) continue;
        results.groups.push(await measure(group, rounds));
      }
    }
    results.missing = [...place.missing].map(([name, why]) => ({ name, why }));
    results.load_after = os.loadavg()[0];
    const file = path.join(import.meta.dirname, "results.json");
    writeFileSync(file, JSON.stringify(results, null, 2) + "\n");
    for (const { name, why } of results.missing) console.log(`Not measured: ${name}: ${why}`);
    console.log(`Load ${fixed(results.load)} before and ${fixed(results.load_after)} after. ${NOTE}`);
    console.log(`Written to ${path.relative(process.cwd(), file)}.`);
  } finally {
    await place.leave();
  }
}

const NOTE =
  "Absolute figures change with the machine and with what else runs on it: quote the ratios only.";

async function machine(place) {
  const say = (program, ...args) => {
    try {
      return execFileSync(program, args, { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });
    } catch {
      return "";
    }
  };
  const version = (program) => say(program, "--version").split("\n")[0];
  return {
    date: new Date().toISOString().slice(0, 10),
    fornax: version(place.fornax),
    commit: say("git", "-C", import.meta.dirname, "rev-parse", "--short", "HEAD").trim(),
    cpu: os.cpus()[0]?.model.trim(),
    cpus: os.cpus().length,
    kernel: os.release(),
    file_system: say("stat", "-f", "-c", "%T", place.dir).trim(),
    load: os.loadavg()[0],
    node: process.version,
  };
}

function describe(results) {
  const { fornax, commit, cpu, cpus, kernel, file_system } = results;
  console.log(`${fornax} (${commit}) on ${cpus} x ${cpu}, Linux ${kernel}, ${file_system}`);
  if (file_system === "tmpfs") {
    console.log("The folder is in memory, where durability costs nothing. Set TMPDIR to one on a disk.");
  }
  if (results.load > cpus / 2) {
    console.log(`The machine is busy (load ${fixed(results.load)}): results will scatter.`);
  }
  console.log();
}

async function measure(group, rounds) {
  const rows = group.contenders.map(({ name }) => ({ name, values: [] }));
  for (let round = 0; round < rounds; round++) {
    for (const [at, contender] of group.contenders.entries()) {
      progress(`${group.name} ${round + 1}/${rounds}: ${contender.name}`);
      try {
        rows[at].values.push(await contender.once());
      } catch (error) {
        throw new Error(`${group.name}: ${contender.name}: ${error.message}`, { cause: error });
      }
    }
  }
  progress("");
  const tables = group.metrics.map((metric) => table(group, metric, rows));
  tables.forEach((made, at) => print(group, group.metrics[at], made));
  return { name: group.name, title: group.title, floor: group.floor, tables };
}

/** One metric of a group: medians, and ratios within rounds. `better` is "higher" or "lower". */
function table(group, { key, unit, better }, rows) {
  const of = (name) => rows.find((row) => row.name === name)?.values.map((value) => value[key]);
  const floor = of(group.floor);
  const fornax = of("fornax");
  // How many times as good `a` is as `b`.
  const ratio = (a, b) => {
    if (a === undefined || b === undefined) return undefined;
    return median(a.map((_, at) => (better === "higher" ? a[at] / b[at] : b[at] / a[at])));
  };
  const made = rows
    .map(({ name, values }) => ({ name, values: values.map((value) => value[key]) }))
    .filter(({ values }) => values.every((value) => value !== undefined))
    .map(({ name, values }) => ({
      name,
      median: median(values),
      min: Math.min(...values),
      max: Math.max(...values),
      of_floor: ratio(values, floor),
      fornax_is: ratio(fornax, values),
      values,
    }));
  return { key, unit, better, rows: made };
}

function print(group, { unit, better }, { rows }) {
  const width = Math.max(...rows.map(({ name }) => name.length)) + 2;
  const head = ["median", "min", "max", "of the floor", "fornax is"];
  console.log(`${group.title}: ${unit}, ${better} is better`);
  console.log("".padEnd(width) + head.map((text) => text.padStart(13)).join(""));
  for (const row of rows) {
    const times = (ratio) => (ratio === undefined ? "" : `${fixed(ratio)}x`);
    const cells = [fixed(row.median), fixed(row.min), fixed(row.max), times(row.of_floor), times(row.fornax_is)];
    console.log(row.name.padEnd(width) + cells.map((text) => text.padStart(13)).join(""));
  }
  console.log();
}

function progress(text) {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${text}`);
}
