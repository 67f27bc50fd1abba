// Where the page is: the browser's address, as a signal.

import { createSignal } from "solid-js";

const read = () => ({
  path: location.pathname,
  query: new URLSearchParams(location.search),
  hash: location.hash,
});
const [place, setPlace] = createSignal(read());

/** The address: its path, its query and its fragment. */
export { place };
export { runPath } from "./paths.ts";

/** Goes to an address of the page. With `replace`, Back does not lead here again. */
export function navigate(url: string, replace = false): void {
  if (replace) history.replaceState(null, "", url);
  else history.pushState(null, "", url);
  setPlace(read());
}

/** Changes one parameter of the query; null takes it away. */
export function setQuery(name: string, value: string | null): void {
  const url = new URL(location.href);
  if (value === null) url.searchParams.delete(name);
  else url.searchParams.set(name, value);
  if (url.href !== location.href) navigate(url.pathname + url.search + url.hash, true);
}

/** Follows links within the page without loading it anew. */
export function listen(): void {
  addEventListener("popstate", () => setPlace(read()));
  document.addEventListener("click", (event) => {
    if (
      event.defaultPrevented ||
      event.button !== 0 ||
      event.metaKey ||
      event.ctrlKey ||
      event.shiftKey ||
      event.altKey
    )
      return;
    const link = event.target instanceof Element ? event.target.closest("a") : null;
    if (
      !link ||
      link.origin !== location.origin ||
      link.hasAttribute("download") ||
      link.target !== ""
    )
      return;
    // A place within what is shown, such as that of the skip link, is the browser's to go to.
    if (link.hash !== "" && link.pathname === location.pathname && link.search === location.search)
      return;
    event.preventDefault();
    navigate(link.pathname + link.search + link.hash);
  });
}
