// What one frame gave, held against what another gave. Pure.

import type { Artifact, FrameDetail } from "../api/types.gen.ts";

export interface TextDifference {
  readonly what: "results" | "results in short" | "goal" | "criteria";
  readonly before: string;
  readonly after: string;
}

export interface ArtifactDifference {
  readonly path: string;
  readonly change: "added" | "removed" | "changed";
  readonly before: Artifact | null;
  readonly after: Artifact | null;
}

export interface OutputDifferences {
  readonly texts: readonly TextDifference[];
  readonly artifacts: readonly ArtifactDifference[];
  /** How many artifacts are the same. */
  readonly same: number;
}

export function outputDifferences(before: FrameDetail, after: FrameDetail): OutputDifferences {
  const texts: TextDifference[] = [];
  const hold = (what: TextDifference["what"], of: (detail: FrameDetail) => string) => {
    if (of(before) !== of(after)) texts.push({ what, before: of(before), after: of(after) });
  };
  hold("results", (detail) => detail.results);
  hold("results in short", (detail) => detail.results_compact);
  hold("goal", (detail) => detail.goal);
  hold("criteria", (detail) => detail.success_criteria ?? "");
  const [olds, news] = [byPath(before.artifacts), byPath(after.artifacts)];
  const artifacts: ArtifactDifference[] = [];
  let same = 0;
  for (const path of [...new Set([...olds.keys(), ...news.keys()])].sort()) {
    const [old, now] = [olds.get(path) ?? null, news.get(path) ?? null];
    if (old && now && old.sha256 === now.sha256) same += 1;
    else
      artifacts.push({
        path,
        change: old === null ? "added" : now === null ? "removed" : "changed",
        before: old,
        after: now,
      });
  }
  return { texts, artifacts, same };
}

function byPath(artifacts: readonly Artifact[]): Map<string, Artifact> {
  return new Map(artifacts.map((artifact) => [artifact.path, artifact]));
}

/** In a few words; empty where nothing differs. */
export function sayOutputs({ texts, artifacts }: OutputDifferences): string {
  const words = texts.map(({ what }) => what as string);
  for (const change of ["changed", "added", "removed"] as const) {
    const count = artifacts.filter((each) => each.change === change).length;
    if (count > 0) words.push(`${count} ${count === 1 ? "artifact" : "artifacts"} ${change}`);
  }
  return words.join(", ");
}

/** Where a copy that was kept can be asked for: the task and the name. */
export function copyOf(artifact: Artifact): { task: string; name: string } | null {
  const found = /^tasks\/([^/]+)\/artifacts\/(.+)$/s.exec(artifact.copy ?? "");
  return found ? { task: found[1]!, name: found[2]! } : null;
}
