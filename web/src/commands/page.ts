// The commands that are there wherever one is.

import { createSignal } from "solid-js";
import { useActions } from "../actions/commands.ts";
import { ANYWHERE_ACTIONS } from "../actions/run.ts";
import { inProject, placeOf, shownProject } from "../project.ts";
import { navigate } from "../router.ts";
import { NAVIGATION } from "../routes/routes.ts";
import { change, settings } from "../settings.ts";
import { projects } from "../state.ts";
import { toggleTheme } from "../ui/theme.ts";
import { useCommands } from "./registry.ts";
import type { Command } from "./registry.ts";

const [overlay, setOverlay] = createSignal<"palette" | "help" | null>(null);

/** What lies over the page. */
export { overlay, setOverlay };

export const PALETTE_KEYS = "Mod+k";

/** Adds them, for as long as the component is shown that calls this. */
export function usePageCommands(): void {
  useActions(ANYWHERE_ACTIONS, shownProject);
  useCommands((): Command[] => [
    {
      id: "page.palette",
      title: "Find a command, run or frame",
      group: "Page",
      keys: [PALETTE_KEYS],
      onlyKey: true,
      run: () => setOverlay("palette"),
    },
    {
      id: "page.help",
      title: "Show all keys",
      group: "Page",
      keys: ["?"],
      run: () => setOverlay("help"),
    },
    ...NAVIGATION.map(({ id, path, word, keys }): Command => ({
      id: `go.${id}`,
      title: `Go to ${word}`,
      group: "Go",
      keys: [keys],
      run: () => navigate(inProject(path)),
    })),
    {
      id: "go.import",
      title: "Open an exported run",
      group: "Go",
      keys: ["g e"],
      run: () => navigate("/import"),
    },
    ...Object.values(projects).map((project): Command => ({
      id: `project.${project.id}`,
      title: `Look at project ${project.name}`,
      group: "Go",
      run: () => navigate(placeOf(project.id)),
    })),
    {
      id: "project.all",
      title: "Look at all projects",
      group: "Go",
      keys: ["g a"],
      run: () => navigate(placeOf(null)),
    },
    {
      id: "page.theme",
      title: "Switch between dark and light",
      group: "Page",
      keys: ["Mod+Shift+l"],
      run: toggleTheme,
    },
    {
      id: "page.navigation",
      title: "Show or hide the words of the navigation",
      group: "Page",
      keys: ["Mod+b"],
      run: () => change("navigationOpen", !settings().navigationOpen),
    },
  ]);
}
