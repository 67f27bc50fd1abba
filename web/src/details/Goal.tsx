// A frame's goal, which is edited where it stands.

import { createEffect, createSignal, on, onMount, Show } from "solid-js";
import type { RunView } from "../api/types.gen.ts";
import { ApiError, asApiError } from "../api/client.ts";
import { atOnce, tool } from "../actions/action.ts";

/** The frame whose goal is being edited. */
const [edited, setEdited] = createSignal<string | null>(null);

/** Begins to edit a frame's goal. */
export { setEdited as editGoal };

interface Props {
  run: RunView;
  frame: string;
  goal: string;
  /** Whether the daemon has not said yet that this is the goal. */
  pending: boolean;
  fixed: boolean;
}

export function Goal(props: Props) {
  let button: HTMLButtonElement | undefined;
  const isEdited = () => edited() === props.frame;
  // Whoever has edited it goes on where they began.
  createEffect(
    on(isEdited, (now, before) => {
      if (!now && before === true) button?.focus();
    }),
  );
  return (
    <section aria-label="Goal">
      <h3>
        Goal{" "}
        <Show when={!props.fixed && !isEdited()}>
          <button
            ref={button}
            class="link"
            onClick={() => setEdited(props.frame)}
            aria-label="Edit the goal"
          >
            edit
          </button>
        </Show>
      </h3>
      <Show
        when={isEdited()}
        fallback={
          <p class="prose" classList={{ pending: props.pending }}>
            {props.goal}
          </p>
        }
      >
        <Editor {...props} />
      </Show>
    </section>
  );
}

function Editor(props: Props) {
  let area!: HTMLTextAreaElement;
  const [error, setError] = createSignal<ApiError | null>(null);
  onMount(() => {
    area.value = props.goal;
    area.style.height = `${Math.min(360, area.scrollHeight + 4)}px`;
    area.focus();
    area.addEventListener("keydown", onKeyDown);
  });

  async function save(): Promise<void> {
    const goal = area.value;
    if (goal.trim() === "") return void setError(new ApiError(400, "A frame has a goal.", null));
    try {
      if (goal !== props.goal) {
        const change = { kind: "goal", frame: props.frame, goal } as const;
        await atOnce(change, (cmdId) =>
          tool({ run: props.run }, "flame_set_goal", { frame_id: props.frame, goal }, cmdId),
        );
      }
      setEdited(null);
    } catch (reason) {
      setError(asApiError(reason));
    }
  }

  function onKeyDown(event: KeyboardEvent): void {
    // Keys of the page are not for those who type.
    event.stopPropagation();
    if (event.key === "Escape") setEdited(null);
    else if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) void save();
  }

  return (
    <form
      class="goal"
      onSubmit={(event) => {
        event.preventDefault();
        void save();
      }}
    >
      <textarea ref={area} aria-label="Goal" rows="3" />
      <Show when={error()}>
        {(why) => (
          <p class="dialog-error" role="alert">
            {why().message} <span class="muted">{why().help}</span>
          </p>
        )}
      </Show>
      <div class="goal-actions">
        <button type="submit" class="primary">
          Save
        </button>
        <button type="button" onClick={() => setEdited(null)}>
          Cancel
        </button>
        <span class="muted">Ctrl Enter saves, Escape leaves it as it was.</span>
      </div>
    </form>
  );
}
