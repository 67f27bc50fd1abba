// A frame in the graph: as a node, or as the box around those within it. Text is text, cut to its room.

import { createMemo, Show } from "solid-js";
import { duration, plural } from "../format.ts";
import { FUTURE, RUNNING } from "../model/layout.ts";
import { glyph, word } from "../model/status.ts";
import type { ViewProps } from "../routes/view.ts";
import { second } from "../state.ts";
import type { Placed } from "./places.ts";
import type { Within } from "./structure.ts";
import { fitText, oneLine } from "./text.ts";

interface Props extends Omit<ViewProps, "onFold"> {
  placed: Placed;
  sums: Within;
  node: number;
  chosen: boolean;
  dim: boolean;
  /** What of its text could be read. */
  text: "whole" | "title" | "none";
}

const STRIP = 26;
/** The size of titles where the graph is small. */
const LARGE = 22;
/** A role that the types of JSX do not know. */
const SYMBOL = "graphics-symbol" as "img";

export function Node(props: Props) {
  const { graph, places } = props.placed;
  const node = props.node;
  const row = graph.rows[node]!;
  const isBox = graph.open[node] === 1;
  const [width, height] = [places.width[node]!, places.height[node]!];
  // A change of the layout means that a frame has changed.
  const frame = createMemo(() => {
    void props.layout;
    return props.frames.get(row);
  });
  const held = () => props.sums.count[row]!;
  const bad = () => props.sums.bad[row]!;
  const status = () => (frame().skipped ? "skipped" : word(frame().status));
  const took = () => {
    const { kind, start, end } = props.layout;
    if (kind[row] === FUTURE) return null;
    return duration(
      (kind[row] === RUNNING ? (props.live ? second() : props.now()) : end[row]!) - start[row]!,
    );
  };
  const inside = () => `${plural(held(), "frame")}${bad() > 0 ? `, ${bad()} ✕` : ""}`;
  const more = () =>
    [held() > 0 ? inside() : frame().tool, took()].filter((fact) => fact !== null).join(" · ");
  const isWhole = () => props.text === "whole";
  const title = (from: number) =>
    fitText(oneLine(frame().title), width - from - 6, isWhole() ? 12.5 : LARGE);
  const spoken = () => {
    const waits = frame().depends_on.length;
    return [
      frame().title,
      status(),
      took(),
      held() > 0 ? `${plural(held(), "frame")} within, ${bad()} failed or blocked` : null,
      waits > 0 ? `waits for ${waits}` : null,
    ]
      .filter((fact) => fact !== null)
      .join(", ");
  };
  return (
    <g
      role={SYMBOL}
      aria-label={spoken()}
      class={`node node-${frame().status}`}
      classList={{ box: isBox, dim: props.dim, closed: held() > 0 && !isBox }}
      transform={`translate(${places.x[node]} ${places.y[node]})`}
    >
      <Show when={held() > 0 && !isBox}>
        <rect class="node-behind" x="4" y="4" width={width} height={height} rx="6" />
      </Show>
      <rect class="node-body" width={width} height={height} rx="6" />
      <Show when={!isBox} fallback={<Head />}>
        <path
          class="node-strip"
          d={`M6 0H${STRIP}V${height}H6A6 6 0 0 1 0 ${height - 6}V6A6 6 0 0 1 6 0Z`}
        />
        <path
          class="node-texture"
          fill={`url(#graph-${frame().status})`}
          d={`M6 0H${STRIP}V${height}H6A6 6 0 0 1 0 ${height - 6}V6A6 6 0 0 1 6 0Z`}
        />
        <Show when={props.text !== "none"}>
          <text
            class="node-glyph"
            classList={{ large: !isWhole() }}
            x={STRIP / 2}
            y={height / 2 + (isWhole() ? 4 : 7)}
          >
            {held() > 0 ? "▸" : glyph(frame().status)}
          </text>
          <text
            class="node-title"
            classList={{ large: !isWhole() }}
            x={STRIP + 8}
            y={!isWhole() ? 30 : more() === "" ? 26 : 19}
          >
            {title(STRIP + 8)}
          </text>
          <Show when={isWhole()}>
            <text class="node-more" x={STRIP + 8} y="35">
              {fitText(
                oneLine(`${held() > 0 ? `${glyph(frame().status)} ` : ""}${more()}`),
                width - STRIP - 14,
                11,
              )}
            </text>
          </Show>
        </Show>
      </Show>
      <Show when={props.chosen}>
        <rect class="node-ring-inner" x="-1" y="-1" width={width + 2} height={height + 2} rx="7" />
        <rect class="node-ring" x="-3" y="-3" width={width + 6} height={height + 6} rx="9" />
      </Show>
      <title>{`${oneLine(frame().title).slice(0, 400)}\n${status()}${frame().reason === null ? "" : `: ${frame().reason!.slice(0, 400)}`}`}</title>
    </g>
  );

  function Head() {
    return (
      <Show when={props.text !== "none"}>
        <text class="node-fold" x="13" y="20">
          ▾
        </text>
        <text
          class={`node-glyph status-${frame().status}`}
          classList={{ large: !isWhole() }}
          x="32"
          y={isWhole() ? 20 : 23}
        >
          {glyph(frame().status)}
        </text>
        <text class="node-title" classList={{ large: !isWhole() }} x="44" y={isWhole() ? 20 : 23}>
          {title(44)}
        </text>
      </Show>
    );
  }
}

export function Edge(props: { placed: Placed; edge: number; chosen: number; dim: boolean }) {
  const { graph, places } = props.placed;
  const [from, to] = [graph.edges[props.edge * 2]!, graph.edges[props.edge * 2 + 1]!];
  const isNear = () => props.chosen === from || props.chosen === to;
  return (
    <path
      class="edge"
      classList={{ near: isNear(), dim: props.dim }}
      d={curve(places.lines[props.edge]!)}
      marker-end="url(#graph-arrow)"
    />
  );
}

/** A line through points without corners. */
function curve(line: Float64Array): string {
  const at = (i: number) => [line[i * 2]!, line[i * 2 + 1]!] as const;
  const last = line.length / 2 - 1;
  const [[x, y], [toX, toY]] = [at(0), at(last)];
  if (last === 1) {
    const bend = Math.max(Math.abs(toX - x) / 2, 24);
    return `M${x} ${y}C${x + bend} ${y} ${toX - bend} ${toY} ${toX} ${toY}`;
  }
  let path = `M${x} ${y}`;
  for (let i = 1; i < last; i++) {
    const [[cx, cy], [nx, ny]] = [at(i), at(i + 1)];
    const [mx, my] = i + 1 === last ? [nx, ny] : [(cx + nx) / 2, (cy + ny) / 2];
    path += `Q${cx} ${cy} ${mx} ${my}`;
  }
  return path;
}

/** The textures of the chart, and the head of an arrow. */
export function Textures() {
  return (
    <defs>
      <marker
        id="graph-arrow"
        viewBox="0 0 8 8"
        refX="7"
        refY="4"
        markerWidth="7"
        markerHeight="7"
        orient="auto"
      >
        <path class="edge-head" d="M0 0L8 4L0 8Z" />
      </marker>
      <pattern id="graph-failed" width="8" height="8" patternUnits="userSpaceOnUse">
        <path class="ink" d="M0 0L8 8M8 0L0 8" />
      </pattern>
      <pattern id="graph-blocked" width="8" height="8" patternUnits="userSpaceOnUse">
        <path class="ink" d="M-2 2L2 -2M0 8L8 0M6 10L10 6" />
      </pattern>
      <pattern id="graph-invalidated" width="6" height="6" patternUnits="userSpaceOnUse">
        <circle class="ink-dot" cx="2" cy="2" r="1.1" />
      </pattern>
    </defs>
  );
}
