// The browser's notifications of what comes into the inbox: off until they are turned on, one for each
// item whichever tabs are open, and none for what is in sight in one of them.

import { createEffect, createRoot, on } from "solid-js";
import { navigate, place } from "../router.ts";
import { settings } from "../settings.ts";
import { projects } from "../state.ts";
import { inbox, inboxSnapshots } from "./state.ts";
import type { InboxItem } from "./sources.ts";
import { KIND_WORDS } from "./words.ts";

const TOLD_KEY = "fornax.told";
const TOLD_KEPT = 500;
/** So long a tab in which the item is not in sight leaves to one in which it is. */
const YIELD_MS = 400;

export function permission(): NotificationPermission | "missing" {
  return typeof Notification === "undefined" ? "missing" : Notification.permission;
}

/** Asks the browser, which asks the person. To be called on a click. */
export async function askToNotify(): Promise<boolean> {
  if (permission() === "missing") return false;
  return (await Notification.requestPermission()) === "granted";
}

/** Begins to tell of what comes from now on. */
export function startNotifying(): void {
  const shown = new Map<string, Notification>();
  createRoot(() => {
    createEffect(
      on([inbox, inboxSnapshots] as const, ([now, count], before) => {
        const ids = new Set(now.map((item) => item.id));
        for (const [id, notification] of shown) {
          if (ids.has(id)) continue;
          notification.close();
          shown.delete(id);
        }
        // What was there when the page was opened is no news.
        if (before === undefined || before[1] === 0 || count === 0) return;
        const known = new Set(before[0].map((item) => item.id));
        for (const item of now) if (!known.has(item.id)) void tell(item, shown);
      }),
    );
  });
}

/** Whether a person who looks at this tab sees the item. */
function inSight(item: InboxItem): boolean {
  if (document.visibilityState !== "visible" || !document.hasFocus()) return false;
  const { path, query } = place();
  if (path === "/inbox")
    return query.get("project") === null || query.get("project") === item.project;
  return item.link === location.pathname + location.search;
}

async function tell(item: InboxItem, shown: Map<string, Notification>): Promise<void> {
  if (!settings().notifications || permission() !== "granted") return;
  const seen = inSight(item);
  if (!seen) await new Promise((resolve) => setTimeout(resolve, YIELD_MS));
  const isFirst = await claim(item.id);
  if (!isFirst || seen || inSight(item) || !inbox().some(({ id }) => id === item.id)) return;
  const where = [projects[item.project]?.name, item.run, item.frame]
    .filter((part) => part != null)
    .join(" › ");
  const notification = new Notification(KIND_WORDS[item.kind], {
    body: `${where}\n${item.text.slice(0, 200)}`,
    tag: item.id,
    icon: "/favicon-waiting.svg",
  });
  notification.onclick = () => {
    window.focus();
    navigate(item.link ?? "/inbox");
    notification.close();
  };
  shown.set(item.id, notification);
}

/** Whether this tab is the first to take it on itself to tell of an item. */
async function claim(id: string): Promise<boolean> {
  const take = () => {
    const kept: unknown = JSON.parse(localStorage.getItem(TOLD_KEY) ?? "[]");
    const told = Array.isArray(kept) ? kept.map(String) : [];
    if (told.includes(id)) return false;
    localStorage.setItem(TOLD_KEY, JSON.stringify([...told, id].slice(-TOLD_KEPT)));
    return true;
  };
  // Without locks two tabs may tell the same, and the browser shows one of them: they have one tag.
  return "locks" in navigator ? navigator.locks.request("fornax.told", take) : take();
}
