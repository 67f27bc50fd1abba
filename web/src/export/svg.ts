// A run's flame chart as a drawing that stands alone: no script, no style sheet, nothing fetched, and all
// text escaped. Bars too narrow to tell apart are joined as on the page, so it stays small. Pure.

import type { RunView } from "../api/types.gen.ts";
import { ticks } from "../flame/axis.ts";
import { extentOf, slotLength } from "../flame/viewport.ts";
import { duration } from "../format.ts";
import { fitText, oneLine } from "../graph/text.ts";
import type { FrameTable } from "../model/columns.ts";
import { axisOf, workOf } from "../model/idle.ts";
import { FUTURE } from "../model/layout.ts";
import type { Layout } from "../model/layout.ts";
import { endOf, paintRow, startOf, toMoment, toPixel } from "../model/lod.ts";
import type { Scale } from "../model/lod.ts";
import {
  BLOCKED,
  FAILED,
  FRAME_STATUSES,
  INVALIDATED,
  PLANNED,
  doingWord,
  glyph,
  word,
} from "../model/status.ts";
import type { Colours } from "./colours.ts";

const ROW = 22;
const BAR = 19;
const HEAD = 64;
const AXIS = 24;
const FOOT = 34;
const MARGIN = 16;
const TICK_SPACING = 96;
const LABELLED = 28;
const FONT = `font-family="system-ui, -apple-system, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif"`;

interface Drawing {
  readonly frames: FrameTable;
  readonly layout: Layout;
  readonly colours: Colours;
  readonly scale: Scale;
}

/** `offset_ms` is how far local time is ahead of UTC. */
export function flameSvg(
  run: RunView,
  frames: FrameTable,
  layout: Layout,
  now_ms: number,
  offset_ms: number,
  colours: Colours,
  width = 1_600,
): string {
  const until_ms = Math.max(now_ms, layout.to);
  const along = axisOf(workOf(frames, layout), until_ms, true, new Set());
  const { from, to } = extentOf(layout, along, until_ms);
  const chart = width - 2 * MARGIN;
  const scale: Scale = {
    axis: along,
    left: from,
    perPixel: Math.max(to - from, 1) / chart,
    width: chart,
    now_ms: until_ms,
    slot_ms: slotLength(layout, along, until_ms),
  };
  const drawing = { frames, layout, colours, scale };
  const height = HEAD + AXIS + layout.rows * ROW + FOOT;
  const took = duration((run.ended_ms ?? until_ms) - run.started_ms);
  const bars = Array.from({ length: layout.rows }, (_, row) => drawRow(drawing, row)).join("");
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="img" ${FONT}>`,
    `<title>${escape(run.name)}</title>`,
    patterns(colours),
    `<rect width="${width}" height="${height}" fill="${colours.background}"/>`,
    text(
      MARGIN,
      30,
      fitText(oneLine(run.name), width / 2, 19),
      `font-size="19" font-weight="600" fill="${colours.text}"`,
    ),
    text(
      MARGIN,
      50,
      oneLine(
        `${glyph(run.status)} ${word(run.status)} · ${took} · ${run.id} · ${new Date(run.started_ms).toISOString()}`,
      ),
      `font-size="12" fill="${colours.muted}"`,
    ),
    `<g transform="translate(${MARGIN} ${HEAD})">`,
    axis(drawing, offset_ms, AXIS + layout.rows * ROW),
    `<g transform="translate(0 ${AXIS})">${bars}</g>`,
    breaks(drawing, AXIS + layout.rows * ROW),
    `</g>`,
    legend(colours, height - FOOT + 22),
    `</svg>`,
  ].join("\n");
}

/** A text as XML holds it: what no XML may hold, not even escaped, is left out. */
export function escape(raw: string): string {
  const letters: Record<string, string> = {
    "&": "&amp;",
    "<": "&lt;",
    ">": "&gt;",
    '"': "&quot;",
    "'": "&#39;",
  };
  return raw
    .replace(
      /[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g,
      "",
    )
    .replace(/[&<>"']/g, (letter) => letters[letter]!);
}

function text(x: number, y: number, raw: string, more: string): string {
  return raw === "" ? "" : `<text x="${x}" y="${y}" ${more}>${escape(raw)}</text>`;
}

/** By status: what is drawn over its fill; in the ink of text on it, and, faint, in its own colour. */
function patterns({ onFill, fills, text: ink }: Colours): string {
  const rest = `<pattern id="rest" width="6" height="6" patternUnits="userSpaceOnUse"><path d="M0 6L6 0" stroke="${ink}" stroke-opacity="0.35" fill="none"/></pattern>`;
  const pattern = (status: number, name: string, ink: string) => {
    const shape =
      status === INVALIDATED
        ? `<circle cx="2" cy="2" r="1.1" fill="${ink}"/>`
        : `<path d="${status === FAILED ? "M0 0L8 8M8 0L0 8" : "M-2 2L2 -2M0 8L8 0M6 10L10 6"}" stroke="${ink}" stroke-width="1.3" fill="none"/>`;
    return `<pattern id="${name}-${status}" width="8" height="8" patternUnits="userSpaceOnUse"><g opacity="0.38">${shape}</g></pattern>`;
  };
  return `<defs>${rest}${[FAILED, BLOCKED, INVALIDATED].flatMap((status) => [pattern(status, "full", onFill), pattern(status, "faint", fills[status]!)]).join("")}</defs>`;
}

function hasTexture(status: number): boolean {
  return status === FAILED || status === BLOCKED || status === INVALIDATED;
}

function drawRow(drawing: Drawing, row: number): string {
  const { layout, frames, scale, colours } = drawing;
  const y = row * ROW;
  const parts: string[] = [];
  paintRow(layout, frames.status.codes, row, scale, {
    wide: (bar, left, right) =>
      parts.push(drawBar(drawing, bar, left, Math.max(right - left - 1, 2), y)),
    joined(status, left, right) {
      parts.push(
        `<rect x="${left}" y="${y}" width="${right - left}" height="${BAR}" fill="${colours.fills[status]}"/>`,
      );
    },
  });
  return parts.join("");
}

function drawBar(drawing: Drawing, bar: number, x: number, width: number, y: number): string {
  const { layout, frames, scale, colours } = drawing;
  const status = frames.status.codes[bar]!;
  const fill = colours.fills[status]!;
  const isGroup = frames.group.bits[bar] === 1;
  const notRun = layout.kind[bar] === FUTURE;
  const strength = notRun ? 0.1 : isGroup ? 0.2 : 1;
  const box = `x="${x}" y="${y}" width="${width}" height="${BAR}"`;
  const title = oneLine(frames.title.get(bar));
  const took = notRun ? "" : duration(endOf(layout, bar, scale) - startOf(layout, bar, scale));
  const said = [
    title.slice(0, 400),
    frames.skipped.get(bar) ? "skipped" : word(FRAME_STATUSES[status]!),
    took,
    frames.reason.get(bar)?.slice(0, 400),
  ]
    .filter(Boolean)
    .join("\n");
  const ink = isGroup || notRun ? colours.text : colours.onFill;
  const room = Math.min(x + width, scale.width) - Math.max(x, 0) - 10;
  const halo =
    hasTexture(status) && strength === 1
      ? ` stroke="${fill}" stroke-width="4" paint-order="stroke"`
      : "";
  const struck = status === INVALIDATED ? ` text-decoration="line-through"` : "";
  return [
    `<g><title>${escape(said)}</title><rect ${box} fill="${fill}" fill-opacity="${strength}"${notRun ? ` stroke="${fill}" stroke-dasharray="4 3"` : ""}/>`,
    hasTexture(status)
      ? `<rect ${box} fill="url(#${strength < 1 ? "faint" : "full"}-${status})"/>`
      : "",
    rests(drawing, bar, y),
    isGroup && !notRun ? `<rect x="${x}" y="${y}" width="3" height="${BAR}" fill="${fill}"/>` : "",
    width < LABELLED
      ? ""
      : text(
          Math.max(x, 0) + 6,
          y + 13.5,
          fitText(`${glyph(FRAME_STATUSES[status]!)} ${title}`, room, 12),
          `font-size="12" fill="${ink}"${halo}${struck}`,
        ),
    `</g>`,
  ].join("");
}

/** What was not worked in a bar: fainter, and ruled. */
function rests({ layout, frames, scale, colours }: Drawing, bar: number, y: number): string {
  if (layout.kind[bar] === FUTURE) return "";
  const spans = frames.spans.get(bar);
  return spans
    .map((span, i) => {
      if (span.doing === "working") return "";
      const end = endOf(layout, bar, scale);
      const pixel = (at_ms: number) =>
        Math.round(Math.min(Math.max(toPixel(Math.min(at_ms, end), scale), 0), scale.width));
      const [left, right] = [pixel(span.from_ms), pixel(spans[i + 1]?.from_ms ?? end)];
      if (right - left < 2) return "";
      const box = `x="${left}" y="${y}" width="${right - left}" height="${BAR}"`;
      return `<g><title>${escape(`${doingWord(span.doing)}, ${duration(Math.min(spans[i + 1]?.from_ms ?? end, end) - span.from_ms)}`)}</title><rect ${box} fill="${colours.background}" fill-opacity="0.45"/><rect ${box} fill="url(#rest)"/></g>`;
    })
    .join("");
}

function axis({ layout, scale, colours }: Drawing, offset_ms: number, height: number): string {
  const now = Math.round(toPixel(scale.now_ms, scale));
  const folded = scale.axis.gaps.filter((gap) => gap.folded);
  const spacing = TICK_SPACING * scale.perPixel;
  let from_ms = toMoment(0, scale);
  const worked = [
    ...folded.map((gap) => [gap.from_ms, gap.to_ms] as const),
    [scale.now_ms, Infinity] as const,
  ].flatMap(([until, on]) => {
    const found = until > from_ms ? ticks(from_ms, until, spacing, offset_ms) : [];
    from_ms = on;
    return found;
  });
  let free = -Infinity;
  const lines = worked.map((tick) => {
    const x = Math.round(toPixel(tick.at, scale));
    const isFree = x >= free && x + 60 < scale.width;
    if (isFree) free = x + 60;
    return `<rect x="${x}" y="0" width="1" height="${height}" fill="${colours.line}"/>${isFree ? text(x + 5, 13, tick.label, `font-size="11" fill="${colours.muted}"`) : ""}`;
  });
  const future =
    layout.slots > 0
      ? `<rect x="${now}" y="0" width="${Math.max(scale.width - now, 0)}" height="${height}" fill="${colours.surface}"/>`
      : "";
  return `${future}${lines.join("")}<rect x="${now}" y="0" width="1" height="${height}" fill="${colours.muted}"/>`;
}

/** Where time in which nobody worked is left out. */
function breaks({ scale, colours }: Drawing, height: number): string {
  return scale.axis.gaps
    .filter((gap) => gap.folded)
    .map((gap) => {
      const [left, right] = [toPixel(gap.from_ms, scale), toPixel(gap.to_ms, scale)].map(
        Math.round,
      ) as [number, number];
      const said = `⋯${duration(gap.to_ms - gap.from_ms)}⋯`;
      return `<g><title>${escape(`${duration(gap.to_ms - gap.from_ms)} in which nobody worked`)}</title><rect x="${left}" y="0" width="${Math.max(right - left, 2)}" height="${height}" fill="${colours.surface}" stroke="${colours.line}" stroke-dasharray="2 3"/>${right - left > 50 ? text((left + right) / 2, 13, said, `font-size="11" text-anchor="middle" fill="${colours.muted}"`) : ""}</g>`;
    })
    .join("");
}

function legend(colours: Colours, y: number): string {
  return FRAME_STATUSES.map((status, code) => {
    const x = MARGIN + code * 124;
    const isPlanned = code === PLANNED;
    const box = `x="${x}" y="${y - 10}" width="14" height="11" rx="2"`;
    const swatch = `<rect ${box} fill="${colours.fills[code]}"${isPlanned ? ` fill-opacity="0.15" stroke="${colours.fills[code]}" stroke-dasharray="3 2"` : ""}/>`;
    const texture = hasTexture(code) ? `<rect ${box} fill="url(#full-${code})"/>` : "";
    return `${swatch}${texture}${text(x + 20, y, `${glyph(status)} ${word(status)}`, `font-size="11.5" fill="${colours.muted}"`)}`;
  }).join("");
}
