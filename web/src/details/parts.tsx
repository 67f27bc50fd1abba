// Small parts of what is told of frames and runs.

import { createMemo, createSignal, For, Show, Suspense } from "solid-js";
import type { JSX } from "solid-js";
import type { RunView, Usage } from "../api/types.gen.ts";
import { cost, isUsed, tokens, usageInFull } from "../format.ts";
import { place } from "../router.ts";
import type { RunContent } from "../sync/apply.ts";
import { Status } from "../ui/Status.tsx";

export interface Content {
  content: RunContent;
  version: number;
}

export function Section(props: { title: string; children: JSX.Element }) {
  return (
    <section>
      <h3>{props.title}</h3>
      {props.children}
    </section>
  );
}

export function Text(props: { title: string; text: string }) {
  return (
    <Show when={props.text !== ""}>
      <Section title={props.title}>
        <p class="prose">{props.text}</p>
      </Section>
    </Show>
  );
}

/** Something that is asked for only when it is opened. */
export function Folded(props: { title: string; children: JSX.Element }) {
  const [opened, setOpened] = createSignal(false);
  return (
    <details class="folded" onToggle={(event) => event.currentTarget.open && setOpened(true)}>
      <summary>{props.title}</summary>
      <Show when={opened()}>
        <Suspense fallback={<p class="muted">Asking for it…</p>}>{props.children}</Suspense>
      </Show>
    </details>
  );
}

export function Used(props: { usage: Usage }) {
  return (
    <Show when={isUsed(props.usage)} fallback={<span class="muted">none</span>}>
      <span class="number" title={usageInFull(props.usage)}>
        {tokens(props.usage)} tokens {cost(props.usage) ?? ""}
      </span>
    </Show>
  );
}

const LISTED = 12;

/** Frames as links; of very many, the first ones. */
export function Frames(props: {
  title: string;
  ids: readonly string[];
  run: RunView;
  content: Content;
  why?: boolean;
  children?: JSX.Element;
}) {
  const [all, setAll] = createSignal(false);
  const shown = () => (all() ? props.ids : props.ids.slice(0, LISTED));
  return (
    <section>
      <h3>
        {props.title} <span class="muted">{props.ids.length}</span>
      </h3>
      <ul class="frames">
        <For each={shown()}>
          {(id) => (
            <li>
              <FrameLink id={id} run={props.run} content={props.content} why={props.why ?? false} />
            </li>
          )}
        </For>
        {props.children}
      </ul>
      <Show when={!all() && props.ids.length > LISTED}>
        <button class="link" onClick={() => setAll(true)}>
          {props.ids.length - LISTED} more
        </button>
      </Show>
    </section>
  );
}

/** Goes to another frame of the same run, and leaves the rest as it is looked at. */
function frameAddress(frame: string): string {
  const query = new URLSearchParams(place().query);
  query.set("frame", frame);
  query.delete("artifact");
  return `${place().path}?${query}`;
}

export function FrameLink(props: { id: string; run: RunView; content: Content; why?: boolean }) {
  const frame = createMemo(() => {
    void props.content.version;
    const { frames } = props.content.content;
    const row = frames.row(props.id);
    return row === undefined ? null : frames.get(row);
  });
  return (
    <Show when={frame()} fallback={<span class="mono">{props.id}</span>}>
      {(found) => (
        <>
          <a href={frameAddress(props.id)}>
            <Status status={found().status} label="" /> {found().title}
          </a>
          <Show when={props.why && found().reason}>
            {(reason) => <span class="frame-reason">{reason()}</span>}
          </Show>
        </>
      )}
    </Show>
  );
}
