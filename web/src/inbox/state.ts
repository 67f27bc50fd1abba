// The inbox as a signal: collected from all that the page knows, at most a few times a second.

import { createEffect, createMemo, createRoot, createSignal, on } from "solid-js";
import { contentOf, projects, runs, snapshots } from "../state.ts";
import { isOpen } from "../sync/apply.ts";
import { RUN_SOURCES, byAge, failedRuns, problems } from "./sources.ts";
import type { InboxItem } from "./sources.ts";

const COLLECT_MS = 150;
const ASIDE_KEY = "fornax.aside";
const ASIDE_KEPT = 200;

interface Collected {
  readonly items: readonly InboxItem[];
  /** How many snapshots had come by then. */
  readonly snapshots: number;
}

const [collected, setCollected] = createSignal<Collected>({ items: [], snapshots: 0 });
const [aside, setAside] = createSignal<ReadonlySet<string>>(new Set());

/** What waits, longest first, without what was set aside. */
export const inbox = createRoot(() =>
  createMemo(() => collected().items.filter((item) => !aside().has(item.id))),
);

/** How many snapshots had come when it was collected: with none, what waits is not known yet. */
export const inboxSnapshots = () => collected().snapshots;

/** Of all projects, or of one. */
export function inboxOf(project: string | null): readonly InboxItem[] {
  return project === null ? inbox() : inbox().filter((item) => item.project === project);
}

/** Begins to collect. */
export function startInbox(): void {
  readAside();
  addEventListener("storage", readAside);
  createRoot(() => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    let last_ms = -Infinity;
    const collectNow = () => {
      timer = undefined;
      last_ms = performance.now();
      setCollected((before) => ({
        items: keepSame(before.items, collect()),
        snapshots: snapshots(),
      }));
    };
    createEffect(
      on(news, () => {
        const wait_ms = last_ms + COLLECT_MS - performance.now();
        if (wait_ms <= 0 && timer === undefined) collectNow();
        else timer ??= setTimeout(collectNow, wait_ms);
      }),
    );
  });
}

/** Reads whatever, when it changes, may change the inbox. */
function news(): void {
  snapshots();
  for (const project of Object.values(projects)) void project.problem;
  for (const [key, run] of Object.entries(runs)) {
    void run.status;
    if (isOpen(run)) contentOf(key);
  }
}

function collect(): InboxItem[] {
  const found = [...problems(Object.values(projects)), ...failedRuns(Object.values(runs))];
  for (const [key, run] of Object.entries(runs)) {
    const held = isOpen(run) ? contentOf(key) : null;
    if (held)
      for (const source of RUN_SOURCES)
        found.push(...source({ run, frames: held.content.frames, tasks: held.content.tasks }));
  }
  return byAge(found);
}

/** The same objects for what has not changed, so that what shows them is not made anew. */
function keepSame(before: readonly InboxItem[], after: readonly InboxItem[]): readonly InboxItem[] {
  const known = new Map(before.map((item) => [item.id, item]));
  const kept = after.map((item) => {
    const same = known.get(item.id);
    return same !== undefined && JSON.stringify(same) === JSON.stringify(item) ? same : item;
  });
  return kept.length === before.length && kept.every((item, i) => item === before[i])
    ? before
    : kept;
}

/** Takes an item out of the inbox without doing anything about it. */
export function setAsideItem(id: string): void {
  const kept = [...aside(), id].slice(-ASIDE_KEPT);
  setAside(new Set(kept));
  localStorage.setItem(ASIDE_KEY, JSON.stringify(kept));
}

function readAside(): void {
  try {
    const kept: unknown = JSON.parse(localStorage.getItem(ASIDE_KEY) ?? "[]");
    setAside(new Set(Array.isArray(kept) ? kept.map(String) : []));
  } catch {
    setAside(new Set<string>());
  }
}
