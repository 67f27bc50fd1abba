// What details and previews are made of.

import { afterEach, expect, test, vi } from "vitest";
import {
  addressOf,
  hexOf,
  kindOf,
  readBeginning,
  webAddress,
} from "../../src/artifacts/artifact.ts";
import { Journal, PAGE_LINES, readRecord } from "../../src/details/journal.ts";
import { times } from "../../src/details/times.ts";
import { forSeeds } from "./random.ts";

afterEach(() => vi.unstubAllGlobals());
const utf8 = (text: string) => new TextEncoder().encode(text);

test("the times of a frame add up to how long it took, whatever its spans", () =>
  forSeeds(200, (random) => {
    const started_ms = 1_000 + random.below(1_000);
    let at = started_ms;
    const spans = Array.from({ length: random.below(6) }, (_, i) => {
      if (i > 0) at += random.below(500);
      return {
        doing: random.pick(["working", "waiting", "queued", "blocked", "paused"] as const),
        from_ms: at,
      };
    });
    const end = at + random.below(1_000);
    const shown = times({ spans, started_ms, ended_ms: random.chance(0.5) ? end : null }, end);
    expect(shown.reduce((sum, [, ms]) => sum + ms, 0)).toBe(end - started_ms);
    expect(new Set(shown.map(([doing]) => doing)).size).toBe(shown.length);
  }));

test("a file is told by its name and its bytes", () => {
  expect(kindOf("a/README.md", utf8("# x"))).toBe("markdown");
  expect(kindOf("a.JSON", utf8("{}"))).toBe("json");
  expect(kindOf("a.patch", utf8("+"))).toBe("diff");
  expect(kindOf("md", utf8("é漢🔥"))).toBe("text");
  expect(kindOf("a.md", Uint8Array.of(0x23, 0, 1))).toBe("binary");
  expect(kindOf("a.txt", Uint8Array.of(0x61, 0xff, 0x61, 0x61, 0x61, 0x61))).toBe("binary");
  // The last character is cut where only a beginning is here.
  for (let cut = 0; cut < 4; cut++)
    expect(kindOf("a.txt", utf8("abc🔥").subarray(0, 7 - cut))).toBe("text");
});

test("an artifact's copy has an address, and only what is on the web has a link", () => {
  const artifact = {
    path: "a b\n/ü?.md",
    bytes: 1,
    sha256: "",
    copy: "tasks/t-1/artifacts/a b\n/ü?.md",
  };
  expect(addressOf("p", artifact)).toBe(
    "/api/tasks/t-1/artifacts/a%20b%0A%2F%C3%BC%3F.md?project=p",
  );
  expect(addressOf("p", artifact, true)).toMatch(/&preview=true$/);
  expect(addressOf("p", { path: "x", bytes: 1, sha256: "" })).toBeNull();
  expect(
    addressOf("p", { path: "x", bytes: 1, sha256: "", copy: "tasks/../../secret" }),
  ).toBeNull();
  const web = (path: string) => webAddress({ path, bytes: 0, sha256: "" });
  expect(web("https://example.org/a")).toBe("https://example.org/a");
  for (const path of [
    "javascript:alert(1)",
    " https://x",
    "data:text/html,x",
    "file:///etc/passwd",
    "//example.org",
    "https://",
  ])
    expect(web(path)).toBeNull();
});

test("bytes are printed as place, hexadecimal and letters", () => {
  expect(hexOf(utf8("Fornax\n0123456789!"))).toBe(
    "00000000  46 6f 72 6e 61 78 0a 30 31 32 33 34 35 36 37 38  Fornax.012345678\n00000010  39 21                                            9!",
  );
});

test("of a file without end only the beginning is read, though the server knows no parts", async () => {
  let sent = 0;
  const body = new ReadableStream({
    pull: (to) => {
      sent += 1_000;
      to.enqueue(new Uint8Array(1_000).fill(97));
    },
  });
  vi.stubGlobal("fetch", async () => new Response(body, { status: 200 }));
  const found = await readBeginning("/x", "x.txt", 10_500, new AbortController().signal);
  expect([found.kind, found.bytes.length, found.whole]).toEqual(["text", 10_500, false]);
  expect(sent).toBeLessThan(20_000);
});

/** A journal of so many lines, some of which are damaged, served from a byte on in pieces of any size. */
function serve(lines: string[], piece: () => number): void {
  vi.stubGlobal("fetch", async (url: string) => {
    const bytes = utf8(lines.join("")).subarray(
      Number(new URL(url, "http://x").searchParams.get("offset")),
    );
    let at = 0;
    return new Response(
      new ReadableStream({
        pull(to) {
          if (at >= bytes.length) return to.close();
          const next = at + piece();
          to.enqueue(bytes.slice(at, next));
          at = next;
        },
      }),
    );
  });
}

const record = (seq: number) =>
  `${JSON.stringify({ seq, ts: "2026-11-21T02:00:00.007Z", event: "frame_started", summary: `é漢🔥 ${"x".repeat(seq % 40)}` })}\n`;

test("a journal is read newest page first, older ones when asked for, and on when it has grown: nothing twice, nothing left out", () =>
  forSeeds(20, async (random) => {
    const lines = Array.from({ length: random.below(5 * PAGE_LINES) }, (_, i) => record(i + 1));
    serve(lines, () => 1 + random.below(60_000));
    const journal = new Journal("p", "r");
    const { signal } = new AbortController();
    await journal.readOn(signal);
    expect(journal.events.length).toBeLessThanOrEqual(2 * PAGE_LINES);
    for (let round = 0; round < 12; round++) {
      if (random.chance(0.4)) {
        for (let more = random.below(PAGE_LINES); more >= 0; more--)
          lines.push(record(lines.length + 1));
        await journal.readOn(signal);
      } else await journal.readOlder(signal);
      const seqs = journal.events.map((event) => event.seq);
      expect(seqs).toEqual(seqs.map((_, i) => seqs[0]! + i));
      expect(seqs.at(-1) ?? 0).toBe(lines.length);
      expect(journal.hasOlder).toBe((seqs[0] ?? 1) > 1);
    }
    while (journal.hasOlder) await journal.readOlder(signal);
    expect(journal.events.length).toBe(lines.length);
  }));

test("a line of the journal that is damaged is left out", () => {
  expect(readRecord(record(3))).toMatchObject({
    seq: 3,
    event: "frame_started",
    flame: "flame.frame.activated",
    frame: null,
  });
  for (const line of [
    "",
    "{",
    "null",
    "[]",
    `{"seq":"1","ts":"2026-11-21T02:00:00Z"}`,
    `{"seq":1,"ts":"soon"}`,
  ])
    expect(readRecord(line)).toBeNull();
});
