// A worker shared by all tabs of the browser: it holds their one connection. A browser allows six
// connections to a host; with one for each tab, the seventh tab would hang.

import { buffersOf } from "../model/buffers.ts";
import { Leader } from "./leader.ts";
import type { Tab } from "./leader.ts";
import type { FromTab, ToTab } from "./protocol.ts";
import { browserWire } from "./wire.ts";

const leader = new Leader(browserWire);

/** What comes within so short a time after a message goes with the next. */
const GATHER_MS = 8;

(self as unknown as { onconnect: (event: MessageEvent) => void }).onconnect = (event) => {
  const port = event.ports[0]!;
  const tab = gathering(port);
  port.onmessage = ({ data }: MessageEvent<FromTab>) => {
    if (data === "join") leader.join(tab);
    else if (data === "leave") leader.leave(tab);
    else leader.wake();
  };
};

/** Says things through a port: at once, but what comes thick and fast is gathered, as to receive a message takes
 *  the tab longer than to read it. */
function gathering(port: MessagePort): Tab {
  let waiting: ToTab[] = [];
  let timer: ReturnType<typeof setTimeout> | undefined;
  let restUntil_ms = 0;
  const send = () => {
    timer = undefined;
    restUntil_ms = performance.now() + GATHER_MS;
    const handedOver = waiting.flatMap((message) =>
      message.type === "snapshot" ? buffersOf(message.snapshot.contents) : [],
    );
    port.postMessage(waiting, handedOver);
    waiting = [];
  };
  return (message) => {
    waiting.push(message);
    const wait_ms = restUntil_ms - performance.now();
    if (wait_ms <= 0 && timer === undefined) send();
    else timer ??= setTimeout(send, wait_ms);
  };
}
