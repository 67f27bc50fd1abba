// What is under the pointer, or chosen, in words; made of text only.

import { createEffect, createSignal, For, on, onCleanup, Show } from "solid-js";
import type { FrameDetail } from "../api/types.gen.ts";
import { getFrame } from "../api/client.ts";
import { cost, duration, isUsed, plural, tokens } from "../format.ts";
import type { TaskTable } from "../model/columns.ts";
import { FUTURE, RUNNING } from "../model/layout.ts";
import type { Layout } from "../model/layout.ts";
import { doingGlyph, doingWord, glyph, word } from "../model/status.ts";
import type { Shown } from "./scene.ts";
import { Facts } from "../ui/Facts.tsx";

export interface Tip {
  readonly bar: number;
  /** In the window. */
  readonly x: number;
  readonly y: number;
}

interface Props {
  project: string;
  shown: Shown;
  /** The layout by time. */
  layout: Layout;
  tasks: TaskTable;
  now_ms: number;
  tip: Tip;
}

/** A pointer that only passes asks the daemon nothing. */
const REST_MS = 200;
const KEPT = 200;

/** Details by project, frame and what last happened to it. */
const known = new Map<string, FrameDetail>();

export function Tooltip(props: Props) {
  const view = () => props.shown.frames.get(props.tip.bar);
  const detail = detailOf(props);
  const took = () => {
    const {
      tip: { bar },
      layout,
    } = props;
    if (layout.kind[bar] === FUTURE) return null;
    const isRunning = layout.kind[bar] === RUNNING;
    const length = duration((isRunning ? props.now_ms : layout.end[bar]!) - layout.start[bar]!);
    return isRunning ? `${length} so far` : length;
  };
  const facts = () => {
    const { usage, turns, task, tool, phase, agent_role, artifacts } = view();
    const attempt = task === null ? undefined : props.tasks.row(task);
    return [
      took(),
      isUsed(usage) ? `${tokens(usage)} tokens` : null,
      usage ? cost(usage) : null,
      turns > 0 ? plural(turns, "message") : null,
      artifacts > 0 ? plural(artifacts, "artifact") : null,
      attempt === undefined ? null : `attempt ${props.tasks.attempt.get(attempt)}`,
      tool,
      phase,
      agent_role,
      view().id,
    ].filter((fact) => fact !== null);
  };
  const doing = () => {
    const last = view().spans.at(-1)?.doing;
    return view().status === "in_progress" && last !== undefined && last !== "working"
      ? last
      : null;
  };
  const folded = () => props.shown.fold.count[props.tip.bar] ?? 0;
  const place = () => {
    const x = Math.max(4, Math.min(props.tip.x + 14, innerWidth - 330));
    const isLow = props.tip.y > innerHeight * 0.6;
    return `translate(${x}px, ${props.tip.y + (isLow ? -14 : 18)}px) ${isLow ? "translateY(-100%)" : ""}`;
  };
  return (
    <div class="tip" role="tooltip" style={{ transform: place() }}>
      <strong>{view().title}</strong>
      <span class={`status status-${view().status}`}>
        {glyph(view().status)} {view().skipped ? "skipped" : word(view().status)}
        <Show when={doing()}>
          {(what) => (
            <>
              {" "}
              · {doingGlyph(what())} {doingWord(what())}
            </>
          )}
        </Show>
        <Show when={view().stale}> · stale</Show>
      </span>
      <Show when={view().reason}>{(reason) => <span class="tip-text">{reason()}</span>}</Show>
      <For each={summary(detail())}>
        {(line) => <span class="tip-text tip-summary">{line}</span>}
      </For>
      <Show when={folded() > 0}>
        <span class="muted">{plural(folded(), "frame")} folded in it</span>
      </Show>
      <span class="muted">
        <Facts of={facts()} />
      </span>
    </div>
  );
}

/** What it is to achieve, and what came of it. */
function summary(detail: FrameDetail | null): string[] {
  if (!detail) return [];
  const result = detail.results_compact || detail.results;
  return [detail.goal, result]
    .filter((text) => text !== "" && text !== detail.frame.title)
    .map((text) => text.slice(0, 600));
}

/** The details of the frame, once the pointer rests on it. */
function detailOf(props: Props): () => FrameDetail | null {
  const [detail, setDetail] = createSignal<FrameDetail | null>(null);
  const key = () =>
    `${props.project} ${props.shown.frames.id.get(props.tip.bar)} ${props.shown.frames.seq.get(props.tip.bar)}`;
  createEffect(
    on(key, (wanted) => {
      setDetail(known.get(wanted) ?? null);
      if (known.has(wanted)) return;
      const abort = new AbortController();
      const timer = setTimeout(() => {
        const frame = props.shown.frames.id.get(props.tip.bar);
        // Where the daemon does not answer, the tip says what is known here.
        getFrame(props.project, frame, abort.signal).then(
          (found) => setDetail(remember(wanted, found)),
          () => undefined,
        );
      }, REST_MS);
      onCleanup(() => {
        clearTimeout(timer);
        abort.abort();
      });
    }),
  );
  return detail;
}

function remember(key: string, detail: FrameDetail): FrameDetail {
  known.set(key, detail);
  if (known.size > KEPT) known.delete(known.keys().next().value!);
  return detail;
}
