import { expect, test } from "vitest";
import { rank, score } from "../../src/commands/fuzzy.ts";
import {
  Presses,
  conflicts,
  isSingle,
  matches,
  readKeys,
  sayKeys,
} from "../../src/commands/keys.ts";
import type { Press } from "../../src/commands/keys.ts";
import { OWN_KEYS } from "../../src/commands/own_keys.ts";
import type { Command } from "../../src/commands/registry.ts";
import { forSeeds } from "./random.ts";
import type { Random } from "./random.ts";

const press = (key: string, more: Partial<Press> = {}): Press => ({
  key,
  ctrlKey: false,
  metaKey: false,
  altKey: false,
  shiftKey: false,
  ...more,
});
const command = (id: string, ...keys: string[]): Command => ({
  id,
  title: id,
  group: "",
  keys,
  run: () => {},
});

test("keys are read as they are written", () => {
  expect(readKeys("Mod+Enter")).toEqual([{ key: "Enter", mod: true, alt: false, shift: false }]);
  expect(readKeys("g i").map(({ key }) => key)).toEqual(["g", "i"]);
  expect(readKeys("Shift+Y")).toEqual([{ key: "y", mod: false, alt: false, shift: true }]);
  expect(readKeys("Mod+Plus")[0]!.key).toBe("+");
  for (const wrong of ["", "Mod+", "Ctrl+k", "k+Mod"])
    expect(() => readKeys(wrong), wrong).toThrow(RangeError);
  expect(sayKeys("Mod+Shift+k", false)).toBe("Ctrl Shift K");
  expect(sayKeys("Mod+k", true)).toBe("⌘K");
  expect(sayKeys("g i", false)).toBe("g then i");
  expect(["g i", "?", "Shift+y", "Mod+k", "Enter", "Space", "Alt+x"].map(isSingle)).toEqual([
    true,
    true,
    true,
    false,
    false,
    false,
    false,
  ]);
});

test("a press is what it was written for, on every system", () => {
  const [k, question, shiftY, y] = ["Mod+k", "?", "Shift+y", "y"].map(
    (keys) => readKeys(keys)[0]!,
  ) as [ReturnType<typeof readKeys>[0], ...ReturnType<typeof readKeys>];
  expect(matches(k, press("k", { ctrlKey: true }), false)).toBe(true);
  expect(matches(k, press("k", { metaKey: true }), false)).toBe(false);
  expect(matches(k, press("k", { metaKey: true }), true)).toBe(true);
  expect(matches(k, press("k", { ctrlKey: true }), true)).toBe(false);
  expect(matches(k, press("K", { ctrlKey: true, shiftKey: true }), false)).toBe(false);
  // With Shift or without, as the keyboard has it.
  expect(matches(question!, press("?", { shiftKey: true }), false)).toBe(true);
  expect(matches(question!, press("?"), false)).toBe(true);
  expect(matches(shiftY!, press("Y", { shiftKey: true }), false)).toBe(true);
  expect(matches(y!, press("Y", { shiftKey: true }), false)).toBe(false);
  // With Caps Lock a letter is large without Shift.
  expect(matches(y!, press("Y"), false)).toBe(true);
});

test("keys one after the other are heard in time, and no others", () => {
  const all = [
    command("inbox", "g i"),
    command("runs", "g r"),
    command("stop", "s"),
    command("find", "Mod+k"),
  ];
  const presses = new Presses();
  const said = (key: Press, at: number, single = true) => {
    const found = presses.press(key, all, at, single);
    return found === null || found === "more" ? found : found.id;
  };
  expect([said(press("g"), 0), said(press("i"), 500)]).toEqual(["more", "inbox"]);
  expect([said(press("g"), 1_000), said(press("i"), 5_000)]).toEqual(["more", null]);
  expect([said(press("g"), 6_000), said(press("x"), 6_100), said(press("i"), 6_200)]).toEqual([
    "more",
    null,
    null,
  ]);
  expect(said(press("i"), 7_000)).toBe(null);
  expect(said(press("s"), 8_000)).toBe("stop");
  expect([
    said(press("s"), 8_000, false),
    said(press("g"), 8_100, false),
    said(press("k", { ctrlKey: true }), 8_200, false),
  ]).toEqual([null, null, "find"]);
});

test("keys that hide each other are found", () => {
  expect(
    conflicts([
      command("a", "g i"),
      command("b", "g r"),
      command("c", "y"),
      command("d", "Shift+y"),
    ]),
  ).toEqual([]);
  expect(conflicts([command("a", "g i"), command("b", "g")])).toEqual([["a", "b", "g i"]]);
  expect(conflicts([command("a", "y"), command("b", "x", "y")])).toEqual([["a", "b", "y"]]);
  expect(conflicts([command("a", "?"), command("b", "Shift+?")])).toEqual([["a", "b", "?"]]);
});

const WORDS = [
  "Data",
  "table",
  "Write",
  "notes",
  "list",
  "endpoint",
  "Retry",
  "from",
  "here",
  "JWT",
  "tokens",
  "Änderung",
  "漢字",
  "a",
];
const title = (random: Random) =>
  Array.from({ length: 1 + random.below(4) }, () => random.pick(WORDS)).join(" ");

test("what holds the letters in their order is found, and nothing else", async () => {
  await forSeeds(300, (random) => {
    const text = title(random);
    // Some of its letters, in their order.
    const letters = [...text.toLowerCase()]
      .filter((letter) => letter !== " " && random.chance(0.5))
      .join("");
    expect(score(letters, text), `${letters} in ${text}`).not.toBeNull();
    expect(score(`${letters}§`, text)).toBeNull();
    expect(score("", text)).not.toBeNull();
  });
});

test("a text is found by itself, what answers better comes first, and no more than was asked for", async () => {
  await forSeeds(200, (random) => {
    const texts = [...new Set(Array.from({ length: 12 }, () => title(random)))];
    const wanted = random.pick(texts);
    const found = rank(wanted, texts, (text) => text, 100);
    expect(found).toContain(wanted);
    const points = found.map((text) => score(wanted, text)!);
    expect(points).toEqual([...points].sort((a, b) => b - a));
    expect(
      rank(
        "",
        texts.map(() => "same"),
        (text) => text,
        3,
      ),
    ).toHaveLength(Math.min(3, texts.length));
  });
});

test("beginnings of words and whole words come before scattered letters", () => {
  const best = (query: string, ...texts: string[]) => rank(query, texts, (text) => text, 10)[0];
  expect(best("re", "Store", "Retry")).toBe("Retry");
  expect(best("rh", "Refresh", "Retry from here")).toBe("Retry from here");
  expect(best("endpoint list", "Update endpoint", "List endpoint")).toBe("List endpoint");
  expect(best("anderung", "Wandern", "Änderung")).toBe("Änderung");
  expect(
    rank("end", ["List endpoint", "Switch between dark and light"], (text) => text, 10),
  ).toEqual(["List endpoint"]);
});

test("each part of the page is in help once, with each of its keys once", () => {
  expect(new Set(OWN_KEYS.map(({ name }) => name)).size).toBe(OWN_KEYS.length);
  for (const { name, keys } of OWN_KEYS) {
    const all = keys.flatMap(([each]) => each.map((text) => JSON.stringify(readKeys(text))));
    expect(new Set(all).size, name).toBe(all.length);
  }
});
