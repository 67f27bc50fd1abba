// Short messages in a corner: what was refused and why, what was done.

import { createSignal, For, Show } from "solid-js";
import { ApiError } from "../api/client.ts";

interface Message {
  id: number;
  kind: "done" | "failed";
  text: string;
  help: string | null;
}

const SHOWN_DONE_MS = 4_000;
const KEPT = 4;

const [messages, setMessages] = createSignal<Message[]>([]);
let ids = 0;

function add(kind: Message["kind"], text: string, help: string | null): number {
  const id = ++ids;
  setMessages((before) => [...before.slice(1 - KEPT), { id, kind, text, help }]);
  return id;
}

function dismiss(id: number): void {
  setMessages((before) => before.filter((message) => message.id !== id));
}

/** Says that something was done; goes away by itself. */
export function tellDone(text: string): void {
  const id = add("done", text, null);
  setTimeout(() => dismiss(id), SHOWN_DONE_MS);
}

/** Says what went wrong and what to do; stays until it is dismissed. */
export function tellFailed(error: unknown): void {
  if (error instanceof ApiError) add("failed", error.message, error.help);
  else add("failed", String(error), null);
}

export function Toasts() {
  return (
    <div class="toasts" role="status" aria-live="polite">
      <For each={messages()}>
        {(message) => (
          <div class={`toast toast-${message.kind}`}>
            <div>
              <p>{message.text}</p>
              <Show when={message.help}>{(help) => <p class="muted">{help()}</p>}</Show>
            </div>
            <button class="quiet" aria-label="Dismiss" onClick={() => dismiss(message.id)}>
              ✕
            </button>
          </div>
        )}
      </For>
    </div>
  );
}
