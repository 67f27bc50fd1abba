// Which frames one looks for: what stands in the address as `filter=`, such as
// `status:failed,blocked tool:claude passkeys`. Pure.

import type { FrameTable } from "./columns.ts";
import { FRAME_STATUSES } from "./status.ts";

/** Fields that a filter can name. */
export const FILTER_FIELDS = ["status", "tool", "role", "phase"] as const;
export type FilterField = (typeof FILTER_FIELDS)[number];

export interface Filter {
  /** By field: a frame has one of these values. Absent fields do not matter. */
  readonly fields: Partial<Record<FilterField, readonly string[]>>;
  /** Words that all are in its title, key, id or reason, in lower case. */
  readonly words: readonly string[];
}

/** Reads a filter. What names no field is a word to look for; quotes keep blanks together. */
export function parseFilter(text: string): Filter {
  const fields: Partial<Record<FilterField, string[]>> = {};
  const words: string[] = [];
  for (const [, name, value = "", quoted, plain = ""] of text.matchAll(
    /(?:(\w+):("[^"]*"|\S+))|"([^"]*)"|(\S+)/g,
  )) {
    const field = FILTER_FIELDS.find((each) => each === name);
    if (field) {
      const values = value
        .replaceAll('"', "")
        .split(",")
        .filter((each) => each !== "");
      fields[field] = [...(fields[field] ?? []), ...values];
    } else {
      const word = quoted ?? (name === undefined ? plain : `${name}:${value}`);
      if (word !== "") words.push(word.toLowerCase());
    }
  }
  return { fields, words };
}

/** Writes a filter so that reading gives the same again. */
export function writeFilter(filter: Filter): string {
  const parts = FILTER_FIELDS.flatMap((field) => {
    const values = filter.fields[field] ?? [];
    if (values.length === 0) return [];
    const list = values.join(",");
    return [`${field}:${/\s/.test(list) ? `"${list}"` : list}`];
  });
  return [...parts, ...filter.words.map((word) => (/\s|:/.test(word) ? `"${word}"` : word))].join(
    " ",
  );
}

export function isEmpty(filter: Filter): boolean {
  return (
    filter.words.length === 0 &&
    FILTER_FIELDS.every((field) => (filter.fields[field] ?? []).length === 0)
  );
}

/** By row: 1 for frames that the filter finds. Null where it finds all. */
export function matching(frames: FrameTable, filter: Filter): Uint8Array | null {
  if (isEmpty(filter)) return null;
  const found = new Uint8Array(frames.length);
  const statuses = filter.fields.status?.map((status) =>
    FRAME_STATUSES.findIndex((each) => each === status),
  );
  const { tool, role, phase } = filter.fields;
  const has = (wanted: readonly string[] | undefined, value: string | null) =>
    wanted === undefined || (value !== null && wanted.includes(value));
  for (let row = 0; row < frames.length; row++) {
    if (statuses && !statuses.includes(frames.status.codes[row]!)) continue;
    if (
      !has(tool, frames.tool.get(row)) ||
      !has(role, frames.agentRole.get(row)) ||
      !has(phase, frames.phase.get(row))
    )
      continue;
    if (filter.words.length > 0) {
      const text =
        `${frames.title.get(row)}\n${frames.key.get(row)}\n${frames.id.get(row)}\n${frames.reason.get(row) ?? ""}`.toLowerCase();
      if (!filter.words.every((word) => text.includes(word))) continue;
    }
    found[row] = 1;
  }
  return found;
}
