// What a mirror holds in one word, to be compared with another's or with the daemon's: the SHA-256 of
// its projects, its runs, and the frames and tasks of the runs that go on, read off their columns. What
// a run that has ended still holds depends on what was looked at, so it is left out.

import { isOpen } from "./apply.ts";
import type { Mirror } from "./apply.ts";

export async function stateHash(mirror: Mirror): Promise<string> {
  const text = JSON.stringify(held(mirror), (_, value: unknown) => inOrder(value));
  const hash = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  return Array.from(new Uint8Array(hash), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function held(mirror: Mirror): unknown {
  const runs = [...mirror.runs].sort(byFirst).map(([key, run]) => {
    if (!isOpen(run)) return { run };
    const content = mirror.contents.get(key);
    return {
      run,
      complete: content?.complete ?? false,
      frames: rows(content?.frames),
      tasks: rows(content?.tasks),
    };
  });
  return { projects: [...mirror.projects].sort(byFirst).map(([, project]) => project), runs };
}

function rows<V extends { id: string }>(
  table: { length: number; get(row: number): V } | undefined,
): V[] {
  const all = Array.from({ length: table?.length ?? 0 }, (_, row) => table!.get(row));
  return all.sort((a, b) => (a.id < b.id ? -1 : 1));
}

/** An object with its fields in the order of their names. */
function inOrder(value: unknown): unknown {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).sort(byFirst));
}

function byFirst([a]: [string, unknown], [b]: [string, unknown]): number {
  return a < b ? -1 : 1;
}
