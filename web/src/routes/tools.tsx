// The tools of the projects, and whether they can be used.

import { createEffect, createSignal, For, on, onCleanup, Show } from "solid-js";
import { asApiError, getTools } from "../api/client.ts";
import type { ApiError } from "../api/client.ts";
import type { ToolFound } from "../api/client.ts";
import { chosenProject } from "../project.ts";
import { projects, snapshots } from "../state.ts";
import { Asking } from "../ui/Empty.tsx";
import { useTitle } from "../ui/title.ts";

export default function ToolsPage() {
  useTitle(() => "Tools");
  const list = () => {
    const wanted = chosenProject();
    const all = Object.values(projects).filter(
      (project) => wanted === null || project.id === wanted,
    );
    return all
      .map((project) => project.id)
      .sort((a, b) => projects[a]!.name.localeCompare(projects[b]!.name));
  };
  return (
    <Show when={snapshots() > 0} fallback={<Asking />}>
      <div class="page tools">
        <h1>Tools</h1>
        <p class="muted">
          What <code>fornax.yaml</code> of a project names, and what is built in. A task can use
          what has a ✓.
        </p>
        <For
          each={list()}
          fallback={
            <p class="hint">
              There is no project yet. <code>fornax up</code> in one makes it known.
            </p>
          }
        >
          {(project) => <ProjectTools project={project} />}
        </For>
      </div>
    </Show>
  );
}

function ProjectTools(props: { project: string }) {
  const [found, setFound] = createSignal<readonly ToolFound[] | null>(null);
  const [error, setError] = createSignal<ApiError | null>(null);
  const [asked, setAsked] = createSignal(0);
  createEffect(
    on([asked, snapshots], () => {
      const abort = new AbortController();
      onCleanup(() => abort.abort());
      getTools(props.project, abort.signal).then(
        (tools) => {
          setFound(tools);
          setError(null);
        },
        (reason: unknown) => {
          if (!abort.signal.aborted) setError(asApiError(reason));
        },
      );
    }),
  );
  return (
    <section aria-labelledby={`tools-${props.project}`}>
      <div class="tools-head">
        <h2 id={`tools-${props.project}`}>{projects[props.project]?.name ?? props.project}</h2>
        <span class="muted mono tools-dir">{projects[props.project]?.dir}</span>
        <span class="spacer" />
        <button class="quiet" onClick={() => setAsked((count) => count + 1)}>
          Look again
        </button>
      </div>
      <Show when={error()}>
        {(problem) => (
          <p class="notice" role="alert">
            {problem().message} <span class="muted">{problem().help}</span>
          </p>
        )}
      </Show>
      <Show
        when={found()}
        fallback={
          <Show when={!error()}>
            <p class="hint" role="status">
              Looking for the programs…
            </p>
          </Show>
        }
      >
        {(tools) => (
          <div class="wide-table">
            <table>
              <caption class="unseen">
                Tools of <span>{projects[props.project]?.name ?? props.project}</span>
              </caption>
              <thead>
                <tr>
                  <th scope="col">Tool</th>
                  <th scope="col">Can be used</th>
                  <th scope="col">Version</th>
                  <th scope="col">Program</th>
                  <th scope="col">What to do</th>
                </tr>
              </thead>
              <tbody>
                <For each={tools()}>{(tool) => <ToolRow tool={tool} />}</For>
              </tbody>
            </table>
          </div>
        )}
      </Show>
    </section>
  );
}

function ToolRow(props: { tool: ToolFound }) {
  return (
    <tr>
      <th scope="row">{props.tool.name}</th>
      <td>
        {props.tool.usable ? (
          <span class="status status-completed">✓ yes</span>
        ) : (
          <span class="status status-failed">✕ no</span>
        )}
      </td>
      <td class="mono">{props.tool.version}</td>
      <td class="mono muted">{props.tool.path ?? props.tool.program}</td>
      <td>
        {props.tool.problem}
        <Show when={props.tool.help}>
          {(help) => <span class="muted tools-help">{help()}</span>}
        </Show>
      </td>
    </tr>
  );
}
