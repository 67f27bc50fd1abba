// What is shown where there is nothing to show, or where it cannot be trusted.

import { Match, Switch } from "solid-js";
import type { ApiError } from "../api/client.ts";
import { place } from "../router.ts";
import { connection, fault, snapshots } from "../state.ts";
import { useTitle } from "./title.ts";

/** What one must know to trust what is on the page. */
export function Notice() {
  return (
    <Switch>
      <Match when={fault()}>
        {(why) => (
          <p class="notice" role="alert">
            This page does not understand the daemon any more ({why()}).{" "}
            <button onClick={() => location.reload()}>Load it anew</button>
          </p>
        )}
      </Match>
      <Match when={connection() === "gone"}>
        <p class="notice" role="alert">
          The daemon does not answer
          {snapshots() > 0 ? "; what you see is how things stood when it last did" : ""}. Tasks go
          on without it. <code>fornax up</code> starts it.
        </p>
      </Match>
      <Match when={connection() === "signed_out" && snapshots() > 0}>
        <p class="notice" role="alert">
          This browser is signed out. Run <code>fornax open</code> and follow its link.
        </p>
      </Match>
    </Switch>
  );
}

export function SignedOut() {
  useTitle(() => "Sign in");
  return (
    <div class="empty">
      <h1>Who is there?</h1>
      <p>
        This page shows what your agents do, so it is only for you. In a terminal on this machine,
        run
      </p>
      <pre>fornax open</pre>
      <p class="muted">It opens a link that signs this browser in. The page goes on by itself.</p>
    </div>
  );
}

export function Nowhere() {
  useTitle(() => "No such page");
  return (
    <div class="empty">
      <h1>There is no such page</h1>
      <p>
        Nothing is at <code>{place().path}</code>.
      </p>
      <p>
        <a href="/">All runs</a>
      </p>
    </div>
  );
}

/** Something that was asked for is not there, or did not come. */
export function Missing(props: { problem: ApiError; what: string; href: string; all: string }) {
  return (
    <div class="empty" role="alert">
      <h1>
        {props.problem.status === 404
          ? `There is no such ${props.what}`
          : `The ${props.what} could not be loaded`}
      </h1>
      <p>{props.problem.message}</p>
      <p class="muted">{props.problem.help}</p>
      <p>
        <a href={props.href}>{props.all}</a>
      </p>
    </div>
  );
}

/** A part of the page that failed; the rest of it goes on. */
export function Broken(props: { error: unknown; again(): void }) {
  useTitle(() => "Something went wrong");
  // A part that is loaded when it is needed is gone once the daemon is another version.
  const isOlder = () =>
    props.error instanceof TypeError && /import|module/i.test(props.error.message);
  return (
    <div class="empty" role="alert">
      <h1>{isOlder() ? "This page is older than the daemon" : "This could not be shown"}</h1>
      <p>
        {isOlder() ? "A part of it is not there any more. Nothing is lost." : String(props.error)}
      </p>
      <p class="empty-actions">
        <button class="primary" onClick={() => location.reload()}>
          Load it anew
        </button>
        <button onClick={() => props.again()}>Try again</button>
      </p>
    </div>
  );
}

/** Before the first snapshot has come. */
export function Asking() {
  return (
    <p class="empty muted" role="status">
      Asking the daemon…
    </p>
  );
}
