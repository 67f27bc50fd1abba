// A run's flame chart alone, to be framed by a page of another tool on this machine. It shows and does
// nothing: whoever frames it could lay anything over it.

import { createSignal, Match, Show, Switch } from "solid-js";
import { runPath, unescaped } from "../paths.ts";
import { connection, now, projects, runs, snapshots } from "../state.ts";
import { isOpen, runKey } from "../sync/apply.ts";
import { useContent } from "./content.ts";
import type { Content } from "./content.ts";
import { FlameChart } from "./flame.tsx";
import { createLaidOut } from "./laidout.ts";

/** What the address asks for: `/embed/run/RUN?project=PROJECT`, or `/embed/run/PROJECT/RUN`. */
function asked(): { project: string | null; run: string } | null {
  const parts = /^\/embed\/run\/([^/]+)(?:\/([^/]+))?$/
    .exec(location.pathname)
    ?.slice(1)
    .map((part) => unescaped(part ?? ""));
  if (!parts || parts.includes(null)) return null;
  const [first, second] = parts as [string, string];
  return second === ""
    ? { project: new URLSearchParams(location.search).get("project"), run: first }
    : { project: first, run: second };
}

export function EmbedPage() {
  const wanted = asked();
  /** Without a project it is found by the run's id, where only one project has such a run. */
  const project = () => {
    if (wanted === null || wanted.project !== null) return wanted?.project ?? null;
    const those = Object.values(runs).filter((run) => run.id === wanted.run);
    if (those.length > 0) return those.length === 1 ? those[0]!.project : null;
    const all = Object.keys(projects);
    return all.length === 1 ? all[0]! : null;
  };
  return (
    <main class="embed">
      <Switch
        fallback={
          <p class="hint" role="status">
            Asking the daemon…
          </p>
        }
      >
        <Match when={wanted === null}>
          <p class="hint" role="alert">
            Such an address names a run: <code>/embed/run/RUN?project=PROJECT</code>.
          </p>
        </Match>
        <Match when={connection() === "signed_out" && snapshots() === 0}>
          <p class="hint" role="alert">
            This browser is not signed in here. Run <code>fornax open</code>; the page around this
            one must have the same host name as the link.
          </p>
        </Match>
        <Match when={snapshots() > 0 && project()} keyed>
          {(id) => <Framed project={id} run={wanted!.run} />}
        </Match>
        <Match when={snapshots() > 0}>
          <p class="hint" role="alert">
            Which project's {wanted!.run}? Add <code>?project=</code> and its id.
          </p>
        </Match>
      </Switch>
    </main>
  );
}

function Framed(props: { project: string; run: string }) {
  const { run, content, error } = useContent(props.project, props.run);
  return (
    <Show
      when={run() && content()}
      fallback={
        <p class="hint" role={error() ? "alert" : "status"}>
          {error()?.message ?? `Loading ${props.run}…`}
        </p>
      }
    >
      {(held) => <Shown content={held()} project={props.project} run={props.run} />}
    </Show>
  );
}

function Shown(props: { content: Content; project: string; run: string }) {
  const [selected, setSelected] = createSignal<string | null>(null);
  const key = runKey(props.project, props.run);
  const run = () => runs[key]!;
  const frames = () => props.content.content.frames;
  const { laidOut, fold, unfoldAll } = createLaidOut(
    key,
    frames,
    () => props.content.version,
    selected,
  );
  return (
    <>
      <h1 class="unseen">{run().name}</h1>
      <Show when={laidOut()}>
        {(at) => (
          <FlameChart
            run={run()}
            frames={at().frames}
            tasks={props.content.content.tasks}
            version={props.content.version}
            layout={at().layout}
            fold={at().fold}
            codes={at().fold.worst}
            onFold={fold}
            onUnfoldAll={unfoldAll}
            matching={null}
            live={isOpen(run())}
            now={() => run().ended_ms ?? now()}
            selected={selected()}
            onSelect={setSelected}
            onMatch={() => {}}
            onOpen={() => {}}
          />
        )}
      </Show>
      <p class="embed-foot">
        <a
          href={runPath(props.project, props.run, selected() ?? undefined)}
          target="_blank"
          rel="noopener"
        >
          {run().name} in Fornax
        </a>
        <Show when={connection() !== "live"}>
          <span class="muted" role="status">
            not live
          </span>
        </Show>
      </p>
    </>
  );
}
