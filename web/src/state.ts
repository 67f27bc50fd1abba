// What the page knows, for those who show it. Runs and projects are in a reactive store; frames and
// tasks stay in their columns, and a number for each run says that they have changed.

import { batch, createRoot, createSignal } from "solid-js";
import type { Signal } from "solid-js";
import { createStore, reconcile } from "solid-js/store";
import { inNextFrame } from "./animation.ts";
import type { ProjectView, RunDetail, RunView } from "./api/types.gen.ts";
import { Mirror, runKey } from "./sync/apply.ts";
import type { RunContent } from "./sync/apply.ts";
import { Overlay } from "./sync/overlay.ts";
import type { Connection, ToTab } from "./sync/protocol.ts";
import { connect } from "./sync/tab.ts";

/** What has come, as it is kept. */
export const mirror = new Mirror();
const [connection, setConnection] = createSignal<Connection>("connecting");
const [snapshots, setSnapshots] = createSignal(0);
const [fault, setFault] = createSignal<string | null>(null);
const [runs, setRuns] = createStore<Record<string, RunView>>({});
const [projects, setProjects] = createStore<Record<string, ProjectView>>({});
const versions = new Map<string, Signal<number>>();
const [overlaid, setOverlaid] = createSignal(0);
let clockAhead_ms = 0;

/** How the page stands with the daemon. */
export { connection };
/** How many snapshots have come: 0 before the first. */
export { snapshots };
/** Why the page cannot go on; null while it can. */
export { fault };
/** By key: see `runKey`. */
export { runs };
/** By id. */
export { projects };

/** What was asked for here and is shown before the daemon says that it is so. */
export const overlay = new Overlay(() => setOverlaid((version) => version + 1));
/** A number that changes with the overlay: read it to be told. */
export { overlaid };

/** The daemon's clock. */
export function now(): number {
  return Date.now() + clockAhead_ms;
}

/** The daemon's clock as a signal, once a second. */
export const second = createRoot(() => {
  const [moment, setMoment] = createSignal(Date.now());
  setInterval(() => {
    if (!document.hidden) setMoment(now());
  }, 1_000);
  document.addEventListener("visibilitychange", () => setMoment(now()));
  return moment;
});

/** What a run holds, where that is here; asked again whenever it changes. */
export function contentOf(key: string): { content: RunContent; version: number } | null {
  const version = versionOf(key)[0]();
  const content = mirror.contents.get(key);
  return content ? { content, version } : null;
}

/** Takes in a run that was asked for. Says false where it was overtaken by what came meanwhile. */
export function loadRun(detail: RunDetail): boolean {
  const taken = mirror.load(detail);
  if (taken) show([runKey(detail.run.project, detail.run.id)]);
  return taken;
}

function versionOf(key: string): Signal<number> {
  let version = versions.get(key);
  if (!version) {
    version = createSignal(0);
    versions.set(key, version);
  }
  return version;
}

function show(keys: Iterable<string>): void {
  batch(() => {
    for (const key of keys) {
      const run = mirror.runs.get(key);
      if (run) setRuns(key, reconcile({ ...run }));
      versionOf(key)[1]((version) => version + 1);
    }
  });
}

/** How long a slice of work may hold up the page. */
const SLICE_MS = 6;
/** How long what came may wait in a page that nobody looks at. */
const HIDDEN_DELAY_MS = 250;

const queue: ToTab[] = [];
let cancel: (() => void) | null = null;

/** Starts to listen to the daemon. */
export function start(): void {
  connect((message) => {
    if (message.type === "connection") {
      setConnection(message.connection);
      return;
    }
    // What could not be taken in cannot be skipped either.
    if (fault() !== null) return;
    queue.push(message);
    schedule();
  });
  // An animation frame asked for by a page that is then hidden never comes.
  document.addEventListener("visibilitychange", () => {
    cancel?.();
    cancel = null;
    schedule();
  });
}

function schedule(): void {
  if (cancel !== null || queue.length === 0) return;
  if (document.hidden) {
    const timer = setTimeout(takeIn, HIDDEN_DELAY_MS);
    cancel = () => clearTimeout(timer);
  } else {
    cancel = inNextFrame("take", takeIn);
  }
}

/** Takes in what has come, once for each animation frame and for not too long. */
function takeIn(): void {
  cancel = null;
  const until = performance.now() + SLICE_MS;
  const touched = new Set<string>();
  let taken = 0;
  try {
    batch(() => {
      while (taken < queue.length && performance.now() < until) take(queue[taken++]!, touched);
      queue.splice(0, taken);
      show(touched);
    });
  } catch (error) {
    queue.length = 0;
    setFault(String(error));
  }
  schedule();
}

function take(message: ToTab, touched: Set<string>): void {
  if (message.type === "snapshot") {
    const { snapshot } = message;
    clockAhead_ms = snapshot.now_ms - Date.now();
    mirror.reset(snapshot);
    touched.clear();
    setRuns(reconcile(Object.fromEntries([...mirror.runs].map(([key, run]) => [key, { ...run }]))));
    setProjects(reconcile(Object.fromEntries([...mirror.projects])));
    for (const version of versions.values()) version[1]((before) => before + 1);
    setSnapshots((before) => before + 1);
  } else if (message.type === "change") {
    const { projects: changed, runs: changedRuns } = mirror.apply(message.change);
    for (const { cmd_id } of message.change.events) if (cmd_id) overlay.settle(cmd_id);
    for (const key of changedRuns) touched.add(key);
    if (changed) setProjects(reconcile(Object.fromEntries([...mirror.projects])));
  }
}
