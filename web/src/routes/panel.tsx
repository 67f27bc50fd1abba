// The panel of a run. What it is made of is loaded after the chart, which is what one looks at first.

import { lazy, Suspense } from "solid-js";
import type { PanelProps } from "../details/Panel.tsx";

const Whole = lazy(() => import("../details/Panel.tsx"));

export function Panel(props: PanelProps) {
  return (
    <Suspense
      fallback={
        <section class="panel" ref={props.ref} aria-label="About it">
          <p class="hint">Loading…</p>
        </section>
      }
    >
      <Whole {...props} />
    </Suspense>
  );
}
