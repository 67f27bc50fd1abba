// A unified diff, coloured: file by file, each of which can be folded. Of long ones only the begin is in
// the document until more is asked for, so that a diff of any size opens at once.

import { createMemo, createSignal, For, Show } from "solid-js";
import { plural } from "../format.ts";
import { parseDiff } from "./parse.ts";
import type { DiffFile } from "./parse.ts";
import { countRows, rowsOf } from "./rows.ts";
import type { Row } from "./rows.ts";
import { visible } from "./visible.ts";
import "../styles/diff.css";

/** So many lines of a file are shown at first, and so many files. */
const FIRST_ROWS = 400;
const MORE_ROWS = 4_000;
const FIRST_FILES = 100;
/** Files beyond so many rows in all begin folded. */
const OPEN_ROWS = 2_000;
/** Of a longer line, only so much is shown. */
const SHOWN_LETTERS = 2_000;

interface Props {
  text: string;
  /** What the text is of, where the diff itself does not tell. */
  name?: string;
  /** Only the lines: what they are of stands above them already. */
  bare?: boolean;
}

export function DiffView(props: Props) {
  const files = createMemo(() => parseDiff(props.text).filter((file) => !isNothing(file)));
  const [shown, setShown] = createSignal(FIRST_FILES);
  const open = createMemo(() => {
    let rows = 0;
    return files().map(
      (file) => (rows += Math.min(countRows(file), FIRST_ROWS)) <= OPEN_ROWS || rows <= FIRST_ROWS,
    );
  });
  const sum = (of: (file: DiffFile) => number) => files().reduce((all, file) => all + of(file), 0);
  return (
    <div class="diff">
      <Show when={files().length > 0} fallback={<p class="hint">No differences.</p>}>
        <Show when={files().length > 1}>
          <p class="diff-sum muted">
            {plural(files().length, "file")},{" "}
            <Counts added={sum((file) => file.added)} removed={sum((file) => file.removed)} />
          </p>
        </Show>
        <For each={files().slice(0, shown())}>
          {(file, i) => (
            <File
              bare={props.bare ?? false}
              file={file}
              name={props.name ?? "text"}
              open={open()[i()] ?? false}
            />
          )}
        </For>
        <Show when={files().length > shown()}>
          <button class="more" onClick={() => setShown(shown() + FIRST_FILES)}>
            Show {files().length - shown()} more files
          </button>
        </Show>
      </Show>
    </div>
  );
}

function isNothing(file: DiffFile): boolean {
  return (
    file.header.length === 0 &&
    file.hunks.length === 0 &&
    file.preamble.every((line) => line.trim() === "")
  );
}

interface FileProps {
  file: DiffFile;
  name: string;
  bare: boolean;
  open: boolean;
}

function File(props: FileProps) {
  const [open, setOpen] = createSignal(props.open);
  const name = () => visible(props.file.to ?? props.file.from ?? props.name);
  const preamble = () => props.file.preamble.join("\n").trim();
  const isFile = () => props.file.header.length + props.file.hunks.length > 0;
  return (
    <>
      <Show when={preamble() !== ""}>
        <pre class="diff-preamble">{preamble().slice(0, 20_000)}</pre>
      </Show>
      <Show
        when={isFile() && !props.bare}
        fallback={
          <Show when={isFile()}>
            <div class="diff-file">
              <Lines file={props.file} name={name()} />
            </div>
          </Show>
        }
      >
        <details
          class="diff-file"
          open={props.open}
          onToggle={(event) => setOpen(event.currentTarget.open)}
        >
          <summary>
            <Title file={props.file} name={name()} />{" "}
            <Counts added={props.file.added} removed={props.file.removed} />
            <For each={props.file.notes}>
              {(note) => <span class="muted">{visible(note)}</span>}
            </For>
          </summary>
          <Show when={open()}>
            <Lines file={props.file} name={name()} />
          </Show>
        </details>
      </Show>
    </>
  );
}

function Lines(props: { file: DiffFile; name: string }) {
  const [limit, setLimit] = createSignal(FIRST_ROWS);
  const total = () => countRows(props.file);
  const rows = createMemo(() => rowsOf(props.file, limit()));
  const more = () => Math.min(total() - rows().length, MORE_ROWS);
  return (
    <Show when={total() > 0}>
      <div class="diff-scroll" tabindex="0" role="group" aria-label={`Lines of ${props.name}`}>
        <table>
          <thead class="unseen">
            <tr>
              <th>Before</th>
              <th>After</th>
              <th>Change</th>
              <th>Line</th>
            </tr>
          </thead>
          <tbody>
            <For each={rows()}>{(row) => <Line row={row} />}</For>
          </tbody>
        </table>
      </div>
      <Show when={more() > 0}>
        <button class="more" onClick={() => setLimit(limit() + MORE_ROWS)}>
          Show {plural(more(), "line")} more of {total() - rows().length}
        </button>
      </Show>
    </Show>
  );
}

const CHANGES: Record<DiffFile["change"], string> = {
  changed: "",
  added: "new",
  deleted: "deleted",
  renamed: "renamed",
  copied: "copied",
};

function Title(props: { file: DiffFile; name: string }) {
  const moved = () =>
    props.file.from !== null && props.file.to !== null && props.file.from !== props.file.to;
  return (
    <>
      <bdi class="mono diff-name">
        <Show when={moved()}>
          <span class="muted">{visible(props.file.from!)}</span> →{" "}
        </Show>
        <span>{props.name}</span>
      </bdi>
      <Show when={CHANGES[props.file.change]}>
        {(change) => <span class="diff-change">{change()}</span>}
      </Show>
    </>
  );
}

function Counts(props: { added: number; removed: number }) {
  return (
    <span class="number">
      <span class="diff-plus">+{props.added}</span> <span class="diff-minus">−{props.removed}</span>
      <span class="unseen"> lines added and removed</span>
    </span>
  );
}

const KINDS = { "+": "added", "-": "removed", " ": "same", "\\": "remark" } as const;

function Line(props: { row: Row }) {
  const { row } = props;
  if (row.kind === "hunk") {
    return (
      <tr class="diff-hunk">
        <td colspan="3" aria-label="Further on">
          ⋯
        </td>
        <td>{row.text}</td>
      </tr>
    );
  }
  const text = row.text.slice(0, SHOWN_LETTERS);
  const hidden = row.text.length - text.length;
  const [from, to] = row.mark ?? [0, 0];
  return (
    <tr class={`diff-${KINDS[row.sign]}`}>
      <td class="diff-number">{row.from ?? ""}</td>
      <td class="diff-number">{row.to ?? ""}</td>
      <td class="diff-sign">{row.sign === "\\" ? "" : row.sign}</td>
      <td class="diff-text">
        {to > from ? (
          <>
            {text.slice(0, from)}
            <mark>{text.slice(from, to)}</mark>
            {text.slice(to)}
          </>
        ) : (
          text
        )}
        {hidden > 0 ? <span class="muted"> … {hidden} letters more</span> : null}
      </td>
    </tr>
  );
}
