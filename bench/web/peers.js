// The other charts, each on a page of its own with the same tree. `change()` lets one frame grow.

import flamegraph from "d3-flame-graph";
import { select } from "d3-selection";
import { FlameChart } from "flame-chart-js";
import "./node_modules/d3-flame-graph/dist/d3-flamegraph.css";

const WIDTH = 1_400;
const HEIGHT = 640;

const PEERS = {
  // Reads the tree and shows nothing: what a page costs before there is a chart.
  nothing: () => () => {},
  "d3-flame-graph"(tree, box) {
    // Bars of less than a pixel are left out.
    const chart = flamegraph().width(WIDTH).minFrameSize(1).transitionDuration(0);
    select(box).datum(tree).call(chart);
    return () => chart.update(tree);
  },
  "flame-chart-js"(tree, box) {
    const canvas = box.appendChild(document.createElement("canvas"));
    [canvas.width, canvas.height] = [WIDTH, HEIGHT];
    const chart = new FlameChart({ canvas, data: [tree] });
    return () => chart.setNodes([tree]);
  },
};

const tree = await (await fetch("/tree.json")).json();
const update = PEERS[new URLSearchParams(location.search).get("peer")](tree, document.getElementById("chart"));
let leaf = tree;
while (leaf.children) leaf = leaf.children[0];

window.change = () => {
  leaf.duration += 1;
  leaf.value += 1;
  update();
};
document.documentElement.dataset.drawn = "";
