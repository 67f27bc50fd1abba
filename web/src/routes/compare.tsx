// Runs side by side: how they stand, what they took and used, and frame by frame what differs, the
// weightiest first. And frames side by side, whichever they are of.

import { createMemo, createSignal, For, Show } from "solid-js";
import type { RunView } from "../api/types.gen.ts";
import { Facts } from "../compare/Facts.tsx";
import type { Fact } from "../compare/Facts.tsx";
import { FrameDiff } from "../compare/FrameDiff.tsx";
import { createOutcomes, createSides } from "../compare/loading.ts";
import type { Asked, Outcome } from "../compare/loading.ts";
import { match } from "../compare/match.ts";
import type { Cell, Match, Side } from "../compare/match.ts";
import { visible } from "../diff/visible.ts";
import {
  cost,
  duration,
  isUsed,
  moment,
  plural,
  shortMoment,
  tokens,
  usageInFull,
} from "../format.ts";
import { standing } from "../model/status.ts";
import { compareFramesPath, comparePath, readPairs, runPath } from "../paths.ts";
import { navigate, place, setQuery } from "../router.ts";
import { contentOf, runs, second } from "../state.ts";
import { runKey } from "../sync/apply.ts";
import { CountsBar, Status } from "../ui/Status.tsx";
import { useTitle } from "../ui/title.ts";
import "../styles/compare.css";

/** More columns than so are not read. */
const MOST = 6;

export default function ComparePage() {
  useTitle(() => "Compare");
  const frames = createMemo(() => readPairs(place().query.get("frames")).slice(0, MOST));
  const asked = createMemo(() => readPairs(place().query.get("runs")).slice(0, MOST));
  return (
    <div class="compare">
      <Show when={frames().length > 0} fallback={<Runs asked={asked()} />}>
        <h1>Compare frames</h1>
        <Show when={frames().length > 1} fallback={<OtherFrame one={frames()[0]!} />}>
          <FrameDiff
            frames={frames().map(({ project, id }) => ({ project, frame: id, name: id }))}
          />
        </Show>
      </Show>
    </div>
  );
}

/** With one frame only, another is chosen: of those of its run, or by its id. */
function OtherFrame(props: { one: Asked }) {
  const [id, setId] = createSignal("");
  /** The run that it is of, where that is here. */
  const frames = createMemo(() => {
    for (const run of Object.values(runs)) {
      const found =
        run.project === props.one.project
          ? contentOf(runKey(run.project, run.id))?.content.frames
          : undefined;
      if (found?.row(props.one.id) !== undefined) return found;
    }
    return null;
  });
  const title = () => frames()?.title.get(frames()!.row(props.one.id)!) ?? props.one.id;
  const others = () => {
    const all = frames();
    return all
      ? Array.from({ length: Math.min(all.length, 2_000) }, (_, row) => row).filter(
          (row) => all.id.get(row) !== props.one.id && !all.group.get(row),
        )
      : [];
  };
  const go = (event: SubmitEvent) => {
    event.preventDefault();
    if (id().trim() !== "")
      navigate(compareFramesPath([props.one, { project: props.one.project, id: id().trim() }]));
  };
  return (
    <form class="compare-other" onSubmit={go}>
      <label>
        Compare <strong>{title()}</strong> with the frame{" "}
        <input
          class="mono"
          list="frames-to-compare"
          value={id()}
          placeholder="f-…"
          onInput={(event) => setId(event.currentTarget.value)}
        />
      </label>
      <datalist id="frames-to-compare">
        <For each={others()}>
          {(row) => <option value={frames()!.id.get(row)}>{frames()!.title.get(row)}</option>}
        </For>
      </datalist>
      <button class="primary" disabled={id().trim() === ""}>
        Compare
      </button>
    </form>
  );
}

function Runs(props: { asked: readonly Asked[] }) {
  const { sides, error } = createSides(() => props.asked);
  const shown = () => (sides()?.length === props.asked.length ? sides() : null);
  return (
    <>
      <h1>Compare runs</h1>
      <Chooser asked={props.asked} />
      <Show when={error()}>
        {(why) => (
          <p class="notice" role="alert">
            {why()}
          </p>
        )}
      </Show>
      <Show
        when={shown()}
        fallback={
          <p class="hint" role="status">
            {error() === null ? "Loading…" : ""}
          </p>
        }
      >
        {(all) => (
          <Show
            when={all().length > 0}
            fallback={
              <p class="hint">
                Choose the runs to compare, here or by the boxes in the list of <a href="/">runs</a>
                .
              </p>
            }
          >
            <Overview sides={all()} />
            <Show
              when={all().length > 1}
              fallback={<p class="hint">Choose another run to see in what they differ.</p>}
            >
              <Frames sides={all()} />
            </Show>
          </Show>
        )}
      </Show>
    </>
  );
}

/** Runs to add: those of the same name first. */
function Chooser(props: { asked: readonly Asked[] }) {
  const is = (run: RunView) =>
    props.asked.some(({ project, id }) => run.project === project && run.id === id);
  const names = () =>
    new Set(
      Object.values(runs)
        .filter(is)
        .map((run) => run.name),
    );
  const offered = () =>
    Object.values(runs)
      .filter((run) => !is(run))
      .sort(
        (a, b) =>
          Number(names().has(b.name)) - Number(names().has(a.name)) || b.started_ms - a.started_ms,
      )
      .slice(0, 200);
  return (
    <Show when={props.asked.length < MOST && offered().length > 0}>
      <select
        aria-label="Add a run"
        onChange={(event) => {
          const [project, id] = event.currentTarget.value.split("/");
          event.currentTarget.value = "";
          if (project && id) navigate(comparePath([...props.asked, { project, id }]));
        }}
      >
        <option value="">Add a run…</option>
        <For each={offered()}>
          {(run) => (
            <option value={`${run.project}/${run.id}`}>
              {run.name} · {run.id} · {shortMoment(run.started_ms, second())}
            </option>
          )}
        </For>
      </select>
    </Show>
  );
}

const FACTS: readonly Fact<Side>[] = [
  ["Why", ({ run }) => run.reason ?? ""],
  ["Started", ({ run }) => moment(run.started_ms)],
  ["Took", ({ run }) => duration((run.ended_ms ?? second()) - run.started_ms)],
  [
    "Tokens",
    ({ run }) => (isUsed(run.usage) ? `${tokens(run.usage)} (${usageInFull(run.usage)})` : ""),
  ],
  ["Cost", ({ run }) => cost(run.usage) ?? ""],
  ["Plan", ({ run }) => run.plan ?? ""],
];

function Overview(props: { sides: readonly Side[] }) {
  const without = (run: RunView) =>
    comparePath(props.sides.map((side) => side.run).filter((each) => each !== run));
  const heading = (side: Side) => (
    <>
      <a href={runPath(side.run.project, side.run.id)}>{side.run.name}</a>
      <a
        class="quiet"
        href={without(side.run)}
        aria-label={`Take ${side.run.id} away`}
        title="Take it away"
      >
        ✕
      </a>
      <span class="muted mono">{side.run.id}</span>
    </>
  );
  return (
    <Facts label="Runs" sides={props.sides} facts={FACTS} heading={heading}>
      <tr>
        <th scope="row">Status</th>
        <For each={props.sides}>
          {({ run }) => (
            <td>
              <Status status={standing(run)} /> <CountsBar counts={run.counts} />
            </td>
          )}
        </For>
      </tr>
    </Facts>
  );
}

const FIRST_ROWS = 200;

function Frames(props: { sides: readonly Side[] }) {
  const matches = createMemo(() => match(props.sides));
  const { outcomes, left, lookAtAll } = createOutcomes(() => props.sides, matches);
  const [limit, setLimit] = createSignal(FIRST_ROWS);
  const onlyDiffering = () => place().query.get("only") === "differing";
  const isDiffering = ({ key, differs }: Match) =>
    differs.length > 0 || said(outcomes().get(key)) !== "";
  const rows = () => (onlyDiffering() ? matches().filter(isDiffering) : matches());
  const same = () => matches().length - matches().filter(isDiffering).length;
  return (
    <>
      <div class="compare-tools">
        <h2>Frames</h2>
        <span class="muted">
          {plural(matches().length, "frame")}, {same()} without a difference
        </span>
        <label>
          <input
            type="checkbox"
            checked={onlyDiffering()}
            onChange={(event) => setQuery("only", event.currentTarget.checked ? "differing" : null)}
          />{" "}
          Only those that differ
        </label>
        <Show when={left() > 0}>
          <button onClick={lookAtAll}>Compare the outputs of {left()} more</button>
        </Show>
      </div>
      <div class="compare-scroll" tabindex="0" role="group" aria-label="Frames">
        <table class="compare-frames">
          <thead>
            <tr>
              <th scope="col">Frame</th>
              <For each={props.sides}>
                {({ run }) => (
                  <th scope="col" class="mono">
                    {run.id}
                  </th>
                )}
              </For>
              <th scope="col">Differs in</th>
            </tr>
          </thead>
          <tbody>
            <For each={rows().slice(0, limit())}>
              {(each) => (
                <FrameRow match={each} sides={props.sides} outcome={outcomes().get(each.key)} />
              )}
            </For>
          </tbody>
        </table>
      </div>
      <Show when={rows().length > limit()}>
        <button class="more" onClick={() => setLimit(limit() + 1_000)}>
          Show more of {rows().length}
        </button>
      </Show>
    </>
  );
}

function said(outcome: Outcome | undefined): string {
  return outcome === undefined
    ? ""
    : "differ" in outcome
      ? outcome.differ
      : `outputs could not be compared: ${outcome.failed}`;
}

function FrameRow(props: { match: Match; sides: readonly Side[]; outcome: Outcome | undefined }) {
  const [open, setOpen] = createSignal(false);
  const title = props.match.cells.find((cell) => cell !== null)!.frame.title;
  const words = () =>
    [...props.match.differs, said(props.outcome)].filter((each) => each !== "").join(", ");
  const compared = props.match.cells.flatMap((cell, i) =>
    cell === null
      ? []
      : [
          {
            project: props.sides[i]!.run.project,
            frame: cell.frame.id,
            name: props.sides[i]!.run.id,
          },
        ],
  );
  return (
    <>
      <tr classList={{ differs: words() !== "" }}>
        <th scope="row">
          <button
            class="link"
            aria-expanded={open()}
            onClick={() => setOpen(!open())}
            disabled={compared.length < 2}
          >
            <span aria-hidden="true">{compared.length < 2 ? "" : open() ? "▾ " : "▸ "}</span>
            {title}
          </button>
          <Show when={props.match.key !== title}>
            <span class="muted mono">{visible(props.match.key)}</span>
          </Show>
        </th>
        <For each={props.match.cells}>
          {(cell) => (
            <td>
              <Show when={cell} fallback={<span class="muted">absent</span>}>
                {(shown) => <Summary cell={shown()} />}
              </Show>
            </td>
          )}
        </For>
        <td>
          {words() === "" ? (
            <span class="muted">{props.outcome === undefined ? "" : "nothing"}</span>
          ) : (
            words()
          )}
        </td>
      </tr>
      <Show when={open()}>
        <tr>
          <td class="compare-open" colspan={props.sides.length + 2}>
            <FrameDiff frames={compared} />
          </td>
        </tr>
      </Show>
    </>
  );
}

function Summary(props: { cell: Cell }) {
  const facts = () =>
    [
      props.cell.took_ms === null ? null : duration(props.cell.took_ms),
      props.cell.tries > 1 ? `${props.cell.tries} tries` : null,
      isUsed(props.cell.usage) ? `${tokens(props.cell.usage)} tokens` : null,
      cost(props.cell.usage),
      props.cell.frame.tool,
      props.cell.model,
    ].filter((fact) => fact !== null);
  return (
    <>
      <Status status={props.cell.frame.status} /> <span class="muted">{facts().join(" · ")}</span>
    </>
  );
}
