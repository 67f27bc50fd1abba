// What accepting a read-only run executes, and the decision about it.

import { createResource, createSignal, For, Match, onMount, Show, Switch } from "solid-js";
import { ApiError, acceptRun, asApiError, getCandidate } from "../api/client.ts";
import type { CandidateView, OpenWork, RunView } from "../api/types.gen.ts";
import { tellDone } from "./Toast.tsx";

const CONFLICT = 409;

export default function AcceptDialog(props: { run: RunView; closed(): void }) {
  let dialog!: HTMLDialogElement;
  // Copies: what is accepted is what this dialog shows.
  const { project, id } = props.run;
  const [candidate, { mutate }] = createResource(() => getCandidate(project, id));
  const [busy, setBusy] = createSignal(false);
  const [refusal, setRefusal] = createSignal<ApiError | null>(null);
  const shown = () => (candidate.error === undefined ? candidate() : undefined);
  const error = () => refusal() ?? (candidate.error ? asApiError(candidate.error) : null);
  const isReady = () => !busy() && shown() !== undefined;

  onMount(() => {
    dialog.addEventListener("keydown", (event) => event.stopPropagation());
    dialog.showModal();
    dialog.querySelector<HTMLElement>("[value=cancel]")?.focus();
  });

  async function accept(): Promise<void> {
    const accepted = shown();
    if (!isReady() || accepted === undefined) return;
    setBusy(true);
    setRefusal(null);
    try {
      await acceptRun(project, id, accepted.digest);
      tellDone(accepted.loses_open_work ? "Accepted. Retry what is lost." : "Accepted");
      dialog.close();
    } catch (reason) {
      const refused = asApiError(reason);
      // The records have changed while the dialog was open: they are shown again.
      if (refused.status === CONFLICT)
        await getCandidate(project, id).then(
          (changed) => mutate(changed),
          () => {},
        );
      setRefusal(refused);
    } finally {
      setBusy(false);
    }
  }

  return (
    <dialog ref={dialog} class="wide" aria-labelledby="accept-title" onClose={() => props.closed()}>
      <form method="dialog" onSubmit={(event) => event.preventDefault()}>
        <h2 id="accept-title">
          Accept <bdi>{props.run.name}</bdi>?
        </h2>
        <Switch>
          <Match when={candidate.loading}>
            <p class="muted" role="status">
              Reading its records…
            </p>
          </Match>
          <Match when={shown()}>{(found) => <Candidate candidate={found()} />}</Match>
        </Switch>
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
          <button
            type="button"
            class="primary"
            aria-disabled={!isReady()}
            onClick={() => void accept()}
          >
            Accept
          </button>
        </div>
      </form>
    </dialog>
  );
}

function Candidate(props: { candidate: CandidateView }) {
  const effect = () => {
    if (props.candidate.work.length === 0)
      return "Nothing in it is open: accepting it executes nothing.";
    return props.candidate.loses_open_work
      ? "What is open may have run since. Accepting the run marks it as lost and executes nothing."
      : "Accepting the run executes this, as its frames become ready:";
  };
  return (
    <>
      <p class="dialog-text">
        <span class="mono">{props.candidate.run.id}</span> is read-only: {props.candidate.why}.
      </p>
      <p class="dialog-text">{effect()}</p>
      <Show when={props.candidate.work.length > 0}>
        <ul class="open-work" tabindex="0" aria-label="Open work">
          <For each={props.candidate.work}>{(work) => <Work work={work} />}</For>
        </ul>
      </Show>
    </>
  );
}

function Work(props: { work: OpenWork }) {
  const parts = () =>
    [
      ["prompt", props.work.prompt],
      ["standard input", props.work.stdin],
      ["environment", props.work.env.length > 0 ? props.work.env.join("\n") : null],
      ["folder", props.work.workdir],
    ].filter((part): part is [string, string] => part[1] !== null);
  return (
    <li>
      <p>
        <strong>
          <bdi>{props.work.title}</bdi>
        </strong>{" "}
        <bdi class="muted">{props.work.tool}</bdi>{" "}
        <span class="mono muted">{props.work.frame}</span>
      </p>
      <Show when={props.work.argv.length > 0}>
        <pre>{props.work.argv.join(" ")}</pre>
      </Show>
      <For each={parts()}>
        {([name, text]) => (
          <>
            <p class="muted">{name}</p>
            <pre>{text}</pre>
          </>
        )}
      </For>
    </li>
  );
}
