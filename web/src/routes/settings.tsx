// What one can set on this page. It is kept in this browser and changes nothing of what runs.

import { createSignal, For, Show } from "solid-js";
import type { JSX } from "solid-js";
import { change, resetLayout, settings } from "../settings.ts";
import type { Settings } from "../settings.ts";
import { askToNotify, permission } from "../inbox/notify.ts";
import { tellDone } from "../ui/Toast.tsx";
import { useTitle } from "../ui/title.ts";

const THEMES: readonly [Settings["theme"], string][] = [
  ["system", "As the system"],
  ["dark", "Dark"],
  ["light", "Light"],
];

export default function SettingsPage() {
  useTitle(() => "Settings");
  return (
    <div class="page settings">
      <h1>Settings</h1>
      <p class="muted">
        Kept in this browser, for all of its tabs. They change how the page looks, and nothing of
        what runs.
      </p>
      <fieldset>
        <legend>Theme</legend>
        <div class="choices">
          <For each={THEMES}>
            {([theme, word]) => (
              <label>
                <input
                  type="radio"
                  name="theme"
                  checked={settings().theme === theme}
                  onChange={() => change("theme", theme)}
                />{" "}
                {word}
              </label>
            )}
          </For>
        </div>
      </fieldset>
      <Toggle name="singleKeys" title="Single keys">
        Letters by themselves do things, such as <kbd>j</kbd> and <kbd>k</kbd> in the inbox. Turn
        them off if you speak to your computer, or press them by accident; keys with Ctrl or Cmd
        stay, and so do those of a chart or list that has the focus.
      </Toggle>
      <Notifications />
      <Toggle name="foldIdle" title="Fold idle time">
        Where nobody worked for a long time, the chart is folded until you unfold it.
      </Toggle>
      <Toggle name="navigationOpen" title="Words in the navigation">
        The places at the left have words beside their signs.
      </Toggle>
      <section class="setting">
        <h2>Layout</h2>
        <p class="muted">Panels are as large and where you left them.</p>
        <button
          onClick={() => {
            resetLayout();
            tellDone("Panels are as they were at first, once the page is loaded anew.");
          }}
        >
          Reset the layout
        </button>
      </section>
    </div>
  );
}

type Flag = {
  [Name in keyof Settings]: Settings[Name] extends boolean ? Name : never;
}[keyof Settings];

function Toggle(props: { name: Flag; title: string; children: JSX.Element }) {
  return (
    <section class="setting">
      <h2>
        <label>
          <input
            type="checkbox"
            checked={settings()[props.name]}
            onChange={(event) => change(props.name, event.currentTarget.checked)}
          />{" "}
          {props.title}
        </label>
      </h2>
      <p class="muted">{props.children}</p>
    </section>
  );
}

function Notifications() {
  const [refused, setRefused] = createSignal(permission() === "denied");
  const set = async (input: HTMLInputElement) => {
    if (!input.checked) return change("notifications", false);
    const allowed = await askToNotify();
    change("notifications", allowed);
    input.checked = allowed;
    setRefused(!allowed);
  };
  return (
    <section class="setting">
      <h2>
        <label>
          <input
            type="checkbox"
            disabled={permission() === "missing"}
            checked={settings().notifications}
            onChange={(event) => void set(event.currentTarget)}
          />{" "}
          Notifications
        </label>
      </h2>
      <p class="muted">
        The browser tells you of what comes into the inbox while it is not in sight, once, whichever
        tabs are open.
      </p>
      <Show when={refused()}>
        <p role="status">
          The browser does not allow it: change that in what it keeps about this site, then turn it
          on here.
        </p>
      </Show>
      <Show when={permission() === "missing"}>
        <p role="status">This browser has none.</p>
      </Show>
    </section>
  );
}
