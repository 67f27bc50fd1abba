// An artifact as it can be looked at: its beginning, and of that only what is safe to show.

import {
  createEffect,
  createMemo,
  createSignal,
  lazy,
  Match,
  on,
  onCleanup,
  Show,
  Suspense,
  Switch,
} from "solid-js";
import type { Artifact } from "../api/types.gen.ts";
import { asApiError } from "../api/client.ts";
import type { ApiError } from "../api/client.ts";
import { visible } from "../diff/visible.ts";
import { bytes } from "../format.ts";
import {
  addressOf,
  FIRST_BYTES,
  hexOf,
  IMAGE_BYTES,
  MOST_BYTES,
  readBeginning,
  textOf,
  webAddress,
} from "./artifact.ts";
import type { Beginning } from "./artifact.ts";
import { Json } from "./Json.tsx";

const Markdown = lazy(() => import("./Markdown.tsx"));
const DiffView = lazy(async () => ({ default: (await import("../diff/Diff.tsx")).DiffView }));

export function Preview(props: { project: string; artifact: Artifact }) {
  const [found, setFound] = createSignal<Beginning | null>(null);
  const [error, setError] = createSignal<ApiError | null>(null);
  const [limit, setLimit] = createSignal(FIRST_BYTES);
  const url = createMemo(() => addressOf(props.project, props.artifact, true));
  createEffect(
    on(url, () => {
      setFound(null);
      setLimit(FIRST_BYTES);
    }),
  );
  createEffect(
    on([url, limit], ([from, limit]) => {
      if (from === null) return;
      const abort = new AbortController();
      onCleanup(() => abort.abort());
      setError(null);
      readBeginning(from, props.artifact.path, limit, abort.signal).then(setFound, (reason) => {
        if (!abort.signal.aborted) setError(asApiError(reason));
      });
    }),
  );

  return (
    <article class="artifact">
      <Head {...props} />
      <Switch fallback={<p class="muted">Loading…</p>}>
        <Match when={url() === null}>
          <p class="muted">
            {webAddress(props.artifact) === null
              ? "No copy of it was kept, so there is nothing to show."
              : "It is not here but on the web."}
          </p>
        </Match>
        <Match when={error()}>
          {(why) => (
            <p role="alert">
              {why().message} <span class="muted">{why().help}</span>
            </p>
          )}
        </Match>
        <Match when={found()}>
          {(begin) => (
            <>
              <Suspense fallback={<p class="muted">Loading…</p>}>
                <Shown url={url()!} artifact={props.artifact} begin={begin()} />
              </Suspense>
              <Show when={!begin().whole && begin().kind !== "image" && begin().kind !== "binary"}>
                <p class="hint">
                  This is its beginning: {bytes(begin().bytes.length)} of{" "}
                  {bytes(props.artifact.bytes)}.{" "}
                  <Show when={limit() < MOST_BYTES}>
                    <button onClick={() => setLimit(Math.min(MOST_BYTES, limit() * 4))}>
                      Show more
                    </button>
                  </Show>
                </p>
              </Show>
            </>
          )}
        </Match>
      </Switch>
    </article>
  );
}

function Head(props: { project: string; artifact: Artifact }) {
  return (
    <header class="artifact-head">
      <h2 class="mono">{visible(props.artifact.path)}</h2>
      <span class="muted">
        {props.artifact.sha256 === "" && props.artifact.bytes === 0
          ? ""
          : bytes(props.artifact.bytes)}
      </span>
      <Show when={addressOf(props.project, props.artifact)}>
        {(url) => (
          <a href={url()} download="">
            Download
          </a>
        )}
      </Show>
      <Show when={webAddress(props.artifact)}>
        {(url) => (
          <a href={url()} target="_blank" rel="noopener noreferrer">
            Open
          </a>
        )}
      </Show>
    </header>
  );
}

function Shown(props: { url: string; artifact: Artifact; begin: Beginning }) {
  const text = createMemo(() => textOf(props.begin.bytes));
  const [raw, setRaw] = createSignal(false);
  const json = createMemo(() =>
    props.begin.kind === "json" && props.begin.whole ? parse(text()) : null,
  );
  const isRendered = () =>
    props.begin.kind === "markdown" || props.begin.kind === "diff" || json() !== null;
  return (
    <>
      <Show when={isRendered()}>
        <label class="muted">
          <input
            type="checkbox"
            checked={raw()}
            onChange={(event) => setRaw(event.currentTarget.checked)}
          />{" "}
          as it is written
        </label>
      </Show>
      <Switch
        fallback={
          <Show when={text() !== ""} fallback={<p class="muted">There is nothing in it.</p>}>
            <pre class="text">{text()}</pre>
          </Show>
        }
      >
        <Match when={props.begin.kind === "image"}>
          <Image url={props.url} artifact={props.artifact} />
        </Match>
        <Match when={props.begin.kind === "binary"}>
          <p class="muted">It is not text. Its first bytes:</p>
          <pre class="hex" tabindex="0" role="region" aria-label="Its first bytes">
            {hexOf(props.begin.bytes)}
          </pre>
        </Match>
        <Match when={raw()}>
          <pre class="text">{text()}</pre>
        </Match>
        <Match when={props.begin.kind === "markdown"}>
          <Markdown text={text()} />
        </Match>
        <Match when={props.begin.kind === "diff"}>
          <DiffView text={text()} />
        </Match>
        <Match when={json()}>{(found) => <Json value={found().value} />}</Match>
      </Switch>
    </>
  );
}

/** The value of a JSON text; null where it is none. */
function parse(text: string): { value: unknown } | null {
  try {
    return { value: JSON.parse(text) };
  } catch {
    return null;
  }
}

function Image(props: { url: string; artifact: Artifact }) {
  const [wanted, setWanted] = createSignal(props.artifact.bytes <= IMAGE_BYTES);
  const [broken, setBroken] = createSignal(false);
  return (
    <Show when={!broken()} fallback={<p class="muted">The image is damaged.</p>}>
      <Show
        when={wanted()}
        fallback={
          <button onClick={() => setWanted(true)}>
            Load the image, {bytes(props.artifact.bytes)}
          </button>
        }
      >
        <img
          src={props.url}
          alt={visible(props.artifact.path).slice(0, 200)}
          onError={() => setBroken(true)}
        />
      </Show>
    </Show>
  );
}
