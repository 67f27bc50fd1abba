// What kinds of items are called.

import type { Kind } from "./sources.ts";

export const KIND_WORDS: Record<Kind, string> = {
  question: "A question",
  approval: "A frame waits for your approval",
  limit: "A limit is reached",
  permission: "An agent asks for leave",
  idle: "An agent waits for a prompt",
  stalled: "A task's supervisor does not respond",
  lost: "A task is lost",
  failed: "A run failed",
  problem: "A project cannot go on",
};

/** A sign for each, so that one sees at a glance what is what. */
export const KIND_SIGNS: Record<Kind, string> = {
  question: "✎",
  approval: "⚑",
  limit: "▲",
  permission: "⚑",
  idle: "…",
  stalled: "‖",
  lost: "?",
  failed: "✕",
  problem: "!",
};
