// An artifact: where its copy is, what it is, and its beginning. Never all of a large one.

import type { Artifact } from "../api/types.gen.ts";
import { address, ApiError, ask } from "../api/client.ts";

/** How much of a file is looked at to begin with, and at most. */
export const FIRST_BYTES = 256 * 1_024;
export const MOST_BYTES = 4 * 1_024 * 1_024;
/** An image larger than this is not loaded unless one wants it. */
export const IMAGE_BYTES = 16 * 1_024 * 1_024;

export type Kind = "image" | "markdown" | "json" | "diff" | "text" | "binary";

export interface Beginning {
  kind: Kind;
  bytes: Uint8Array;
  /** Whether that is all of it. */
  whole: boolean;
}

/** The address of an artifact's kept copy, which is at `tasks/TASK/artifacts/NAME` in the run's folder. */
export function addressOf(project: string, artifact: Artifact, preview = false): string | null {
  const [, task, name] = /^tasks\/([^/]+)\/artifacts\/([^]+)$/.exec(artifact.copy ?? "") ?? [];
  if (task === undefined || name === undefined) return null;
  return address(["tasks", task, "artifacts", name], { project, ...(preview ? { preview } : {}) });
}

/** The artifact's own address, where it is not a file but on the web. */
export function webAddress(artifact: Artifact): string | null {
  if (!/^https?:\/\//i.test(artifact.path)) return null;
  return URL.canParse(artifact.path) ? artifact.path : null;
}

export async function readBeginning(
  url: string,
  path: string,
  limit: number,
  signal: AbortSignal,
): Promise<Beginning> {
  let response;
  try {
    response = await ask(url, { headers: { range: `bytes=0-${limit - 1}` }, signal });
  } catch (error) {
    // Of a file with nothing in it there is no part.
    if (error instanceof ApiError && error.status === 416)
      return { kind: "text", bytes: new Uint8Array(0), whole: true };
    throw error;
  }
  const isImage = (response.headers.get("content-type") ?? "").startsWith("image/");
  if (isImage) {
    await response.body?.cancel();
    return { kind: "image", bytes: new Uint8Array(0), whole: false };
  }
  const size = Number(/\/(\d+)$/.exec(response.headers.get("content-range") ?? "")?.[1] ?? NaN);
  // A server that does not know parts would send all of it.
  const bytes = await readUpTo(response.body!.getReader(), limit);
  return {
    kind: kindOf(path, bytes),
    bytes,
    whole: Number.isNaN(size) ? bytes.length < limit : bytes.length >= size,
  };
}

async function readUpTo(
  reader: ReadableStreamDefaultReader<Uint8Array>,
  limit: number,
): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let length = 0;
  while (length < limit) {
    const { done, value } = await reader.read();
    if (done) break;
    parts.push(value);
    length += value.length;
  }
  await reader.cancel();
  const bytes = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes.subarray(0, limit);
}

/** What a file is, by its name and its beginning. */
export function kindOf(path: string, bytes: Uint8Array): Exclude<Kind, "image"> {
  if (!isText(bytes)) return "binary";
  const ending = /\.([a-z0-9]+)$/i.exec(path)?.[1]?.toLowerCase() ?? "";
  if (["md", "markdown"].includes(ending)) return "markdown";
  if (["json", "jsonc", "map"].includes(ending)) return "json";
  if (["diff", "patch"].includes(ending)) return "diff";
  return "text";
}

/** How many bytes may have been lost of a character at the end. */
const CUT_BYTES = 3;

function isText(bytes: Uint8Array): boolean {
  if (bytes.includes(0)) return false;
  for (let cut = 0; cut <= CUT_BYTES && cut <= bytes.length; cut++) {
    try {
      new TextDecoder("utf-8", { fatal: true }).decode(bytes.subarray(0, bytes.length - cut));
      return true;
    } catch {
      // Perhaps only the last character is cut.
    }
  }
  return false;
}

export function textOf(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}

const HEX_BYTES = 4_096;
const HEX_ROW = 16;

/** The beginning of a file as it is usually printed: place, bytes, letters. */
export function hexOf(bytes: Uint8Array): string {
  const rows: string[] = [];
  for (let at = 0; at < Math.min(bytes.length, HEX_BYTES); at += HEX_ROW) {
    const row = [...bytes.subarray(at, at + HEX_ROW)];
    const hex = row.map((byte) => byte.toString(16).padStart(2, "0")).join(" ");
    const letters = row
      .map((byte) => (byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : "."))
      .join("");
    rows.push(`${at.toString(16).padStart(8, "0")}  ${hex.padEnd(HEX_ROW * 3 - 1)}  ${letters}`);
  }
  return rows.join("\n");
}
