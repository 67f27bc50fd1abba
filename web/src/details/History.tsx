// What became of a frame: each status it had, and how its time went.

import { createMemo, For, Show } from "solid-js";
import type { Doing, FrameDetail, FrameView } from "../api/types.gen.ts";
import { duration, moment, shortMoment } from "../format.ts";
import { second } from "../state.ts";
import { Status } from "../ui/Status.tsx";
import { Section } from "./parts.tsx";
import { times } from "./times.ts";

export function History(props: { detail: FrameDetail }) {
  const steps = () => props.detail.status_history;
  return (
    <Section title="History">
      <ol class="history">
        <For each={steps()}>
          {(step, i) => (
            <li>
              <Status status={step.status} />
              <time class="muted" title={moment(step.at_ms)}>
                {shortMoment(step.at_ms, second())}
              </time>
              <span class="muted number">
                {i() + 1 < steps().length ? duration(steps()[i() + 1]!.at_ms - step.at_ms) : ""}
              </span>
              <Show when={step.reason}>
                {(reason) => <span class="history-reason">{reason()}</span>}
              </Show>
            </li>
          )}
        </For>
      </ol>
    </Section>
  );
}

const DOING: Record<Doing, string> = {
  working: "worked on",
  waiting: "waited for a human",
  queued: "waited for a slot",
  blocked: "blocked",
  paused: "paused",
};

export function Times(props: { frame: FrameView }) {
  const shown = createMemo(() => times(props.frame, props.frame.ended_ms ?? second()));
  return (
    <Show when={shown().length > 0}>
      <Section title="Its time">
        <dl class="facts">
          <For each={shown()}>
            {([doing, ms]) => (
              <>
                <dt>{DOING[doing]}</dt>
                <dd class="number">{duration(ms)}</dd>
              </>
            )}
          </For>
        </dl>
      </Section>
    </Show>
  );
}
