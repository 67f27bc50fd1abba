// A worker shared by all tabs of the browser: it holds their one connection. A browser allows six
// connections to a host; with one for each tab, the seventh tab would hang.

import { buffersOf } from "../model/buffers.ts";
import { Leader } from "./leader.ts";
import type { Tab } from "./leader.ts";
import type { FromTab } from "./protocol.ts";
import { browserWire } from "./wire.ts";

const leader = new Leader(browserWire);

(self as unknown as { onconnect: (event: MessageEvent) => void }).onconnect = (event) => {
  const port = event.ports[0]!;
  const tab: Tab = (message) => port.postMessage(message, message.type === "snapshot" ? buffersOf(message.snapshot.contents) : []);
  port.onmessage = ({ data }: MessageEvent<FromTab>) => {
    if (data === "join") leader.join(tab);
    else if (data === "leave") leader.leave(tab);
    else leader.wake();
  };
};
