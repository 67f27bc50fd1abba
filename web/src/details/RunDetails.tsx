// What matters about a run: what went wrong, what waits, what goes on; and the facts.

import { For, Show } from "solid-js";
import type { FrameStatus, RunView } from "../api/types.gen.ts";
import { ActionMenu } from "../actions/Menu.tsx";
import { RUN_ACTIONS } from "../actions/run.ts";
import { duration, moment, plural } from "../format.ts";
import type { FrameTable } from "../model/columns.ts";
import { endOf } from "../model/origin.ts";
import { FRAME_STATUSES } from "../model/status.ts";
import { sparing } from "../sparing.ts";
import { second } from "../state.ts";
import { Frames, FrameLink, Used } from "./parts.tsx";
import type { Content } from "./parts.tsx";

const OF_NOTE: readonly [FrameStatus, string][] = [
  ["failed", "Failed"],
  ["blocked", "Blocked"],
  ["in_progress", "Running now"],
];

export function RunDetails(props: { run: RunView; content: Content }) {
  const ofNote = sparing(
    () => props.content,
    ({ content: { frames } }) => OF_NOTE.map(([status]) => framesThatAre(status, frames)),
    () => [props.content.content],
  );
  const isQuiet = () => ofNote().every((ids) => ids.length === 0);
  return (
    <div class="details">
      <header class="details-head">
        <h2 class="unseen">About the run</h2>
        <Show when={isQuiet()} fallback={<span class="spacer" />}>
          <p class="muted details-quiet">
            {props.run.status === "completed"
              ? `All ${plural(props.run.counts.completed, "frame")} completed. Choose one to see what came of it.`
              : "Choose a frame to see all about it."}
          </p>
        </Show>
        <ActionMenu
          subject={{ run: props.run }}
          actions={RUN_ACTIONS}
          main={[]}
          name="Actions on the run"
        />
      </header>
      <div class="of-note">
        <For each={OF_NOTE}>
          {([, title], i) => (
            <Show when={ofNote()[i()]!.length > 0}>
              <Frames
                title={title}
                ids={ofNote()[i()]!}
                run={props.run}
                content={props.content}
                why
              />
            </Show>
          )}
        </For>
        <Facts {...props} />
      </div>
    </div>
  );
}

/** The ids of frames with a status, without those that only hold others. */
function framesThatAre(status: FrameStatus, frames: FrameTable): string[] {
  const code = FRAME_STATUSES.indexOf(status);
  const found: string[] = [];
  for (let row = 0; row < frames.length; row++) {
    if (frames.status.codes[row] === code && frames.group.bits[row] === 0)
      found.push(frames.id.get(row));
  }
  return found;
}

function Facts(props: { run: RunView; content: Content }) {
  const run = () => props.run;
  const took = () => {
    const end_ms = endOf(run(), second());
    return end_ms === null ? "not known" : duration(end_ms - run().started_ms);
  };
  return (
    <section>
      <h3>The run</h3>
      <dl class="facts">
        <dt>started</dt>
        <dd>{moment(run().started_ms)}</dd>
        <Show when={run().ended_ms}>
          {(ended) => (
            <>
              <dt>ended</dt>
              <dd>{moment(ended())}</dd>
            </>
          )}
        </Show>
        <dt>took</dt>
        <dd>{took()}</dd>
        <Show when={run().plan}>
          {(plan) => (
            <>
              <dt>plan</dt>
              <dd class="mono">{plan()}</dd>
            </>
          )}
        </Show>
        <dt>usage</dt>
        <dd>
          <Used usage={run().usage} />
        </dd>
        <dt>all about it</dt>
        <dd>
          <FrameLink id={run().root} run={run()} content={props.content} />
        </dd>
      </dl>
    </section>
  );
}
