// The frame of the page: what is always in sight, and the route below it.

import { createEffect, createMemo, For, Match, Show, Switch } from "solid-js";
import { navigate, place } from "./router.ts";
import { perform } from "./actions/action.ts";
import { useActions } from "./actions/commands.ts";
import { ANYWHERE_ACTIONS, STOP_ALL } from "./actions/run.ts";
import { RunPage } from "./routes/run.tsx";
import { RunsPage } from "./routes/runs.tsx";
import { connection, fault, projects, runs, snapshots } from "./state.ts";
import type { Connection } from "./sync/protocol.ts";
import { Dialogs } from "./ui/Dialog.tsx";
import { theme, toggleTheme } from "./ui/theme.ts";
import { Toasts } from "./ui/Toast.tsx";

export function App() {
  const path = createMemo(() => place().path);
  const run = createMemo(() => runOf(path()));
  createEffect(() => {
    if (path() === "/") document.title = "Fornax";
  });
  return (
    <>
      <TopBar />
      <Notice />
      <main>
        <Show when={connection() !== "signed_out" || snapshots() > 0} fallback={<SignedOut />}>
          <Switch fallback={<Nowhere />}>
            <Match when={path() === "/"}><RunsPage /></Match>
            <Match when={run()} keyed>{(at) => <RunPage project={at.project} run={at.run} />}</Match>
          </Switch>
        </Show>
      </main>
      <Dialogs />
      <Toasts />
    </>
  );
}

/** The run that a path names. */
function runOf(path: string): { project: string; run: string } | null {
  const [, project, run] = /^\/runs\/([^/]+)\/([^/]+)$/.exec(path) ?? [];
  if (project === undefined || run === undefined) return null;
  try {
    return { project: decodeURIComponent(project), run: decodeURIComponent(run) };
  } catch {
    return null;
  }
}

function TopBar() {
  const list = () => Object.values(projects).sort((a, b) => a.name.localeCompare(b.name));
  /** The project that is looked at. */
  const project = () => place().query.get("project") ?? /^\/runs\/([^/]+)/.exec(place().path)?.[1] ?? null;
  useActions(ANYWHERE_ACTIONS, project);
  const going = () => Object.values(runs).filter((run) => run.ended_ms === null).length;
  return (
    <header class="top">
      <a class="brand" href="/" aria-label="Fornax: all runs"><Mark /> Fornax</a>
      <Show when={list().length > 1 && place().path === "/"}>
        <select
          aria-label="Project"
          onChange={(event) => navigate(event.currentTarget.value === "" ? "/" : `/?project=${encodeURIComponent(event.currentTarget.value)}`)}
        >
          <option value="" selected={!place().query.get("project")}>All projects</option>
          <For each={list()}>
            {(project) => <option value={project.id} selected={place().query.get("project") === project.id}>{project.name}</option>}
          </For>
        </select>
      </Show>
      <span class="spacer" />
      <Show when={connection() === "live" && going() > 0}><span class="muted top-going">{going()} running</span></Show>
      <ConnectionSign connection={connection()} />
      <Show when={going() > 0}><button class="top-stop" onClick={() => void perform(STOP_ALL, project())}>Stop all</button></Show>
      <button class="quiet" onClick={toggleTheme} aria-label={theme() === "dark" ? "Use the light theme" : "Use the dark theme"} title="Dark or light">◐</button>
    </header>
  );
}

function Mark() {
  return (
    <svg viewBox="0 0 20 20" width="20" height="20" aria-hidden="true">
      <rect x="1" y="13.5" width="18" height="4.5" rx="1" class="mark-low" />
      <rect x="3.5" y="8" width="11" height="4.5" rx="1" class="mark-mid" />
      <rect x="6" y="2.5" width="5.5" height="4.5" rx="1" class="mark-top" />
    </svg>
  );
}

const CONNECTIONS: Record<Connection, string> = {
  connecting: "connecting",
  live: "live",
  reconnecting: "reconnecting",
  signed_out: "signed out",
  gone: "daemon gone",
};

function ConnectionSign(props: { connection: Connection }) {
  return (
    <span class={`connection connection-${props.connection}`} role="status">
      <i aria-hidden="true" /> {CONNECTIONS[props.connection]}
    </span>
  );
}

/** What one must know to trust what is on the page. */
function Notice() {
  return (
    <Switch>
      <Match when={fault()}>{(why) => (
        <p class="notice" role="alert">
          This page does not understand the daemon any more ({why()}). <button onClick={() => location.reload()}>Load it anew</button>
        </p>
      )}</Match>
      <Match when={connection() === "gone"}>
        <p class="notice" role="alert">
          The daemon does not answer{snapshots() > 0 ? "; what you see is how things stood when it last did" : ""}. Tasks go on without it. <code>fornax up</code> starts it.
        </p>
      </Match>
      <Match when={connection() === "signed_out" && snapshots() > 0}>
        <p class="notice" role="alert">This browser is signed out. Run <code>fornax open</code> and follow its link.</p>
      </Match>
    </Switch>
  );
}

function SignedOut() {
  return (
    <div class="empty">
      <h1>Who is there?</h1>
      <p>This page shows what your agents do, so it is only for you. In a terminal on this machine, run</p>
      <pre>fornax open</pre>
      <p class="muted">It opens a link that signs this browser in. The page goes on by itself.</p>
    </div>
  );
}

function Nowhere() {
  return (
    <div class="empty">
      <h1>There is no such page</h1>
      <p><a href="/">All runs</a></p>
    </div>
  );
}
