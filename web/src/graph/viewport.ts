// Which part of the graph is shown, and how large. Pure: each move makes a new viewport from the old one.

export interface Viewport {
  /** The place of the graph in the upper left corner. */
  readonly x: number;
  readonly y: number;
  /** Pixels for each unit of the graph. */
  readonly scale: number;
}

export type Size = readonly [width: number, height: number];

const LARGEST = 2.5;
const MARGIN_PX = 20;

/** All of it; not larger than life. */
export function fitAll(graph: Size, box: Size): Viewport {
  const room = (size: number) => Math.max(size - 2 * MARGIN_PX, 1);
  const scale = Math.min(
    room(box[0]) / Math.max(graph[0], 1),
    room(box[1]) / Math.max(graph[1], 1),
    1,
  );
  return { x: graph[0] / 2 - box[0] / 2 / scale, y: graph[1] / 2 - box[1] / 2 / scale, scale };
}

/** `factor` times as large, while a place of the box stays where it is. */
export function zoom(
  viewport: Viewport,
  graph: Size,
  box: Size,
  factor: number,
  x_px: number,
  y_px: number,
): Viewport {
  const least = Math.min(fitAll(graph, box).scale * 0.5, 0.5);
  const scale = Math.min(Math.max(viewport.scale * factor, least), LARGEST);
  return within(
    {
      x: viewport.x + x_px / viewport.scale - x_px / scale,
      y: viewport.y + y_px / viewport.scale - y_px / scale,
      scale,
    },
    graph,
    box,
  );
}

export function pan(
  viewport: Viewport,
  graph: Size,
  box: Size,
  dx_px: number,
  dy_px: number,
): Viewport {
  return within(
    { ...viewport, x: viewport.x + dx_px / viewport.scale, y: viewport.y + dy_px / viewport.scale },
    graph,
    box,
  );
}

/** Moved as little as shows a rectangle, or its upper left corner. */
export function reveal(
  viewport: Viewport,
  box: Size,
  x: number,
  y: number,
  width: number,
  height: number,
): Viewport {
  const move = (at: number, from: number, length: number, room_px: number) => {
    const [margin, room] = [MARGIN_PX / viewport.scale, room_px / viewport.scale];
    if (from - margin < at) return from - margin;
    return from + length + margin > at + room
      ? Math.min(from + length + margin - room, from - margin)
      : at;
  };
  return {
    ...viewport,
    x: move(viewport.x, x, width, box[0]),
    y: move(viewport.y, y, height, box[1]),
  };
}

/** A quarter of the box, at least, shows something of the graph. */
function within(viewport: Viewport, graph: Size, box: Size): Viewport {
  const keep = (at: number, length: number, room_px: number) => {
    const room = room_px / viewport.scale;
    return Math.min(Math.max(at, -room * 0.75), length - room * 0.25);
  };
  return {
    ...viewport,
    x: keep(viewport.x, graph[0], box[0]),
    y: keep(viewport.y, graph[1], box[1]),
  };
}
