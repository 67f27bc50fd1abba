// All about a frame, and what can be done to it.

import { createMemo, For, Show } from "solid-js";
import type { FrameDetail, RunView } from "../api/types.gen.ts";
import { ActionMenu } from "../actions/Menu.tsx";
import type { Action, Subject } from "../actions/action.ts";
import { undo } from "../actions/direct.ts";
import { visible } from "../diff/visible.ts";
import { bytes, isUsed } from "../format.ts";
import { isReadOnly, unlessReadOnly } from "../model/origin.ts";
import { setQuery } from "../router.ts";
import type { Change } from "../sync/overlay.ts";
import { Status } from "../ui/Status.tsx";
import { Context } from "./Context.tsx";
import { Goal } from "./Goal.tsx";
import { History, Times } from "./History.tsx";
import { Question, Tasks } from "./Tasks.tsx";
import { Folded, Frames, Section, Text, Used } from "./parts.tsx";
import type { Content } from "./parts.tsx";
import type { Known } from "./frame.ts";
import { Facts } from "../ui/Facts.tsx";

interface Props {
  run: RunView;
  content: Content;
  known: Known;
  subject: Subject;
  actions: readonly Action[];
  onLog(task: string): void;
}

/** What may be a button, the most wanted first. */
const MAIN = [
  "frame.answer",
  "frame.unpause",
  "frame.retry",
  "frame.stop",
  "frame.retry-from",
  "frame.push",
  "frame.complete",
  "frame.activate",
  "frame.checkpoint",
  "frame.plan",
];

export function FrameDetails(props: Props) {
  return (
    <Show
      when={props.known.detail()}
      fallback={
        <Show when={props.known.error()} fallback={<p class="hint">Loading…</p>}>
          {(problem) => (
            <p class="hint" role="alert">
              {problem().message} {problem().help}
            </p>
          )}
        </Show>
      }
    >
      {(found) => <Frame {...props} detail={found()} />}
    </Show>
  );
}

function Frame(props: Props & { detail: FrameDetail }) {
  const frame = () => props.detail.frame;
  const changes = () => props.known.changes();
  const planned = () =>
    changes().flatMap((change) => (change.kind === "child" ? [change.title] : []));
  return (
    <article class="details">
      <Head {...props} />
      <Show when={frame().reason}>
        {(reason) => <p class={`why why-${frame().status}`}>{reason()}</p>}
      </Show>
      <For each={frame().asks}>{(asked) => <Question run={props.run} asked={asked} />}</For>
      <Show when={frame().advice}>
        {(advice) => (
          <p class="hint" role="note">
            {advice()}
          </p>
        )}
      </Show>
      <div class="details-columns">
        <div>
          <Goal
            run={props.run}
            frame={frame().id}
            goal={props.detail.goal}
            pending={changes().some((change) => change.kind === "goal")}
            fixed={frame().status === "invalidated" || isReadOnly(props.run)}
          />
          <Text title="It is done when" text={props.detail.success_criteria ?? ""} />
          <Text title="In short" text={props.detail.results_compact} />
          <Text
            title={
              props.detail.stale
                ? "Results (stale: what they were built on was dropped)"
                : "Results"
            }
            text={props.detail.results}
          />
          <Show when={props.detail.decisions.length > 0}>
            <Decisions run={props.run} detail={props.detail} changes={changes()} />
          </Show>
          <Show when={props.detail.artifacts.length > 0}>
            <Artifacts detail={props.detail} changes={changes()} />
          </Show>
          <Show when={props.detail.tasks.length > 0}>
            <Tasks
              subject={props.subject}
              tasks={props.detail.tasks}
              changes={changes()}
              onLog={props.onLog}
            />
          </Show>
          <Folded title="The context as its agent gets it">
            <Context run={props.run} content={props.content} frame={frame().id} />
          </Folded>
          <Folded title="What it was made of">
            <pre class="record" tabindex="0" role="region" aria-label="What it was made of">
              {JSON.stringify(props.detail.spec, null, 2)}
            </pre>
          </Folded>
        </div>
        <div>
          <History detail={props.detail} />
          <Times frame={frame()} />
          <Usage detail={props.detail} />
          <Show when={frame().depends_on.length > 0}>
            <Frames
              title="Waits for"
              ids={frame().depends_on}
              run={props.run}
              content={props.content}
            />
          </Show>
          <Show when={props.detail.dependants.length > 0}>
            <Frames
              title="Waited for by"
              ids={props.detail.dependants}
              run={props.run}
              content={props.content}
            />
          </Show>
          <Show when={props.detail.children.length + planned().length > 0}>
            <Frames
              title="Within it"
              ids={props.detail.children}
              run={props.run}
              content={props.content}
            >
              <For each={planned()}>{(title) => <li class="pending">{title}</li>}</For>
            </Frames>
          </Show>
        </div>
      </div>
    </article>
  );
}

function Head(props: Props & { detail: FrameDetail }) {
  const frame = () => props.detail.frame;
  const made = () => (props.detail.made_by === null ? null : `made by ${props.detail.made_by}`);
  const facts = () => [
    frame().tool,
    frame().phase,
    frame().agent_role,
    frame().paused ? "paused" : null,
    made(),
  ];
  return (
    <header class="details-head">
      <div>
        <h2>{frame().title}</h2>
        <p class="muted">
          <Status status={frame().status} label={frame().skipped ? "skipped" : undefined} />{" "}
          <span class="mono">{frame().id}</span>{" "}
          <Show when={!frame().key.endsWith(frame().id)}>
            <span class="mono">{frame().key}</span>
          </Show>{" "}
          <Facts of={facts()} />
        </p>
      </div>
      <span class="spacer" />
      <ActionMenu
        subject={props.subject}
        actions={props.actions}
        main={MAIN}
        name={`Actions on ${frame().title}`}
      />
    </header>
  );
}

function Usage(props: { detail: FrameDetail }) {
  const isRolledUp = () => props.detail.children.length > 0;
  return (
    <Show when={isUsed(props.detail.usage) || isUsed(props.detail.usage_within)}>
      <Section title="Usage">
        <dl class="facts">
          <dt>its own</dt>
          <dd>
            <Used usage={props.detail.usage} />
          </dd>
          <Show when={isRolledUp()}>
            <dt>with all within it</dt>
            <dd>
              <Used usage={props.detail.usage_within} />
            </dd>
          </Show>
          <Show when={props.detail.frame.turns > 0}>
            <dt>turns</dt>
            <dd class="number">{props.detail.frame.turns}</dd>
          </Show>
        </dl>
      </Section>
    </Show>
  );
}

/** How many of a list the daemon has not told yet: they are its last. */
const pending = (changes: readonly Change[], kind: Change["kind"]) =>
  changes.filter((change) => change.kind === kind).length;

function Decisions(props: { run: RunView; detail: FrameDetail; changes: Change[] }) {
  /** The last act that can be undone. */
  const undoable = () =>
    props.detail.decisions.findLastIndex(
      (decision) => decision.by_itself !== undefined && decision.by_itself !== null,
    );
  const told = () => props.detail.decisions.length - pending(props.changes, "decision");
  return (
    <Section title="Decisions">
      <ul class="artifacts">
        <For each={props.detail.decisions}>
          {(decision, i) => (
            <li classList={{ pending: i() >= told() }}>
              <span>{decision.decision}</span>
              <Show when={decision.reason}>
                {(reason) => <span class="muted">{reason()}</span>}
              </Show>
              <Show when={decision.alternatives?.length}>
                <span class="muted">
                  instead of <Facts of={decision.alternatives!} between="; " />
                </span>
              </Show>
              <Show when={i() === undoable() && decision.by_itself?.did !== "undone"}>
                <button
                  class="link"
                  disabled={isReadOnly(props.run)}
                  title={unlessReadOnly(props.run) ?? ""}
                  onClick={() => void undo(props.run.project, props.detail.frame.id)}
                >
                  undo
                </button>
              </Show>
            </li>
          )}
        </For>
      </ul>
    </Section>
  );
}

function Artifacts(props: { detail: FrameDetail; changes: Change[] }) {
  const told = () => props.detail.artifacts.length - pending(props.changes, "artifact");
  const facts = createMemo(() =>
    props.detail.artifacts.map((artifact) => (artifact.sha256 === "" ? "" : bytes(artifact.bytes))),
  );
  return (
    <Section title="Artifacts">
      <ul class="artifacts">
        <For each={props.detail.artifacts}>
          {(artifact, i) => (
            <li classList={{ pending: i() >= told() }}>
              <button class="link mono" onClick={() => show(artifact.path)}>
                {visible(artifact.path)}
              </button>
              <span class="muted">{facts()[i()]}</span>
            </li>
          )}
        </For>
      </ul>
    </Section>
  );

  function show(path: string): void {
    setQuery("artifact", path);
    setQuery("tab", "artifacts");
  }
}
