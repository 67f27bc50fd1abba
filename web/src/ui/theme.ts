// Dark or light: as the system is, until one is chosen.

import { createSignal } from "solid-js";

type Theme = "dark" | "light";

const KEY = "fornax.theme";
const system = matchMedia("(prefers-color-scheme: light)");
const chosen = (): Theme | null => {
  const kept = localStorage.getItem(KEY);
  return kept === "dark" || kept === "light" ? kept : null;
};
const inForce = (): Theme => chosen() ?? (system.matches ? "light" : "dark");
const [theme, setTheme] = createSignal<Theme>(inForce());

/** The theme in force. */
export { theme };

/** Puts the theme in force, now and when the system changes. */
export function startTheme(): void {
  const apply = () => {
    document.documentElement.dataset.theme = inForce();
    setTheme(inForce());
  };
  system.addEventListener("change", apply);
  addEventListener("storage", apply);
  apply();
}

export function toggleTheme(): void {
  localStorage.setItem(KEY, inForce() === "dark" ? "light" : "dark");
  document.documentElement.dataset.theme = inForce();
  setTheme(inForce());
}
