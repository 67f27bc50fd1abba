// A status, as colour, sign and word; and a run's frames by status, as a small bar.

import { For, Show } from "solid-js";
import type { Counts, FrameStatus, RunStatus, RunView, TaskState } from "../api/types.gen.ts";
import { glyph, word } from "../model/status.ts";

export function Status(props: {
  status: FrameStatus | RunStatus | TaskState;
  label?: string | undefined;
}) {
  return (
    <span class={`status status-${props.status}`}>
      {glyph(props.status)} {props.label ?? word(props.status)}
    </span>
  );
}

/** Marks a run of which nothing is executed or changed before a person accepts it. */
export function ReadOnlyMark(props: { run: RunView }) {
  return (
    <Show when={props.run.foreign}>
      {(why) => (
        <span class="mark" title={why()}>
          read-only
        </span>
      )}
    </Show>
  );
}

const ORDER: readonly (keyof Counts)[] = [
  "completed",
  "in_progress",
  "failed",
  "blocked",
  "invalidated",
  "planned",
];

export function CountsBar(props: { counts: Counts }) {
  const present = () => ORDER.filter((status) => props.counts[status] > 0);
  const total = () =>
    Math.max(
      1,
      ORDER.reduce((sum, status) => sum + props.counts[status], 0),
    );
  const spoken = () =>
    present()
      .map((status) => `${props.counts[status]} ${word(status)}`)
      .join(", ");
  return (
    <span class="counts" role="img" aria-label={spoken() || "no frames"} title={spoken()}>
      <span class="counts-bar">
        <For each={present()}>
          {(status) => (
            <i
              class={`swatch swatch-${status}`}
              style={{ "flex-grow": `${props.counts[status]}` }}
            />
          )}
        </For>
      </span>
      <span class="counts-number">
        {props.counts.completed}/{total()}
      </span>
    </span>
  );
}
