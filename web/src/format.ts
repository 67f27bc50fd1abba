// Numbers and moments as people read them.

import type { Usage } from "./api/types.gen.ts";

/** A length of time: `340ms`, `4.2s`, `1m 20s`, `2h 14m`, `3d 4h`. */
export function duration(ms: number): string {
  if (!(ms >= 0)) return "0ms";
  if (ms < 1_000) return `${Math.round(ms)}ms`;
  const s = ms / 1_000;
  if (s < 10) return `${s.toFixed(1)}s`;
  const whole = Math.floor(s);
  if (whole < 60) return `${whole}s`;
  if (whole < 3_600) return `${Math.floor(whole / 60)}m ${whole % 60}s`;
  if (whole < 86_400) return `${Math.floor(whole / 3_600)}h ${Math.floor(whole / 60) % 60}m`;
  return `${Math.floor(whole / 86_400)}d ${Math.floor(whole / 3_600) % 24}h`;
}

// Moments are written here and not by Intl, which takes tens of milliseconds to begin with.
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/** The time of day: `14:03:07`. */
export function clock(ms: number): string {
  const at = new Date(ms);
  return [at.getHours(), at.getMinutes(), at.getSeconds()]
    .map((part) => String(part).padStart(2, "0"))
    .join(":");
}

/** The day of a year: `4 Nov`. */
export function day(ms: number): string {
  const at = new Date(ms);
  return `${at.getDate()} ${MONTHS[at.getMonth()]}`;
}

/** Date and time of day: `4 Nov 2026, 14:03:07`. */
export function moment(ms: number): string {
  return `${day(ms)} ${new Date(ms).getFullYear()}, ${clock(ms)}`;
}

/** The time of day, with the date where it is not today. */
export function shortMoment(ms: number, now_ms: number): string {
  const isToday = new Date(ms).toDateString() === new Date(now_ms).toDateString();
  return isToday ? clock(ms) : `${day(ms)}, ${clock(ms).slice(0, 5)}`;
}

/** A size: `512 B`, `64 KiB`, `1.2 GiB`. */
export function bytes(count: number): string {
  if (count < 1_024) return `${count} B`;
  const units = ["KiB", "MiB", "GiB", "TiB"];
  let value = count / 1_024;
  let unit = 0;
  for (; value >= 1_024 && unit < units.length - 1; unit++) value /= 1_024;
  return `${value < 10 ? value.toFixed(1) : Math.round(value)} ${units[unit]}`;
}

/** `1 frame`, `2 frames`. */
export function plural(count: number, thing: string): string {
  return `${count} ${thing}${count === 1 ? "" : "s"}`;
}

/** Tokens: `812`, `1.3k`, `45k`, `2.1M`, `5.2B`. */
export function tokens(usage: Usage): string {
  return count(usage.input + usage.output + usage.cache_read + usage.cache_write);
}

/** A number of things, as short as tokens are. */
export function count(total: number): string {
  // A number belongs where it is when rounded.
  if (total < 999.5) return `${Math.round(total)}`;
  if (total < 9_950) return `${(total / 1_000).toFixed(1)}k`;
  if (total < 999_500) return `${Math.round(total / 1_000)}k`;
  if (total < 999_950_000) return `${(total / 1_000_000).toFixed(1)}M`;
  return `${(total / 1_000_000_000).toFixed(1)}B`;
}

/** Money: `$1.20`, `$0.0042`, `$13,448`; `~` before what is reckoned from list prices; null where it is not known. */
export function cost(usage: Pick<Usage, "cost_usd" | "estimated">): string | null {
  if (usage.cost_usd === null || usage.cost_usd === 0) return null;
  const { cost_usd } = usage;
  const amount =
    cost_usd >= 999.995
      ? inThousands(Math.round(cost_usd))
      : cost_usd.toFixed(cost_usd < 0.01 ? 4 : 2);
  return `${usage.estimated ? "~" : ""}$${amount}`;
}

/** A whole number: `13,448`. */
function inThousands(whole: number): string {
  return String(whole).replace(/\B(?=(\d{3})+$)/g, ",");
}

/** Every kind of token, in words. */
export function usageInFull(usage: Usage): string {
  const parts = [
    `${usage.input} in`,
    `${usage.output} out`,
    `${usage.cache_read} read from the cache`,
    `${usage.cache_write} written to the cache`,
    `${usage.reasoning} of the output thinking`,
  ];
  return parts.filter((part) => !part.startsWith("0 ")).join(", ");
}

/** A name within a sentence of ours: whatever direction it turns text to, the sentence is not turned. */
export function quoted(name: string): string {
  // An isolate of its own, which it cannot close.
  return `“\u2068${name.replaceAll("\u2069", "")}\u2069”`;
}

/** Whether anything was used. */
export function isUsed(usage: Usage | null): usage is Usage {
  return usage !== null && usage.input + usage.output + usage.cache_read + usage.cache_write > 0;
}
