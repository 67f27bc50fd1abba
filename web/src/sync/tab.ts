// A tab's end of the connection: through the shared worker, or through one of the tabs where there is none.

import type { Tab } from "./leader.ts";
import type { FromTab, ToTab } from "./protocol.ts";

/** Connects the tab for as long as it is open. */
export function connect(tab: Tab): void {
  const say = throughWorker(tab) ?? withoutWorker(tab);
  say("join");
  addEventListener("pagehide", () => say("leave"));
  // A page that comes back from the browser's cache missed what happened since.
  addEventListener("pageshow", (event) => {
    if (event.persisted) say("join");
  });
  addEventListener("online", () => say("wake"));
  addEventListener("focus", () => say("wake"));
  document.addEventListener("visibilitychange", () => {
    if (document.visibilityState === "visible") say("wake");
  });
}

function throughWorker(tab: Tab): ((message: FromTab) => void) | null {
  if (typeof SharedWorker === "undefined") return null;
  const worker = new SharedWorker(new URL("./worker.ts", import.meta.url), {
    type: "module",
    name: "fornax",
  });
  let say = (message: FromTab) => worker.port.postMessage(message);
  // A worker that cannot start is as good as none.
  worker.onerror = () => {
    worker.port.close();
    say = withoutWorker(tab);
    say("join");
  };
  worker.port.onmessage = ({ data }: MessageEvent<ToTab[]>) => data.forEach(tab);
  return (message) => say(message);
}

/** What it takes is loaded only where it is needed. What is said meanwhile is said after. */
function withoutWorker(tab: Tab): (message: FromTab) => void {
  const part = import("./elected.ts").then(({ takePart }) => takePart(tab));
  return (message) =>
    void part
      .then((say) => say(message))
      .catch(() => tab({ type: "connection", connection: "gone" }));
}
