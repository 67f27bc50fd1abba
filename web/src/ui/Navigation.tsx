// The places of the page: at the left, with or without words; on a phone along the bottom.

import { For, Show } from "solid-js";
import { sayKeys } from "../commands/keys.ts";
import { inboxOf } from "../inbox/state.ts";
import { chosenProject, inProject } from "../project.ts";
import { place } from "../router.ts";
import { NAVIGATION } from "../routes/routes.ts";
import { change, settings } from "../settings.ts";
import { Sign } from "./Mark.tsx";

export function Navigation() {
  const isHere = (path: string) =>
    place().path === path || place().path.startsWith(path === "/" ? "/runs/" : `${path}/`);
  const waiting = () => inboxOf(chosenProject()).length;
  return (
    <nav class="places" classList={{ narrow: !settings().navigationOpen }} aria-label="Places">
      <ul>
        <For each={NAVIGATION}>
          {({ id, path, word, keys }) => (
            <li>
              <a
                href={inProject(path)}
                aria-current={isHere(path) ? "page" : undefined}
                title={`${word} (${sayKeys(keys)})`}
              >
                <Sign of={id} />
                <span class="place-word">{word}</span>
                <Show when={id === "inbox" && waiting() > 0}>
                  <span class="badge">
                    {waiting()}
                    <span class="unseen"> waiting</span>
                  </span>
                </Show>
              </a>
            </li>
          )}
        </For>
      </ul>
      <button
        class="quiet places-fold"
        aria-expanded={settings().navigationOpen}
        aria-label="Words beside the signs"
        title={`Words beside the signs (${sayKeys("Mod+b")})`}
        onClick={() => change("navigationOpen", !settings().navigationOpen)}
      >
        {settings().navigationOpen ? "«" : "»"}
      </button>
    </nav>
  );
}
