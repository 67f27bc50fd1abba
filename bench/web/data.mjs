// A run of so many frames as the daemon tells of it, and the same as the tree that other charts take.
//
// Groups of twenty within groups of twenty; eight agents work at a time, in the order of the plan. Nine
// tenths have been worked on, eight leaves are, the others are planned.

export const PROJECT = "1a2b3c4d";
const RUN = "RUN-20261121-001";
export const KEY = `${PROJECT}/${RUN}`;

const WIDTH = 20;
const AGENTS = 8;
const WORKED_ON = 0.9;
const TOOLS = ["claude", "opencode", "codex", "shell"];
const PHASES = ["research", "architecture", "implementation", "testing"];
const VERBS = ["Write", "Test", "Review", "Measure", "Document", "Split", "Rename", "Check"];
const THINGS = ["the parser", "sign-in", "the export", "its errors", "the cache", "retries", "the index", "paging"];

/** `{ project, run, frames, tasks }`; tasks are those of frames that have begun. */
export function runOf(count, now_ms = Date.now()) {
  const frames = planned(count);
  const leaves = frames.filter((frame) => !frame.group);
  schedule(leaves);
  const now = leaves[Math.floor(leaves.length * WORKED_ON)].from;
  const shift = now_ms - now;
  for (const [i, leaf] of leaves.entries()) work(leaf, i, now, shift);
  for (let i = frames.length - 1; i >= 0; i--) gather(frames[i]);
  const run = {
    project: PROJECT, id: RUN, name: "Build it", plan: "plans/build.yaml", root: frames[0].view.id,
    status: "running", reason: null, started_ms: shift, ended_ms: null, seq: 1,
  };
  const tasks = leaves.filter(({ view }) => view.started_ms !== null).map(({ view }) => taskOf(view));
  const project = { id: PROJECT, name: "harbour", dir: "/home/ada/src/harbour" };
  return { project, run, frames: frames.map(({ view }) => view), tasks, tree: treeOf(frames[0], shift) };
}

/** Frames in the order of the plan, parents first: `{ view, group, children }`. */
function planned(count) {
  const frames = [];
  const add = (parent, group) => {
    const number = frames.length;
    const view = viewOf(number, parent?.view ?? null, group);
    // Each second one waits for the one before it.
    if (parent && number % 2 === 0) view.depends_on = parent.children.slice(-1).map((before) => before.view.id);
    const frame = { view, group, children: [], from: 0, to: 0 };
    parent?.children.push(frame);
    frames.push(frame);
    return frame;
  };
  // `left`: how many frames there are to be below `parent`.
  const fill = (parent, left) => {
    if (left <= WIDTH) {
      for (let i = 0; i < left; i++) add(parent, false);
      return;
    }
    const groups = Math.min(WIDTH, Math.ceil(left / (WIDTH + 1)));
    for (let i = 0; i < groups; i++) {
      const share = Math.floor((left * (i + 1)) / groups) - Math.floor((left * i) / groups);
      fill(add(parent, share > 1), share - 1);
    }
  };
  fill(add(null, true), count - 1);
  return frames;
}

function viewOf(number, parent, group) {
  const id = `f-${(Math.imul(number, 2_654_435_761) >>> 0).toString(16).padStart(8, "0")}`;
  const title = parent === null ? "Build it" : `${VERBS[number % 8]} ${THINGS[(number >> 3) % 8]} ${number}`;
  return {
    id, run: RUN, parent: parent?.id ?? null, key: `k${number}`, title, status: "planned", reason: null, group, skipped: false,
    phase: PHASES[(number >> 5) % 4], agent_role: null, tool: group ? null : TOOLS[number % 4], depends_on: [], task: null, seq: 1,
    created_ms: 0, started_ms: null, ended_ms: null, asks: [], advice: null, usage: null, turns: 0, artifacts: 0, stale: false,
    paused: false, spans: [],
  };
}

/** When each leaf is worked on: as soon as one of the agents is free. */
function schedule(leaves) {
  const free = new Float64Array(AGENTS);
  for (const [i, leaf] of leaves.entries()) {
    const agent = free.indexOf(Math.min(...free));
    const length = 2_000 + ((i * 7_919) % 118_000);
    [leaf.from, leaf.to] = [free[agent], free[agent] + length];
    free[agent] = leaf.to;
  }
}

function work(leaf, i, now, shift) {
  const { view } = leaf;
  view.created_ms = shift;
  if (leaf.from >= now) return;
  view.started_ms = Math.round(leaf.from + shift);
  view.task = `t-${view.id.slice(2)}-1`;
  const agent = view.tool !== "shell";
  if (agent) view.usage = { input: 9_000 + i % 5_000, output: 800 + i % 900, cache_read: 60_000, cache_write: 9_000, reasoning: 0, cost_usd: 0.21, estimated: false };
  if (agent) view.turns = 3 + i % 9;
  if (leaf.to > now) {
    view.status = "in_progress";
    return;
  }
  view.status = i % 37 === 0 ? "failed" : "completed";
  if (view.status === "failed") view.reason = `exit code 1: ${i % 41} of 41 tests failed`;
  view.ended_ms = Math.round(leaf.to + shift);
}

/** A group is what its children are. */
function gather(frame) {
  const { view, children } = frame;
  if (!frame.group) return;
  frame.from = Math.min(...children.map(({ from }) => from));
  frame.to = Math.max(...children.map(({ to }) => to));
  const begun = children.filter((child) => child.view.started_ms !== null);
  if (begun.length === 0) return;
  view.started_ms = Math.min(...begun.map((child) => child.view.started_ms));
  const over = children.every((child) => child.view.ended_ms !== null);
  view.status = over ? "completed" : "in_progress";
  if (over) view.ended_ms = Math.max(...children.map((child) => child.view.ended_ms));
}

function taskOf(frame) {
  const over = frame.ended_ms !== null;
  return {
    id: frame.task, run: RUN, frame: frame.id, attempt: 1, state: over ? (frame.status === "failed" ? "failed" : "completed") : "running",
    stopping: false, tool: frame.tool, queued_ms: frame.started_ms - 300, due_ms: null, started_ms: frame.started_ms, ended_ms: frame.ended_ms,
    exit_code: over ? Number(frame.status === "failed") : null, signal: null, error_class: frame.status === "failed" ? "exit_nonzero" : null,
    error: frame.reason, driver: frame.usage ? frame.tool : null, session: null, model: frame.usage ? "glm-5" : null, turns: frame.turns,
    step: null, usage: frame.usage, waits: [], idle: false,
  };
}

function treeOf({ view, from, to, children }) {
  const node = { name: view.title, start: from, duration: to - from, value: to - from, type: view.status };
  if (children.length > 0) node.children = children.map((child) => treeOf(child));
  return node;
}
