// What of a task's log is shown, in the address.

import { navigate } from "../router.ts";
import { hashOf } from "./lines.ts";
import type { Lines } from "./lines.ts";
import type { Stream } from "./source.ts";

/** Shows a task's log in the panel. */
export function showLog(task: string, stream: Stream = "stdout", lines: Lines | null = null): void {
  goTo({ tab: "log", task, stream: stream === "stdout" ? null : stream }, lines);
}

/** Changes parameters of the address and the lines in it. Back does not lead through every line. */
export function goTo(parameters: Record<string, string | null>, lines: Lines | null): void {
  const url = new URL(location.href);
  for (const [name, value] of Object.entries(parameters)) {
    if (value === null) url.searchParams.delete(name);
    else url.searchParams.set(name, value);
  }
  navigate(url.pathname + url.search + (lines === null ? "" : hashOf(lines)), true);
}
