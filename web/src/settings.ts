// What a person has set on this page: one typed list, kept in the browser, the same in all of its tabs.

import { createSignal } from "solid-js";

export interface Settings {
  /** Dark, light, or as the system is. */
  theme: "system" | "dark" | "light";
  /** Whether single letters are keys, besides those with Ctrl or Cmd. */
  singleKeys: boolean;
  /** Whether the browser tells what waits in the inbox while the page is out of sight. */
  notifications: boolean;
  /** Whether the chart folds time in which nobody worked, until one unfolds it. */
  foldIdle: boolean;
  /** Whether the navigation shows words beside its signs. */
  navigationOpen: boolean;
}

const DEFAULTS: Settings = {
  theme: "system",
  singleKeys: true,
  notifications: false,
  foldIdle: true,
  navigationOpen: true,
};

const KEY = "fornax.settings";
/** What is kept beside the settings and is no layout: see the inbox. */
const NO_LAYOUT = [KEY, "fornax.aside", "fornax.told"];

/** Reads what was kept; what is missing or damaged is as if it had never been set. */
export function readSettings(text: string | null): Settings {
  if (text === null) return { ...DEFAULTS };
  let kept: unknown;
  try {
    kept = JSON.parse(text);
  } catch {
    return { ...DEFAULTS };
  }
  const given = typeof kept === "object" && kept !== null ? (kept as Record<string, unknown>) : {};
  const flag = (name: "singleKeys" | "notifications" | "foldIdle" | "navigationOpen") => {
    const value = given[name];
    return typeof value === "boolean" ? value : DEFAULTS[name];
  };
  const { theme } = given;
  return {
    theme: theme === "dark" || theme === "light" ? theme : DEFAULTS.theme,
    singleKeys: flag("singleKeys"),
    notifications: flag("notifications"),
    foldIdle: flag("foldIdle"),
    navigationOpen: flag("navigationOpen"),
  };
}

/** A browser may refuse to keep anything; then settings last as long as the page. */
function kept(): string | null {
  try {
    return localStorage.getItem(KEY);
  } catch {
    return null;
  }
}

const [settings, show] = createSignal<Settings>(
  readSettings(typeof localStorage === "undefined" ? null : kept()),
);

/** What is set now. */
export { settings };

export function change<Name extends keyof Settings>(name: Name, value: Settings[Name]): void {
  const changed = { ...settings(), [name]: value };
  show(changed);
  try {
    localStorage.setItem(KEY, JSON.stringify(changed));
  } catch {
    // See `kept`.
  }
}

/** Follows what is set in other tabs. */
export function followSettings(): void {
  addEventListener("storage", (event) => {
    if (event.key === KEY || event.key === null) show(readSettings(event.newValue));
  });
}

/** Forgets sizes and places of panels: they are as they were at first when the page is loaded anew. */
export function resetLayout(): void {
  for (const key of Object.keys(localStorage)) {
    if (key.startsWith("fornax.") && !NO_LAYOUT.includes(key)) localStorage.removeItem(key);
  }
}
