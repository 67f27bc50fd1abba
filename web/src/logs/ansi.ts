// Colours of terminal output as spans of text. Every other escape sequence is dropped: nothing that a
// log says reaches outside of it. Pure.

/** How a stretch of text looks. Colours are 0 to 255 of the palette, or `#rrggbb`; null for none. */
export interface Look {
  readonly fg: number | string | null;
  readonly bg: number | string | null;
  readonly bold: boolean;
  readonly dim: boolean;
  readonly italic: boolean;
  readonly underline: boolean;
  readonly inverse: boolean;
  readonly strike: boolean;
}

export interface Span {
  readonly text: string;
  readonly look: Look;
}

export const PLAIN: Look = {
  fg: null,
  bg: null,
  bold: false,
  dim: false,
  italic: false,
  underline: false,
  inverse: false,
  strike: false,
};

// An escape sequence: CSI; OSC, DCS and the like, to their terminator or to the end; two characters
// with intermediates. Then single control characters, other than the tab.
const CONTROL =
  /\x1b\[([0-?]*)[ -/]*([@-~]?)|\x1b[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\|$)?|\x1b[ -/]*[0-~]?|\x9b([0-?]*)[ -/]*([@-~]?)|[\x00-\x08\x0a-\x1f\x7f-\x9f]/g;

/** Splits a line; `look` is how the text before it ended. Says how this line ends. */
export function parseLine(line: string, look: Look): { spans: Span[]; look: Look } {
  const spans: Span[] = [];
  let from = 0;
  const emit = (text: string) => {
    if (text !== "") spans.push({ text, look });
  };
  // A bare carriage return starts the line over, as progress bars do: the last state is what counts.
  const start = line.replace(/\r+$/, "").lastIndexOf("\r") + 1;
  if (start > 0) look = lookAfter(line.slice(0, start), look);
  const shown = line.slice(start);
  for (const found of shown.matchAll(CONTROL)) {
    emit(shown.slice(from, found.index));
    from = found.index + found[0].length;
    const parameters = found[2] === "m" ? found[1] : found[4] === "m" ? found[3] : undefined;
    if (parameters !== undefined) look = changed(look, parameters);
  }
  emit(shown.slice(from));
  return { spans, look };
}

/** How a text ends, without making spans of it. */
export function lookAfter(text: string, look: Look): Look {
  for (const [, parameters] of text.matchAll(/(?:\x1b\[|\x9b)([0-?]*)m/g))
    look = changed(look, parameters!);
  return look;
}

const FLAGS: Record<number, Partial<Look>> = {
  1: { bold: true },
  2: { dim: true },
  3: { italic: true },
  4: { underline: true },
  7: { inverse: true },
  9: { strike: true },
  21: { underline: true },
  22: { bold: false, dim: false },
  23: { italic: false },
  24: { underline: false },
  27: { inverse: false },
  29: { strike: false },
  39: { fg: null },
  49: { bg: null },
};

function changed(look: Look, parameters: string): Look {
  const codes = parameters.split(/[;:]/).map((code) => (code === "" ? 0 : Number(code)));
  for (let i = 0; i < codes.length; i++) {
    const code = codes[i]!;
    if (code === 0) look = PLAIN;
    else if (code in FLAGS) look = { ...look, ...FLAGS[code] };
    else if (code >= 30 && code <= 37) look = { ...look, fg: code - 30 };
    else if (code >= 90 && code <= 97) look = { ...look, fg: code - 82 };
    else if (code >= 40 && code <= 47) look = { ...look, bg: code - 40 };
    else if (code >= 100 && code <= 107) look = { ...look, bg: code - 92 };
    else if (code === 38 || code === 48) {
      const { colour, taken } = extended(codes, i + 1);
      if (colour !== null) look = code === 38 ? { ...look, fg: colour } : { ...look, bg: colour };
      i += taken;
    }
  }
  return look;
}

/** `5;N` or `2;R;G;B` after 38 or 48. */
function extended(
  codes: readonly number[],
  at: number,
): { colour: number | string | null; taken: number } {
  const isByte = (value: number | undefined): value is number =>
    value !== undefined && value >= 0 && value <= 255;
  if (codes[at] === 5) return { colour: isByte(codes[at + 1]) ? codes[at + 1]! : null, taken: 2 };
  if (codes[at] !== 2) return { colour: null, taken: 1 };
  const parts = codes.slice(at + 1, at + 4);
  const isWhole = parts.length === 3 && parts.every(isByte);
  return {
    colour: isWhole ? `#${parts.map((part) => part.toString(16).padStart(2, "0")).join("")}` : null,
    taken: 4,
  };
}

/** A colour of the 256 as CSS; the first 16 are the theme's. `onColour` says that it stands on another. */
export function css(colour: number | string, onColour = false): string {
  if (typeof colour === "string") return colour;
  // The theme's black and white are such as can be read on the theme's ground.
  if (onColour && colour === 0) return "#000000";
  if (onColour && (colour === 7 || colour === 15)) return "#ffffff";
  if (colour < 16) return `var(--ansi-${colour})`;
  // Greys are what dims text: they are drawn towards the theme's text, so that they can be read on either
  // ground.
  if (colour >= 232)
    return onColour
      ? grey(8 + (colour - 232) * 10)
      : `color-mix(in srgb, ${grey(8 + (colour - 232) * 10)} 75%, var(--text))`;
  const level = (step: number) => (step === 0 ? 0 : 55 + step * 40);
  const cube = colour - 16;
  return `rgb(${level(Math.floor(cube / 36))} ${level(Math.floor(cube / 6) % 6)} ${level(cube % 6)})`;
}

function grey(level: number): string {
  return `rgb(${level} ${level} ${level})`;
}
