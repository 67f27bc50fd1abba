// The idle stretches on the axis, to be folded and unfolded.

import { Index } from "solid-js";
import { duration } from "../format.ts";
import type { GapInSight } from "./draw.ts";

/** One narrower than that is not to be hit. */
const NARROWEST_PX = 10;
/** In a narrower one there is no room for how long it was. */
const NAMED_PX = 34;
const MOST = 60;

export function Gaps(props: {
  gaps: readonly GapInSight[];
  width: number;
  onToggle(from_ms: number): void;
}) {
  const shown = () =>
    props.gaps.filter(({ left, right }) => right - left >= NARROWEST_PX).slice(0, MOST);
  return (
    <Index each={shown()}>
      {(at) => {
        const gap = () => at().gap;
        const from = () => Math.max(at().left, 0);
        const width = () => Math.min(at().right, props.width) - from();
        const length = () => duration(gap().to_ms - gap().from_ms);
        return (
          <button
            class="idle-gap"
            classList={{ unfolded: !gap().folded }}
            style={{ left: `${from()}px`, width: `${width()}px` }}
            aria-expanded={!gap().folded}
            aria-label={`${length()} in which nobody worked`}
            title={`Nobody worked for ${length()}. ${gap().folded ? "Unfold" : "Fold"}`}
            onPointerDown={(event) => event.stopPropagation()}
            onDblClick={(event) => event.stopPropagation()}
            onKeyDown={(event) => event.stopPropagation()}
            onClick={() => props.onToggle(gap().from_ms)}
          >
            {width() >= NAMED_PX ? `⋯${length().split(" ")[0]}⋯` : "⋯"}
          </button>
        );
      }}
    </Index>
  );
}
