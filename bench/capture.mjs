// What it costs that a task's output is kept: a program that writes a gibibyte as fast as it can.

import { rmSync, writeFileSync } from "node:fs";
import path from "node:path";

import { upTo } from "./numbers.mjs";
import { run } from "./place.mjs";

const MIB = 1_024;
const TEXT_MIB = 16;

export async function capture(place) {
  const text = path.join(place.dir, "text");
  writeFileSync(text, ordinaryText());
  const tool = { cmd: [place.floor, "write", "{prompt}", text], output: "none" };
  const project = await place.project({ tools: { write: tool, "write-unredacted": { ...tool, redact: false } } });
  const fornax = (name) => async (mib) => {
    const plan = project.plan("write", [{ id: "write", tool: name, prompt: String(mib) }]);
    const { run: made, seconds } = await project.run(plan);
    if (made.status !== "completed") throw new Error(`the run is ${made.status}: ${made.reason}`);
    rmSync(path.join(project.dir, ".fornax", "runs", made.id, "tasks"), { recursive: true });
    return seconds;
  };
  const command = (mib) => [place.floor, "write", mib, text];
  const contenders = [
    { name: "floor: straight into its file", wall: (mib) => shell(place, `"$@" > out`, command(mib)) },
    { name: "fornax, redaction off", wall: fornax("write-unredacted") },
    { name: "fornax", wall: fornax("write") },
    ...peers(place, command),
  ];
  return [
    {
      name: "capture",
      title: `a program that writes ${MIB.toLocaleString("en-US")} MiB to its output`,
      metrics: [{ key: "rate", unit: "MB/s", better: "higher" }],
      floor: "floor: straight into its file",
      contenders: contenders.map(({ name, wall }) => ({ name, once: () => rate(wall) })),
    },
  ];
}

/** The start of whatever runs the program is no capture: it is measured and taken off. */
async function rate(wall) {
  const nothing = await wall(0);
  const all = await wall(MIB);
  return { rate: (MIB * 1.048576) / (all - nothing) };
}

/** Runs a shell line with a command as its arguments, in a folder that is removed. */
async function shell(place, line, argv, env = {}) {
  const dir = place.fresh("capture");
  const whole = { ...process.env, TMPDIR: dir, ...env };
  const { seconds } = await run(["/bin/sh", "-c", line, "sh", ...argv], { cwd: dir, env: whole });
  rmSync(dir, { recursive: true });
  return seconds;
}

function peers(place, command) {
  const [tee, make] = [place.find("tee"), place.find("make")];
  const parallel = place.find("parallel", "GNU parallel");
  const tsp = place.find("tsp", "task-spooler");
  const made = [];
  if (tsp) {
    const line = `tsp -S 1; tsp "$@" > /dev/null; tsp -w; tsp -K`;
    made.push({ name: "task-spooler", wall: (mib) => shell(place, line, command(mib), { TS_SOCKET: path.join(place.dir, "ts") }) });
  }
  if (parallel) {
    const line = `PARALLEL_HOME=$PWD parallel --will-cite -j1 -N0 "$@" ::: 1 > out`;
    made.push({ name: "GNU parallel", wall: (mib) => shell(place, line, command(mib)) });
  }
  if (tee) made.push({ name: "tee", wall: (mib) => shell(place, `"$@" | tee out > /dev/null`, command(mib)) });
  if (make) {
    const line = `printf 'all:\\n\\t@%s\\n' "$*" > Makefile; make -s -O -j2 all > out`;
    made.push({ name: "make -O", wall: (mib) => shell(place, line, command(mib)) });
  }
  return made;
}

/** What programs print: progress, test results, paths, numbers. */
function ordinaryText() {
  const lines = [
    (n) => `   Compiling crate-${n} v1.${n % 90}.${n % 7} (/home/ana/src/app/crates/crate-${n})\n`,
    (n) => `test state::tests::case_${n}_is_applied_once ... ok\n`,
    (n) => `2026-11-21T02:${String(n % 60).padStart(2, "0")}:07.${String(n % 1000).padStart(3, "0")}Z INFO server: GET /api/items/${n} 200 in ${n % 90} ms\n`,
    (n) => `warning: unused variable: \`row_${n}\` --> src/export/rows.rs:${n % 900}:13\n`,
    (n) => `  ${(n * 2654435761).toString(16).padStart(14, "0")}  ${n * 37} bytes  target/release/deps/app-${n.toString(36)}.o\n`,
  ];
  const chunks = [];
  let bytes = 0;
  for (const number of upTo(TEXT_MIB << 20)) {
    const line = lines[number % lines.length](number);
    if (bytes + line.length > TEXT_MIB << 20) break;
    chunks.push(line);
    bytes += line.length;
  }
  return chunks.join("");
}
