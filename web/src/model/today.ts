// What was at work today, and what it cost.

import type { RunView, Usage } from "../api/types.gen.ts";

/** The runs, of a project or of all, that went on at some time of the day that `now_ms` is in. */
export function activeToday(
  runs: readonly RunView[],
  project: string | null,
  now_ms: number,
): RunView[] {
  const midnight_ms = new Date(now_ms).setHours(0, 0, 0, 0);
  return runs.filter(
    (run) =>
      (project === null || run.project === project) && (run.ended_ms ?? now_ms) >= midnight_ms,
  );
}

/** What runs used together. Its cost is an estimate if one of theirs is, and null if none is known. */
export function costOf(runs: readonly RunView[]): Usage {
  const sum: Usage = {
    input: 0,
    output: 0,
    cache_read: 0,
    cache_write: 0,
    reasoning: 0,
    cost_usd: null,
    estimated: false,
  };
  for (const { usage } of runs) {
    for (const kind of ["input", "output", "cache_read", "cache_write", "reasoning"] as const)
      sum[kind] += usage[kind];
    if (usage.cost_usd === null) continue;
    sum.cost_usd = (sum.cost_usd ?? 0) + usage.cost_usd;
    sum.estimated ||= usage.estimated;
  }
  return sum;
}
