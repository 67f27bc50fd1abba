// JSON as a tree that folds. What is folded is not in the document, so that any depth opens at once.

import { createSignal, For, Show } from "solid-js";

/** So many members are shown at once. */
const SHOWN = 200;
/** So deep it begins unfolded. */
const UNFOLDED = 2;

export function Json(props: { value: unknown }) {
  return (
    <div class="json">
      <Value value={props.value} depth={0} />
    </div>
  );
}

function Value(props: { name?: string; value: unknown; depth: number }) {
  const [open, setOpen] = createSignal(props.depth < UNFOLDED);
  const [limit, setLimit] = createSignal(SHOWN);
  const members = (): [string, unknown][] =>
    typeof props.value === "object" && props.value !== null ? Object.entries(props.value) : [];
  const summary = () =>
    Array.isArray(props.value) ? `[${members().length}]` : `{${members().length}}`;
  const name = () => (
    <Show when={props.name !== undefined}>
      <span class="json-key">{props.name}: </span>
    </Show>
  );
  return (
    <Show
      when={members().length > 0}
      fallback={
        <div class="json-leaf">
          {name()}
          {JSON.stringify(props.value)}
        </div>
      }
    >
      <details open={open()} onToggle={(event) => setOpen(event.currentTarget.open)}>
        <summary>
          {name()}
          <span class="muted">{summary()}</span>
        </summary>
        <Show when={open()}>
          <For each={members().slice(0, limit())}>
            {([key, value]) => <Value name={key} value={value} depth={props.depth + 1} />}
          </For>
          <Show when={members().length > limit()}>
            <button class="link" onClick={() => setLimit(limit() + SHOWN * 5)}>
              {members().length - limit()} more
            </button>
          </Show>
        </Show>
      </details>
    </Show>
  );
}
