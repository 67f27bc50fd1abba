// Makes layouts of many frames, one after the other, where that holds up nobody.

import { buffersOf } from "./buffers.ts";
import { layOutGiven } from "./layout.ts";
import type { Given } from "./layout.ts";

interface Port {
  onmessage: (event: MessageEvent<Given>) => void;
  postMessage(message: unknown, handedOver: Transferable[]): void;
}

const port = self as unknown as Port;
port.onmessage = ({ data }) => {
  const layout = layOutGiven(data);
  port.postMessage(layout, buffersOf(layout));
};
