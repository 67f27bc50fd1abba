// How much of a text there is room for, reckoned from what letters are mostly wide: for drawings whose
// text cannot shorten itself. Pure.

/** The width of a letter in ems, rather too much than too little. */
function wide(letter: string): number {
  const code = letter.codePointAt(0)!;
  if (code >= 0x1100) return 1;
  if ("ijl.,;:'|!".includes(letter)) return 0.3;
  if ('ftrI()[]{}- "/\\'.includes(letter)) return 0.4;
  if ("mwMW@%—".includes(letter)) return 0.95;
  if (code >= 65 && code <= 90) return 0.7;
  return 0.6;
}

/** A text that needs not more than so much room; it ends with an ellipsis where it was cut. */
export function fitText(text: string, room_px: number, font_px: number): string {
  const room = room_px / font_px;
  let used = 0;
  let kept = "";
  let fits = "";
  for (const letter of text) {
    used += wide(letter);
    if (used > room) return fits === "" ? "" : `${fits.trimEnd()}…`;
    kept += letter;
    if (used + 1 <= room) fits = kept;
  }
  return kept;
}

/** A text in one line: breaks and other controls are blanks, and nothing turns its direction. */
export function oneLine(text: string): string {
  return text
    .replace(/[\u202a-\u202e\u2066-\u2069]/g, "")
    .replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]+/g, " ");
}
