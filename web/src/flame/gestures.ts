// How pointers move the chart: drag to pan, two fingers to zoom, a click without movement.

export interface Gestures {
  /** Something was taken hold of. */
  start(): void;
  /** Moved so far since then. */
  drag(dx: number, dy: number): void;
  /** Two fingers: they are so many times as far apart as when they began, about a place in the element. */
  pinch(factor: number, x: number, dx: number): void;
  click(event: PointerEvent): void;
  /** A pointer moves over it and holds nothing. */
  hover(event: PointerEvent): void;
}

/** Movement under this is a click. */
const DRAG_PX = 4;

interface Finger {
  x: number;
  y: number;
}

/** Handlers for an element's pointer events. */
export function gestures(element: () => HTMLElement, does: Gestures) {
  const fingers = new Map<number, Finger>();
  let began: Finger = { x: 0, y: 0 };
  let apart = 0;
  let moved = false;

  const middle = (): Finger => {
    const all = [...fingers.values()];
    const sum = all.reduce((total, { x, y }) => ({ x: total.x + x, y: total.y + y }), {
      x: 0,
      y: 0,
    });
    return { x: sum.x / all.length, y: sum.y / all.length };
  };
  const spread = (): number => {
    const [a, b] = [...fingers.values()];
    return a && b ? Math.max(Math.hypot(a.x - b.x, a.y - b.y), 1) : 0;
  };
  const begin = () => {
    began = middle();
    apart = spread();
    does.start();
  };
  const release = (event: PointerEvent) => {
    fingers.delete(event.pointerId);
    if (fingers.size > 0) begin();
  };

  return {
    onPointerDown(event: PointerEvent): void {
      if (event.button !== 0 || fingers.size === 2) return;
      element().setPointerCapture(event.pointerId);
      moved = fingers.size > 0;
      fingers.set(event.pointerId, { x: event.clientX, y: event.clientY });
      begin();
    },
    onPointerMove(event: PointerEvent): void {
      const finger = fingers.get(event.pointerId);
      if (!finger) return does.hover(event);
      [finger.x, finger.y] = [event.clientX, event.clientY];
      const { x, y } = middle();
      moved ||= Math.abs(x - began.x) + Math.abs(y - began.y) > DRAG_PX;
      if (fingers.size === 2)
        does.pinch(spread() / apart, began.x - element().getBoundingClientRect().left, x - began.x);
      else if (moved) does.drag(x - began.x, y - began.y);
    },
    onPointerUp(event: PointerEvent): void {
      const isClick = fingers.size === 1 && fingers.has(event.pointerId) && !moved;
      release(event);
      if (isClick) does.click(event);
    },
    onPointerCancel: release,
  };
}
