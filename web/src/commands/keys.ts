// Keys: how they are written, and how a person reads them.

export const isMac = typeof navigator !== "undefined" && /mac|iphone|ipad/i.test(navigator.platform);

/** Keys as a person reads them on this computer: `Ctrl K`, `g then i`. */
export function sayKeys(text: string, mac = isMac): string {
  const held = mac ? { Mod: "⌘", Alt: "⌥", Shift: "⇧" } : { Mod: "Ctrl", Alt: "Alt", Shift: "Shift" };
  const arrows: Record<string, string> = { ArrowUp: "↑", ArrowDown: "↓", ArrowLeft: "←", ArrowRight: "→", Escape: "Esc", Plus: "+" };
  const say = (part: string) => part.split("+").map((word) => held[word as keyof typeof held] ?? arrows[word] ?? word).join(mac ? "" : " ");
  return text.split(" ").map(say).join(" then ");
}
