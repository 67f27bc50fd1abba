// What a frame changed: the diffs among its artifacts.

import { createMemo, For, Show } from "solid-js";
import type { TabProps } from "../details/Panel.tsx";
import { compareFramesPath } from "../paths.ts";
import { whyNone } from "./ArtifactsTab.tsx";
import { Preview } from "./Preview.tsx";

export default function DiffTab(props: TabProps) {
  const all = () => props.known?.detail()?.artifacts ?? [];
  const diffs = createMemo(() => all().filter(({ path }) => /\.(diff|patch)$/i.test(path)));
  return (
    <>
      <Show when={props.frame}>
        {(frame) => (
          <p class="diff-compare">
            <a href={compareFramesPath([{ project: props.run.project, id: frame() }])}>
              Compare what came of it with another frame
            </a>
          </p>
        )}
      </Show>
      <Show
        when={diffs().length > 0}
        fallback={
          <p class="hint">
            {all().length === 0
              ? whyNone(props)
              : "No diff is among the artifacts of this frame: a file that ends in .diff or .patch."}
          </p>
        }
      >
        <For each={diffs()}>
          {(artifact) => <Preview project={props.run.project} artifact={artifact} />}
        </For>
      </Show>
    </>
  );
}
