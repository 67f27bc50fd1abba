// The theme's colours as a drawing outside of the page needs them.

import { FRAME_STATUSES } from "../model/status.ts";

export interface Colours {
  /** By status. */
  readonly fills: readonly string[];
  readonly onFill: string;
  readonly background: string;
  readonly surface: string;
  readonly line: string;
  readonly text: string;
  readonly muted: string;
}

export function readColours(element: Element): Colours {
  const style = getComputedStyle(element);
  const colour = (name: string) => style.getPropertyValue(`--${name}`).trim();
  return {
    fills: FRAME_STATUSES.map((status) => colour(`status-${status.replace("_", "-")}`)),
    onFill: colour("on-status"),
    background: colour("background"),
    surface: colour("surface"),
    line: colour("line"),
    text: colour("text"),
    muted: colour("muted"),
  };
}
