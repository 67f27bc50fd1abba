// The browser's animation frames: in each, first what came is taken in, then what that changed is drawn. So
// both are seen at once, and nothing is drawn twice.

type Work = () => void;
type Phase = "take" | "draw";

const waiting: Record<Phase, Set<Work>> = { take: new Set(), draw: new Set() };
let frame = 0;

/**
 * Does something in the next animation frame, once however often it is asked for; in a page that is hidden
 * there is none until it is seen. Who asks for something to be drawn while things are taken in gets it in
 * the same one. Returns what calls it off.
 */
export function inNextFrame(phase: Phase, work: Work): () => void {
  waiting[phase].add(work);
  ask();
  return () => void waiting[phase].delete(work);
}

function ask(): void {
  if (frame === 0) frame = requestAnimationFrame(run);
}

function run(): void {
  doAll("take");
  frame = 0;
  if (waiting.take.size > 0) ask();
  doAll("draw");
}

function doAll(phase: Phase): void {
  const works = waiting[phase];
  waiting[phase] = new Set();
  for (const work of works) {
    try {
      work();
    } catch (error) {
      // One that fails is no reason for the others to wait.
      reportError(error);
    }
  }
}
