// What the browser shows of a page that is not looked at: its title and its sign, both marked while
// something waits for a human.

import { createEffect, createMemo, createRoot, createSignal, on, onCleanup } from "solid-js";

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
    const title = createMemo(() =>
      waiting() === 0 ? pageTitle() : `(${waiting()}) ${pageTitle()}`,
    );
    const isMarked = createMemo(() => waiting() > 0);
    createEffect(() => (document.title = title()));
    createEffect(
      on(
        isMarked,
        (marked) => {
          const icon = document.querySelector<HTMLLinkElement>("link[rel=icon]");
          if (icon) icon.href = marked ? "/favicon-waiting.svg" : "/favicon.svg";
        },
        { defer: true },
      ),
    );
  });
}
