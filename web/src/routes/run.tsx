// A run: its chart, its frames, and about one of them its details, log and events.

import { createEffect, createMemo, createSignal, on, onCleanup, Show } from "solid-js";
import type { RunView } from "../api/types.gen.ts";
import { ApiError, getRun } from "../api/client.ts";
import { retry, stop } from "../actions.ts";
import { Chart } from "../flame/Chart.tsx";
import { Tree } from "../flame/Tree.tsx";
import { cost, isUsed, duration, moment, shortMoment, tokens, usageInFull } from "../format.ts";
import type { FrameTable } from "../model/columns.ts";
import { layOut } from "../model/layout.ts";
import type { Layout } from "../model/layout.ts";
import { glyph } from "../model/status.ts";
import { place, setQuery } from "../router.ts";
import { contentOf, loadRun, now, projects, runs, second, snapshots } from "../state.ts";
import { runKey } from "../sync/apply.ts";
import { CountsBar, Status } from "../ui/Status.tsx";
import { Panel } from "./panel.tsx";

export function RunPage(props: { project: string; run: string }) {
  const key = runKey(props.project, props.run);
  const run = (): RunView | undefined => runs[key];
  const [error, setError] = createSignal<ApiError | null>(null);
  const content = createMemo(() => {
    const found = contentOf(key);
    return found?.content.complete ? found : null;
  });
  const needed = createMemo(() => snapshots() > 0 && content() === null);

  // A run that has ended is not in the snapshot with its frames: it is asked for.
  createEffect(on([needed, snapshots], ([isNeeded]) => {
    if (!isNeeded) return;
    const abort = new AbortController();
    onCleanup(() => abort.abort());
    void load(abort.signal);
  }));

  async function load(signal: AbortSignal): Promise<void> {
    setError(null);
    try {
      // Again where the run went on while its frames were on their way.
      while (!loadRun(await getRun(props.project, props.run, signal)));
    } catch (reason) {
      if (!signal.aborted) setError(reason instanceof ApiError ? reason : new ApiError(0, String(reason), null));
    }
  }

  createEffect(() => {
    const shown = run();
    document.title = shown ? `${glyph(shown.status)} ${shown.name} · Fornax` : `${props.run} · Fornax`;
  });

  return (
    <Show
      when={run() && content()}
      fallback={
        <Show when={error()} fallback={<p class="empty muted" role="status">Loading {props.run}…</p>}>
          {(problem) => (
            <div class="empty" role="alert">
              <h1>{problem().status === 404 ? "There is no such run" : "The run could not be loaded"}</h1>
              <p>{problem().message}</p>
              <p class="muted">{problem().help}</p>
              <p><a href="/">All runs</a></p>
            </div>
          )}
        </Show>
      }
    >
      <Loaded run={run()!} content={content()!} />
    </Show>
  );
}

type Content = NonNullable<ReturnType<typeof contentOf>>;

function Loaded(props: { run: RunView; content: Content }) {
  let panel!: HTMLElement;
  const frames = (): FrameTable => props.content.content.frames;
  const layout = throttledLayout(() => props.content);
  const isLive = () => props.run.ended_ms === null;
  const end = () => props.run.ended_ms ?? now();
  const selected = createMemo(() => {
    const wanted = place().query.get("frame");
    return wanted !== null && frames().row(wanted) !== undefined ? wanted : null;
  });
  const select = (frame: string | null) => setQuery("frame", frame);
  const open = () => panel.querySelector<HTMLElement>("[role=tab][aria-selected=true]")?.focus();

  return (
    <div class="run">
      <RunHeader run={props.run} />
      <Chart frames={frames()} layout={layout()} live={isLive()} now={end} selected={selected()} onSelect={select} onOpen={open} />
      <div class="below">
        <Tree frames={frames()} layout={layout()} now_ms={isLive() ? second() : end()} selected={selected()} onSelect={select} onOpen={open} />
        <Panel ref={(element) => (panel = element)} run={props.run} content={props.content} selected={selected()} />
      </div>
    </div>
  );
}

/** A layout takes time with the number of frames; it is made at most for a tenth of the time. */
function throttledLayout(content: () => Content): () => Layout {
  const [layout, setLayout] = createSignal(layOut(content().content.frames));
  let timer: ReturnType<typeof setTimeout> | undefined;
  let idleUntil = 0;
  const make = () => {
    timer = undefined;
    const began = performance.now();
    setLayout(layOut(content().content.frames));
    idleUntil = performance.now() + (performance.now() - began) * 9;
  };
  createEffect(on(content, (_, before) => {
    const wait_ms = idleUntil - performance.now();
    if (wait_ms <= 4 || before === undefined) make();
    else timer ??= setTimeout(make, wait_ms);
  }, { defer: true }));
  onCleanup(() => clearTimeout(timer));
  return layout;
}

function RunHeader(props: { run: RunView }) {
  const run = () => props.run;
  const isOpen = () => run().ended_ms === null;
  return (
    <header class="run-head">
      <div class="run-title">
        <h1>{run().name}</h1>
        <Status status={run().status} />
        <span class="mono elapsed" title={`Started ${moment(run().started_ms)}`}>
          {duration((run().ended_ms ?? second()) - run().started_ms)}
        </span>
        <CountsBar counts={run().counts} />
        <span class="spacer" />
        <Show when={isOpen()}>
          <button disabled={run().status === "stopping"} onClick={() => void stop(run().project, run().id, run().name)}>
            <span aria-hidden="true">◼</span> {run().status === "stopping" ? "Stopping" : "Stop"}
          </button>
        </Show>
        <Show when={!isOpen() && run().status !== "completed"}>
          <button class="primary" onClick={() => void retry(run().project, run().id)} title="Do again what did not succeed">↻ Retry</button>
        </Show>
      </div>
      <p class="run-facts muted">
        <a href="/">Runs</a> <span aria-hidden="true">›</span> <a href={`/?project=${encodeURIComponent(run().project)}`}>{projects[run().project]?.name ?? run().project}</a>
        <span class="mono">{run().id}</span>
        <Show when={run().plan}>{(plan) => <span class="mono">{plan()}</span>}</Show>
        <span>started {shortMoment(run().started_ms, second())}</span>
        <Show when={isUsed(run().usage)}>
          <span class="number" title={usageInFull(run().usage)}>{tokens(run().usage)} tokens {cost(run().usage) ?? ""}</span>
        </Show>
        <Show when={isOpen()}><span>{run().tasks_running} running, {run().tasks_queued} queued</span></Show>
      </p>
      <Show when={run().reason}>{(reason) => <p class="run-why">{reason()}</p>}</Show>
    </header>
  );
}
