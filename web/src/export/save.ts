// Makes each export of a run and hands it to the browser to be kept.

import type { RunView } from "../api/types.gen.ts";
import { address, ask, readLines } from "../api/client.ts";
import { layOut } from "../model/layout.ts";
import type { RunContent } from "../sync/apply.ts";
import { chromeTrace } from "./chrome.ts";
import { readColours } from "./colours.ts";
import { makeDocument, readRecord, writeDocument } from "./document.ts";
import type { JournalRecord } from "./document.ts";
import { fileName } from "./name.ts";
import { flameSvg } from "./svg.ts";

export type Format = "json" | "trace" | "svg" | "png" | "view";

/** What is exported. */
export interface Source {
  readonly run: RunView;
  readonly content: RunContent;
  /** The moment up to which it goes. */
  readonly now_ms: number;
  /** What its journal says, where that is here; else it is asked for. */
  readonly events: readonly JournalRecord[] | null;
}

/** The largest journal that goes into a file, in bytes. */
const LARGEST_JOURNAL = 128 * 1_024 * 1_024;
/** The longest side of a picture, and the most pixels, that browsers make. */
const LONGEST_SIDE = 16_000;
const MOST_PIXELS = 100_000_000;
const PIXEL_RATIO = 2;

export async function save(format: Format, source: Source): Promise<void> {
  const endings: Record<Format, string> = {
    json: "json",
    trace: "trace.json",
    svg: "svg",
    png: "png",
    view: "view.png",
  };
  download(fileName(source.run, endings[format]), await make(format, source));
}

async function make(format: Format, source: Source): Promise<Blob> {
  const { run, content, now_ms } = source;
  switch (format) {
    case "json": {
      const events = source.events ?? (await journal(run));
      return new Blob([writeDocument(makeDocument(run, content, events, now_ms))], {
        type: "application/json",
      });
    }
    case "trace": {
      const trace = chromeTrace(run, content.frames, content.tasks, layOut(content.frames), now_ms);
      return new Blob([JSON.stringify(trace)], { type: "application/json" });
    }
    case "svg":
      return new Blob([drawing(source)], { type: "image/svg+xml" });
    case "png":
      return picture(drawing(source));
    case "view":
      return toBlob(document.querySelector<HTMLCanvasElement>(".chart-box canvas"));
  }
}

function drawing({ run, content, now_ms }: Source): string {
  const offset_ms = -new Date(now_ms).getTimezoneOffset() * 60_000;
  return flameSvg(
    run,
    content.frames,
    layOut(content.frames),
    now_ms,
    offset_ms,
    readColours(document.documentElement),
  );
}

async function journal(run: RunView): Promise<JournalRecord[]> {
  const response = await ask(
    address(["runs", run.id, "events"], { project: run.project, offset: 0 }),
  );
  const records: JournalRecord[] = [];
  let read = 0;
  for await (const line of readLines(response)) {
    const record = readRecord(line);
    if (record) records.push(record);
    read += line.length + 1;
    if (read > LARGEST_JOURNAL)
      throw new Error(
        "The run's journal is too large for a file. Copy the run's folder in .fornax/runs instead.",
      );
  }
  return records;
}

/** A drawing as a picture: twice as large, or as large as can be. */
async function picture(svg: string): Promise<Blob> {
  const image = new Image();
  image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(svg)}`;
  await image.decode();
  const { naturalWidth: width, naturalHeight: height } = image;
  const ratio = Math.min(
    PIXEL_RATIO,
    LONGEST_SIDE / Math.max(width, height),
    Math.sqrt(MOST_PIXELS / (width * height)),
  );
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.floor(width * ratio));
  canvas.height = Math.max(1, Math.floor(height * ratio));
  canvas.getContext("2d")!.drawImage(image, 0, 0, canvas.width, canvas.height);
  return toBlob(canvas);
}

function toBlob(canvas: HTMLCanvasElement | null): Promise<Blob> {
  return new Promise((resolve, reject) => {
    if (!canvas) return reject(new Error("The flame chart is not shown."));
    canvas.toBlob(
      (blob) =>
        blob ? resolve(blob) : reject(new Error("The picture is too large for this browser.")),
      "image/png",
    );
  });
}

function download(name: string, blob: Blob): void {
  const url = URL.createObjectURL(blob);
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  // The browser has taken it by then.
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}
