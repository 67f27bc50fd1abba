// All about a frame, or what matters about a run.

import { createEffect, createMemo, createSignal, For, on, onCleanup, Show } from "solid-js";
import type { Artifact, Checkpoint, FrameDetail, FrameStatus, RunView, TaskView } from "../api/types.gen.ts";
import { ApiError, address, getFrame } from "../api/client.ts";
import { answer, decide, interrupt, retry, retryFrom, stop, tell, undo } from "../actions.ts";
import { bytes, cost, duration, isUsed, moment, plural, shortMoment, tokens, usageInFull } from "../format.ts";
import type { FrameTable } from "../model/columns.ts";
import { FRAME_STATUSES } from "../model/status.ts";
import type { StatusCode } from "../model/status.ts";
import { runPath } from "../router.ts";
import { second } from "../state.ts";
import type { RunContent } from "../sync/apply.ts";
import { Status } from "../ui/Status.tsx";

type Content = { content: RunContent; version: number };

/** Changes that follow one another so closely are asked about once. */
const SETTLE_MS = 120;

export function FrameDetails(props: { run: RunView; content: Content; frame: string; onLog(task: string): void }) {
  const [detail, setDetail] = createSignal<FrameDetail | null>(null);
  const [error, setError] = createSignal<ApiError | null>(null);
  /** What of the frame and its tasks is here already: asked again when that changes. */
  const known = createMemo(() => {
    const { frames, tasks } = props.content.content;
    const row = frames.row(props.frame);
    const task = row === undefined ? null : frames.task.get(row);
    const taskRow = task === null ? undefined : tasks.row(task);
    return JSON.stringify([row === undefined ? null : frames.get(row), taskRow === undefined ? null : tasks.get(taskRow)]);
  });

  createEffect(on(known, (_, before) => {
    const abort = new AbortController();
    const timer = setTimeout(() => void load(abort.signal), before === undefined ? 0 : SETTLE_MS);
    onCleanup(() => {
      clearTimeout(timer);
      abort.abort();
    });
  }));

  async function load(signal: AbortSignal): Promise<void> {
    try {
      setDetail(await getFrame(props.run.project, props.frame, signal));
      setError(null);
    } catch (reason) {
      if (!signal.aborted) setError(reason instanceof ApiError ? reason : new ApiError(0, String(reason), null));
    }
  }

  return (
    <Show
      when={detail()}
      fallback={<Show when={error()} fallback={<p class="hint">Loading…</p>}>{(problem) => <p class="hint" role="alert">{problem().message} {problem().help}</p>}</Show>}
    >
      {(found) => <Frame {...props} detail={found()} />}
    </Show>
  );
}

function Frame(props: { run: RunView; content: Content; detail: FrameDetail; onLog(task: string): void }) {
  const frame = () => props.detail.frame;
  const isGoing = () => frame().status === "in_progress";
  const canRetry = () => ["failed", "blocked", "invalidated"].includes(frame().status);
  const facts = () => [frame().tool, frame().phase, frame().agent_role].filter((fact) => fact !== null);
  return (
    <article class="details">
      <header class="details-head">
        <div>
          <h2>{frame().title}</h2>
          <p class="muted">
            <Status status={frame().status} label={frame().skipped ? "skipped" : undefined} />{" "}
            <span class="mono">{frame().id}</span> <Show when={!frame().key.endsWith(frame().id)}><span class="mono">{frame().key}</span></Show> {facts().join(" · ")}
          </p>
        </div>
        <span class="spacer" />
        <div class="actions">
          <Show when={isGoing() && props.run.ended_ms === null}>
            <button onClick={() => void stop(props.run.project, frame().id, frame().title)}><span aria-hidden="true">◼</span> Stop</button>
          </Show>
          <Show when={canRetry()}>
            <button class="primary" onClick={() => void retry(props.run.project, frame().id)}>↻ Retry</button>
          </Show>
          <Show when={frame().status === "completed" || canRetry()}>
            <button title="Do this frame and all that depends on it again" onClick={() => void retryFrom(props.run.project, props.run.id, frame().id)}>
              Retry from here
            </button>
          </Show>
        </div>
      </header>
      <Show when={frame().reason}>{(reason) => <p class={`why why-${frame().status}`}>{reason()}</p>}</Show>
      <For each={frame().asks}>{(asked) => <Question project={props.run.project} asked={asked} />}</For>
      <Show when={frame().advice}>{(advice) => <p class="hint" role="note">{advice()}</p>}</Show>
      <div class="details-columns">
        <div>
          <Show when={props.detail.goal !== ""}><Text title="Goal" text={props.detail.goal} /></Show>
          <Show when={props.detail.success_criteria}>{(criteria) => <Text title="It is done when" text={criteria()} />}</Show>
          <Show when={props.detail.results !== ""}><Text title={props.detail.stale ? "Results (stale: what they were built on was dropped)" : "Results"} text={props.detail.results} /></Show>
          <Show when={props.detail.results_compact !== ""}><Text title="In short" text={props.detail.results_compact} /></Show>
          <Show when={props.detail.decisions.length > 0}><Decisions project={props.run.project} detail={props.detail} /></Show>
          <Show when={props.detail.artifacts.length > 0}>
            <Artifacts project={props.run.project} artifacts={props.detail.artifacts} />
          </Show>
          <Show when={props.detail.tasks.length > 0}><Tasks project={props.run.project} tasks={props.detail.tasks} onLog={props.onLog} /></Show>
        </div>
        <div>
          <History detail={props.detail} />
          <Frames title="Waits for" ids={frame().depends_on} run={props.run} content={props.content} />
          <Frames title="Waited for by" ids={props.detail.dependants} run={props.run} content={props.content} />
          <Frames title="Within it" ids={props.detail.children} run={props.run} content={props.content} />
        </div>
      </div>
    </article>
  );
}

/** What is asked of a human in a frame: one of its options is chosen, or any text given. */
function Question(props: { project: string; asked: Checkpoint }) {
  const [text, setText] = createSignal("");
  const give = (event: SubmitEvent) => {
    event.preventDefault();
    if (text().trim() !== "") void answer(props.project, props.asked.id, text());
  };
  return (
    <div class="question" role="group" aria-label="A question">
      <p>{props.asked.question}</p>
      <Show
        when={props.asked.options}
        fallback={
          <form class="tell" onSubmit={give}>
            <label>Answer<input value={text()} onInput={(event) => setText(event.currentTarget.value)} /></label>
            <button type="submit" class="primary" disabled={text().trim() === ""}>Answer</button>
          </form>
        }
      >
        {(options) => <For each={options()}>{(option) => <button onClick={() => void answer(props.project, props.asked.id, option)}>{option}</button>}</For>}
      </Show>
    </div>
  );
}

function Decisions(props: { project: string; detail: FrameDetail }) {
  /** The last act that can be undone. */
  const undoable = () => props.detail.decisions.findLastIndex((decision) => decision.by_itself !== undefined && decision.by_itself !== null);
  return (
    <section>
      <h3>Decisions</h3>
      <ul class="artifacts">
        <For each={props.detail.decisions}>
          {(decision, i) => (
            <li>
              <span>{decision.decision}</span>
              <Show when={decision.reason}>{(reason) => <span class="muted">{reason()}</span>}</Show>
              <Show when={i() === undoable()}>
                <button class="link" onClick={() => void undo(props.project, props.detail.frame.id)}>undo</button>
              </Show>
            </li>
          )}
        </For>
      </ul>
    </section>
  );
}

function Text(props: { title: string; text: string }) {
  return (
    <section>
      <h3>{props.title}</h3>
      <p class="prose">{props.text}</p>
    </section>
  );
}

function History(props: { detail: FrameDetail }) {
  const steps = () => props.detail.status_history;
  return (
    <section>
      <h3>History</h3>
      <ol class="history">
        <For each={steps()}>
          {(step, i) => (
            <li>
              <Status status={step.status} />
              <time class="muted" title={moment(step.at_ms)}>{shortMoment(step.at_ms, second())}</time>
              <span class="muted number">{i() + 1 < steps().length ? duration(steps()[i() + 1]!.at_ms - step.at_ms) : ""}</span>
              <Show when={step.reason}>{(reason) => <span class="history-reason">{reason()}</span>}</Show>
            </li>
          )}
        </For>
      </ol>
    </section>
  );
}

function Tasks(props: { project: string; tasks: TaskView[]; onLog(task: string): void }) {
  return (
    <section>
      <h3>{props.tasks.length === 1 ? "Task" : `Tasks (${props.tasks.length} attempts)`}</h3>
      <ol class="tasks">
        <For each={props.tasks}>{(task) => <Task project={props.project} task={task} onLog={props.onLog} />}</For>
      </ol>
    </section>
  );
}

function Task(props: { project: string; task: TaskView; onLog(task: string): void }) {
  const task = () => props.task;
  const ended = () => {
    if (task().exit_code !== null) return `exit ${task().exit_code}`;
    return task().signal === null ? null : `signal ${task().signal}`;
  };
  const waits = () => (task().state === "queued" && task().due_ms !== null ? `starts at ${shortMoment(task().due_ms!, second())}` : null);
  const took = () => (task().started_ms === null ? null : duration((task().ended_ms ?? second()) - task().started_ms!));
  return (
    <li>
      <span class="muted">{task().attempt}.</span>
      <Status status={task().state} label={task().stopping && task().ended_ms === null ? "stopping" : undefined} />
      <span class="mono muted">{task().id}</span>
      <span class="muted">{[task().tool, took(), ended(), waits()].filter((fact) => fact !== null).join(" · ")}</span>
      <Show when={task().error_class}>{(kind) => <code class="error-class">{kind()}</code>}</Show>
      <Show when={task().started_ms !== null}><button class="link" onClick={() => props.onLog(task().id)}>log</button></Show>
      <Show when={task().error}>{(error) => <p class="task-error">{error()}</p>}</Show>
      <Show when={task().driver !== null}><Agent project={props.project} task={task()} /></Show>
    </li>
  );
}

/** What is known of a task's agent, and what it can be told. */
function Agent(props: { project: string; task: TaskView }) {
  const task = () => props.task;
  const works = () => task().state === "running" && !task().stopping;
  const facts = () => [task().model, task().turns > 0 ? plural(task().turns, "turn") : null, task().session].filter((fact) => fact !== null);
  return (
    <div class="agent">
      <p class="muted">
        {facts().join(" · ")}
        <Show when={isUsed(task().usage) && task().usage}>
          {(usage) => <span class="number" title={usageInFull(usage())}> · {tokens(usage())} tokens {cost(usage()) ?? ""}</span>}
        </Show>
      </p>
      <Show when={works() && task().step}>{(step) => <p class="agent-step">{step()}</p>}</Show>
      <For each={works() ? task().waits : []}>
        {(wait) => (
          <div class="question" role="group" aria-label={`Permission for ${wait.tool}`}>
            <p>It asks to use <strong>{wait.tool}</strong>: <code>{wait.title}</code></p>
            <button class="primary" onClick={() => void decide(props.project, task().id, wait.id, "allow")}>Allow</button>
            <button onClick={() => void decide(props.project, task().id, wait.id, "always")}>Always</button>
            <button onClick={() => void decide(props.project, task().id, wait.id, "deny")}>Deny</button>
          </div>
        )}
      </For>
      <Show when={works() && CONVERSING.includes(task().driver ?? "")}><Tell project={props.project} task={task()} /></Show>
    </div>
  );
}

/** Drivers whose agents can be told something while they work. */
const CONVERSING: readonly string[] = ["opencode", "claude", "codex", "acp"];

function Tell(props: { project: string; task: TaskView }) {
  const [text, setText] = createSignal("");
  const send = (event: SubmitEvent) => {
    event.preventDefault();
    if (text().trim() === "") return;
    void tell(props.project, props.task.id, text()).then(() => setText(""));
  };
  return (
    <form class="tell" onSubmit={send}>
      <label>
        {props.task.idle ? "It was interrupted and waits to be told something" : "Tell it after this turn"}
        <input value={text()} onInput={(event) => setText(event.currentTarget.value)} />
      </label>
      <button type="submit" disabled={text().trim() === ""}>Tell</button>
      <Show when={!props.task.idle}>
        <button type="button" onClick={() => void interrupt(props.project, props.task.id)}>Interrupt</button>
      </Show>
    </form>
  );
}

function Artifacts(props: { project: string; artifacts: Artifact[] }) {
  /** Kept copies are at `tasks/TASK/artifacts/NAME` in the run's folder. */
  const link = (artifact: Artifact) => {
    const [, task, name] = /^tasks\/([^/]+)\/artifacts\/(.+)$/.exec(artifact.copy ?? "") ?? [];
    return task === undefined || name === undefined ? null : address(["tasks", task, "artifacts", name], { project: props.project });
  };
  return (
    <section>
      <h3>Artifacts</h3>
      <ul class="artifacts">
        <For each={props.artifacts}>
          {(artifact) => (
            <li>
              <Show when={link(artifact)} fallback={<span class="mono">{artifact.path}</span>}>
                {(url) => <a class="mono" href={url()} download="">{artifact.path}</a>}
              </Show>
              <span class="muted">{bytes(artifact.bytes)}</span>
              <Show when={link(artifact) === null}><span class="muted">no copy kept</span></Show>
            </li>
          )}
        </For>
      </ul>
    </section>
  );
}

const LISTED = 12;

/** Frames as links; of very many, the first ones. */
function Frames(props: { title: string; ids: readonly string[]; run: RunView; content: Content }) {
  const [all, setAll] = createSignal(false);
  const shown = () => (all() ? props.ids : props.ids.slice(0, LISTED));
  return (
    <Show when={props.ids.length > 0}>
      <section>
        <h3>{props.title}</h3>
        <ul class="frames">
          <For each={shown()}>{(id) => <li><FrameLink id={id} run={props.run} content={props.content} /></li>}</For>
        </ul>
        <Show when={!all() && props.ids.length > LISTED}>
          <button class="link" onClick={() => setAll(true)}>{props.ids.length - LISTED} more</button>
        </Show>
      </section>
    </Show>
  );
}

function FrameLink(props: { id: string; run: RunView; content: Content; why?: boolean }) {
  const frame = createMemo(() => {
    const { frames } = props.content.content;
    const row = frames.row(props.id);
    return row === undefined ? null : frames.get(row);
  });
  return (
    <Show when={frame()} fallback={<span class="mono">{props.id}</span>}>
      {(found) => (
        <>
          <a href={runPath(props.run.project, props.run.id, props.id)}>
            <Status status={found().status} label="" /> {found().title}
          </a>
          <Show when={props.why && found().reason}>{(reason) => <span class="frame-reason">{reason()}</span>}</Show>
        </>
      )}
    </Show>
  );
}

const OF_NOTE: readonly [FrameStatus, string][] = [
  ["failed", "Failed"],
  ["blocked", "Blocked"],
  ["in_progress", "Running now"],
];

/** What one wants to know first: what went wrong, what waits, what goes on. */
export function RunDetails(props: { run: RunView; content: Content }) {
  const byStatus = createMemo(() => {
    void props.content.version;
    return new Map(OF_NOTE.map(([status]) => [status, ofStatus(props.content.content.frames, FRAME_STATUSES.indexOf(status))]));
  });
  const found = (status: FrameStatus) => (byStatus().get(status)!.count > 0 ? byStatus().get(status) : undefined);
  const isQuiet = () => OF_NOTE.every(([status]) => !found(status));
  return (
    <div class="details">
      <Show when={isQuiet()}>
        <p class="hint">
          {props.run.status === "completed"
            ? `All ${plural(props.run.counts.completed, "frame")} completed. Choose one to see what came of it.`
            : "Choose a frame to see all about it."}
        </p>
      </Show>
      <div class="of-note">
        <For each={OF_NOTE}>
          {([status, title]) => (
            <Show when={found(status)}>
              {(some) => (
                <section>
                  <h3>{title} <span class="muted">{some().count}</span></h3>
                  <ul class="frames tall">
                    <For each={some().first}>{(id) => <li><FrameLink id={id} run={props.run} content={props.content} why /></li>}</For>
                  </ul>
                  <Show when={some().count > LISTED}><p class="muted">and {some().count - LISTED} more</p></Show>
                </section>
              )}
            </Show>
          )}
        </For>
      </div>
    </div>
  );
}

/** How many frames have a status, and the first of them; those that only hold others aside. */
function ofStatus(frames: FrameTable, status: StatusCode): { count: number; first: string[] } {
  const { codes } = frames.status;
  const first: string[] = [];
  let count = 0;
  for (let row = 0; row < frames.length; row++) {
    if (codes[row] !== status || frames.group.bits[row] === 1) continue;
    if (count < LISTED) first.push(frames.id.get(row));
    count += 1;
  }
  return { count, first };
}
