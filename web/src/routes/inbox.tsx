// Everything that waits for a human, in one list: what waits longest comes first.

import {
  createEffect,
  createMemo,
  createSignal,
  For,
  Match,
  on,
  onMount,
  Show,
  Switch,
} from "solid-js";
import { answer, decide, retry, stop, tell } from "../actions/direct.ts";
import type { Decision } from "../api/types.gen.ts";
import { sayKeys } from "../commands/keys.ts";
import { useCommands } from "../commands/registry.ts";
import type { Command } from "../commands/registry.ts";
import { duration, moment } from "../format.ts";
import type { InboxItem, Reply } from "../inbox/sources.ts";
import { inboxOf, setAsideItem } from "../inbox/state.ts";
import { KIND_SIGNS, KIND_WORDS } from "../inbox/words.ts";
import { chosenProject } from "../project.ts";
import { navigate } from "../router.ts";
import { projects, second, snapshots } from "../state.ts";
import { Asking } from "../ui/Empty.tsx";
import { useTitle } from "../ui/title.ts";

const KEYS = {
  next: "j",
  before: "k",
  answer: "a",
  approve: "y",
  always: "Shift+y",
  deny: "n",
  open: "o",
  aside: "e",
} as const;
const WORDS: Record<Decision, string> = { allow: "Allow", always: "Always allow", deny: "Deny" };
const DECIDE_KEYS: Record<Decision, string> = {
  allow: KEYS.approve,
  always: KEYS.always,
  deny: KEYS.deny,
};

export default function InboxPage() {
  useTitle(() => "Inbox");
  const items = createMemo(() => inboxOf(chosenProject()));
  return (
    <Show when={snapshots() > 0} fallback={<Asking />}>
      <div class="page inbox">
        <div class="page-head">
          <h1>Inbox</h1>
          <Show when={items().length > 0}>
            <span class="muted">{items().length} waiting, longest first</span>
          </Show>
        </div>
        <Show when={items().length > 0} fallback={<NothingWaits />}>
          <List items={items()} />
        </Show>
      </div>
    </Show>
  );
}

function NothingWaits() {
  return (
    <div class="empty">
      <p class="empty-sign" aria-hidden="true">
        ✓
      </p>
      <h2>Nothing waits for you</h2>
      <p class="muted">
        Questions, requests for leave, limits, and what failed or was lost appear here the moment
        they come.
      </p>
    </div>
  );
}

function List(props: { items: readonly InboxItem[] }) {
  let feed!: HTMLDivElement;
  const [chosen, setChosen] = createSignal<string | null>(null);
  /** What is on its way to the daemon: it is not sent twice. */
  const [sent, setSent] = createSignal<ReadonlySet<string>>(new Set());
  /** Whether the focus is in the list, or was before the item went that had it. */
  let within = false;
  const at = () =>
    Math.max(
      0,
      props.items.findIndex((item) => item.id === chosen()),
    );
  const current = () => props.items[at()];
  const article = (index: number) => feed.children[index] as HTMLElement | undefined;

  onMount(() => setChosen(props.items[0]?.id ?? null));
  // When the chosen one goes, the one that takes its place is chosen.
  createEffect(
    on(
      () => props.items,
      (items, before) => {
        if (items.some((item) => item.id === chosen())) return;
        const index = before?.findIndex((item) => item.id === chosen()) ?? 0;
        choose(Math.min(Math.max(index, 0), items.length - 1), within);
      },
    ),
  );

  function choose(index: number, andFocus: boolean): void {
    const item = props.items[index];
    if (!item) return;
    setChosen(item.id);
    if (andFocus) article(index)?.focus();
    article(index)?.scrollIntoView({ block: "nearest" });
  }
  const move = (step: number) =>
    choose(Math.min(Math.max(at() + step, 0), props.items.length - 1), true);

  async function send(item: InboxItem, doing: () => Promise<void>): Promise<void> {
    if (sent().has(item.id)) return;
    setSent((before) => new Set([...before, item.id]));
    await doing();
    setSent((before) => new Set([...before].filter((id) => id !== item.id)));
  }
  const decideOn = (item: InboxItem, decision: Decision) => {
    const { reply } = item;
    if (reply.type === "decide")
      void send(item, () => decide(item.project, reply.task, reply.permission, decision));
    const option = approvalOption(item, decision);
    if (reply.type === "answer" && option !== null)
      void send(item, () => answer(item.project, reply.checkpoint, option));
  };
  const startAnswer = () =>
    article(at())?.querySelector<HTMLElement>("input, .inbox-actions button")?.focus();

  const decision = (word: string, of: Decision): Command => ({
    id: `inbox.${of}`,
    title: word,
    group: "Inbox",
    keys: [DECIDE_KEYS[of]],
    run: () => decideOn(current()!, of),
    unavailable: () =>
      current()?.reply.type === "decide" || approvalOption(current(), of) !== null
        ? null
        : "what is chosen asks for no leave",
  });
  useCommands(() => [
    {
      id: "inbox.next",
      title: "Next item",
      group: "Inbox",
      keys: [KEYS.next],
      repeats: true,
      onlyKey: true,
      run: () => move(1),
    },
    {
      id: "inbox.before",
      title: "Item before",
      group: "Inbox",
      keys: [KEYS.before],
      repeats: true,
      onlyKey: true,
      run: () => move(-1),
    },
    {
      id: "inbox.answer",
      title: "Answer",
      group: "Inbox",
      keys: [KEYS.answer],
      run: startAnswer,
      unavailable: () => (current()?.reply.type === "none" ? "it takes no answer" : null),
    },
    decision("Allow", "allow"),
    decision("Always allow", "always"),
    decision("Deny", "deny"),
    {
      id: "inbox.open",
      title: "Open where it belongs",
      group: "Inbox",
      keys: [KEYS.open],
      run: () => navigate(current()?.link ?? "/"),
      unavailable: () => (current()?.link ? null : "it belongs to no run"),
    },
    {
      id: "inbox.aside",
      title: "Set aside",
      group: "Inbox",
      keys: [KEYS.aside],
      run: () => setAsideItem(current()!.id),
    },
  ]);

  function onKeyDown(event: KeyboardEvent): void {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target !== article(at())) {
      if (event.key === "Escape" && event.target !== article(at())) article(at())?.focus();
      return;
    }
    const act = {
      ArrowDown: () => move(1),
      ArrowUp: () => move(-1),
      Home: () => choose(0, true),
      End: () => choose(props.items.length - 1, true),
      Enter: startAnswer,
    }[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  }

  return (
    <div
      ref={feed}
      role="feed"
      aria-label="What waits for you"
      class="inbox-list"
      onKeyDown={onKeyDown}
      onFocusIn={(event) => {
        within = true;
        const index = [...feed.children].findIndex((child) => child.contains(event.target));
        if (index >= 0) setChosen(props.items[index]!.id);
      }}
      onFocusOut={(event) => {
        if (event.relatedTarget instanceof Node && !feed.contains(event.relatedTarget))
          within = false;
      }}
    >
      <For each={props.items}>
        {(item, i) => (
          <Item
            item={item}
            place={i() + 1}
            of={props.items.length}
            chosen={current()?.id === item.id}
            busy={sent().has(item.id)}
            onDecide={(of) => decideOn(item, of)}
            onSend={(doing) => void send(item, doing)}
          />
        )}
      </For>
    </div>
  );
}

/** The option of a checkpoint before a frame that a decision means: its first lets the frame go on, its last
 *  does not. */
function approvalOption(item: InboxItem | undefined, decision: Decision): string | null {
  if (
    item?.kind !== "approval" ||
    item.reply.type !== "answer" ||
    item.reply.options.length < 2 ||
    decision === "always"
  )
    return null;
  return item.reply.options.at(decision === "allow" ? 0 : -1)!;
}

interface ItemProps {
  item: InboxItem;
  place: number;
  of: number;
  chosen: boolean;
  busy: boolean;
  onDecide(decision: Decision): void;
  onSend(doing: () => Promise<void>): void;
}

function Item(props: ItemProps) {
  const id = () => `inbox-${props.place}`;
  const where = () =>
    [projects[props.item.project]?.name ?? props.item.project, props.item.run]
      .filter((part) => part !== null)
      .join(" › ");
  return (
    <article
      class={`inbox-item kind-${props.item.kind}`}
      classList={{ chosen: props.chosen }}
      tabindex={props.chosen ? 0 : -1}
      aria-posinset={props.place}
      aria-setsize={props.of}
      aria-labelledby={`${id()}-title`}
      aria-describedby={`${id()}-text`}
      aria-busy={props.busy}
    >
      <span class="inbox-sign" aria-hidden="true">
        {KIND_SIGNS[props.item.kind]}
      </span>
      <div class="inbox-body">
        <h2 id={`${id()}-title`}>
          {KIND_WORDS[props.item.kind]}
          <Show when={props.item.frame}>
            {(frame) => (
              <>
                : <span class="inbox-frame">{frame()}</span>
              </>
            )}
          </Show>
        </h2>
        <p class="inbox-where muted">
          <span>{where()}</span>
          <Show when={props.item.since_ms}>
            {(since) => <time title={moment(since())}>{duration(second() - since())}</time>}
          </Show>
        </p>
        <p class="inbox-text prose" id={`${id()}-text`}>
          {props.item.text}
        </p>
        <div class="inbox-actions">
          <Answer {...props} />
          <span class="spacer" />
          <Show when={props.item.link}>
            {(link) => (
              <a class="quiet" href={link()} title={sayKeys(KEYS.open)}>
                Open
              </a>
            )}
          </Show>
          <button
            class="quiet"
            title={`Take it out of the list (${sayKeys(KEYS.aside)})`}
            onClick={() => setAsideItem(props.item.id)}
          >
            Set aside
          </button>
        </div>
      </div>
    </article>
  );
}

function Answer(props: ItemProps) {
  const as = <T extends Reply["type"]>(type: T) =>
    props.item.reply.type === type ? (props.item.reply as Extract<Reply, { type: T }>) : null;
  return (
    <Switch>
      <Match when={as("decide")}>
        {(reply) => (
          <>
            <For each={reply().decisions}>
              {(decision, i) => (
                <button
                  class={i() === 0 ? "primary" : ""}
                  disabled={props.busy}
                  title={sayKeys(DECIDE_KEYS[decision])}
                  onClick={() => props.onDecide(decision)}
                >
                  {WORDS[decision]}
                </button>
              )}
            </For>
            <Refusal
              word="Deny"
              hears="its agent is told"
              busy={props.busy}
              onSend={(why) =>
                props.onSend(() =>
                  decide(props.item.project, reply().task, reply().permission, "deny", why),
                )
              }
            />
          </>
        )}
      </Match>
      <Match when={as("answer")}>
        {(reply) => (
          <Show
            when={reply().options.length > 0}
            fallback={
              <Text
                label="Your answer"
                action="Answer"
                busy={props.busy}
                onSend={(text) =>
                  props.onSend(() => answer(props.item.project, reply().checkpoint, text))
                }
              />
            }
          >
            <For each={reply().options}>
              {(option) => (
                <button
                  disabled={props.busy}
                  onClick={() =>
                    props.onSend(() => answer(props.item.project, reply().checkpoint, option))
                  }
                >
                  {option}
                </button>
              )}
            </For>
            <Show when={approvalOption(props.item, "deny")}>
              {(option) => (
                <Refusal
                  word={option()}
                  hears="it is kept with the frame"
                  busy={props.busy}
                  onSend={(why) =>
                    props.onSend(() =>
                      answer(props.item.project, reply().checkpoint, `${option()}: ${why}`),
                    )
                  }
                />
              )}
            </Show>
          </Show>
        )}
      </Match>
      <Match when={as("tell")}>
        {(reply) => (
          <Text
            label="What to do next"
            action="Tell it"
            busy={props.busy}
            onSend={(text) => props.onSend(() => tell(props.item.project, reply().task, text))}
          />
        )}
      </Match>
      <Match when={as("stop")}>
        {(reply) => (
          <button
            disabled={props.busy}
            onClick={() => props.onSend(() => stop(props.item.project, reply().task))}
          >
            <span aria-hidden="true">◼</span> Stop the task
          </button>
        )}
      </Match>
      <Match when={as("retry")}>
        {(reply) => (
          <button
            disabled={props.busy}
            onClick={() => props.onSend(() => retry(props.item.project, reply().target))}
          >
            ↻ Retry
          </button>
        )}
      </Match>
    </Switch>
  );
}

/** Says no, and why. */
function Refusal(props: { word: string; hears: string; busy: boolean; onSend(why: string): void }) {
  const [isOpen, setOpen] = createSignal(false);
  return (
    <Show
      when={isOpen()}
      fallback={
        <button class="quiet" disabled={props.busy} onClick={() => setOpen(true)}>
          {props.word} and say why…
        </button>
      }
    >
      <Text
        label={`Why; ${props.hears}`}
        action={props.word}
        busy={props.busy}
        isAsked
        onSend={props.onSend}
      />
    </Show>
  );
}

/** An answer in words. Enter sends it. `isAsked`: where one has just asked to write it. */
function Text(props: {
  label: string;
  action: string;
  busy: boolean;
  isAsked?: boolean;
  onSend(text: string): void;
}) {
  let input!: HTMLInputElement;
  const [text, setText] = createSignal("");
  onMount(() => props.isAsked && input.focus());
  return (
    <form
      class="inbox-answer"
      onSubmit={(event) => {
        event.preventDefault();
        if (text().trim() !== "") props.onSend(text().trim());
      }}
    >
      <input
        ref={input}
        aria-label={props.label}
        placeholder={props.label}
        value={text()}
        onInput={(event) => setText(event.currentTarget.value)}
        autocomplete="off"
      />
      <button class="primary" disabled={props.busy || text().trim() === ""}>
        {props.action}
      </button>
    </form>
  );
}
