// What an agent is told of a frame: the text, what each section may use and uses, what was cut and why.

import { createResource, createSignal, For, Match, Show, Switch } from "solid-js";
import type { RunView } from "../api/types.gen.ts";
import { ApiError } from "../api/client.ts";
import { tool } from "../actions/action.ts";
import { plural } from "../format.ts";
import type { Content } from "./parts.tsx";
import { FrameLink } from "./parts.tsx";

interface Cut {
  frame: string;
  what: string;
  dropped: boolean;
  why: string;
}

interface Info {
  budget: number;
  tokens: number;
  sections: {
    name: string;
    room: number;
    used: number;
    shown: number;
    cut: Cut[];
    unseen: number;
  }[];
}

export function Context(props: { run: RunView; content: Content; frame: string }) {
  const [max, setMax] = createSignal<number | null>(null);
  const ask = async (name: string, args: object = {}) =>
    tool({ run: props.run }, name, { frame_id: props.frame, ...args });
  const [info] = createResource(
    () => props.frame,
    async () => (await ask("flame_context_info")).data as Info,
  );
  const [preview] = createResource(
    () => ({ frame: props.frame, max: max() }),
    async ({ max }) => ask("flame_context_preview", max === null ? {} : { max_tokens: max }),
  );
  const [summary] = createResource(
    () => props.frame,
    async () => (await ask("flame_get_summary")).text,
  );
  const wrong = () => (info.error ?? preview.error) as ApiError | undefined;
  const within = () => preview()?.data as { tokens: number; budget: number } | undefined;

  return (
    <Switch>
      <Match when={wrong()}>
        {(why) => (
          <p role="alert">
            {why().message} <span class="muted">{why().help}</span>
          </p>
        )}
      </Match>
      <Match when={info()}>
        {(found) => (
          <div class="context">
            <p>
              About <strong>{found().tokens}</strong> of {found().budget} tokens.
            </p>
            <table class="context-sections">
              <thead>
                <tr>
                  <th scope="col">Section</th>
                  <th scope="col" class="number">
                    May use
                  </th>
                  <th scope="col" class="number">
                    Uses
                  </th>
                  <th scope="col" class="number">
                    Shows
                  </th>
                  <th scope="col">Cut</th>
                </tr>
              </thead>
              <tbody>
                <For each={found().sections}>
                  {(section) => (
                    <tr>
                      <th scope="row">{section.name}</th>
                      <td class="number">{section.room}</td>
                      <td class="number">{section.used}</td>
                      <td class="number">{section.shown}</td>
                      <td>
                        <Cuts cut={section.cut} unseen={section.unseen} {...props} />
                      </td>
                    </tr>
                  )}
                </For>
              </tbody>
            </table>
            <form class="context-budget" onSubmit={(event) => event.preventDefault()}>
              <label>
                With a budget of{" "}
                <input
                  type="number"
                  min="1"
                  step="100"
                  value={max() ?? found().budget}
                  onChange={(event) =>
                    setMax(Math.max(1, event.currentTarget.valueAsNumber || found().budget))
                  }
                />{" "}
                tokens
              </label>
              <Show when={within()}>
                {(told) => (
                  <span class="muted">
                    this is {told().tokens} of {told().budget}
                  </span>
                )}
              </Show>
            </form>
            <Show when={preview.latest}>
              {(reply) => (
                <pre class="context-text" tabindex="0" role="region" aria-label="The context">
                  {reply().text}
                </pre>
              )}
            </Show>
            <Show when={summary.error === undefined && summary()}>
              {(text) => (
                <>
                  <h4>What its conversation was shortened to</h4>
                  <p class="prose">{text()}</p>
                </>
              )}
            </Show>
          </div>
        )}
      </Match>
    </Switch>
  );
}

const LISTED = 8;

function Cuts(props: { cut: Cut[]; unseen: number; run: RunView; content: Content }) {
  return (
    <>
      <For each={props.cut.slice(0, LISTED)}>
        {(cut) => (
          <p>
            <FrameLink id={cut.frame} run={props.run} content={props.content} />: {cut.what}{" "}
            {cut.dropped ? "left out" : "shortened"} <span class="muted">{cut.why}</span>
          </p>
        )}
      </For>
      <Show when={props.cut.length > LISTED}>
        <p class="muted">and {props.cut.length - LISTED} more</p>
      </Show>
      <Show when={props.unseen > 0}>
        <p class="muted">{plural(props.unseen, "frame")} more not looked at</p>
      </Show>
    </>
  );
}
