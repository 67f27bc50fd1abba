// What is always in sight of a run: its name, how it stands, what it cost, what can be done with it.

import { Show } from "solid-js";
import type { JSX } from "solid-js";
import type { RunView } from "../api/types.gen.ts";
import { ActionButton } from "../actions/Button.tsx";
import { perform } from "../actions/action.ts";
import { ACCEPT_RUN, PAUSE_RUN, RETRY_RUN, STOP_RUN, UNPAUSE_RUN } from "../actions/run.ts";
import { cost, duration, isUsed, moment, shortMoment, tokens, usageInFull } from "../format.ts";
import { endOf, isReadOnly, ownReason } from "../model/origin.ts";
import { standing } from "../model/status.ts";
import { projects, second } from "../state.ts";
import { CountsBar, ReadOnlyMark, Status } from "../ui/Status.tsx";

interface Props {
  run: RunView;
  /** For a run of a file, the moment up to which it tells: nothing can be done with such a run. */
  asOf_ms: number | null;
  /** What else can be done. */
  children: JSX.Element;
}

export function RunHeader(props: Props) {
  const run = () => props.run;
  const isOpen = () => run().ended_ms === null && !isReadOnly(run());
  const took = () => {
    const end_ms = run().ended_ms ?? props.asOf_ms ?? endOf(run(), second());
    return end_ms === null ? null : duration(end_ms - run().started_ms);
  };
  const isFile = () => props.asOf_ms !== null;
  return (
    <header class="run-head">
      <div class="run-title">
        <h1>{run().name}</h1>
        <Status status={standing(run())} />
        <ReadOnlyMark run={run()} />
        <Show when={took()}>
          {(length) => (
            <span class="mono elapsed" title={`Started ${moment(run().started_ms)}`}>
              {length()}
            </span>
          )}
        </Show>
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
          <StopButton run={run()} />
        </Show>
        <Show when={isReadOnly(run()) && !isFile()}>
          <Show when={run().tasks_running > 0}>
            <StopButton run={run()} />
          </Show>
          <ActionButton action={ACCEPT_RUN} subject={{ run: run() }} />
        </Show>
        <Show
          when={
            run().ended_ms !== null &&
            !isReadOnly(run()) &&
            !isFile() &&
            run().status !== "completed"
          }
        >
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
        <Show when={run().ended_ms === null}>
          <span>
            {run().tasks_running} running, {run().tasks_queued} queued
          </span>
        </Show>
      </p>
      <Show when={run().foreign}>
        {(why) => (
          <p class="run-why">
            Read-only: {why()}. Nothing of it is executed or changed before you accept it.
          </p>
        )}
      </Show>
      <Show when={ownReason(run())}>{(reason) => <p class="run-why">{reason()}</p>}</Show>
    </header>
  );
}

function StopButton(props: { run: RunView }) {
  const isStopping = () => props.run.status === "stopping";
  return (
    <button disabled={isStopping()} onClick={() => void perform(STOP_RUN, { run: props.run })}>
      <span aria-hidden="true">◼</span> {isStopping() ? "Stopping" : "Stop"}
    </button>
  );
}
