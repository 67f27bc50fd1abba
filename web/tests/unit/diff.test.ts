import { expect, test } from "vitest";
import { parseDiff, signOf, writeDiff } from "../../src/diff/parse.ts";
import { visible } from "../../src/diff/visible.ts";
import { countRows, rowsOf } from "../../src/diff/rows.ts";
import { marks } from "../../src/diff/words.ts";
import { forSeeds } from "./random.ts";
import type { Random } from "./random.ts";

const GIT = `From 0123 Mon Sep 17 00:00:00 2001
Subject: [PATCH] several

diff --git a/src/a b.ts b/src/a b.ts
index 1..2 100644
--- a/src/a b.ts\t
+++ b/src/a b.ts\t
@@ -1,4 +1,5 @@ function one() {
 same
--- not a header
+++ not one either
+new
 same

@@ -40 +41 @@
-x
\\ No newline at end of file
+y
diff --git a/old.ts b/new.ts
similarity index 90%
rename from old.ts
rename to new.ts
diff --git a/run.sh b/run.sh
old mode 100644
new mode 100755
diff --git "a/caf\\303\\251\\n\\"q\\"\\t.txt" "b/caf\\303\\251\\n\\"q\\"\\t.txt"
new file mode 120000
--- /dev/null
+++ "b/caf\\303\\251\\n\\"q\\"\\t.txt"
@@ -0,0 +1 @@
+<script>alert(1)</script>
diff --git a/p.png b/p.png
deleted file mode 100644
Binary files a/p.png and /dev/null differ
-- 
2.40.1
`;

test("a diff of git is read whole: names, renames, modes, binary files, lines that look like headers", () => {
  const files = parseDiff(GIT);
  const said = files.map(({ change, from, to, notes, added, removed }) => ({
    change,
    from,
    to,
    notes,
    added,
    removed,
  }));
  const odd = 'café\n"q"\t.txt';
  expect(said).toEqual([
    { change: "changed", from: "src/a b.ts", to: "src/a b.ts", notes: [], added: 3, removed: 2 },
    {
      change: "renamed",
      from: "old.ts",
      to: "new.ts",
      notes: ["90% the same"],
      added: 0,
      removed: 0,
    },
    {
      change: "changed",
      from: "run.sh",
      to: "run.sh",
      notes: ["mode 100644 is now 100755"],
      added: 0,
      removed: 0,
    },
    { change: "added", from: null, to: odd, notes: ["mode 120000"], added: 1, removed: 0 },
    { change: "deleted", from: "p.png", to: null, notes: ["binary"], added: 0, removed: 0 },
  ]);
  expect(files[0]!.preamble.join("\n")).toMatch(/^From 0123[^]*several\n$/);
  expect(files[0]!.hunks.map(({ heading, from, to }) => [heading, from, to])).toEqual([
    ["function one() {", 1, 1],
    ["", 40, 41],
  ]);
  expect(visible(odd)).toBe('café\\n"q"\\t.txt');
  expect(writeDiff(files)).toBe(GIT);
});

test("a plain diff, a bare hunk and the diff of a merge are read", () => {
  const plain = parseDiff(
    "--- one.txt\t2026-01-01\n+++ two.txt\t2026-01-02\n@@ -1 +1 @@\n-a\n+b\n--- c\n+++ d\n@@ -1 +1 @@\n-a\n+b\n",
  );
  expect(plain.filter((file) => file.hunks.length > 0).map((file) => [file.from, file.to])).toEqual(
    [
      ["one.txt", "two.txt"],
      ["c", "d"],
    ],
  );
  const [bare] = parseDiff("@@ -1 +1 @@\n-a\n+b");
  expect([bare!.from, bare!.added, bare!.removed]).toEqual([null, 1, 1]);
  const [merge] = parseDiff(
    "diff --cc x.c\nindex 1,2..3\n--- a/x.c\n+++ b/x.c\n@@@ -1,2 -1,2 +1,3 @@@ f()\n  same\n -gone\n+ came\n++both\n",
  );
  expect([merge!.to, merge!.added, merge!.removed, merge!.hunks[0]!.signs]).toEqual([
    "x.c",
    2,
    1,
    2,
  ]);
});

test("rows are numbered as the files are, and what changed within a line is marked", () => {
  const [file] = parseDiff(
    "@@ -10,3 +20,3 @@\n a\n-let total = one + two;\n+let total = one + three;\n b\n",
  );
  const rows = rowsOf(file!, 100).filter((row) => row.kind === "line");
  expect(rows.map(({ sign, from, to }) => [sign, from, to])).toEqual([
    [" ", 10, 20],
    ["-", 11, null],
    ["+", null, 21],
    [" ", 12, 22],
  ]);
  expect(rows.map(({ text, mark }) => mark && text.slice(...mark))).toEqual([
    null,
    "two",
    "three",
    null,
  ]);
  expect(marks("abc", "xyz")).toBeNull();
  expect(marks("x".repeat(5_000), "x".repeat(5_001))).toBeNull();
});

test("a diff of 100,000 lines is read within the time of a test, and only what is shown becomes rows", () => {
  const lines = Array.from({ length: 100_000 }, (_, i) => `${i % 2 ? "+" : "-"}line ${i}`);
  const [file] = parseDiff(`--- a\n+++ b\n@@ -1,50000 +1,50000 @@\n${lines.join("\n")}\n`);
  const rows = rowsOf(file!, 400);
  expect([rows.length, countRows(file!), file!.added]).toEqual([400, 100_001, 50_000]);
});

const PARTS = [
  "diff --git a/x b/x",
  "diff --cc x",
  '--- "a/\\3\\',
  "--- a/x",
  "+++ b/x",
  "+++ /dev/null",
  "@@ -1,3 +1,3 @@",
  "@@@ -1 -1,9 +1,2 @@@ f",
  "@@ -0,0 +1,99999999 @@",
  "@@",
  "@@ -1 @@",
  "+a",
  "-b",
  " c",
  "",
  "\\ No newline",
  "rename from \u0000",
  "GIT binary patch",
  "++ x",
  "\r",
  "-- ",
  "new file mode x",
];

/** A text of lines that matter to a diff, in no order, some of them damaged. */
function garbage(random: Random): string {
  const lines = Array.from({ length: random.below(40) }, () => {
    const line = random.pick(PARTS);
    return random.chance(0.1) ? line.slice(random.below(line.length + 1)) : line;
  });
  return lines.join(random.chance(0.1) ? "\r\n" : "\n");
}

test("whatever is read is written the same, and its lines are counted right", async () => {
  await forSeeds(400, (random) => {
    const text = garbage(random);
    const files = parseDiff(text);
    expect(writeDiff(files)).toBe(text);
    for (const file of files) {
      const all = file.hunks.flatMap((hunk) => hunk.lines.map((line) => signOf(line, hunk.signs)));
      expect([file.added, file.removed]).toEqual([
        all.filter((sign) => sign === "+").length,
        all.filter((sign) => sign === "-").length,
      ]);
      expect(rowsOf(file, Infinity).length).toBe(countRows(file));
      visible(file.to ?? "");
    }
  });
});
