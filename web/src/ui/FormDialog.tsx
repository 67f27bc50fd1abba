// A form in a dialog, as it is shown.

import { createResource, createSignal, For, Match, onMount, Show, Switch } from "solid-js";
import { asApiError } from "../api/client.ts";
import type { ApiError } from "../api/client.ts";
import type { Asked, Field, Preview, Values } from "./Dialog.tsx";

const LISTED = 50;

export default function FormDialog(props: { form: Asked }) {
  let dialog!: HTMLDialogElement;
  const fields = props.form.fields ?? [];
  const [values, setValues] = createSignal<Values>(
    Object.fromEntries(fields.map((field) => [field.name, field.value ?? ""])),
  );
  const [tried, setTried] = createSignal(false);
  const [busy, setBusy] = createSignal(false);
  const [error, setError] = createSignal<ApiError | null>(null);
  const [preview] = createResource(() => props.form.preview?.() ?? null);
  const refused = () => error() ?? (preview.error as ApiError | undefined) ?? null;
  const isReady = () => !busy() && !preview.loading && preview.error === undefined;

  onMount(() => {
    dialog.addEventListener("keydown", onKeyDown);
    dialog.showModal();
    // What is typed into is better to begin with than Cancel; of what takes something away, Cancel is.
    dialog
      .querySelector<HTMLElement>(
        fields.length > 0
          ? "input, textarea, select"
          : props.form.danger
            ? "[value=cancel]"
            : "[type=submit]",
      )
      ?.focus();
  });

  async function submit(event: SubmitEvent): Promise<void> {
    event.preventDefault();
    setTried(true);
    const wrong = fields.find((field) => problem(field, values()[field.name]!) !== null);
    if (wrong) dialog.querySelector<HTMLElement>(`[name="${wrong.name}"]`)?.focus();
    if (wrong || !isReady()) return;
    setBusy(true);
    setError(null);
    try {
      await props.form.send(values());
      // Closed, and not only taken away, so that the focus returns to where it was.
      dialog.close();
    } catch (reason) {
      setError(asApiError(reason));
    } finally {
      setBusy(false);
    }
  }

  function onKeyDown(event: KeyboardEvent): void {
    // Single keys of the page are not for a dialog.
    event.stopPropagation();
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey))
      dialog.querySelector("form")!.requestSubmit();
  }

  return (
    <dialog
      ref={dialog}
      aria-labelledby="dialog-title"
      classList={{ wide: fields.length > 0 || props.form.preview !== undefined }}
      onClose={() => props.form.closed()}
    >
      <form method="dialog" noValidate onSubmit={(event) => void submit(event)}>
        <h2 id="dialog-title">{props.form.title}</h2>
        <Show when={props.form.text}>{(text) => <p class="dialog-text">{text()}</p>}</Show>
        <Show when={props.form.preview}>
          <Switch>
            <Match when={preview.loading}>
              <p class="muted" role="status">
                Looking what would come of it…
              </p>
            </Match>
            <Match when={preview.error === undefined && preview()}>
              {(found) => <Foreseen preview={found()} />}
            </Match>
          </Switch>
        </Show>
        <For each={fields}>
          {(field) => (
            <Input
              field={field}
              value={values()[field.name]!}
              problem={tried() ? problem(field, values()[field.name]!) : null}
              onInput={(value) => setValues((before) => ({ ...before, [field.name]: value }))}
            />
          )}
        </For>
        <Show when={refused()}>
          {(why) => (
            <p class="dialog-error" role="alert">
              {why().message}{" "}
              <Show when={why().help}>{(help) => <span class="muted">{help()}</span>}</Show>
            </p>
          )}
        </Show>
        <div class="dialog-actions">
          <button type="button" value="cancel" onClick={() => dialog.close()}>
            Cancel
          </button>
          <button
            type="submit"
            class={props.form.danger ? "danger" : "primary"}
            aria-disabled={!isReady()}
          >
            {props.form.does}
          </button>
        </div>
      </form>
    </dialog>
  );
}

function problem(field: Field, value: string): string | null {
  if (value.trim() === "") return field.required ? "This is needed." : null;
  return field.check?.(value) ?? null;
}

function Input(props: {
  field: Field;
  value: string;
  problem: string | null;
  onInput(value: string): void;
}) {
  const field = props.field;
  const id = `field-${field.name}`;
  const said = () =>
    [field.hint === undefined ? "" : `${id}-hint`, props.problem === null ? "" : `${id}-problem`]
      .join(" ")
      .trim() || undefined;
  const common = () => ({
    id,
    name: field.name,
    "aria-describedby": said(),
    "aria-invalid": props.problem !== null,
    "aria-required": field.required ?? false,
  });
  const take = (event: { currentTarget: { value: string } }) =>
    props.onInput(event.currentTarget.value);
  return (
    <p class="field">
      <label for={id}>
        {field.label}
        <Show when={!field.required && field.kind !== "choice"}>
          <span class="muted"> (may be empty)</span>
        </Show>
      </label>
      <Switch>
        <Match when={field.kind === "text"}>
          <textarea {...common()} rows="4" value={props.value} onInput={take} />
        </Match>
        <Match when={field.kind === "choice"}>
          <select {...common()} onChange={take}>
            <For each={field.options ?? []}>
              {([value, label]) => (
                <option value={value} selected={value === props.value}>
                  {label}
                </option>
              )}
            </For>
          </select>
        </Match>
        <Match when={true}>
          <input
            {...common()}
            autocomplete="off"
            list={field.options ? `${id}-options` : undefined}
            value={props.value}
            onInput={take}
          />
          <Show when={field.options}>
            {(options) => (
              <datalist id={`${id}-options`}>
                <For each={options()}>
                  {([value, label]) => <option value={value}>{label}</option>}
                </For>
              </datalist>
            )}
          </Show>
        </Match>
      </Switch>
      <Show when={field.hint}>
        {(hint) => (
          <span id={`${id}-hint`} class="muted">
            {hint()}
          </span>
        )}
      </Show>
      <Show when={props.problem}>
        {(what) => (
          <span id={`${id}-problem`} class="field-problem">
            {what()}
          </span>
        )}
      </Show>
    </p>
  );
}

function Foreseen(props: { preview: Preview }) {
  return (
    <div class="foreseen">
      <p>{props.preview.text}</p>
      <For each={props.preview.lists.filter((list) => list.items.length > 0)}>
        {(list) => (
          <section>
            <h3>
              {list.title} <span class="muted">{list.items.length}</span>
            </h3>
            <ul>
              <For each={list.items.slice(0, LISTED)}>{(item) => <li>{item}</li>}</For>
              <Show when={list.items.length > LISTED}>
                <li class="muted">and {list.items.length - LISTED} more</li>
              </Show>
            </ul>
          </section>
        )}
      </For>
    </div>
  );
}
