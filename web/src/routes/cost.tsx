// What a run used: by frame, tool, model, the time of day, and what doing things again cost.

import { createMemo, createSignal, For, Show } from "solid-js";
import type { Usage } from "../api/types.gen.ts";
import { clock, cost, day, isUsed, plural, tokens, usageInFull } from "../format.ts";
import {
  COST_KINDS,
  byFrame,
  byModel,
  byRetries,
  byTime,
  byTool,
  dearestFirst,
} from "../model/costs.ts";
import type { CostKind, CostRow } from "../model/costs.ts";
import { NOTHING_USED, addUsage, allTokens } from "../model/usage.ts";
import { place, setQuery } from "../router.ts";
import type { TaskTable } from "../model/columns.ts";
import type { ViewProps } from "./view.ts";
import "../styles/cost.css";

const TITLES: Record<CostKind, string> = {
  frame: "Frame",
  tool: "Tool",
  model: "Model",
  time: "Time",
  retries: "Retries",
};
const FIRST_ROWS = 200;

export function CostView(props: ViewProps) {
  const kind = createMemo(
    (): CostKind => COST_KINDS.find((each) => each === place().query.get("by")) ?? "frame",
  );
  const frames = createMemo(() => {
    void props.version;
    return byFrame(props.frames, props.layout, props.matching);
  });
  const total = createMemo(() =>
    frames().reduce((sum, row) => addUsage(sum, row.usage), NOTHING_USED),
  );
  const partly = () => frames().some((row) => row.partly);
  const found = createMemo(() => {
    void props.version;
    if (kind() === "time") {
      const now_ms = props.now();
      return byTime(
        props.frames,
        props.tasks,
        props.matching,
        now_ms,
        -new Date(now_ms).getTimezoneOffset() * 60_000,
      );
    }
    const by = { tool: byTool, model: byModel, retries: byRetries };
    const rows =
      kind() === "frame"
        ? frames().slice()
        : by[kind() as keyof typeof by](props.frames, props.tasks, props.matching);
    return { step_ms: 0, rows: rows.sort(dearestFirst) };
  });
  const isAnything = () => isUsed(total()) || someUsed(props.tasks);

  return (
    <section class="cost-view" aria-label="Cost">
      <Show when={isAnything()} fallback={<Nothing filtered={props.matching !== null} />}>
        <div class="cost-head">
          <p>
            <strong class="cost-total">{cost(total()) ?? "No cost known"}</strong>{" "}
            <span class="muted">
              {partly() ? "for what has a known price · " : ""}
              {tokens(total())} tokens · <span>{usageInFull(total())}</span>
            </span>
          </p>
          <div class="cost-kinds" role="group" aria-label="By what">
            <For each={COST_KINDS}>
              {(each) => (
                <button
                  class="quiet"
                  aria-pressed={kind() === each}
                  onClick={() => setQuery("by", each === "frame" ? null : each)}
                >
                  {TITLES[each]}
                </button>
              )}
            </For>
          </div>
        </div>
        <CostTable
          {...props}
          kind={kind()}
          rows={found().rows}
          step_ms={found().step_ms}
          total={total()}
        />
      </Show>
    </section>
  );
}

function Nothing(props: { filtered: boolean }) {
  return (
    <div class="empty">
      <h2>No model was used</h2>
      <p class="muted">
        {props.filtered
          ? "Not by the frames that the filter finds."
          : "Tokens and their cost appear here as agents tell them. Plain commands use none."}
      </p>
    </div>
  );
}

function CostTable(
  props: ViewProps & { kind: CostKind; rows: CostRow[]; step_ms: number; total: Usage },
) {
  const [limit, setLimit] = createSignal(FIRST_ROWS);
  /** By cost where there is any, else by tokens. */
  const isPriced = () => (props.total.cost_usd ?? 0) > 0;
  const weight = (usage: Usage) => (isPriced() ? (usage.cost_usd ?? 0) : allTokens(usage));
  const most = createMemo(() =>
    props.rows.reduce((most, row) => Math.max(most, weight(row.within)), 0),
  );
  const sum = createMemo(() =>
    props.rows.reduce((all, row) => addUsage(all, row.usage), NOTHING_USED),
  );
  const share = (usage: Usage) => {
    const of = weight(props.total);
    return of > 0 ? `${((weight(usage) / of) * 100).toFixed(1)} %` : "";
  };
  const bar = (usage: Usage) => `${most() > 0 ? (weight(usage) / most()) * 100 : 0}%`;
  const isFrames = () => props.kind === "frame";
  return (
    <Show
      when={props.rows.length > 0}
      fallback={
        <p class="hint">
          {props.kind === "retries"
            ? "Nothing was done again that used a model."
            : "Nothing is known by this."}
        </p>
      }
    >
      <Show when={props.kind === "retries"}>
        <p class="hint cost-hint">
          What second and later tries used: {cost(sum()) ?? `${tokens(sum())} tokens`},{" "}
          {share(sum())} of all.
        </p>
      </Show>
      <div
        class="cost-scroll"
        tabindex="0"
        role="group"
        aria-label={`Cost by ${TITLES[props.kind].toLowerCase()}`}
      >
        <table>
          <thead>
            <tr>
              <th scope="col">{props.kind === "retries" ? "Frame" : TITLES[props.kind]}</th>
              <th scope="col" class="cost-bars wide-only">
                {isPriced() ? "By cost" : "By tokens"}
              </th>
              <th scope="col" class="number">
                {isFrames() ? "Within" : "Cost"}
              </th>
              <Show when={isFrames()}>
                <th scope="col" class="number wide-only">
                  Own
                </th>
              </Show>
              <th scope="col" class="number">
                Share
              </th>
              <th scope="col" class="number">
                Tokens
              </th>
              <th scope="col" class="number wide-only">
                Input
              </th>
              <th scope="col" class="number wide-only">
                Output
              </th>
              <th scope="col" class="number wide-only">
                Cache read
              </th>
              <th scope="col" class="number wide-only">
                Cache write
              </th>
            </tr>
          </thead>
          <tbody>
            <For each={props.rows.slice(0, limit())}>
              {(row) => (
                <tr classList={{ chosen: isOfFrame() && props.selected === row.key }}>
                  <th scope="row">{name(row)}</th>
                  <td class="cost-bars wide-only" aria-hidden="true">
                    <span class="cost-bar">
                      <i style={{ width: bar(row.within) }} />
                      <b style={{ width: bar(row.usage) }} />
                    </span>
                  </td>
                  <td class="number">{money(row.within, row.partly)}</td>
                  <Show when={isFrames()}>
                    <td class="number wide-only muted">
                      {isUsed(row.usage) ? money(row.usage, row.partly) : ""}
                    </td>
                  </Show>
                  <td class="number muted">{share(row.within)}</td>
                  <td class="number">{tokens(whole(row.within))}</td>
                  <For each={["input", "output", "cache_read", "cache_write"] as const}>
                    {(field) => (
                      <td class="number wide-only muted">
                        {Math.round(row.within[field]).toLocaleString()}
                      </td>
                    )}
                  </For>
                </tr>
              )}
            </For>
          </tbody>
        </table>
        <Show when={props.rows.length > limit()}>
          <button class="more" onClick={() => setLimit(Infinity)}>
            Show {plural(props.rows.length - limit(), "row")} more
          </button>
        </Show>
      </div>
    </Show>
  );

  function isOfFrame(): boolean {
    return props.kind === "frame" || props.kind === "retries";
  }

  function name(row: CostRow) {
    if (isOfFrame()) {
      const at = props.frames.row(row.key);
      const title = at === undefined ? row.key : props.frames.title.get(at);
      return (
        <button class="link" title={title} onClick={() => props.onSelect(row.key)}>
          {title}
        </button>
      );
    }
    if (props.kind === "time")
      return props.step_ms >= 24 * 3_600_000
        ? day(Number(row.key))
        : `${day(Number(row.key))}, ${clock(Number(row.key)).slice(0, 5)}`;
    return row.key === "" ? <span class="muted">not told</span> : row.key;
  }
}

/** Tokens spread over hours are no whole numbers. */
function whole(usage: Usage): Usage {
  return {
    ...usage,
    input: Math.round(usage.input),
    output: Math.round(usage.output),
    cache_read: Math.round(usage.cache_read),
    cache_write: Math.round(usage.cache_write),
  };
}

/** A cost, with `+ ?` where the price of a part is not known. */
function money(usage: Usage, partly: boolean): string {
  const known = cost(usage);
  if (known === null) return partly ? "?" : "";
  return partly ? `${known} + ?` : known;
}

/** Whether any task used a model. */
function someUsed(tasks: TaskTable): boolean {
  for (let row = 0; row < tasks.length; row++) if (isUsed(tasks.usage.get(row))) return true;
  return false;
}
