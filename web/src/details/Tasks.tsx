// The tasks of a frame, each an attempt: how it ended, what its agent does, asks and can be told.

import { createResource, createSignal, For, onMount, Show } from "solid-js";
import type { Checkpoint, Decision, RunView, TaskView } from "../api/types.gen.ts";
import { ApiError, command, getTask } from "../api/client.ts";
import { answer, decide, interrupt } from "../actions/direct.ts";
import { atOnce, perform } from "../actions/action.ts";
import type { Subject } from "../actions/action.ts";
import { TASK_ACTIONS, hears } from "../actions/task.ts";
import { duration, plural, shortMoment } from "../format.ts";
import { isReadOnly, unlessReadOnly } from "../model/origin.ts";
import { second } from "../state.ts";
import type { Change } from "../sync/overlay.ts";
import { Status } from "../ui/Status.tsx";
import { tellFailed } from "../ui/Toast.tsx";
import { Folded, Section, Used } from "./parts.tsx";
import { Facts } from "../ui/Facts.tsx";

interface Props {
  /** What actions are done to: the frame with its newest task. */
  subject: Subject;
  tasks: TaskView[];
  /** What its agent is to be told, and was not yet. */
  changes: Change[];
  onLog(task: string): void;
}

export function Tasks(props: Props) {
  return (
    <Section title={props.tasks.length === 1 ? "Task" : `Tasks (${props.tasks.length} attempts)`}>
      <ol class="tasks">
        <For each={props.tasks}>
          {(task, i) => (
            <Task
              subject={props.subject}
              task={task}
              isNewest={i() === props.tasks.length - 1}
              changes={props.changes}
              onLog={props.onLog}
            />
          )}
        </For>
      </ol>
    </Section>
  );
}

/** The newest task's actions are the frame's; these are done to one before it. */
const OF_OLDER = TASK_ACTIONS.filter(({ id }) =>
  ["task.resume", "task.branch", "task.rerun"].includes(id),
);

function Task(props: {
  subject: Subject;
  task: TaskView;
  isNewest: boolean;
  changes: Change[];
  onLog(task: string): void;
}) {
  const task = () => props.task;
  const project = () => props.subject.run.project;
  const subject = () => ({ ...props.subject, task: task() });
  const offered = () =>
    props.isNewest ? [] : OF_OLDER.filter((action) => action.why(subject()) === null);
  const ended = () => {
    if (task().exit_code !== null) return `exit ${task().exit_code}`;
    return task().signal === null ? null : `signal ${task().signal}`;
  };
  const waits = () =>
    task().state === "queued" && task().due_ms !== null
      ? `starts at ${shortMoment(task().due_ms!, second())}`
      : null;
  const took = () =>
    task().started_ms === null
      ? null
      : duration((task().ended_ms ?? second()) - task().started_ms!);
  return (
    <li>
      <span class="muted">{task().attempt}.</span>
      <Status
        status={task().state}
        label={task().stopping && task().ended_ms === null ? "stopping" : undefined}
      />
      <span class="mono muted">{task().id}</span>
      <span class="muted">
        <Facts of={[task().tool, took(), ended(), waits()]} />
      </span>
      <Show when={task().error_class}>{(kind) => <code class="error-class">{kind()}</code>}</Show>
      <Show when={task().started_ms !== null}>
        <button class="link" onClick={() => props.onLog(task().id)}>
          log
        </button>
      </Show>
      <For each={offered()}>
        {(action) => (
          <button
            class="link"
            title={action.title}
            aria-label={`${action.label}, attempt ${task().attempt}`}
            onClick={() => void perform(action, subject())}
          >
            {action.label.toLowerCase()}
          </button>
        )}
      </For>
      <Show when={task().error}>{(error) => <p class="task-error">{error()}</p>}</Show>
      <Show when={task().driver !== null}>
        <Agent
          run={props.subject.run}
          task={task()}
          changes={props.isNewest ? props.changes : []}
        />
      </Show>
      <Show when={task().started_ms !== null}>
        <Folded title="How it was started">
          <Record project={project()} task={task().id} />
        </Folded>
      </Show>
    </li>
  );
}

/** What its folder says of how a task was started and how it ended. */
function Record(props: { project: string; task: string }) {
  const [found] = createResource(
    () => props.task,
    (task) => getTask(props.project, task),
  );
  const prompt = () => {
    const record = found()?.record;
    return typeof record === "object" &&
      record !== null &&
      "prompt" in record &&
      typeof record.prompt === "string"
      ? record.prompt
      : null;
  };
  return (
    <Show
      when={found.error === undefined}
      fallback={<p role="alert">{(found.error as ApiError).message}</p>}
    >
      <Show when={prompt()}>
        {(text) => (
          <>
            <h4>What it was told</h4>
            <pre class="prose">{text()}</pre>
          </>
        )}
      </Show>
      <pre class="record" tabindex="0" role="region" aria-label="Its record">
        {JSON.stringify({ started: found()?.record, ended: found()?.exit }, null, 2)}
      </pre>
    </Show>
  );
}

/** What is known of a task's agent, and what it can be told. */
function Agent(props: { run: RunView; task: TaskView; changes: Change[] }) {
  const task = () => props.task;
  const decideOn = (permission: string, decision: Decision) =>
    void decide(props.run.project, task().id, permission, decision);
  const works = () => task().state === "running" && !task().stopping;
  const facts = () => [
    task().model,
    task().turns > 0 ? plural(task().turns, "turn") : null,
    task().session,
  ];
  const told = () =>
    props.changes.flatMap((change) => (change.kind === "told" ? [change.text] : []));
  return (
    <div class="agent">
      <p class="muted">
        <Facts of={facts()} />{" "}
        <Show when={task().usage}>
          {(usage) => (
            <>
              {" "}
              · <Used usage={usage()} />
            </>
          )}
        </Show>
      </p>
      <Show when={works() && task().step}>{(step) => <p class="agent-step">{step()}</p>}</Show>
      <For each={works() ? task().waits : []}>
        {(wait) => (
          <div class="question" role="group" aria-label={`Permission for ${wait.tool}`}>
            <p>
              It asks to use <strong>{wait.tool}</strong>: <code>{wait.title}</code>
            </p>
            <ReadOnlyNote run={props.run} />
            <button
              class="primary"
              disabled={isReadOnly(props.run)}
              onClick={() => decideOn(wait.id, "allow")}
            >
              Allow
            </button>
            <button disabled={isReadOnly(props.run)} onClick={() => decideOn(wait.id, "always")}>
              Always
            </button>
            <button disabled={isReadOnly(props.run)} onClick={() => decideOn(wait.id, "deny")}>
              Deny
            </button>
          </div>
        )}
      </For>
      <For each={told()}>{(text) => <p class="pending">You: {text}</p>}</For>
      <Show when={works() && hears(task()) && !isReadOnly(props.run)}>
        <Tell project={props.run.project} task={task()} />
      </Show>
    </div>
  );
}

function Tell(props: { project: string; task: TaskView }) {
  const [text, setText] = createSignal("");
  const send = (event: SubmitEvent) => {
    event.preventDefault();
    const said = text();
    if (said.trim() === "") return;
    setText("");
    const told = { kind: "told", frame: props.task.frame, text: said } as const;
    atOnce(told, (cmdId) =>
      command(props.project, { type: "prompt", target: props.task.id, text: said }, cmdId),
    ).catch((error) => {
      // What was typed is not lost where it was refused.
      setText((since) => (since === "" ? said : since));
      tellFailed(error);
    });
  };
  return (
    <form class="tell" onSubmit={send}>
      <label>
        {props.task.idle
          ? "It was interrupted and waits to be told something"
          : "Tell it after this turn"}
        <input
          ref={keepKeys}
          value={text()}
          onInput={(event) => setText(event.currentTarget.value)}
        />
      </label>
      <button type="submit" disabled={text().trim() === ""}>
        Tell
      </button>
      <Show when={!props.task.idle}>
        <button type="button" onClick={() => void interrupt(props.project, props.task.id)}>
          Interrupt
        </button>
      </Show>
    </form>
  );
}

/** Keys of the page are not for those who type: Ctrl Backspace takes a word away. */
function keepKeys(element: HTMLElement): void {
  onMount(() => element.addEventListener("keydown", (event) => event.stopPropagation()));
}

/** What is asked of a human in a frame: one of its options is chosen, or any text given. */
export function Question(props: { run: RunView; asked: Checkpoint }) {
  const [text, setText] = createSignal("");
  const give = (event: SubmitEvent) => {
    event.preventDefault();
    if (text().trim() !== "") void answer(props.run.project, props.asked.id, text());
  };
  return (
    <div class="question" role="group" aria-label="A question">
      <p>{props.asked.question}</p>
      <ReadOnlyNote run={props.run} />
      <Show
        when={props.asked.options}
        fallback={
          <form class="tell" onSubmit={give}>
            <label>
              Answer
              <input
                ref={keepKeys}
                value={text()}
                onInput={(event) => setText(event.currentTarget.value)}
              />
            </label>
            <button
              type="submit"
              class="primary"
              disabled={isReadOnly(props.run) || text().trim() === ""}
            >
              Answer
            </button>
          </form>
        }
      >
        {(options) => (
          <For each={options()}>
            {(option) => (
              <button
                disabled={isReadOnly(props.run)}
                onClick={() => void answer(props.run.project, props.asked.id, option)}
              >
                {option}
              </button>
            )}
          </For>
        )}
      </Show>
    </div>
  );
}

/** Why what is asked cannot be answered here. */
function ReadOnlyNote(props: { run: RunView }) {
  return <Show when={unlessReadOnly(props.run)}>{(why) => <p class="muted">{why()}</p>}</Show>;
}
