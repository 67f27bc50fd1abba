// About a frame of an imported run, or the run: what the file tells. There is no daemon to ask more of.

import { createMemo, For, Show } from "solid-js";
import { cost, duration, isUsed, moment, tokens, usageInFull } from "../format.ts";
import { Status } from "../ui/Status.tsx";
import { textIn } from "./document.ts";
import type { RunDocument } from "./document.ts";

const SHOWN_EVENTS = 500;

export default function ImportedPanel(props: { document: RunDocument; selected: string | null }) {
  const frame = createMemo(
    () => props.document.frames.find((each) => each.id === props.selected) ?? null,
  );
  const tasks = createMemo(() =>
    props.document.tasks.filter((task) => task.frame === props.selected),
  );
  const events = createMemo(() => {
    const { events: all } = props.document;
    return all
      .filter((event) => props.selected === null || event.frame_id === props.selected)
      .slice(-SHOWN_EVENTS)
      .reverse();
  });
  return (
    <section
      class="panel"
      aria-label={props.selected === null ? "About the run" : "About the frame"}
      tabindex="0"
    >
      <div class="panel-body">
        <article class="details">
          <Show
            when={frame()}
            fallback={<p class="muted">Choose a frame to see what the file tells of it.</p>}
          >
            {(shown) => (
              <>
                <h2>{shown().title}</h2>
                <p class="muted">
                  <Status status={shown().status} label={shown().skipped ? "skipped" : undefined} />{" "}
                  <span class="mono">{shown().id}</span>{" "}
                  {[shown().tool, shown().phase, shown().agent_role]
                    .filter((fact) => fact !== null)
                    .join(" · ")}
                </p>
                <Show when={shown().reason}>
                  {(reason) => <p class={`why why-${shown().status}`}>{reason()}</p>}
                </Show>
                <Show when={isUsed(shown().usage) ? shown().usage : null}>
                  {(usage) => (
                    <p title={usageInFull(usage())}>
                      {tokens(usage())} tokens {cost(usage()) ?? ""}
                    </p>
                  )}
                </Show>
                <Show when={tasks().length > 0}>
                  <h3>Tasks</h3>
                  <ol class="tasks">
                    <For each={tasks()}>
                      {(task) => (
                        <li>
                          <span class="muted">{task.attempt}.</span> <Status status={task.state} />{" "}
                          {task.tool} <span class="muted">{task.model}</span>
                          <Show when={task.started_ms}>
                            {(started) => (
                              <span class="muted">
                                {moment(started())},{" "}
                                {duration((task.ended_ms ?? props.document.at_ms) - started())}
                              </span>
                            )}
                          </Show>
                          <Show when={task.error}>
                            {(error) => <span class="task-error">{error()}</span>}
                          </Show>
                        </li>
                      )}
                    </For>
                  </ol>
                </Show>
              </>
            )}
          </Show>
          <h3>Events</h3>
          <Show when={events().length > 0} fallback={<p class="muted">None in the file.</p>}>
            <table class="events">
              <thead class="unseen">
                <tr>
                  <th>Time</th>
                  <th>Event</th>
                  <th>What happened</th>
                </tr>
              </thead>
              <tbody>
                <For each={events()}>
                  {(event) => (
                    <tr>
                      <td class="mono muted">{moment(Date.parse(textIn(event, "ts")))}</td>
                      <td class="mono">{textIn(event, "event")}</td>
                      <td>{textIn(event, "summary")}</td>
                    </tr>
                  )}
                </For>
              </tbody>
            </table>
          </Show>
        </article>
      </div>
    </section>
  );
}
