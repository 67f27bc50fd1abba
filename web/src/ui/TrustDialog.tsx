// Everything that a fornax.yaml executes, and the decision about it.

import { createSignal, For, onMount, Show } from "solid-js";
import { ApiError, asApiError, decideTrust, getReview } from "../api/client.ts";
import type { TrustReview } from "../api/client.ts";
import { DiffView } from "../diff/Diff.tsx";
import { tellDone } from "./Toast.tsx";

const CONFLICT = 409;

export default function TrustDialog(props: { review: TrustReview; closed(): void }) {
  let dialog!: HTMLDialogElement;
  // A copy: what is accepted is what this dialog shows.
  const [review, setReview] = createSignal(props.review);
  const [busy, setBusy] = createSignal(false);
  const [error, setError] = createSignal<ApiError | null>(null);

  onMount(() => {
    dialog.addEventListener("keydown", (event) => event.stopPropagation());
    dialog.showModal();
    dialog.querySelector<HTMLElement>("[value=cancel]")?.focus();
  });

  const untrusted = () => review().filters.filter((filter) => !filter.is_trusted);

  async function accept(always: boolean): Promise<void> {
    if (busy()) return;
    setBusy(true);
    setError(null);
    const { dir, digest } = review();
    const filters = untrusted().map((filter) => filter.digest);
    try {
      await decideTrust({ decision: "accept", dir, digest, filters, always });
      tellDone(always ? "Always trusted in this project" : "Trusted");
      dialog.close();
    } catch (reason) {
      const refused = asApiError(reason);
      if (refused.status === CONFLICT) {
        // The file has changed while the dialog was open: it is shown again.
        await getReview(dir).then(setReview, () => {});
      }
      setError(refused);
    } finally {
      setBusy(false);
    }
  }

  return (
    <dialog ref={dialog} class="wide" aria-labelledby="trust-title" onClose={() => props.closed()}>
      <form method="dialog" onSubmit={(event) => event.preventDefault()}>
        <h2 id="trust-title">
          What does <bdi>{review().dir}</bdi> execute?
        </h2>
        <Show when={review().diff}>
          {(diff) => (
            <>
              <p class="dialog-text">Changed since you trusted it:</p>
              <DiffView text={diff()} name="fornax.yaml" bare />
            </>
          )}
        </Show>
        <p class="dialog-text">Everything that its fornax.yaml executes:</p>
        <pre class="trust-text" tabindex="0">
          {review().executes}
        </pre>
        <For each={review().programs}>
          {(program) => (
            <p class="muted">
              <code>{program}</code> is a file of the project; its content is not checked.
            </p>
          )}
        </For>
        <Show when={untrusted().length > 0}>
          <p class="dialog-text">Filters that its git repository defines:</p>
        </Show>
        <For each={untrusted()}>
          {(filter) => (
            <>
              <Show when={filter.trusted_before !== null}>
                <p class="muted">Changed since you trusted it. Before:</p>
                <pre class="trust-text">{filter.trusted_before}</pre>
              </Show>
              <pre class="trust-text" tabindex="0">
                {`filter.${filter.name}.${filter.kind} = ${filter.command}`}
              </pre>
            </>
          )}
        </For>
        <Show when={error()}>
          {(why) => (
            <p class="dialog-error" role="alert">
              {why().message} <span class="muted">{why().help}</span>
            </p>
          )}
        </Show>
        <div class="dialog-actions">
          <button type="button" value="cancel" onClick={() => dialog.close()}>
            Not now
          </button>
          <button type="button" aria-disabled={busy()} onClick={() => void accept(true)}>
            Always trust
          </button>
          <button
            type="button"
            class="primary"
            aria-disabled={busy()}
            onClick={() => void accept(false)}
          >
            Trust
          </button>
        </div>
      </form>
    </dialog>
  );
}
