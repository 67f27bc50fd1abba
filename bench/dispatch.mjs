// How fast tasks are started, seen to their end and recorded: a thousand that need nothing of each
// other, a graph of as many, and a chain.

import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";

import { median, upTo } from "./numbers.mjs";
import { run } from "./place.mjs";

const TASKS = 1_000;
const LAYERS = 25;
const CHAIN = 200;
const SLOTS = 2;
/** It looks for work a few times a second: a thousand would take minutes. */
const PUEUE_TASKS = 60;
const PUEUE_CHAIN = 20;

export async function dispatch(place) {
  const project = await place.project({
    limits: { tasks: SLOTS },
    tools: {
      noop: { cmd: ["true"] },
      "noop-unredacted": { cmd: ["true"], redact: false },
      stamp: { cmd: [place.floor, "stamp", "{prompt}"] },
      "stamp-unredacted": { cmd: [place.floor, "stamp", "{prompt}"], redact: false },
    },
  });
  return [throughput(place, project), chain(place, project)];
}

function throughput(place, project) {
  const independent = upTo(TASKS).map((number) => ({ id: `t${number}`, deps: [] }));
  const graph = layered();
  const noop = (tasks, tool) => tasks.map(({ id, deps }) => ({ id, tool, depends_on: deps, goal: "Nothing" }));
  const rate = (count, time) => async () => ({ rate: count / (await time()) });
  const plan = (name, tasks, tool) => {
    const file = project.plan(name, noop(tasks, tool));
    return rate(TASKS, () => fornax(project, file));
  };
  const contenders = [
    { name: "floor: nothing recorded", once: rate(TASKS, () => floor(place, "nothing", TASKS, SLOTS, ["true"])) },
    { name: "floor: durable", once: rate(TASKS, () => floor(place, "events", TASKS, SLOTS, ["true"])) },
    { name: "fornax", once: plan("independent", independent, "noop") },
    { name: "fornax, redaction off", once: plan("unredacted", independent, "noop-unredacted") },
    { name: "fornax, graph", once: plan("graph", graph, "noop") },
    ...builders(place).flatMap(({ name, build }) => [
      { name, once: rate(TASKS, () => build(independent, SLOTS, "true")) },
      { name: `${name}, graph`, once: rate(TASKS, () => build(graph, SLOTS, "true")) },
    ]),
    ...queues(place).map(({ name, queue, tasks = TASKS }) => ({
      name,
      once: rate(tasks, () => queue(tasks, SLOTS, "true")),
    })),
  ];
  return {
    name: "dispatch",
    title: `${TASKS.toLocaleString("en-US")} times \`true\`, ${SLOTS} at a time`,
    metrics: [{ key: "rate", unit: "tasks/s", better: "higher" }],
    floor: "floor: durable",
    contenders,
  };
}

/** A chain: what lies between the end of one task's process and the beginning of the next. */
function chain(place, project) {
  const tasks = upTo(CHAIN).map((number) => ({ id: `t${number}`, deps: number > 0 ? [`t${number - 1}`] : [] }));
  const stamped = (count, time) => async () => {
    const file = path.join(place.fresh("chain"), "stamps");
    const seconds = await time(file, `${place.floor} stamp ${file}`);
    return { gap: gap(file, count), rate: count / seconds };
  };
  const plan = (tool) => (file) => {
    const frames = tasks.map(({ id, deps }) => ({ id, tool, prompt: file, depends_on: deps }));
    return fornax(project, project.plan("chain", frames));
  };
  const bare = (keep) => (file) => floor(place, keep, CHAIN, 1, [place.floor, "stamp", file]);
  return {
    name: "chain",
    title: `a chain of ${CHAIN}, from one's end to the next one's beginning`,
    metrics: [
      { key: "gap", unit: "p50, ms", better: "lower" },
      { key: "rate", unit: "tasks/s", better: "higher" },
    ],
    floor: "floor: durable",
    contenders: [
      { name: "floor: nothing recorded", once: stamped(CHAIN, bare("nothing")) },
      { name: "floor: durable", once: stamped(CHAIN, bare("events")) },
      { name: "fornax", once: stamped(CHAIN, plan("stamp")) },
      { name: "fornax, redaction off", once: stamped(CHAIN, plan("stamp-unredacted")) },
      ...builders(place).map(({ name, build }) => ({
        name,
        once: stamped(CHAIN, (_, command) => build(tasks, SLOTS, command)),
      })),
      ...queues(place).map(({ name, queue, chain = CHAIN }) => ({
        name,
        once: stamped(chain, (_, command) => queue(chain, 1, command)),
      })),
    ],
  };
}

/** Each node needs three of the layer before. */
function layered() {
  const width = TASKS / LAYERS;
  const id = (layer, column) => `n${layer}-${column % width}`;
  return upTo(TASKS).map((number) => {
    const [layer, column] = [Math.floor(number / width), number % width];
    const deps = layer > 0 ? [0, 1, 7].map((step) => id(layer - 1, column + step)) : [];
    return { id: id(layer, column), deps };
  });
}

/** From the end of each process to the beginning of the next; the median, in milliseconds. */
function gap(file, count) {
  const lines = readFileSync(file, "utf8").trim().split("\n");
  if (lines.length !== count) throw new Error(`${lines.length} of ${count} tasks left a stamp`);
  const spans = lines.map((line) => line.split(" ").map(Number)).sort(([a], [b]) => a - b);
  return median(spans.slice(1).map(([start], at) => (start - spans[at][1]) / 1e6));
}

async function floor(place, keep, count, slots, argv) {
  const dir = place.fresh("floor");
  return (await run([place.floor, "run", count, slots, dir, keep, ...argv])).seconds;
}

async function fornax(project, plan) {
  const { run: made, seconds } = await project.run(plan);
  if (made.status !== "completed") throw new Error(`the run is ${made.status}: ${made.reason}`);
  return seconds;
}

/** Peers that build a graph. */
function builders(place) {
  const [make, ninja] = [place.find("make"), place.find("ninja")];
  const made = [];
  if (make) {
    const build = async (tasks, slots, command) => {
      const dir = place.fresh("make");
      const all = tasks.map(({ id }) => id).join(" ");
      const rules = tasks.map(({ id, deps }) => `${id}: ${deps.join(" ")}\n\t@${command}\n`);
      writeFileSync(path.join(dir, "Makefile"), `.PHONY: all ${all}\nall: ${all}\n${rules.join("")}`);
      return (await run([make, "-s", `-j${slots}`, "all"], { cwd: dir })).seconds;
    };
    made.push({ name: "make -j2", build });
  }
  if (ninja) {
    const build = async (tasks, slots, command) => {
      const dir = place.fresh("ninja");
      const rules = tasks.map(({ id, deps }) => `build ${id}: task ${deps.join(" ")}\n`);
      writeFileSync(path.join(dir, "build.ninja"), `rule task\n  command = ${command}\n${rules.join("")}`);
      return (await run([ninja, "--quiet", `-j${slots}`], { cwd: dir })).seconds;
    };
    made.push({ name: "ninja -j2", build });
  }
  return made;
}

/** Peers that work through a queue. */
function queues(place) {
  const parallel = place.find("parallel", "GNU parallel");
  const tsp = place.find("tsp", "task-spooler");
  const [pueue, pueued] = [place.find("pueue"), place.find("pueued", "pueue")];
  const made = [];
  if (parallel) made.push({ name: "GNU parallel", queue: (...work) => withParallel(place, parallel, ...work) });
  if (tsp) made.push({ name: "task-spooler", queue: (...work) => withTsp(place, tsp, ...work) });
  if (pueue && pueued) {
    const queue = (...work) => withPueue(place, pueue, pueued, ...work);
    made.push({ name: `pueue (${PUEUE_TASKS}, chain ${PUEUE_CHAIN})`, queue, tasks: PUEUE_TASKS, chain: PUEUE_CHAIN });
  }
  return made;
}

async function withParallel(place, parallel, count, slots, command) {
  const dir = place.fresh("parallel");
  const list = path.join(dir, "list");
  writeFileSync(list, upTo(count).join("\n") + "\n");
  const env = { ...process.env, TMPDIR: dir, PARALLEL_HOME: dir };
  // Without arguments of its own for each (-N0), and with the journal that it can keep.
  const argv = [parallel, "--will-cite", "--joblog", path.join(dir, "jobs"), `-j${slots}`, "-N0", "-a", list];
  return (await run([...argv, ...command.split(" ")], { cwd: dir, env })).seconds;
}

/** Says a command again and again, as a script that fills a queue would. */
const often = (count, command) => `i=0; while [ $i -lt ${count} ]; do ${command} || exit; i=$((i+1)); done`;

async function withTsp(place, tsp, count, slots, command) {
  const dir = place.fresh("tsp");
  const env = { ...process.env, TMPDIR: dir, TS_SOCKET: path.join(dir, "socket"), TS_MAXFINISHED: "4" };
  await run([tsp, "-S", slots], { env });
  const script = `${often(count, `"$0" ${command} > /dev/null`)}; "$0" -w`;
  const work = () => run(["/bin/sh", "-c", script, tsp], { env });
  return (await place.during(() => run([tsp, "-K"], { env }), work)).seconds;
}

async function withPueue(place, pueue, pueued, count, slots, command) {
  const dir = place.fresh("pueue");
  const shared = { pueue_directory: dir, runtime_directory: dir, use_unix_socket: true };
  const config = path.join(dir, "pueue.yml");
  writeFileSync(config, JSON.stringify({ shared, client: {}, daemon: {} }));
  await run([pueued, "-c", config, "-d"]);
  const script = `${often(count, `"$0" -c "$1" add -- ${command} > /dev/null`)}; "$0" -c "$1" wait --quiet`;
  const work = async () => {
    await run([pueue, "-c", config, "parallel", slots]);
    return run(["/bin/sh", "-c", script, pueue, config]);
  };
  return (await place.during(() => run([pueue, "-c", config, "shutdown"]), work)).seconds;
}
