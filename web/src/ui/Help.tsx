// All keys there are now: of commands, and of the parts of the page that have keys while they have the focus.

import { createMemo, For, onCleanup, onMount, Show } from "solid-js";
import { setOverlay } from "../commands/page.ts";
import { isSingle, sayKeys } from "../commands/keys.ts";
import { OWN_KEYS } from "../commands/own_keys.ts";
import { commands } from "../commands/registry.ts";
import { settings } from "../settings.ts";

interface Row {
  keys: readonly string[];
  title: string;
  /** Why it does nothing now. */
  why: string | null;
}

export default function Help() {
  let dialog!: HTMLDialogElement;
  const groups = createMemo(() => {
    const byGroup = new Map<string, Row[]>();
    for (const { group, title, keys = [], unavailable } of commands()) {
      if (keys.length === 0) continue;
      const off =
        !settings().singleKeys && keys.every(isSingle) ? "single keys are turned off" : null;
      const rows = byGroup.get(group) ?? [];
      rows.push({ keys, title, why: off ?? unavailable?.() ?? null });
      byGroup.set(group, rows);
    }
    return [...byGroup];
  });
  onMount(() => dialog.showModal());
  // It tells that it closed when it is gone, and another one may be open.
  onCleanup(() => dialog.close());
  return (
    <dialog
      ref={dialog}
      class="help"
      aria-labelledby="help-title"
      onClose={() => dialog.isConnected && setOverlay(null)}
      onClick={(event) => event.target === dialog && setOverlay(null)}
    >
      <div class="help-head">
        <h2 id="help-title">Keys</h2>
        <span class="muted">What has no key is found with {sayKeys("Mod+K")}.</span>
        <span class="spacer" />
        <form method="dialog">
          <button class="quiet" aria-label="Close">
            ✕
          </button>
        </form>
      </div>
      <div class="help-groups">
        <For each={groups()}>
          {([group, rows]) => <Group name={group} rows={rows} scope="page" />}
        </For>
        <For each={OWN_KEYS}>
          {({ name, keys }) => (
            <Group
              name={`${name}, while it has the focus`}
              rows={keys.map(([of, title]) => ({ keys: of, title, why: null }))}
              scope={name}
            />
          )}
        </For>
      </div>
    </dialog>
  );
}

function Group(props: { name: string; rows: readonly Row[]; scope: string }) {
  return (
    <section>
      <h3>{props.name}</h3>
      <dl data-scope={props.scope}>
        <For each={props.rows}>
          {(row) => (
            <div classList={{ off: row.why !== null }}>
              <dt>
                <For each={row.keys}>{(keys) => <kbd>{sayKeys(keys)}</kbd>}</For>
              </dt>
              <dd>
                {row.title}
                <Show when={row.why}>{(why) => <span class="muted"> ({why()})</span>}</Show>
              </dd>
            </div>
          )}
        </For>
      </dl>
    </section>
  );
}
