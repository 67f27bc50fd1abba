// A run as a flame chart, with the tree of its frames beside it.

import { Chart } from "../flame/Chart.tsx";
import { Tree } from "../flame/Tree.tsx";
import { second } from "../state.ts";
import type { ViewProps } from "./view.ts";

export function FlameView(props: ViewProps) {
  return (
    <div class="flame-view">
      <Chart frames={props.frames} layout={props.layout} live={props.live} now={props.now} selected={props.selected} onSelect={props.onSelect} onOpen={props.onOpen} />
      <Tree frames={props.frames} layout={props.layout} now_ms={props.live ? second() : props.now()} selected={props.selected} onSelect={props.onSelect} onOpen={props.onOpen} />
    </div>
  );
}
