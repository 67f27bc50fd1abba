// The palette: every command, run and frame of the run in sight, found by a few letters.

import { createMemo, createSignal, For, onCleanup, onMount, Show } from "solid-js";
import { rank } from "../commands/fuzzy.ts";
import { PALETTE_KEYS, setOverlay } from "../commands/page.ts";
import { matches, perform, readKeys, sayKeys } from "../commands/keys.ts";
import { commands } from "../commands/registry.ts";
import type { Command } from "../commands/registry.ts";
import { duration } from "../format.ts";
import { glyph, standing, word } from "../model/status.ts";
import { runOf } from "../paths.ts";
import { navigate, place, runPath, setQuery } from "../router.ts";
import { contentOf, projects, runs, second } from "../state.ts";

/** What can be chosen. */
interface Choice {
  readonly group: string;
  readonly title: string;
  /** What else tells it from others, and can be searched for. */
  readonly about: string;
  readonly keys?: readonly string[];
  /** Why it cannot be chosen now. */
  readonly why: string | null;
  choose(): void;
}

const MOST = 60;
/** Frames are looked through only for so many letters: there may be a hundred thousand. */
const FRAMES_FROM = 2;

export default function Palette() {
  let dialog!: HTMLDialogElement;
  let input!: HTMLInputElement;
  let list!: HTMLUListElement;
  const [query, setQueryText] = createSignal("");
  const [at, setAt] = createSignal(0);
  const found = createMemo(() =>
    rank(query(), choices(query()), (choice) => `${choice.title} ${choice.about}`, MOST),
  );
  const current = () => Math.min(at(), found().length - 1);

  onMount(() => dialog.showModal());
  // It tells that it closed when it is gone, and another one may be open.
  onCleanup(() => dialog.close());

  function choose(choice: Choice | undefined): void {
    if (!choice || choice.why !== null) return;
    // What it does may open a dialog of its own, so this one goes first.
    setOverlay(null);
    choice.choose();
  }

  function move(to: number): void {
    setAt(found().length === 0 ? 0 : (to + found().length) % found().length);
    list.children[current()]?.scrollIntoView({ block: "nearest" });
  }

  function onKeyDown(event: KeyboardEvent): void {
    if (event.isComposing) return;
    // At once: a dialog that closes by itself tells so a moment later, and what is pressed meanwhile would be lost.
    if (event.key === "Escape" || matches(readKeys(PALETTE_KEYS)[0]!, event)) {
      event.preventDefault();
      return void setOverlay(null);
    }
    const page = 8;
    const to = {
      ArrowDown: current() + 1,
      ArrowUp: current() - 1,
      PageDown: Math.min(current() + page, found().length - 1),
      PageUp: Math.max(current() - page, 0),
    }[event.key];
    if (to !== undefined) move(to);
    else if (event.key === "Enter") choose(found()[current()]);
    else return;
    event.preventDefault();
  }

  return (
    <dialog
      ref={dialog}
      class="palette"
      aria-label="Find a command, run or frame"
      onClose={() => dialog.isConnected && setOverlay(null)}
      onKeyDown={onKeyDown}
      onClick={(event) => event.target === dialog && setOverlay(null)}
    >
      <input
        ref={input}
        role="combobox"
        aria-label="Find"
        aria-expanded="true"
        aria-controls="palette-list"
        aria-autocomplete="list"
        autofocus
        aria-activedescendant={current() >= 0 ? `palette-${current()}` : undefined}
        placeholder="A command, a run, a frame…"
        spellcheck={false}
        autocomplete="off"
        value={query()}
        onInput={(event) => {
          setQueryText(event.currentTarget.value);
          setAt(0);
          list.scrollTop = 0;
        }}
      />
      <ul ref={list} id="palette-list" role="listbox" aria-label="Found">
        <For each={found()}>
          {(choice, i) => (
            <li
              id={`palette-${i()}`}
              role="option"
              aria-selected={i() === current()}
              aria-disabled={choice.why !== null}
              onPointerMove={() => setAt(i())}
              onClick={() => choose(choice)}
            >
              <span class="palette-group muted">{choice.group}</span>
              <span class="palette-title">{choice.title}</span>
              <span class="palette-about muted">
                {choice.why === null ? choice.about : choice.why}
              </span>
              <For each={choice.keys}>{(keys) => <kbd>{sayKeys(keys)}</kbd>}</For>
            </li>
          )}
        </For>
      </ul>
      <Show when={found().length === 0}>
        <p class="palette-none muted">Nothing is called that.</p>
      </Show>
      <p class="unseen" role="status">
        {found().length === 0 ? "nothing found" : `${found().length} found`}
      </p>
    </dialog>
  );
}

function choices(query: string): Choice[] {
  const shown = runOf(place().path);
  const frames = shown !== null && query.trim().length >= FRAMES_FROM ? framesOf(shown.key) : [];
  return [
    ...commands()
      .filter((command) => !command.onlyKey)
      .map(ofCommand),
    ...runChoices(),
    ...frames,
  ];
}

function ofCommand(command: Command): Choice {
  return {
    group: command.group,
    title: command.title,
    about: "",
    why: command.unavailable?.() ?? null,
    choose: () => perform(command),
    ...(command.keys ? { keys: command.keys } : {}),
  };
}

function runChoices(): Choice[] {
  const newest = Object.values(runs).sort((a, b) => b.started_ms - a.started_ms);
  return newest.map((run) => ({
    group: "Run",
    title: run.name,
    why: null,
    choose: () => navigate(runPath(run.project, run.id)),
    about: `${glyph(standing(run))} ${word(standing(run))} ${run.id} ${projects[run.project]?.name ?? ""} ${duration((run.ended_ms ?? second()) - run.started_ms)}`,
  }));
}

function framesOf(key: string): Choice[] {
  const frames = contentOf(key)?.content.frames;
  if (!frames) return [];
  return Array.from({ length: frames.length }, (_, row) => ({
    group: "Frame",
    title: frames.title.get(row),
    why: null,
    choose: () => setQuery("frame", frames.id.get(row)),
    about: `${glyph(frames.status.get(row))} ${word(frames.status.get(row))} ${frames.key.get(row)}`,
  }));
}
