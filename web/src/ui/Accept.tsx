// Where the dialog about a read-only run opens.

import { createSignal, lazy, Show, Suspense } from "solid-js";
import type { RunView } from "../api/types.gen.ts";

const AcceptDialog = lazy(() => import("./AcceptDialog.tsx"));
const [offered, setOffered] = createSignal<{ run: RunView; closed(): void } | null>(null);

/** Shows what accepting a run executes. Resolves when the dialog is closed. */
export function offerAcceptance(run: RunView): Promise<void> {
  offered()?.closed();
  return new Promise((resolve) => {
    const closed = () => {
      setOffered(null);
      resolve();
    };
    setOffered({ run, closed });
  });
}

export function Acceptance() {
  return (
    <Show when={offered()} keyed>
      {(offer) => (
        <Suspense>
          <AcceptDialog run={offer.run} closed={() => offer.closed()} />
        </Suspense>
      )}
    </Show>
  );
}
