// What the browser shows of a page that is not looked at: its title and its sign, both marked while
// something waits for a human.

import { createEffect, createRoot, createSignal, onCleanup } from "solid-js";

const [titles, setTitles] = createSignal<readonly (() => string)[]>([]);

/** Names the document for as long as the component is shown that calls this. */
export function useTitle(title: () => string): void {
  setTitles((before) => [...before, title]);
  onCleanup(() => setTitles((before) => before.filter((each) => each !== title)));
}

/** The document's title, without the mark. */
export function pageTitle(): string {
  const title = titles().at(-1)?.() ?? "";
  return title === "" ? "Fornax" : `${title} · Fornax`;
}

/** Keeps title and sign up to date. */
export function startTitle(waiting: () => number): void {
  createRoot(() => {
    createEffect(() => {
      document.title = waiting() === 0 ? pageTitle() : `(${waiting()}) ${pageTitle()}`;
    });
    createEffect(() => {
      const icon = document.querySelector<HTMLLinkElement>("link[rel=icon]");
      if (icon) icon.href = waiting() === 0 ? "/favicon.svg" : "/favicon-waiting.svg";
    });
  });
}
