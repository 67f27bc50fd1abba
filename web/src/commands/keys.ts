// Keys: how they are written, what a press of one means, and the one place that hears them all.

import { settings } from "../settings.ts";
import { commands } from "./registry.ts";
import type { Command } from "./registry.ts";

/** One press: a key as the browser names it (letters small), with what is held beside it. */
export interface Stroke {
  readonly key: string;
  readonly mod: boolean;
  readonly alt: boolean;
  /** Null where it does not matter: `?` needs Shift on some keyboards and not on others. */
  readonly shift: boolean | null;
}

const NAMES: Record<string, string> = { Space: " ", Plus: "+" };
const isLetter = (key: string) => /^\p{L}$/u.test(key);

/** Reads `Mod+Shift+K`, or `g i`: one press after the other. */
export function readKeys(text: string): Stroke[] {
  return text.split(" ").map((part) => {
    const words = part.split("+");
    const last = words.pop()!;
    const held = new Set(words);
    for (const word of held)
      if (word !== "Mod" && word !== "Alt" && word !== "Shift")
        throw new RangeError(`${text} is no key`);
    if (last === "") throw new RangeError(`${text} is no key`);
    const key = NAMES[last] ?? last;
    const matters = key.length > 1 || isLetter(key) || held.has("Shift");
    return {
      key: isLetter(key) ? key.toLowerCase() : key,
      mod: held.has("Mod"),
      alt: held.has("Alt"),
      shift: matters ? held.has("Shift") : null,
    };
  });
}

export const isMac =
  typeof navigator !== "undefined" && /mac|iphone|ipad/i.test(navigator.platform);

/** What of a keyboard event matters here. */
export type Press = Pick<KeyboardEvent, "key" | "ctrlKey" | "metaKey" | "altKey" | "shiftKey">;

export function matches(stroke: Stroke, press: Press, mac = isMac): boolean {
  const key = isLetter(press.key) ? press.key.toLowerCase() : press.key;
  const [mod, other] = mac ? [press.metaKey, press.ctrlKey] : [press.ctrlKey, press.metaKey];
  return (
    key === stroke.key &&
    mod === stroke.mod &&
    !other &&
    press.altKey === stroke.alt &&
    (stroke.shift ?? press.shiftKey) === press.shiftKey
  );
}

/** Whether a stroke is a character typed by itself, which people who speak to their computer type by accident. */
function isCharacter(stroke: Stroke): boolean {
  return stroke.key.length === 1 && stroke.key !== " " && !stroke.mod && !stroke.alt;
}

/** Whether keys begin with a character typed by itself, so that they can be turned off. */
export function isSingle(keys: string): boolean {
  return isCharacter(readKeys(keys)[0]!);
}

/** Keys as a person reads them on this computer: `Ctrl K`, `g then i`. */
export function sayKeys(text: string, mac = isMac): string {
  const held = mac
    ? { Mod: "⌘", Alt: "⌥", Shift: "⇧" }
    : { Mod: "Ctrl", Alt: "Alt", Shift: "Shift" };
  const arrows: Record<string, string> = {
    ArrowUp: "↑",
    ArrowDown: "↓",
    ArrowLeft: "←",
    ArrowRight: "→",
    Escape: "Esc",
    Plus: "+",
  };
  const say = (part: string) => {
    const words = part.split("+");
    const key =
      words.length > 1 && isLetter(words.at(-1)!) ? words.pop()!.toUpperCase() : words.pop()!;
    return [...words.map((word) => held[word as keyof typeof held]), arrows[key] ?? key].join(
      mac ? "" : " ",
    );
  };
  return text.split(" ").map(say).join(" then ");
}

/** Two commands of which one hides the other: they have the same keys, or one's keys begin the other's. */
export function conflicts(
  all: readonly Pick<Command, "id" | "keys">[],
): [string, string, string][] {
  const found: [string, string, string][] = [];
  const same = (a: Stroke, b: Stroke) =>
    a.key === b.key &&
    a.mod === b.mod &&
    a.alt === b.alt &&
    (a.shift === null || b.shift === null || a.shift === b.shift);
  const each = all.flatMap(({ id, keys = [] }) =>
    keys.map((text) => ({ id, text, strokes: readKeys(text) })),
  );
  for (const [i, one] of each.entries()) {
    for (const other of each.slice(i + 1)) {
      const length = Math.min(one.strokes.length, other.strokes.length);
      if (one.strokes.slice(0, length).every((stroke, at) => same(stroke, other.strokes[at]!)))
        found.push([one.id, other.id, one.text]);
    }
  }
  return found;
}

/** How long the second press of two may take. */
const SEQUENCE_MS = 1_200;

/** Finds what is pressed, and remembers how far one is in keys that are pressed one after the other. */
export class Presses {
  #before: Press[] = [];
  #at_ms = 0;

  /** Whether the next press may be the rest of something. */
  waits(now_ms: number): boolean {
    return this.#before.length > 0 && now_ms - this.#at_ms <= SEQUENCE_MS;
  }

  /** The command that is pressed; "more" where keys begin with what was pressed; null where nothing does. */
  press(
    press: Press,
    all: readonly Command[],
    now_ms: number,
    single: boolean,
  ): Command | "more" | null {
    const pressed = this.waits(now_ms) ? [...this.#before, press] : [press];
    const found = find(pressed, all, single);
    this.#before = found === "more" ? pressed : [];
    this.#at_ms = now_ms;
    return found;
  }
}

function find(
  presses: readonly Press[],
  all: readonly Command[],
  single: boolean,
): Command | "more" | null {
  let more = false;
  for (const command of all) {
    for (const keys of command.keys ?? []) {
      const strokes = readKeys(keys);
      if (!single && isCharacter(strokes[0]!)) continue;
      if (
        strokes.length < presses.length ||
        !presses.every((press, i) => matches(strokes[i]!, press))
      )
        continue;
      if (strokes.length === presses.length) return command;
      more = true;
    }
  }
  return more ? "more" : null;
}

const MODIFIERS = new Set(["Shift", "Control", "Alt", "Meta", "AltGraph", "CapsLock", "Dead"]);

/** Whether what is pressed there becomes text. */
export function isTyping(target: EventTarget | null): boolean {
  if (!(target instanceof HTMLElement)) return false;
  if (target.isContentEditable || target.matches("textarea, select")) return true;
  return (
    target instanceof HTMLInputElement &&
    !["button", "checkbox", "radio", "range", "submit", "reset"].includes(target.type)
  );
}

/** Whether Enter and Space are the element's own: they press it. */
function isPressed(target: EventTarget | null, press: Press): boolean {
  return (
    (press.key === "Enter" || press.key === " ") &&
    target instanceof Element &&
    target.closest("button, a[href], summary, [role=tab], [role=option]") !== null
  );
}

/** Hears keys for as long as the page is open. What a part of the page did with one is not looked at. */
export function listenForKeys(): void {
  const presses = new Presses();
  const hear = (event: KeyboardEvent) => {
    if (
      event.isComposing ||
      MODIFIERS.has(event.key) ||
      document.querySelector("dialog:modal") !== null
    )
      return;
    // What opens over the page has keys of its own.
    if (event.target instanceof Element && event.target.closest("[popover]") !== null) return;
    const combined = event.ctrlKey || event.metaKey || event.altKey;
    // There, Ctrl with Backspace takes a word away.
    if (isTyping(event.target) && event.key === "Backspace") return;
    if (isPressed(event.target, event) && !combined) return;
    if (isTyping(event.target) && !combined) return;
    const found = presses.press(event, commands(), event.timeStamp, settings().singleKeys);
    if (found === null) return;
    event.preventDefault();
    event.stopPropagation();
    if (found !== "more" && (!event.repeat || found.repeats)) perform(found);
  };
  // The second of two presses is heard before the part of the page that has the focus, which may have
  // a use of its own for it; every other press, after it. One that does not go on with what was begun
  // is heard a second time, as a first one.
  addEventListener(
    "keydown",
    (event) => {
      if (presses.waits(event.timeStamp)) hear(event);
    },
    { capture: true },
  );
  addEventListener("keydown", (event) => {
    if (!event.defaultPrevented) hear(event);
  });
}

/** Does what a command does, where it can be done. */
export function perform(command: Command): void {
  if ((command.unavailable?.() ?? null) === null) command.run();
}
