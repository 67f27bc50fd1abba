// What came of a frame: its artifacts, and one of them to look at.

import { For, Show } from "solid-js";
import type { Artifact } from "../api/types.gen.ts";
import { visible } from "../diff/visible.ts";
import { bytes } from "../format.ts";
import { place, setQuery } from "../router.ts";
import type { TabProps } from "../details/Panel.tsx";
import { Preview } from "./Preview.tsx";

export default function ArtifactsTab(props: TabProps) {
  const all = (): Artifact[] => props.known?.detail()?.artifacts ?? [];
  const chosen = () => all().find(({ path }) => path === place().query.get("artifact")) ?? all()[0];
  return (
    <Show when={all().length > 0} fallback={<p class="hint">{whyNone(props)}</p>}>
      <div class="artifacts-tab">
        <ul class="artifacts-list" aria-label="Artifacts">
          <For each={all()}>
            {(artifact) => (
              <li>
                <button
                  aria-current={chosen() === artifact}
                  onClick={() => setQuery("artifact", artifact.path)}
                >
                  <span class="mono">{visible(artifact.path)}</span>
                  <span class="muted">
                    {artifact.copy === undefined ? "no copy kept" : bytes(artifact.bytes)}
                  </span>
                </button>
              </li>
            )}
          </For>
        </ul>
        <Show when={chosen()}>
          {(artifact) => <Preview project={props.run.project} artifact={artifact()} />}
        </Show>
      </div>
    </Show>
  );
}

/** Why there is nothing to show. */
export function whyNone(props: TabProps): string {
  if (props.frame === null) return "Choose a frame to see what came of it.";
  return props.known?.detail() ? "No files or addresses came of this frame." : "Loading…";
}
