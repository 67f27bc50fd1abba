// The actions of something: the few that matter most as they stand now as buttons, all in a menu, each
// with its key. What cannot be done now stands below and says why.

import { createMemo, createSignal, createUniqueId, For, Show } from "solid-js";
import { sayKeys } from "../commands/keys.ts";
import { ActionButton } from "./Button.tsx";
import { perform } from "./action.ts";
import type { Action } from "./action.ts";

interface Props<S> {
  subject: S;
  actions: readonly Action<S>[];
  /** The ids of those that may be buttons, the most wanted first. */
  main: readonly string[];
  /** What the actions are about. */
  name: string;
}

const BUTTONS = 3;

export function ActionMenu<S>(props: Props<S>) {
  const id = createUniqueId();
  let button!: HTMLButtonElement;
  let menu!: HTMLDivElement;
  const [isOpen, setOpen] = createSignal(false);
  const can = createMemo(() =>
    props.actions.filter((action) => action.why(props.subject) === null),
  );
  const cannot = createMemo(() =>
    props.actions.filter((action) => action.why(props.subject) !== null),
  );
  const main = createMemo(() =>
    props.main
      .flatMap((wanted) => can().filter((action) => action.id === wanted))
      .slice(0, BUTTONS),
  );
  const groups = createMemo(() => {
    const names = [...new Set(can().map((action) => action.group))];
    return names.map((name) => [name, can().filter((action) => action.group === name)] as const);
  });

  function choose(action: Action<S>): void {
    // The focus goes back to the menu's button, and from there into a dialog and back again.
    menu.hidePopover();
    button.focus();
    void perform(action, props.subject);
  }

  /** Below its button, or above where there is more room. */
  function place(): void {
    const { bottom, top, right } = button.getBoundingClientRect();
    const below = innerHeight - bottom;
    const isBelow = below >= Math.min(top, 320);
    menu.style.maxHeight = `${Math.max(160, (isBelow ? below : top) - 16)}px`;
    menu.style.top = isBelow ? `${bottom + 4}px` : "auto";
    menu.style.bottom = isBelow ? "auto" : `${innerHeight - top + 4}px`;
    menu.style.right = `${Math.max(8, innerWidth - right)}px`;
  }

  function onToggle(event: { newState: string }): void {
    setOpen(event.newState === "open");
    if (event.newState === "open") menu.querySelector<HTMLElement>("[role=menuitem]")?.focus();
  }

  function onKeyDown(event: KeyboardEvent): void {
    const items = [...menu.querySelectorAll<HTMLElement>("[role=menuitem]")];
    const at = items.indexOf(document.activeElement as HTMLElement);
    const next = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: items.length - 1 }[event.key];
    if (event.key === "Tab") menu.hidePopover();
    if (next === undefined || items.length === 0) return;
    event.preventDefault();
    event.stopPropagation();
    items.at(next % items.length)!.focus();
  }

  return (
    <div class="actions">
      <For each={main()}>
        {(action) => <ActionButton action={action} subject={props.subject} />}
      </For>
      <button
        ref={button}
        aria-haspopup="menu"
        aria-expanded={isOpen()}
        popovertarget={id}
        onClick={place}
      >
        Actions ▾
      </button>
      <div
        ref={menu}
        id={id}
        popover="auto"
        role="menu"
        class="menu"
        aria-label={props.name}
        onToggle={onToggle}
        onKeyDown={onKeyDown}
      >
        <Show when={isOpen()}>
          <For each={groups()}>
            {([group, actions]) => (
              <div role="group" aria-label={group}>
                <p class="menu-group" aria-hidden="true">
                  {group}
                </p>
                <For each={actions}>
                  {(action) => <Item action={action} onChoose={() => choose(action)} />}
                </For>
              </div>
            )}
          </For>
          <Show when={cannot().length > 0}>
            <div role="group" aria-label="Not now">
              <p class="menu-group" aria-hidden="true">
                Not now
              </p>
              <For each={cannot()}>
                {(action) => <Item action={action} why={action.why(props.subject)} />}
              </For>
            </div>
          </Show>
        </Show>
      </div>
    </div>
  );
}

function Item<S>(props: { action: Action<S>; why?: string | null; onChoose?: () => void }) {
  return (
    <button
      role="menuitem"
      aria-disabled={props.onChoose === undefined}
      data-action={props.action.id}
      onClick={() => props.onChoose?.()}
    >
      <span>
        {props.action.title}
        <Show when={props.why}>{(why) => <span class="menu-why">{why()}</span>}</Show>
      </span>
      <Show when={props.onChoose !== undefined && props.action.keys?.[0]}>
        {(keys) => <kbd>{sayKeys(keys())}</kbd>}
      </Show>
    </button>
  );
}
