// What stands above the chart: what its colours mean, what widths stand for, and how to move.

import { For, Show } from "solid-js";
import { setQuery } from "../router.ts";
import {
  FRAME_STATUSES,
  NOT_WORKING,
  doingGlyph,
  doingWord,
  glyph,
  word,
} from "../model/status.ts";
import { WIDTHS } from "../model/widths.ts";
import type { Width } from "../model/widths.ts";
import type { Camera } from "./camera.ts";
import type { KeyAction } from "./keys.ts";

const WIDTH_NAMES: Record<Width, string> = {
  time: "Time",
  tokens: "Tokens",
  cost: "Cost",
  messages: "Messages",
  artifacts: "Artifacts",
  equal: "Equal",
};

/** What widths stand for is kept in the address. */
export function setWidth(width: string): void {
  setQuery("width", width === "time" ? null : width);
}

interface Props {
  width: Width;
  camera: Camera;
  live: boolean;
  /** Whether there is idle time to fold. */
  hasIdle: boolean;
  /** How many frames are folded away. */
  folded: number;
  act(action: KeyAction): void;
  onUnfoldAll(): void;
}

export function Tools(props: Props) {
  return (
    <div class="chart-tools">
      <Legend />
      <span class="spacer" />
      <Show when={props.folded > 0}>
        <button
          class="quiet"
          onClick={() => props.onUnfoldAll()}
          title="Show what is within folded frames"
        >
          Unfold all ({props.folded})
        </button>
      </Show>
      <Show when={props.hasIdle && props.width === "time"}>
        <button
          class="quiet"
          title="Fold time in which nobody worked (I)"
          aria-pressed={props.camera.idle().folded}
          onClick={() => props.act({ do: "idle" })}
        >
          Fold idle
        </button>
      </Show>
      <label class="chart-width">
        <span class="muted" aria-hidden="true">
          Width
        </span>
        <select aria-label="Width" onChange={(event) => setWidth(event.currentTarget.value)}>
          <For each={WIDTHS}>
            {(width) => (
              <option value={width} selected={props.width === width}>
                {WIDTH_NAMES[width]}
              </option>
            )}
          </For>
        </select>
      </label>
      <button
        class="quiet"
        title="Zoom out (−)"
        aria-label="Zoom out"
        onClick={() => props.act({ do: "zoom", factor: 1.6 })}
      >
        −
      </button>
      <button
        class="quiet"
        title="Zoom in (+)"
        aria-label="Zoom in"
        onClick={() => props.act({ do: "zoom", factor: 1 / 1.6 })}
      >
        +
      </button>
      <button
        class="quiet"
        title="Show the whole run (0)"
        aria-pressed={props.camera.mode() === "fit"}
        onClick={() => props.act({ do: "fit" })}
      >
        Fit
      </button>
      <Show when={props.live && props.width === "time"}>
        <button
          class="quiet"
          title="Keep now in sight (N)"
          aria-pressed={props.camera.mode() === "follow"}
          onClick={() => props.act({ do: "follow" })}
        >
          Follow
        </button>
      </Show>
    </div>
  );
}

function Legend() {
  return (
    <ul class="legend" aria-label="What the colours mean">
      <For each={FRAME_STATUSES}>
        {(status) => (
          <li>
            <i class={`swatch swatch-${status}`} aria-hidden="true" />
            {glyph(status)} {word(status)}
          </li>
        )}
      </For>
      <li class="legend-within">
        <details>
          <summary>within a bar</summary>
          <ul>
            <For each={NOT_WORKING}>
              {(doing) => (
                <li>
                  <i class={`swatch doing-${doing}`} aria-hidden="true" />
                  {doingGlyph(doing)} {doingWord(doing)}
                </li>
              )}
            </For>
            <li>
              <i class="swatch legend-break" aria-hidden="true">
                ╱╱
              </i>
              idle time, folded
            </li>
            <li>
              <i class="swatch legend-fold" aria-hidden="true">
                ▸
              </i>
              frames folded in it, and the worst of them
            </li>
          </ul>
        </details>
      </li>
    </ul>
  );
}
