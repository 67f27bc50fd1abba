// Sums of what model calls used. Pure.

import type { Usage } from "../api/types.gen.ts";

export const NOTHING_USED: Usage = {
  input: 0,
  output: 0,
  cache_read: 0,
  cache_write: 0,
  reasoning: 0,
  cost_usd: null,
  estimated: false,
};

/** Both together. A cost that is not known does not hide one that is. */
export function addUsage(one: Usage, other: Usage): Usage {
  return {
    input: one.input + other.input,
    output: one.output + other.output,
    cache_read: one.cache_read + other.cache_read,
    cache_write: one.cache_write + other.cache_write,
    reasoning: one.reasoning + other.reasoning,
    cost_usd:
      one.cost_usd === null || other.cost_usd === null
        ? (one.cost_usd ?? other.cost_usd)
        : one.cost_usd + other.cost_usd,
    estimated: one.estimated || other.estimated,
  };
}

/** A part of it, such as what fell into an hour. */
export function shareOf(usage: Usage, share: number): Usage {
  return {
    input: usage.input * share,
    output: usage.output * share,
    cache_read: usage.cache_read * share,
    cache_write: usage.cache_write * share,
    reasoning: usage.reasoning * share,
    cost_usd: usage.cost_usd === null ? null : usage.cost_usd * share,
    estimated: usage.estimated,
  };
}

export function allTokens(usage: Usage): number {
  return usage.input + usage.output + usage.cache_read + usage.cache_write;
}
