// The frame of the page: what is always in sight, and the place within it.

import { createEffect, createMemo, ErrorBoundary, Match, on, Show, Switch, lazy } from "solid-js";
import { overlay, usePageCommands } from "./commands/page.ts";
import { place } from "./router.ts";
import { routeOf } from "./routes/routes.ts";
import { connection, snapshots } from "./state.ts";
import { sentence } from "./ui/announce.ts";
import { Acceptance } from "./ui/Accept.tsx";
import { Dialogs } from "./ui/Dialog.tsx";
import { Broken, Notice, Nowhere, SignedOut } from "./ui/Empty.tsx";
import { focusHeading } from "./ui/focus.ts";
import { Navigation } from "./ui/Navigation.tsx";
import { Toasts } from "./ui/Toast.tsx";
import { TopBar } from "./ui/TopBar.tsx";
import { TrustNotice } from "./ui/Trust.tsx";

const Palette = lazy(() => import("./ui/Palette.tsx"));
const Help = lazy(() => import("./ui/Help.tsx"));

export function App() {
  usePageCommands();
  const path = createMemo(() => place().path);
  createEffect(on(path, focusHeading, { defer: true }));
  return (
    <>
      <a class="skip" href="#main">
        Skip to content
      </a>
      <TopBar />
      <Notice />
      <TrustNotice />
      <div class="body">
        <Navigation />
        <main id="main" tabindex="-1">
          <Show when={connection() !== "signed_out" || snapshots() > 0} fallback={<SignedOut />}>
            <Show when={path()} keyed>
              {(at) => <Place path={at} />}
            </Show>
          </Show>
        </main>
      </div>
      <Switch>
        <Match when={overlay() === "palette"}>
          <Palette />
        </Match>
        <Match when={overlay() === "help"}>
          <Help />
        </Match>
      </Switch>
      <Dialogs />
      <Acceptance />
      <Toasts />
      <p class="unseen" role="status" aria-live="polite" id="told">
        {sentence()}
      </p>
    </>
  );
}

function Place(props: { path: string }) {
  const found = routeOf(props.path);
  if (found === null) return <Nowhere />;
  return (
    <ErrorBoundary fallback={(error: unknown, again) => <Broken error={error} again={again} />}>
      <found.route.page parts={found.parts} />
    </ErrorBoundary>
  );
}
