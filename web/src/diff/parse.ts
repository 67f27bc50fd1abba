// Reads unified diffs: what `diff -u` and git write, renames, modes, binary files and merges included.
// Whatever else stands in the text is kept as it is: nothing is lost, and nothing is refused. Pure.

export interface DiffFile {
  /** Lines before it that belong to no file: a commit's message, mail headers. */
  readonly preamble: readonly string[];
  /** Its lines before the first hunk, as they are. */
  readonly header: readonly string[];
  readonly change: "changed" | "added" | "deleted" | "renamed" | "copied";
  /** Its name before and after; null where it was not there, or is not told. */
  readonly from: string | null;
  readonly to: string | null;
  /** What happened to it besides its text: a new mode, that it is binary. */
  readonly notes: readonly string[];
  readonly hunks: readonly Hunk[];
  readonly added: number;
  readonly removed: number;
}

export interface Hunk {
  /** The line that begins it, as it is. */
  readonly header: string;
  /** What follows the numbers in it: the function, mostly. */
  readonly heading: string;
  /** The number of its first line before and after. */
  readonly from: number;
  readonly to: number;
  /** How many columns of signs its lines begin with: more than one in the diff of a merge. */
  readonly signs: number;
  /** As they are, signs included. */
  readonly lines: readonly string[];
}

export type Sign = " " | "+" | "-" | "\\";

/** What a line of a hunk says: that it is new, gone, the same, or a remark about the line above. */
export function signOf(line: string, signs: number): Sign {
  if (line.startsWith("\\")) return "\\";
  const column = line.slice(0, signs);
  return column.includes("-") ? "-" : column.includes("+") ? "+" : " ";
}

/** A file that is being read. */
interface Draft {
  preamble: string[];
  header: string[];
  hunks: Hunk[];
}

export function parseDiff(text: string): DiffFile[] {
  const lines = text.split("\n");
  const files: DiffFile[] = [];
  let draft: Draft = { preamble: [], header: [], hunks: [] };
  const finish = () => {
    if (draft.preamble.length + draft.header.length + draft.hunks.length > 0)
      files.push(file(draft));
    draft = { preamble: [], header: [], hunks: [] };
  };
  for (let at = 0; at < lines.length;) {
    const line = lines[at]!;
    const begun = draft.hunks.length > 0;
    const hunk = readHunk(lines, at);
    if (hunk) {
      draft.hunks.push(hunk);
      at += 1 + hunk.lines.length;
    } else if (beginsFile(lines, at)) {
      // `--- a` after `diff --git` is the same file's.
      const goesOn =
        !begun && line.startsWith("--- ") && !draft.header.some((each) => each.startsWith("--- "));
      if (!goesOn && (begun || draft.header.length > 0)) finish();
      draft.header.push(line);
      at += 1;
      if (line.startsWith("--- ")) draft.header.push(lines[at++]!);
    } else {
      if (begun) finish();
      (draft.header.length > 0 ? draft.header : draft.preamble).push(line);
      at += 1;
    }
  }
  finish();
  return files;
}

/** Writes what was read, line by line as it was. */
export function writeDiff(files: readonly DiffFile[]): string {
  return files
    .flatMap((each) => [
      ...each.preamble,
      ...each.header,
      ...each.hunks.flatMap((hunk) => [hunk.header, ...hunk.lines]),
    ])
    .join("\n");
}

function beginsFile(lines: readonly string[], at: number): boolean {
  const line = lines[at]!;
  if (/^diff (--git|--cc|--combined) /.test(line)) return true;
  return line.startsWith("--- ") && (lines[at + 1]?.startsWith("+++ ") ?? false);
}

const HUNK = /^(@@+) ((?:-\d+(?:,\d+)? )+)\+(\d+)(?:,(\d+))? (@@+)(?: (.*))?$/s;

/** The hunk that begins at a line; null where none does. How long it is, its first line says. */
function readHunk(lines: readonly string[], at: number): Hunk | null {
  const header = lines[at]!;
  // Most lines are none: the expression is only tried where one may begin.
  const found = header.startsWith("@@") ? HUNK.exec(header.replace(/\r$/, "")) : null;
  if (!found) return null;
  const [, open, olds, to, toCount, close, heading = ""] = found;
  const before = olds!
    .trim()
    .split(" ")
    .map((range) => range.slice(1).split(","));
  const signs = open!.length - 1;
  if (close !== open || before.length !== signs) return null;
  const left = before.map(([, count]) => Number(count ?? 1));
  let leftAfter = Number(toCount ?? 1);
  let end = at + 1;
  while (
    end < lines.length &&
    (leftAfter > 0 || left.some((count) => count > 0) || lines[end]!.startsWith("\\"))
  ) {
    const line = lines[end]!;
    if (!isOfHunk(line, signs) || (line === "" && end === lines.length - 1)) break;
    if (!line.startsWith("\\")) {
      if (signOf(line, signs) !== "-") leftAfter -= 1;
      for (let i = 0; i < signs; i++)
        if (line[i] !== "+" && !(line[i] === " " && signOf(line, signs) === "-")) left[i]! -= 1;
    }
    end += 1;
  }
  return {
    header,
    heading,
    from: Number(before[0]![0]),
    to: Number(to),
    signs,
    lines: lines.slice(at + 1, end),
  };
}

/** Whether a line begins with signs. An empty one is a line of context that lost its blank. */
function isOfHunk(line: string, signs: number): boolean {
  if (line === "" || line === "\r" || line.startsWith("\\")) return true;
  for (let i = 0; i < signs; i++) if (!" +-".includes(line[i] ?? "?")) return false;
  return true;
}

function file({ preamble, header, hunks }: Draft): DiffFile {
  const of = (prefix: string) =>
    header
      .find((line) => line.startsWith(prefix))
      ?.slice(prefix.length)
      .replace(/\r$/, "");
  const name = (text: string | undefined) => (text === undefined ? undefined : nameIn(text));
  const [gitFrom, gitTo] = gitNames(of("diff --git ") ?? "");
  const combined = name(of("diff --cc ") ?? of("diff --combined "));
  const from =
    name(of("rename from ") ?? of("copy from ")) ??
    strip(name(of("--- "))) ??
    gitFrom ??
    combined ??
    null;
  const to =
    name(of("rename to ") ?? of("copy to ")) ??
    strip(name(of("+++ "))) ??
    gitTo ??
    combined ??
    null;
  const isNew = of("new file mode ") !== undefined || from === "/dev/null";
  const isGone = of("deleted file mode ") !== undefined || to === "/dev/null";
  const change = isNew
    ? "added"
    : isGone
      ? "deleted"
      : of("rename to ") !== undefined
        ? "renamed"
        : of("copy to ") !== undefined
          ? "copied"
          : "changed";
  let added = 0;
  let removed = 0;
  for (const hunk of hunks) {
    for (const line of hunk.lines) {
      const sign = signOf(line, hunk.signs);
      if (sign === "+") added += 1;
      else if (sign === "-") removed += 1;
    }
  }
  return {
    preamble,
    header,
    change,
    from: isNew ? null : from,
    to: isGone ? null : to,
    notes: notesOf(header),
    hunks,
    added,
    removed,
  };
}

function notesOf(header: readonly string[]): string[] {
  const notes: string[] = [];
  const of = (prefix: string) =>
    header
      .find((line) => line.startsWith(prefix))
      ?.slice(prefix.length)
      .trim();
  const [before, after] = [of("old mode "), of("new mode ")];
  if (before !== undefined && after !== undefined) notes.push(`mode ${before} is now ${after}`);
  const made = of("new file mode ");
  if (made !== undefined && made !== "100644") notes.push(`mode ${made}`);
  const alike = of("similarity index ");
  if (alike !== undefined) notes.push(`${alike} the same`);
  if (
    header.some((line) => line.startsWith("Binary files ") || line.startsWith("GIT binary patch"))
  )
    notes.push("binary");
  return notes;
}

/** The two names of `diff --git a/x b/x`: told apart where they are quoted, or are the same. */
function gitNames(text: string): [string, string] | [null, null] {
  const quoted = /^("(?:[^"\\]|\\.)*"|\S+) ("(?:[^"\\]|\\.)*"|\S+)$/.exec(text);
  if (quoted) return [strip(nameIn(quoted[1]!))!, strip(nameIn(quoted[2]!))!];
  const middle = (text.length - 1) / 2;
  const [from, to] = [text.slice(0, middle), text.slice(middle + 1)];
  return text[middle] === " " && from.slice(2) === to.slice(2)
    ? [strip(from)!, strip(to)!]
    : [null, null];
}

/** Without git's `a/` or `b/`. */
function strip(name: string | undefined): string | undefined {
  return name === undefined || name === "/dev/null" ? name : name.replace(/^[abciow]\//, "");
}

const ESCAPES: Record<string, number> = {
  a: 7,
  b: 8,
  t: 9,
  n: 10,
  v: 11,
  f: 12,
  r: 13,
  '"': 34,
  "\\": 92,
};

/** A name as git and diff write it: in quotes with escapes where it has unusual letters; a time may follow. */
function nameIn(text: string): string {
  const quoted = /^"((?:[^"\\]|\\.)*)"/s.exec(text)?.[1];
  if (quoted === undefined) return text.split("\t")[0]!;
  const bytes: number[] = [];
  const utf8 = new TextEncoder();
  for (const [, octal, letter, plain] of quoted.matchAll(/\\([0-3]?[0-7]{1,2})|\\(.)|([^\\]+)/gs)) {
    if (octal !== undefined) bytes.push(parseInt(octal, 8));
    else if (letter !== undefined)
      bytes.push(
        ...(ESCAPES[letter] === undefined ? utf8.encode(`\\${letter}`) : [ESCAPES[letter]!]),
      );
    else bytes.push(...utf8.encode(plain!));
  }
  return new TextDecoder().decode(Uint8Array.from(bytes));
}
