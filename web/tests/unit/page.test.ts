import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { bytes, duration, plural } from "../../src/format.ts";
import { FRAME_STATUSES } from "../../src/model/status.ts";

test("lengths of time and sizes are said in two parts at most", () => {
  const said = [0, 340, 999, 4_230, 59_999, 80_000, 8_040_000, 277_200_000, -5, NaN].map(duration);
  expect(said).toEqual([
    "0ms",
    "340ms",
    "999ms",
    "4.2s",
    "59s",
    "1m 20s",
    "2h 14m",
    "3d 5h",
    "0ms",
    "0ms",
  ]);
  expect([0, 1_023, 65_536, 1_300_000_000, 2 ** 50].map(bytes)).toEqual([
    "0 B",
    "1023 B",
    "64 KiB",
    "1.2 GiB",
    "1024 TiB",
  ]);
  expect([plural(1, "frame"), plural(2, "frame")]).toEqual(["1 frame", "2 frames"]);
});

/** The colours of a theme; those of the light one over those of the dark one. */
function theme(light: boolean): (name: string) => string {
  const css = readFileSync(new URL("../../src/styles/themes.css", import.meta.url), "utf8");
  const [dark, over] = css.split(":root[data-theme");
  const colours = new Map<string, string>();
  for (const part of light ? [dark!, over!] : [dark!]) {
    for (const [, name, value] of part.matchAll(/--([\w-]+):\s*([^;]+);/g))
      colours.set(name!, value!);
  }
  const read = (name: string): string => {
    const value = colours.get(name)!;
    const other = /^var\(--(.+)\)$/.exec(value);
    return other ? read(other[1]!) : value;
  };
  return read;
}

function luminance(hex: string): number {
  const [r, g, b] = [1, 3, 5].map((at) => {
    const part = parseInt(hex.slice(at, at + 2), 16) / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r! + 0.7152 * g! + 0.0722 * b!;
}

function contrast(a: string, b: string): number {
  const [dim, bright] = [luminance(a), luminance(b)].sort((x, y) => x - y);
  return (bright! + 0.05) / (dim! + 0.05);
}

test.each([
  ["dark", false],
  ["light", true],
])("the %s theme holds WCAG AA", (_, light) => {
  const colour = theme(light as boolean);
  const pairs: [string, string][] = [
    ["text", "background"],
    ["text", "surface"],
    ["text", "raised"],
    ["muted", "background"],
    ["muted", "surface"],
    ["muted", "raised"],
    ["accent-text", "accent"],
    ["danger-text", "danger"],
    ["said-in-progress", "background"],
    ["said-failed", "background"],
    ["said-failed", "raised"],
  ];
  for (const status of FRAME_STATUSES.map((each) => each.replace("_", "-")))
    pairs.push(["on-status", `status-${status}`]);
  for (const status of ["planned", "completed", "blocked", "invalidated"])
    pairs.push([`status-${status}`, "background"]);
  for (let i = 1; i < 16; i++) if (i !== 8 && i !== 0) pairs.push([`ansi-${i}`, "background"]);
  for (const [ink, ground] of pairs) {
    expect(contrast(colour(ink), colour(ground)), `${ink} on ${ground}`).toBeGreaterThanOrEqual(
      4.5,
    );
  }
});
