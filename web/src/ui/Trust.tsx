// What a project's fornax.yaml executes, where no person has decided about it: a notice, and a dialog
// that shows all of it before the decision.

import { createEffect, createSignal, For, lazy, on, onCleanup, onMount, Show } from "solid-js";
import { getReview } from "../api/client.ts";
import type { TrustReview } from "../api/client.ts";
import { shownProject } from "../project.ts";
import { projects, snapshots } from "../state.ts";

const TrustDialog = lazy(() => import("./TrustDialog.tsx"));

/** How many projects are asked about at once. */
const ASKED_MAX = 20;

export function TrustNotice() {
  const [waiting, setWaiting] = createSignal<readonly TrustReview[]>([]);
  const [open, setOpen] = createSignal<TrustReview | null>(null);
  /** Projects whose question was put off on this page, by directory and digest. */
  const [later, setLater] = createSignal<ReadonlySet<string>>(new Set());
  const shown = () => waiting().filter((review) => !later().has(keyOf(review)));
  const dirs = () => {
    const project = shownProject();
    const all = Object.values(projects).filter((view) => view.problem == null);
    const wanted = all.filter((view) => project === null || view.id === project);
    return wanted.map((view) => view.dir).slice(0, ASKED_MAX);
  };
  let asked = 0;

  async function look(): Promise<void> {
    const turn = ++asked;
    const reviews = await Promise.all(dirs().map((dir) => getReview(dir).catch(() => null)));
    if (turn !== asked) return;
    const open = reviews.filter((review) => review?.standing === "undecided");
    setWaiting(open as TrustReview[]);
  }

  createEffect(on([() => dirs().join("\n"), snapshots], () => void look()));
  onMount(() => {
    // Files change while one is elsewhere.
    const onFocus = () => void look();
    window.addEventListener("focus", onFocus);
    onCleanup(() => window.removeEventListener("focus", onFocus));
  });

  return (
    <>
      <For each={shown()}>
        {(review) => (
          <p class="notice" role="status">
            {review.diff === null
              ? "Nobody has accepted what this project's fornax.yaml executes: "
              : "What this project's fornax.yaml executes has changed since you trusted it: "}
            <bdi>{review.dir}</bdi>. Nothing is started in it before you decide.{" "}
            <button onClick={() => setOpen(review)}>Review</button>{" "}
            <button onClick={() => setLater((before) => new Set([...before, keyOf(review)]))}>
              Not now
            </button>
          </p>
        )}
      </For>
      <Show when={open()} keyed>
        {(review) => (
          <TrustDialog
            review={review}
            closed={() => {
              setOpen(null);
              void look();
            }}
          />
        )}
      </Show>
    </>
  );
}

function keyOf(review: TrustReview): string {
  return `${review.dir}\n${review.digest}`;
}
