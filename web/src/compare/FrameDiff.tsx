// What one frame did and gave, beside others: facts in a table, texts and artifacts as diffs against the first.

import { createEffect, createResource, createSignal, For, on, onCleanup, Show } from "solid-js";
import type { Artifact, FrameView } from "../api/types.gen.ts";
import { DiffView } from "../diff/Diff.tsx";
import { visible } from "../diff/visible.ts";
import { bytes, cost, duration, isUsed, plural, tokens, usageInFull } from "../format.ts";
import { runPath } from "../paths.ts";
import { NOTHING_USED, addUsage } from "../model/usage.ts";
import { Status } from "../ui/Status.tsx";
import { Facts } from "./Facts.tsx";
import type { Fact } from "./Facts.tsx";
import { loadCopy, loadFrame, textDifference } from "./load.ts";
import type { FrameOutputs } from "./load.ts";
import { outputDifferences } from "./outputs.ts";
import type { ArtifactDifference, OutputDifferences } from "./outputs.ts";

/** A frame that is compared, and what its column is called. */
export interface Compared {
  readonly project: string;
  readonly frame: string;
  readonly name: string;
}

export function FrameDiff(props: { frames: readonly Compared[] }) {
  const [loaded, setLoaded] = createSignal<readonly FrameOutputs[] | null>(null);
  const [error, setError] = createSignal<string | null>(null);
  createEffect(
    on(
      () => props.frames,
      (frames) => {
        const abort = new AbortController();
        onCleanup(() => abort.abort());
        Promise.all(
          frames.map(({ project, frame }) => loadFrame(project, frame, abort.signal)),
        ).then(
          (outputs) => setLoaded(outputs),
          (reason: unknown) =>
            abort.signal.aborted ||
            setError(reason instanceof Error ? reason.message : String(reason)),
        );
      },
    ),
  );
  return (
    <Show
      when={loaded()}
      fallback={
        <p class="hint" role={error() ? "alert" : "status"}>
          {error() ?? "Loading…"}
        </p>
      }
    >
      {(outputs) => (
        <div class="frame-diff">
          <Facts
            label="Facts"
            sides={outputs()}
            facts={FACTS}
            marked
            heading={(outputs, i) => (
              <FrameHeading of={props.frames[i]!} found={outputs.detail.frame} />
            )}
          />
          <For each={outputs().slice(1)}>
            {(other, i) => (
              <Outputs
                heading={
                  outputs().length > 2
                    ? `${props.frames[i() + 1]!.name} against ${props.frames[0]!.name}`
                    : null
                }
                before={props.frames[0]!}
                after={props.frames[i() + 1]!}
                found={outputDifferences(outputs()[0]!.detail, other.detail)}
              />
            )}
          </For>
        </div>
      )}
    </Show>
  );
}

function FrameHeading(props: { of: Compared; found: FrameView }) {
  return (
    <>
      <a href={runPath(props.of.project, props.found.run, props.found.id)}>{props.found.title}</a>
      <span class="muted mono">{props.of.name}</span>
      <Status status={props.found.status} />
    </>
  );
}

const FACTS: readonly Fact<FrameOutputs>[] = [
  ["Why", ({ detail }) => detail.frame.reason ?? ""],
  [
    "Took",
    ({ detail: { frame } }) =>
      frame.started_ms === null || frame.ended_ms === null
        ? ""
        : duration(frame.ended_ms - frame.started_ms),
  ],
  ["Tries", ({ detail }) => String(detail.tasks.length)],
  [
    "Tokens",
    ({ detail }) =>
      isUsed(used(detail)) ? `${tokens(used(detail))} (${usageInFull(used(detail))})` : "",
  ],
  ["Cost", ({ detail }) => cost(used(detail)) ?? ""],
  ["Tool", ({ detail }) => detail.frame.tool ?? ""],
  ["Version", (outputs) => outputs.tool_version ?? ""],
  ["Model", ({ detail }) => detail.tasks.findLast((task) => task.model !== null)?.model ?? ""],
  ["Commit", (outputs) => outputs.commit ?? ""],
  [
    "Role, phase",
    ({ detail: { frame } }) =>
      [frame.agent_role, frame.phase].filter((each) => each !== null).join(" · "),
  ],
];

function used(detail: FrameOutputs["detail"]) {
  return detail.tasks.reduce(
    (sum, task) => addUsage(sum, task.usage ?? NOTHING_USED),
    NOTHING_USED,
  );
}

function Outputs(props: {
  heading: string | null;
  before: Compared;
  after: Compared;
  found: OutputDifferences;
}) {
  const isNothing = () => props.found.texts.length + props.found.artifacts.length === 0;
  return (
    <section class="compare-outputs">
      <Show when={props.heading}>{(heading) => <h4>{heading()}</h4>}</Show>
      <Show when={isNothing()}>
        <p class="muted">
          Goal, results and artifacts are the same
          {props.found.same > 0 ? ` (${plural(props.found.same, "artifact")})` : ""}.
        </p>
      </Show>
      <For each={props.found.texts}>
        {(text) => <TextDiff name={text.what} texts={async () => [text.before, text.after]} open />}
      </For>
      <For each={props.found.artifacts}>
        {(artifact) => <ArtifactDiff {...props} artifact={artifact} />}
      </For>
      <Show when={!isNothing() && props.found.same > 0}>
        <p class="muted">{plural(props.found.same, "artifact")} the same.</p>
      </Show>
    </section>
  );
}

function ArtifactDiff(props: { before: Compared; after: Compared; artifact: ArtifactDifference }) {
  const abort = new AbortController();
  onCleanup(() => abort.abort());
  const sizes = () =>
    [props.artifact.before, props.artifact.after]
      .map((each) => (each === null ? "absent" : bytes(each.bytes)))
      .join(" → ");
  const read = async (from: Compared, artifact: Artifact | null) => {
    if (artifact === null) return "";
    const copy = await loadCopy(from.project, artifact, abort.signal);
    if ("why" in copy) throw new Error(copy.why);
    return copy.text;
  };
  const texts = () =>
    Promise.all([
      read(props.before, props.artifact.before),
      read(props.after, props.artifact.after),
    ]);
  return (
    <TextDiff
      name={visible(props.artifact.path)}
      note={`${props.artifact.change}, ${sizes()}`}
      texts={texts}
      open={false}
    />
  );
}

/** The difference of two texts, found when it is opened. */
function TextDiff(props: {
  name: string;
  note?: string;
  texts(): Promise<string[]>;
  open: boolean;
}) {
  const [open, setOpen] = createSignal(props.open);
  const [diff] = createResource(open, async () => {
    const [before, after] = await props.texts();
    return textDifference(before!, after!);
  });
  return (
    <details
      class="compare-text"
      open={props.open}
      onToggle={(event) => setOpen(open() || event.currentTarget.open)}
    >
      <summary>
        <bdi>{props.name}</bdi> <span class="muted">{props.note}</span>
      </summary>
      <Show
        when={!diff.error}
        fallback={
          <p class="hint">
            They differ: {diff.error instanceof Error ? diff.error.message : String(diff.error)}.
          </p>
        }
      >
        <Show
          when={!diff.loading && diff.state === "ready"}
          fallback={
            <p class="hint" role="status">
              Comparing…
            </p>
          }
        >
          <Show
            when={diff()}
            fallback={
              <p class="hint">
                {diff() === null
                  ? "They are too different, or too long, to be shown side by side."
                  : "They differ in nothing that shows."}
              </p>
            }
          >
            {(text) => <DiffView text={text()} name={props.name} bare />}
          </Show>
        </Show>
      </Show>
    </details>
  );
}
