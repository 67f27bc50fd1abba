// All runs, newest first.

import { createMemo, createSignal, For, Show } from "solid-js";
import type { RunView } from "../api/types.gen.ts";
import { getRuns } from "../api/client.ts";
import { perform } from "../actions/action.ts";
import { RUN_PLAN, RUN_TASK } from "../actions/run.ts";
import { cost, duration, isUsed, moment, shortMoment, tokens, usageInFull } from "../format.ts";
import { endOf, ownReason } from "../model/origin.ts";
import { standing } from "../model/status.ts";
import { chosenProject } from "../project.ts";
import { comparePath, runPath } from "../paths.ts";
import { projects, runs, second, snapshots } from "../state.ts";
import { isOpen, runKey } from "../sync/apply.ts";
import { CountsBar, ReadOnlyMark, Status } from "../ui/Status.tsx";
import { Asking } from "../ui/Empty.tsx";
import { useTitle } from "../ui/title.ts";
import { tellFailed } from "../ui/Toast.tsx";

/** Runs that were asked for because the snapshot did not reach so far back. They have ended. */
const [older, setOlder] = createSignal<ReadonlyMap<string, RunView>>(new Map());
/** Projects of which all runs are here. */
const [complete, setComplete] = createSignal<ReadonlySet<string>>(new Set());

export function RunsPage() {
  const project = chosenProject;
  useTitle(() => "");
  const [loading, setLoading] = createSignal(false);
  const shown = createMemo(() => {
    const all = new Map(older());
    for (const run of Object.values(runs)) all.set(runKey(run.project, run.id), run);
    const wanted = [...all.values()].filter(
      (run) => project() === null || run.project === project(),
    );
    return wanted.sort((a, b) => b.started_ms - a.started_ms || (a.id < b.id ? 1 : -1));
  });
  /** Runs to compare. */
  const [chosen, setChosen] = createSignal<ReadonlySet<string>>(new Set());
  const compared = () => shown().filter((run) => chosen().has(keyOf(run)));
  const choose = (run: RunView, isChosen: boolean) => {
    setChosen((before) => {
      const after = new Set(before);
      after[isChosen ? "add" : "delete"](keyOf(run));
      return after;
    });
  };
  const going = () => shown().filter(isOpen).length;
  const unfinished = () => {
    const asked = project() === null ? Object.keys(projects) : [project()!];
    return asked.filter((id) => !complete().has(id));
  };

  async function loadMore(): Promise<void> {
    setLoading(true);
    try {
      const asked = unfinished();
      const pages = await Promise.all(
        asked.map((id) => {
          const oldest = shown().findLast((run) => run.project === id);
          return getRuns(id, oldest?.id ?? null);
        }),
      );
      setOlder((before) => {
        const all = new Map(before);
        for (const run of pages.flatMap((page) => page.runs))
          all.set(runKey(run.project, run.id), run);
        return all;
      });
      setComplete((before) => new Set([...before, ...asked.filter((_, i) => !pages[i]!.more)]));
    } catch (error) {
      tellFailed(error);
    } finally {
      setLoading(false);
    }
  }

  return (
    <Show when={snapshots() > 0} fallback={<Asking />}>
      <div class="runs">
        <Problems />
        <div class="runs-start">
          <button onClick={() => void perform(RUN_PLAN, project())}>Run a plan</button>
          <button onClick={() => void perform(RUN_TASK, project())}>Run a task</button>
        </div>
        <Show when={shown().length > 0} fallback={<NoRuns />}>
          <div class="page-head">
            <h1>Runs</h1>
            <span class="muted">{going() === 0 ? "nothing runs now" : `${going()} going on`}</span>
            <span class="spacer" />
            <a class="quiet" href="/import">
              Open an exported run
            </a>
          </div>
          <table>
            <caption class="unseen">Runs, newest first</caption>
            <thead>
              <tr>
                <th scope="col" class="choose wide-only">
                  <span class="unseen">Compare</span>
                </th>
                <th scope="col">Status</th>
                <th scope="col">Run</th>
                <th scope="col" class="wide-only">
                  Project
                </th>
                <th scope="col">Frames</th>
                <th scope="col" class="wide-only">
                  Started
                </th>
                <th scope="col" class="number">
                  Took
                </th>
                <th scope="col" class="number wide-only">
                  Cost
                </th>
              </tr>
            </thead>
            <tbody>
              <For each={shown()}>
                {(run) => (
                  <RunRow
                    run={run}
                    chosen={chosen().has(keyOf(run))}
                    onChoose={(isChosen) => choose(run, isChosen)}
                  />
                )}
              </For>
            </tbody>
          </table>
          <Show when={compared().length > 0}>
            <p class="runs-chosen">
              <a class="button" href={comparePath(compared())}>
                {compared().length === 1
                  ? "Compare with another"
                  : `Compare ${compared().length} runs`}
              </a>
              <button class="quiet" onClick={() => setChosen(new Set<string>())}>
                Choose none
              </button>
            </p>
          </Show>
          <Show when={unfinished().length > 0}>
            <button class="more" disabled={loading()} onClick={() => void loadMore()}>
              {loading() ? "Loading…" : "Load more"}
            </button>
          </Show>
        </Show>
      </div>
    </Show>
  );
}

function keyOf(run: RunView): string {
  return runKey(run.project, run.id);
}

function RunRow(props: { run: RunView; chosen: boolean; onChoose(chosen: boolean): void }) {
  const run = () => props.run;
  const took = () => {
    const end_ms = endOf(run(), second());
    return end_ms === null ? "" : duration(end_ms - run().started_ms);
  };
  return (
    <tr>
      <td class="choose wide-only">
        <input
          type="checkbox"
          aria-label={`Compare ${run().name}, ${run().id}`}
          checked={props.chosen}
          onChange={(event) => props.onChoose(event.currentTarget.checked)}
        />
      </td>
      <td>
        <Status status={standing(run())} />
      </td>
      <td class="run-name">
        <a href={runPath(run().project, run().id)}>{run().name}</a>
        <span class="mono muted">{run().id}</span>
        <ReadOnlyMark run={run()} />
        <Show when={ownReason(run()) ?? run().foreign}>
          {(reason) => <span class="run-reason">{reason()}</span>}
        </Show>
      </td>
      <td class="wide-only muted">{projects[run().project]?.name ?? run().project}</td>
      <td>
        <CountsBar counts={run().counts} />
      </td>
      <td class="wide-only muted">
        <time title={moment(run().started_ms)}>{shortMoment(run().started_ms, second())}</time>
      </td>
      <td class="number">{took()}</td>
      <td
        class="number wide-only muted"
        title={
          isUsed(run().usage) ? `${tokens(run().usage)} tokens: ${usageInFull(run().usage)}` : ""
        }
      >
        {cost(run().usage) ?? ""}
      </td>
    </tr>
  );
}

function Problems() {
  const troubled = () => Object.values(projects).filter((project) => project.problem !== null);
  return (
    <For each={troubled()}>
      {(project) => (
        <p class="notice" role="alert">
          <strong>{project.name}</strong> cannot go on: <span>{project.problem}</span>
        </p>
      )}
    </For>
  );
}

function NoRuns() {
  return (
    <div class="empty">
      <h1>Nothing has run yet</h1>
      <p>In a project, run</p>
      <pre>fornax run PLAN.yaml</pre>
      <p class="muted">It appears here the moment it starts.</p>
    </div>
  );
}
