// Stopping everything at once.

import { address, ask } from "../api/client.ts";
import { plural } from "../format.ts";
import { projects, runs } from "../state.ts";
import { confirm } from "../ui/Dialog.tsx";
import { tellDone, tellFailed } from "../ui/Toast.tsx";

/** The runs that go on, of a project or of all. */
export function goingRuns(project: string | null): number {
  return Object.values(runs).filter((run) => run.ended_ms === null && (project === null || run.project === project)).length;
}

/** Stops all runs of a project, or of all, after asking. */
export async function stopAll(project: string | null): Promise<void> {
  const where = project === null ? "of all projects" : `of ${projects[project]?.name ?? project}`;
  const text = `${plural(goingRuns(project), "run")} ${where}: what is running is interrupted and blocked with its work kept, and what is planned is dropped.`;
  if (!(await confirm("Stop all?", text, "Stop all"))) return;
  const asker = project ?? Object.keys(projects)[0];
  const body = { project: asker, session: "cli", arguments: { reason: "stopped from the page", scope: project === null ? "all" : "project" } };
  try {
    const headers = { "content-type": "application/json" };
    await ask(address(["tools", "flame_stop_all"]), { method: "POST", headers, body: JSON.stringify(body) });
    tellDone("Told all to stop.");
  } catch (error) {
    tellFailed(error);
  }
}
