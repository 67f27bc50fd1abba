// A row of a log: a line, or a part of one that is wrapped.

import { For, Show } from "solid-js";
import { bytes as size } from "../format.ts";
import { css, parseLine, PLAIN } from "./ansi.ts";
import type { Look } from "./ansi.ts";
import { pieces } from "./marks.ts";
import type { Piece } from "./marks.ts";
import type { Hit } from "./source.ts";

export interface Row {
  /** The same for the same part of the same line. */
  readonly key: string;
  /** The whole line as it is in the log, and how the text before it ended. */
  readonly raw: string;
  readonly look: Look;
  /** The line's number, in its first row, where it is known. */
  readonly number: number | null;
  /** Which part of the line's text this is. */
  readonly from: number;
  readonly to: number;
  /** How many bytes of the line are not shown, in its last row. */
  readonly hidden: number;
  readonly hit: Hit | undefined;
  readonly isCurrent: boolean;
  readonly isLinked: boolean;
  readonly isStderr: boolean;
}

/** Gives a row that is as it was before as the same object, so that its part of the document stays: what
 *  one has selected there stays selected. */
export class RowCache {
  #rows = new Map<string, Row>();

  take(rows: readonly Row[]): Row[] {
    const taken = rows.map((row) => {
      const before = this.#rows.get(row.key);
      return before !== undefined && isSame(before, row) ? before : row;
    });
    this.#rows = new Map(taken.map((row) => [row.key, row]));
    return taken;
  }
}

function isSame(one: Row, other: Row): boolean {
  return (Object.keys(one) as (keyof Row)[]).every((name) => one[name] === other[name]);
}

export function Row(props: { row: Row; onNumber(number: number, extend: boolean): void }) {
  const { row } = props;
  const { spans } = parseLine(row.raw, row.look);
  return (
    <div
      class="log-line"
      classList={{ linked: row.isLinked, current: row.isCurrent, "from-stderr": row.isStderr }}
    >
      <Show when={row.number} fallback={<span class="log-number" />}>
        {(number) => (
          <button
            class="log-number"
            tabindex="-1"
            aria-label={`Line ${number()}${row.isStderr ? ", standard error" : ""}`}
            data-number={number()}
            onClick={(event) => props.onNumber(number(), event.shiftKey)}
          />
        )}
      </Show>
      <span class="log-text">
        <For each={pieces(spans, row.from, row.to, row.hit?.marks ?? [])}>
          {(piece) => <LogPiece piece={piece} />}
        </For>
      </span>
      <Show when={row.hidden > 0}>
        <i class="log-cut">… {size(row.hidden)} more in this line</i>
      </Show>
    </div>
  );
}

function LogPiece(props: { piece: Piece }) {
  const { text, look, found } = props.piece;
  if (found) return <mark>{text}</mark>;
  if (look === PLAIN) return text;
  const [fg, bg] = look.inverse ? [look.bg, look.fg] : [look.fg, look.bg];
  const colour =
    fg === null ? (look.inverse ? "var(--background)" : undefined) : css(fg, bg !== null);
  const ground = bg === null ? (look.inverse ? "var(--text)" : undefined) : css(bg);
  return (
    <span
      style={{ color: colour, "background-color": ground }}
      classList={{
        bold: look.bold,
        dim: look.dim,
        italic: look.italic,
        underline: look.underline,
        strike: look.strike,
      }}
    >
      {text}
    </span>
  );
}
