import { expect, test } from "vitest";
import type { RunView } from "../../src/api/types.gen.ts";
import { chromeTrace } from "../../src/export/chrome.ts";
import { Invalid } from "../../src/export/check.ts";
import { contentOf, makeDocument, readDocument, writeDocument } from "../../src/export/document.ts";
import { fileName } from "../../src/export/name.ts";
import { escape, flameSvg } from "../../src/export/svg.ts";
import { layOut } from "../../src/model/layout.ts";
import { FRAME_STATUSES } from "../../src/model/status.ts";
import { RunContent } from "../../src/sync/apply.ts";
import { forSeeds } from "./random.ts";
import type { Random } from "./random.ts";
import { NOTHING_USED, T0, frame, run, task } from "./views.ts";

const ID = "RUN-20261121-001";
const NOW = T0 + 90_000_000;
const HOSTILE = [
  `<img src=x onerror="alert(1)">`,
  `]]></svg><script>alert(1)</script>`,
  "a\nb\u0000\u001b[31m\u202e",
  "\ud800 half",
  `"'&<>`,
  "__proto__",
  "漢字🔥",
];
const COLOURS = {
  fills: FRAME_STATUSES.map(() => "#123456"),
  onFill: "#fff",
  background: "#000",
  surface: "#111",
  line: "#222",
  text: "#eee",
  muted: "#999",
};

function randomRun(random: Random): {
  view: RunView;
  content: RunContent;
  events: Record<string, unknown>[];
} {
  const content = new RunContent();
  const count = 1 + random.below(40);
  const text = () => (random.chance(0.5) ? random.pick(HOSTILE) : "plain");
  for (let i = 0; i < count; i++) {
    const status = random.pick(FRAME_STATUSES);
    const started_ms = status === "planned" || random.chance(0.2) ? null : T0 + random.below(1e7);
    content.frames.upsert(
      frame(ID, `f-${i}`, i === 0 ? null : `f-${random.below(i)}`, {
        status,
        started_ms,
        ended_ms:
          started_ms === null || status === "in_progress" ? null : started_ms + random.below(1e6),
        title: text(),
        key: text(),
        reason: random.chance(0.3) ? text() : null,
        depends_on: random.chance(0.3) ? [`f-${random.below(count)}`] : [],
        usage: random.chance(0.5)
          ? { ...NOTHING_USED, input: random.below(100), cost_usd: random.next() }
          : null,
        spans: started_ms === null ? [] : [{ doing: "waiting", from_ms: started_ms }],
        group: random.chance(0.2),
        asks: random.chance(0.2)
          ? [
              { id: "c-1", question: text(), kind: "limit", limit: "cost" },
              { id: "c-2", question: text(), options: ["a"], kind: "question" },
              { id: "c-3", question: text(), options: ["go on", "block"], kind: "approval" },
            ]
          : [],
      }),
    );
    if (started_ms !== null)
      content.tasks.upsert(
        task(ID, `f-${i}`, 1, {
          started_ms,
          ended_ms: random.chance(0.3) ? null : started_ms + random.below(1e6),
          step: text(),
          exit_code: random.chance(0.5) ? -1 : null,
          waits: [{ id: "p", tool: text(), title: text() }],
        }),
      );
  }
  const events = Array.from({ length: random.below(9) }, (_, i) => ({
    v: 1,
    seq: i + 1,
    ts: new Date(T0 + i).toISOString(),
    event: "frame_started",
    summary: text(),
    more: { deep: [text()] },
  }));
  return {
    view: run("1a2b3c4d", ID, "f-0", { name: text(), ended_ms: random.chance(0.5) ? NOW : null }),
    content,
    events,
  };
}

test("a run that is exported, imported and exported again is the same", async () => {
  await forSeeds(60, (random) => {
    const { view, content, events } = randomRun(random);
    const written = writeDocument(makeDocument(view, content, events, NOW));
    const read = readDocument(written);
    expect(writeDocument(makeDocument(read.run, contentOf(read), read.events, read.at_ms))).toBe(
      written,
    );
    expect(read.frames.length).toBe(content.frames.length);
  });
});

/** Replaces one value somewhere in a document by something else. */
function damage(random: Random, value: unknown): void {
  let at = value as Record<string, unknown>;
  for (;;) {
    const names = Object.keys(at);
    const name = random.pick(names);
    const next = at[name];
    if (
      typeof next === "object" &&
      next !== null &&
      Object.keys(next).length > 0 &&
      random.chance(0.8)
    ) {
      at = next as Record<string, unknown>;
      continue;
    }
    if (random.chance(0.2)) delete at[name];
    else
      at[name] = random.pick<unknown>([
        null,
        -1,
        1e300,
        "x",
        [],
        {},
        true,
        "f-0",
        { __proto__: null },
        [[]],
      ]);
    return;
  }
}

test("a damaged file is refused with the place of what is wrong, or shows what it says; it never breaks", async () => {
  await forSeeds(100, (random) => {
    const { view, content, events } = randomRun(random);
    const document = JSON.parse(writeDocument(makeDocument(view, content, events, NOW))) as unknown;
    damage(random, document);
    try {
      const read = readDocument(JSON.stringify(document));
      const shown = contentOf(read);
      chromeTrace(read.run, shown.frames, shown.tasks, layOut(shown.frames), read.at_ms);
      flameSvg(read.run, shown.frames, layOut(shown.frames), read.at_ms, 0, COLOURS);
    } catch (error) {
      expect(error).toBeInstanceOf(Invalid);
      expect((error as Invalid).at).not.toBe("");
    }
  });
});

function refusal(
  change: (
    document: {
      run: Record<string, unknown>;
      frames: Record<string, unknown>[];
      tasks: Record<string, unknown>[];
    } & Record<string, unknown>,
  ) => void,
): string {
  const content = new RunContent();
  content.frames.upsert(frame(ID, "f-0", null));
  content.frames.upsert(frame(ID, "f-1", "f-0"));
  content.tasks.upsert(task(ID, "f-1", 1));
  const document = JSON.parse(writeDocument(makeDocument(run("p", ID, "f-0"), content, [], NOW)));
  change(document);
  try {
    readDocument(JSON.stringify(document));
    return "taken";
  } catch (error) {
    return (error as Error).message;
  }
}

test("what is wrong with a file is said with its place", () => {
  expect(refusal(() => {})).toBe("taken");
  expect(refusal((document) => (document.frames[1]!.status = "done"))).toMatch(
    /^frames\[1\]\.status is "done", none of planned/,
  );
  expect(refusal((document) => (document.frames[1]!.parent = "f-9"))).toMatch(
    /^frames\[1\]\.parent .* none of the frames: "f-9"/,
  );
  expect(refusal((document) => (document.frames[0]!.parent = "f-1"))).toBe(
    "frames[0].parent leads in a circle",
  );
  expect(refusal((document) => (document.frames[1]!.id = "f-0"))).toBe(
    'frames[1].id is there twice: "f-0"',
  );
  expect(refusal((document) => (document.frames[0]!.extra = 1))).toBe(
    'frames[0] has a field that is not known: "extra"',
  );
  expect(refusal((document) => delete document.tasks[0]!.tool)).toBe(
    "tasks[0].tool is missing, not a text",
  );
  expect(refusal((document) => (document.version = 2))).toMatch(/^version is not 1/);
  expect(refusal((document) => (document.run.started_ms = "now"))).toBe(
    "run.started_ms is a string, not a number",
  );
  expect(() => readDocument("{")).toThrow(/^the file is no JSON/);
  expect(() => readDocument("[]")).toThrow(/^the file is a list, not an object/);
});

test("the trace is what the Trace Event Format asks for: a thread a row, bars that do not overlap", async () => {
  await forSeeds(60, (random) => {
    const { view, content } = randomRun(random);
    const layout = layOut(content.frames);
    const trace = JSON.parse(
      JSON.stringify(chromeTrace(view, content.frames, content.tasks, layout, NOW)),
    ) as ReturnType<typeof chromeTrace>;
    const wrong: string[] = [];
    const named = new Set(
      trace.traceEvents
        .filter((event) => event.ph === "M" && event.name === "thread_name")
        .map((event) => event.tid),
    );
    const open = new Map<string, number>();
    const ends = new Map<number, number>();
    let last = 0;
    for (const event of trace.traceEvents) {
      if (
        typeof event.name !== "string" ||
        !Number.isInteger(event.pid) ||
        !Number.isInteger(event.tid)
      )
        wrong.push("no name or thread");
      if (event.ph === "M") continue;
      if (!Number.isSafeInteger(event.ts) || event.ts < last)
        wrong.push(`${event.ts} after ${last}`);
      last = event.ts;
      if (event.ph === "X") {
        if (!Number.isSafeInteger(event.dur) || event.dur <= 0) wrong.push(`lasts ${event.dur}`);
        if (!named.has(event.tid)) wrong.push(`thread ${event.tid} has no name`);
        if (event.ts < (ends.get(event.tid) ?? 0)) wrong.push("bars overlap");
        ends.set(event.tid, event.ts + event.dur);
      } else if (event.ph === "i") {
        if (event.s !== "t") wrong.push("a moment of no thread");
      } else
        open.set(
          `${event.cat} ${event.id}`,
          (open.get(`${event.cat} ${event.id}`) ?? 0) + (event.ph === "b" ? 1 : -1),
        );
    }
    expect(wrong).toEqual([]);
    expect([...open.values()].filter((count) => count !== 0)).toEqual([]);
    const begun = Array.from({ length: layout.count }, (_, bar) => layout.kind[bar]).filter(
      (kind) => kind !== 2,
    ).length;
    expect(trace.traceEvents.filter((event) => event.ph === "X").length).toBe(begun);
  });
});

/** Whether every tag that is opened is closed, none can do anything, attributes are quoted, and text holds
 *  no markup. */
function isWellFormed(xml: string): boolean {
  const open: string[] = [];
  let rest = xml;
  const token =
    /^(?:<(svg|g|defs|pattern|title|rect|text|path|circle)((?:\s+(?!on|href|style)[\w:-]+="[^"<]*")*)\s*(\/?)>|<\/([a-zA-Z]+)>|(?:[^<&]|&(?:amp|lt|gt|quot|#39);)+)/;
  while (rest !== "") {
    const found = token.exec(rest);
    if (!found) return false;
    if (found[1] !== undefined && found[3] === "") open.push(found[1]);
    if (found[4] !== undefined && open.pop() !== found[4]) return false;
    rest = rest.slice(found[0].length);
  }
  return open.length === 0;
}

test("a drawing is well-formed, has no script and escapes all text", async () => {
  await forSeeds(60, (random) => {
    const { view, content } = randomRun(random);
    const svg = flameSvg(view, content.frames, layOut(content.frames), NOW, 0, COLOURS);
    expect(isWellFormed(svg)).toBe(true);
    expect(svg).not.toMatch(/="[^"]*(NaN|Infinity|undefined)/);
  });
  expect(escape(HOSTILE.join(""))).not.toMatch(/[<>"'\u0000\ud800]/u);
  for (const bad of [
    "<g><rect></g></rect>",
    "<script></script>",
    '<g onload="x"></g>',
    "<g>&nbsp;</g>",
    "<g",
  ])
    expect(isWellFormed(bad)).toBe(false);
});

test("names of files are safe whatever a run is called", async () => {
  expect(fileName({ id: ID, name: "Bauen & Prüfen" }, "json")).toBe(
    "RUN-20261121-001-bauen-pru-fen.json",
  );
  await forSeeds(100, (random) => {
    const name = Array.from({ length: random.below(200) }, () =>
      random.pick([...HOSTILE, "../", "CON", "/", ".", "\\"]),
    ).join("");
    expect(fileName({ id: random.pick([ID, "../..", ""]), name }, "svg")).toMatch(
      /^[A-Za-z0-9][A-Za-z0-9-]{0,125}\.svg$/,
    );
  });
});
