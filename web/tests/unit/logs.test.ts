import { expect, test } from "vitest";
import { PLAIN, css, lookAfter, parseLine } from "../../src/logs/ansi.ts";
import { hashOf, readLines } from "../../src/logs/lines.ts";
import { pieces } from "../../src/logs/marks.ts";
import { rowStarts, Rows } from "../../src/logs/rows.ts";
import { LogWindow, SHOWN_LINE_BYTES, WINDOW_BYTES } from "../../src/logs/window.ts";
import { forSeeds } from "./random.ts";

const encode = (text: string) => new TextEncoder().encode(text);
const read = (log: LogWindow) => Array.from({ length: log.lines }, (_, i) => log.line(i).text);

test("however a log is cut into pages, its lines and characters are whole", async () => {
  await forSeeds(200, (random) => {
    const letters = ["a", "é", "漢", "🔥", "\n", " ", "\r\n"];
    const text = Array.from({ length: random.below(400) }, () => random.pick(letters)).join("");
    const bytes = encode(text);
    const middle = random.below(bytes.length + 1);
    const log = new LogWindow(middle);
    let [from, to] = [middle, middle];
    while (from > 0 || to < bytes.length) {
      const step = 1 + random.below(40);
      if (from > 0 && (to === bytes.length || random.chance(0.5))) {
        const before = log.lines;
        const added = log.prepend(bytes.subarray(Math.max(0, from - step), from));
        from = Math.max(0, from - step);
        expect(log.lines).toBe(before + added);
      } else {
        expect(log.append(bytes.subarray(to, to + step))).toBe(0);
        to = Math.min(bytes.length, to + step);
      }
      expect([log.from, log.to]).toEqual([from, to]);
    }
    expect(read(log)).toEqual(text === "" ? [] : text.split("\n"));
  });
});

test("a window in the middle of a character or at its first bytes shows no broken one", () => {
  const bytes = encode("🔥é\n漢");
  const log = new LogWindow(1);
  log.append(bytes.subarray(1, bytes.length - 1));
  expect(read(log)).toEqual(["é", ""]);
});

test("what follows is kept to a bound, cut at a line's begin", () => {
  const log = new LogWindow(0);
  let [lines, cut] = [0, 0];
  for (let i = 0; i < 200; i++) {
    const page = Array.from(
      { length: 100 },
      () => `line ${String(lines++).padStart(8, "0")} ${"x".repeat(60)}\n`,
    ).join("");
    cut += log.append(encode(page));
    expect(log.to - log.from).toBeLessThanOrEqual(WINDOW_BYTES);
  }
  expect(log.line(0).text).toContain(String(cut).padStart(8, "0"));
  expect(log.line(log.lines - 2).text).toContain(String(lines - 1).padStart(8, "0"));
  expect(log.from).toBe(cut * encode(`line 00000000 ${"x".repeat(60)}\n`).length);
});

test("a line without end is kept to a bound and shown in part", () => {
  const log = new LogWindow(0);
  for (let i = 0; i < 20; i++) log.append(encode("y".repeat(100_000)));
  expect(log.to).toBe(2_000_000);
  expect(log.to - log.from).toBe(WINDOW_BYTES);
  expect(log.lines).toBe(1);
  expect(log.line(0)).toEqual({
    text: "y".repeat(SHOWN_LINE_BYTES),
    hidden: WINDOW_BYTES - SHOWN_LINE_BYTES,
  });
  log.append(encode("\nz\n"));
  expect(read(log).slice(1)).toEqual(["z", ""]);
});

test("colours become spans, and all other escapes are dropped", () => {
  const text = (line: string) =>
    parseLine(line, PLAIN)
      .spans.map((span) => span.text)
      .join("");
  const { spans, look } = parseLine(
    "a\x1b[1;31mb\x1b[0mc\x1b[38;5;208md\x1b[48;2;1;2;255me",
    PLAIN,
  );
  expect(spans.map((span) => [span.text, span.look.fg, span.look.bg, span.look.bold])).toEqual([
    ["a", null, null, false],
    ["b", 1, null, true],
    ["c", null, null, false],
    ["d", 208, null, false],
    ["e", 208, "#0102ff", false],
  ]);
  expect(look.bg).toBe("#0102ff");
  // Titles, the clipboard, hyperlinks, moves, device strings, lone escapes, control characters.
  for (const escape of [
    "\x1b]0;t\x07",
    "\x1b]52;c;ZXZpbA==\x1b\\",
    "\x1b]8;;http://x\x07",
    "\x1b[2J",
    "\x1b[10;3H",
    "\x1bP1$q\x1b\\",
    "\x1b(B",
    "\x1b=",
    "\x07",
    "\x08",
    "\x9b31m",
    "\x1b[?25l",
  ]) {
    expect(text(`x${escape}y`), JSON.stringify(escape)).toBe("xy");
  }
  expect(text("10 %\r50 %\r100 %\r")).toBe("100 %");
  expect(text("tab\tstays")).toBe("tab\tstays");
  expect(text("<b>&amp;</b>")).toBe("<b>&amp;</b>");
});

test("no sequence, however broken, lets an escape through or hangs", async () => {
  await forSeeds(300, (random) => {
    const pieces = [
      "\x1b",
      "[",
      "]",
      ";",
      "3",
      "8",
      "5",
      "2",
      "m",
      "a",
      "\x07",
      "\\",
      "\x9b",
      "P",
      "?",
      "\r",
      ":",
      "999",
    ];
    const line = Array.from({ length: random.below(60) }, () => random.pick(pieces)).join("");
    const { spans, look } = parseLine(line, PLAIN);
    for (const span of spans) {
      expect(span.text).not.toMatch(/[\x00-\x08\x0a-\x1f\x7f-\x9f]/);
      for (const colour of [span.look.fg, span.look.bg])
        if (colour !== null)
          expect(css(colour)).toMatch(
            /^(#[0-9a-f]{6}|var\(--ansi-\d+\)|rgb\(\d+ \d+ \d+\)|color-mix\(in srgb, rgb\(\d+ \d+ \d+\) 75%, var\(--text\)\))$/,
          );
    }
    expect(lookAfter(line, PLAIN)).toBeTypeOf("object");
    expect(look).toBeTypeOf("object");
  });
});

test("a long run of unfinished escapes is parsed in time that grows with its length", () => {
  const began = performance.now();
  parseLine("\x1b]".repeat(20_000), PLAIN);
  parseLine("\x1b[".repeat(20_000), PLAIN);
  parseLine(`\x1b[${"1;".repeat(20_000)}`, PLAIN);
  expect(performance.now() - began).toBeLessThan(1_000);
});

test("lines in an address are read as they are written, and nothing else is", async () => {
  await forSeeds(200, (random) => {
    const [one, other] = [1 + random.below(10_000_000), 1 + random.below(10_000_000)];
    const lines = { from: Math.min(one, other), to: Math.max(one, other) };
    expect(readLines(hashOf(lines))).toEqual(lines);
    expect(readLines(`#L${one}-L${other}`)).toEqual(lines);
    expect(readLines(`${one}-${other}`)).toEqual(lines);
  });
  expect(hashOf({ from: 120, to: 140 })).toBe("#L120-L140");
  expect(readLines("#L7")).toEqual({ from: 7, to: 7 });
  for (const text of [
    "",
    "#",
    "#L",
    "#L0",
    "#L0-L5",
    "#L-5",
    "#main",
    "#L5-",
    "#L1-L2-L3",
    "1.5",
    "#L9999999999999999",
  ])
    expect(readLines(text), text).toBeNull();
});

test("places in a window are in the lines that a plain count gives", async () => {
  await forSeeds(200, (random) => {
    const text = Array.from({ length: random.below(60) }, () =>
      random.pick(["a", "bc", "é", "\n", "\n"]),
    ).join("");
    const bytes = encode(text);
    const from = random.below(50);
    const log = new LogWindow(from);
    log.append(bytes);
    const lines = [...bytes].map(
      (_, at) => bytes.subarray(0, at).filter((byte) => byte === 10).length,
    );
    expect(lines.map((_, at) => log.lineOf(from + at))).toEqual(lines);
    expect(log.lineOf(from - 1)).toBe(-1);
    expect(log.lineOf(from + bytes.length + 1)).toBe(-1);
  });
});

test("of a long line that is written over, the last state is shown", () => {
  const log = new LogWindow(0);
  const states = Array.from({ length: 1_000 }, (_, i) => `${i} of 1000`).join("\r");
  log.append(encode(`${states}\r\nnext`));
  expect(log.line(0).text.replace(/\r$/, "")).toBe("999 of 1000");
  expect(log.line(1).text).toBe("next");
});

test("rows hold all of a text in their order, none too wide, and as few as there can be", async () => {
  const cells = (letter: string, at: number) =>
    letter === "\t"
      ? 8 - (at % 8)
      : letter === "漢" || letter === "🔥"
        ? 2
        : letter === "\u0301"
          ? 0
          : 1;
  await forSeeds(300, (random) => {
    const letters = random.chance(0.5) ? ["a", " ", "é", "漢", "🔥", "\t", "\u0301"] : ["a", "b"];
    const text = Array.from({ length: random.below(200) }, () => random.pick(letters)).join("");
    const width = 8 + random.below(60);
    const starts = rowStarts(text, width);
    const rows = starts.map((start, i) => text.slice(start, starts[i + 1]));
    expect(rows.join("")).toBe(text);
    const widthOf = (row: string) => [...row].reduce((at, letter) => at + cells(letter, at), 0);
    expect(rows.filter((row) => widthOf(row) > width)).toEqual([]);
    const isShort = (row: string, next: string | undefined) =>
      next !== undefined && widthOf(row) + cells([...next][0]!, widthOf(row)) <= width;
    expect(rows.filter((row, i) => isShort(row, rows[i + 1]))).toEqual([]);
    expect(rowStarts(text, null)).toEqual([0]);
  });
});

test("rows and lines find each other, however the lines came", async () => {
  await forSeeds(200, (random) => {
    const lines: string[] = [];
    const rows = new Rows();
    let width: number | null = null;
    for (let step = 0; step < 8; step++) {
      const kept = Math.max(0, lines.length - 1);
      if (lines.length > 0 && random.chance(0.5))
        lines[lines.length - 1] += "x".repeat(random.below(50));
      for (let i = random.below(5); i > 0; i--) lines.push("y".repeat(random.below(100)));
      if (random.chance(0.3)) width = random.chance(0.3) ? null : 10 + random.below(30);
      rows.update(lines.length, width, (line) => lines[line]!, kept);
      const owners = lines.flatMap((line, index) => rowStarts(line, width).map(() => index));
      expect(rows.count).toBe(owners.length);
      expect(owners.map((_, row) => rows.lineOf(row))).toEqual(owners);
      expect(lines.map((_, line) => rows.rowOf(line))).toEqual(
        lines.map((_, line) => owners.indexOf(line)),
      );
    }
  });
});

test("marks cut spans and lose nothing", async () => {
  await forSeeds(300, (random) => {
    const spans = Array.from({ length: random.below(6) }, () => ({
      text: "abcdefgh".slice(0, 1 + random.below(8)),
      look: PLAIN,
    }));
    const text = spans.map((span) => span.text).join("");
    const marks: [number, number][] = [];
    for (let at = random.below(5); at < text.length; at += 2 + random.below(6))
      marks.push([at, Math.min(text.length, at + 1 + random.below(2))]);
    const [from, to] = [random.below(text.length + 1), random.below(text.length + 10)];
    const made = pieces(spans, from, to, marks);
    expect(made.map((piece) => piece.text).join("")).toBe(text.slice(from, to));
    const found = made.flatMap((piece) => [...piece.text].map(() => piece.found));
    const expected = [...text]
      .map((_, at) => marks.some(([first, last]) => at >= first && at < last))
      .slice(from, to);
    expect(found).toEqual(expected);
    expect(made.some((piece) => piece.text === "")).toBe(false);
  });
});
