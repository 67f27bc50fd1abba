// The bar that is always there: find, project, connection, cost, inbox, stop, theme.

import { createMemo, For, Show } from "solid-js";
import type { Connection } from "../sync/protocol.ts";
import { perform } from "../actions/action.ts";
import { goingRuns, STOP_ALL } from "../actions/run.ts";
import { PALETTE_KEYS, setOverlay } from "../commands/page.ts";
import { sayKeys } from "../commands/keys.ts";
import { cost } from "../format.ts";
import { inboxOf } from "../inbox/state.ts";
import { activeToday, costOf } from "../model/today.ts";
import { chosenProject, inProject, placeOf, shownProject } from "../project.ts";
import { navigate } from "../router.ts";
import { connection, projects, runs, second } from "../state.ts";
import { Mark } from "./Mark.tsx";
import { theme, toggleTheme } from "./theme.ts";

export function TopBar() {
  const waiting = () => inboxOf(chosenProject()).length;
  return (
    <header class="top">
      <a class="brand" href={inProject("/")} aria-label="Fornax: runs">
        <Mark /> <span class="wide-only">Fornax</span>
      </a>
      <button
        class="find"
        onClick={() => setOverlay("palette")}
        aria-label={`Find a command, run or frame (${sayKeys(PALETTE_KEYS)})`}
      >
        <span class="wide-only">Find… </span>
        <kbd>{sayKeys(PALETTE_KEYS)}</kbd>
      </button>
      <ProjectChooser />
      <ConnectionSign connection={connection()} />
      <span class="spacer" />
      <CostToday />
      <a class="quiet inbox-link" classList={{ waits: waiting() > 0 }} href={inProject("/inbox")}>
        Inbox{" "}
        <Show when={waiting() > 0}>
          <span class="badge">{waiting()}</span>
        </Show>
      </a>
      <button
        class="stop-all"
        disabled={goingRuns(null) === 0}
        onClick={() => void perform(STOP_ALL, shownProject())}
        aria-label="Stop all"
      >
        <span aria-hidden="true">◼</span> <span class="wide-only">Stop all</span>
      </button>
      <button
        class="quiet"
        onClick={toggleTheme}
        aria-label={theme() === "dark" ? "Use the light theme" : "Use the dark theme"}
        title="Dark or light"
      >
        ◐
      </button>
    </header>
  );
}

function ProjectChooser() {
  const list = () =>
    Object.values(projects).sort((a, b) => a.name.localeCompare(b.name) || (a.id < b.id ? -1 : 1));
  return (
    <Show when={list().length > 0}>
      <select
        class="projects"
        aria-label="Project"
        title={projects[shownProject() ?? ""]?.dir}
        onChange={(event) => navigate(placeOf(event.currentTarget.value || null))}
      >
        <option value="" selected={shownProject() === null}>
          All projects
        </option>
        <For each={list()}>
          {(project) => (
            <option value={project.id} selected={shownProject() === project.id}>
              {project.name}
            </option>
          )}
        </For>
      </select>
    </Show>
  );
}

/** What the runs cost that were at work today. */
function CostToday() {
  const active = createMemo(() => activeToday(Object.values(runs), chosenProject(), second()));
  const said = () => cost(costOf(active()));
  return (
    <Show when={said()}>
      {(amount) => (
        <span
          class="cost-today number"
          title="What the runs cost so far that were at work today, what they cost before included"
        >
          {amount()} <span class="wide-only">today</span>
        </span>
      )}
    </Show>
  );
}

const CONNECTIONS: Record<Connection, { word: string; means: string }> = {
  connecting: { word: "connecting", means: "Asking the daemon for how things stand" },
  live: { word: "live", means: "What you see is how things stand" },
  reconnecting: { word: "reconnecting", means: "The connection broke; what you see may be old" },
  signed_out: {
    word: "signed out",
    means: "The daemon does not know this browser: run fornax open",
  },
  gone: { word: "daemon gone", means: "The daemon does not answer; what you see is old" },
};

function ConnectionSign(props: { connection: Connection }) {
  return (
    <span
      class={`connection connection-${props.connection}`}
      role="status"
      title={CONNECTIONS[props.connection].means}
    >
      <i aria-hidden="true" />{" "}
      <span class="connection-word">{CONNECTIONS[props.connection].word}</span>
    </span>
  );
}
