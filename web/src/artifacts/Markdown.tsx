// Markdown that somebody else wrote: read by a parser, and built of elements and text nodes here. What is
// HTML in it is shown as it is written, images are named and not fetched, and links lead only to the web.

import { createMemo, For, Show } from "solid-js";
import type { JSX } from "solid-js";
import { Dynamic } from "solid-js/web";
import { lexer } from "marked";
import type { Token, Tokens } from "marked";

/** Deeper than this nobody writes: it is shown as it is written. */
const DEEPEST = 24;

export default function Markdown(props: { text: string }) {
  const tokens = createMemo(() => {
    try {
      return lexer(props.text);
    } catch {
      // What nests beyond what the parser can take.
      return null;
    }
  });
  return (
    <Show when={tokens()} fallback={<pre class="text">{props.text}</pre>}>
      {(found) => (
        <div class="markdown">
          <Blocks tokens={found()} depth={0} />
        </div>
      )}
    </Show>
  );
}

function Blocks(props: { tokens: readonly Token[] | undefined; depth: number }) {
  return (
    <For each={props.tokens ?? []}>{(token) => show(token as Tokens.Generic, props.depth + 1)}</For>
  );
}

function show(token: Tokens.Generic, depth: number): JSX.Element {
  if (depth > DEEPEST) return token.raw;
  const within = () => <Blocks tokens={token.tokens} depth={depth} />;
  switch (token.type) {
    case "space":
    case "def":
      return null;
    case "heading":
      // The page's own headings are of the first two levels.
      return (
        <Dynamic
          component={`h${Math.min(6, (token.depth as number) + 2)}`}
          class={`level-${token.depth}`}
        >
          {within()}
        </Dynamic>
      );
    case "paragraph":
      return <p>{within()}</p>;
    case "blockquote":
      return <blockquote>{within()}</blockquote>;
    case "code":
      return (
        <pre>
          <code>{token.text}</code>
        </pre>
      );
    case "hr":
      return <hr />;
    case "list":
      return <List list={token as Tokens.List} depth={depth} />;
    case "table":
      return <Table table={token as Tokens.Table} depth={depth} />;
    case "strong":
      return <strong>{within()}</strong>;
    case "em":
      return <em>{within()}</em>;
    case "del":
      return <del>{within()}</del>;
    case "codespan":
      return <code>{token.text}</code>;
    case "br":
      return <br />;
    case "link":
      return <Link href={String(token.href)}>{within()}</Link>;
    case "image":
      return <span class="muted">[image: {token.text}]</span>;
    case "checkbox":
      return (
        <input
          type="checkbox"
          disabled
          checked={token.checked === true}
          aria-label={token.checked === true ? "done" : "to be done"}
        />
      );
    case "escape":
      return token.text;
    case "text":
      return token.tokens ? within() : token.text;
    default:
      // HTML, and whatever a later parser knows.
      return token.raw;
  }
}

function List(props: { list: Tokens.List; depth: number }) {
  const items = () => (
    <For each={props.list.items}>
      {(item) => (
        <li>
          <Blocks tokens={item.tokens} depth={props.depth} />
        </li>
      )}
    </For>
  );
  return (
    <Show when={props.list.ordered} fallback={<ul>{items()}</ul>}>
      <ol start={props.list.start === "" ? 1 : props.list.start}>{items()}</ol>
    </Show>
  );
}

function Table(props: { table: Tokens.Table; depth: number }) {
  return (
    <table>
      <thead>
        <tr>
          <For each={props.table.header}>
            {(cell) => (
              <th scope="col">
                <Blocks tokens={cell.tokens} depth={props.depth} />
              </th>
            )}
          </For>
        </tr>
      </thead>
      <tbody>
        <For each={props.table.rows}>
          {(row) => (
            <tr>
              <For each={row}>
                {(cell) => (
                  <td>
                    <Blocks tokens={cell.tokens} depth={props.depth} />
                  </td>
                )}
              </For>
            </tr>
          )}
        </For>
      </tbody>
    </table>
  );
}

/** A link to the web; one that leads elsewhere is told, not followed. */
function Link(props: { href: string; children: JSX.Element }) {
  const isWeb = () => /^https?:\/\//i.test(props.href) && URL.canParse(props.href);
  return (
    <Show
      when={isWeb()}
      fallback={
        <>
          {props.children} <span class="muted">({props.href})</span>
        </>
      }
    >
      <a href={props.href} target="_blank" rel="noopener noreferrer">
        {props.children}
      </a>
    </Show>
  );
}
