// Dark or light: as the system is, until one is chosen.

import { createEffect, createRoot, createSignal } from "solid-js";
import { change, settings } from "../settings.ts";

const system = matchMedia("(prefers-color-scheme: light)");
const [systemIsLight, setSystemIsLight] = createSignal(system.matches);

/** The theme in force. */
export function theme(): "dark" | "light" {
  const chosen = settings().theme;
  if (chosen !== "system") return chosen;
  return systemIsLight() ? "light" : "dark";
}

/** Puts the theme in force, now and when the system or the settings change. */
export function startTheme(): void {
  system.addEventListener("change", () => setSystemIsLight(system.matches));
  createRoot(() => {
    createEffect(() => {
      document.documentElement.dataset.theme = theme();
    });
  });
}

export function toggleTheme(): void {
  change("theme", theme() === "dark" ? "light" : "dark");
}
