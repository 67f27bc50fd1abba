// What is always in sight of a run: its name, how it stands, what it cost, what can be done with it.

import { Show } from "solid-js";
import type { JSX } from "solid-js";
import type { RunView } from "../api/types.gen.ts";
import { ActionButton } from "../actions/Button.tsx";
import { perform } from "../actions/action.ts";
import { PAUSE_RUN, RETRY_RUN, STOP_RUN, UNPAUSE_RUN } from "../actions/run.ts";
import { cost, duration, isUsed, moment, shortMoment, tokens, usageInFull } from "../format.ts";
import { standing } from "../model/status.ts";
import { projects, second } from "../state.ts";
import { CountsBar, Status } from "../ui/Status.tsx";

interface Props {
  run: RunView;
  /** For a run of a file, the moment up to which it tells: nothing can be done with such a run. */
  asOf_ms: number | null;
  /** What else can be done. */
  children: JSX.Element;
}

export function RunHeader(props: Props) {
  const run = () => props.run;
  const isOpen = () => run().ended_ms === null;
  const isFile = () => props.asOf_ms !== null;
  return (
    <header class="run-head">
      <div class="run-title">
        <h1>{run().name}</h1>
        <Status status={standing(run())} />
        <span class="mono elapsed" title={`Started ${moment(run().started_ms)}`}>
          {duration((run().ended_ms ?? props.asOf_ms ?? second()) - run().started_ms)}
        </span>
        <CountsBar counts={run().counts} />
        <span class="spacer" />
        {props.children}
        <Show when={isOpen() && !isFile()}>
          <Show when={run().status !== "stopping"}>
            <ActionButton
              action={run().paused ? UNPAUSE_RUN : PAUSE_RUN}
              subject={{ run: run() }}
            />
          </Show>
          <button
            disabled={run().status === "stopping"}
            onClick={() => void perform(STOP_RUN, { run: run() })}
          >
            <span aria-hidden="true">◼</span> {run().status === "stopping" ? "Stopping" : "Stop"}
          </button>
        </Show>
        <Show when={!isOpen() && !isFile() && run().status !== "completed"}>
          <button
            class="primary"
            onClick={() => void perform(RETRY_RUN, { run: run() })}
            title="Do again what did not succeed"
          >
            ↻ Retry
          </button>
        </Show>
      </div>
      <p class="run-facts muted">
        <Show when={!isFile()}>
          <a href="/">Runs</a> <span aria-hidden="true">›</span>{" "}
          <a href={`/?project=${encodeURIComponent(run().project)}`}>
            {projects[run().project]?.name ?? run().project}
          </a>
        </Show>
        <span class="mono">{run().id}</span>
        <Show when={run().plan}>{(plan) => <span class="mono">{plan()}</span>}</Show>
        <span>started {shortMoment(run().started_ms, second())}</span>
        <Show when={isUsed(run().usage)}>
          <span class="number" title={usageInFull(run().usage)}>
            {tokens(run().usage)} tokens {cost(run().usage) ?? ""}
          </span>
        </Show>
        <Show when={isOpen()}>
          <span>
            {run().tasks_running} running, {run().tasks_queued} queued
          </span>
        </Show>
      </p>
      <Show when={run().reason}>{(reason) => <p class="run-why">{reason()}</p>}</Show>
    </header>
  );
}
