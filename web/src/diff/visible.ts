// Names of files as they can be shown, whatever they are made of. Pure.

/** A name as it can be shown in one line: what would break it, or turn its direction, as an escape. */
export function visible(name: string): string {
  return name.replace(
    /[\u0000-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g,
    (letter) => {
      const short = { "\n": "\\n", "\r": "\\r", "\t": "\\t", "\u001b": "\\e" }[letter];
      return short ?? `\\u${letter.charCodeAt(0).toString(16).padStart(4, "0")}`;
    },
  );
}
