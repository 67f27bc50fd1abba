// A tab's end of the connection: through the shared worker, or by itself where there is none.

import { Leader } from "./leader.ts";
import type { Tab } from "./leader.ts";
import type { FromTab, ToTab } from "./protocol.ts";
import { browserWire } from "./wire.ts";

/** Connects the tab for as long as it is open. */
export function connect(tab: Tab): void {
  const say = throughWorker(tab) ?? alone(tab);
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
    say = alone(tab);
    say("join");
  };
  worker.port.onmessage = ({ data }: MessageEvent<ToTab>) => tab(data);
  return (message) => say(message);
}

function alone(tab: Tab): (message: FromTab) => void {
  const leader = new Leader(browserWire);
  return (message) => {
    if (message === "join") leader.join(tab);
    else if (message === "leave") leader.leave(tab);
    else leader.wake();
  };
}
