// Where the focus goes when another place is shown: to its main heading, so that a keyboard goes on from
// there and a screen reader says where one is.

let stop: (() => void) | null = null;

/** Moves the focus to the main heading, as soon as it is there. */
export function focusHeading(): void {
  stop?.();
  const main = document.querySelector("main");
  if (!main) return;
  const find = (): boolean => {
    const heading = main.querySelector<HTMLElement>("h1");
    if (!heading) return false;
    heading.tabIndex = -1;
    heading.focus({ preventScroll: true });
    return true;
  };
  if (find()) return;
  main.focus({ preventScroll: true });
  const observer = new MutationObserver(() => {
    // Who has moved on is not called back.
    if (document.activeElement !== main || find()) stop?.();
  });
  observer.observe(main, { childList: true, subtree: true });
  stop = () => {
    observer.disconnect();
    stop = null;
  };
}
