// One tab's connection for all tabs, in a browser without shared workers: the browser's locks choose the tab
// that holds it, and it speaks through a channel on which every tab hears everything. When that tab goes, the
// next one holds the connection.

import { Leader } from "./leader.ts";
import type { Tab } from "./leader.ts";
import type { FromTab, Position, ToTab } from "./protocol.ts";
import { browserWire } from "./wire.ts";

/** Pages of another build do not understand each other. */
const NAME = `fornax ${import.meta.url}`;

/** Takes part for as long as the tab is open. Without the means, the tab holds a connection of its own. */
export function takePart(tab: Tab): (message: FromTab) => void {
  const locks = navigator.locks as LockManager | undefined;
  if (!locks || typeof BroadcastChannel === "undefined") return alone(tab);
  const channel = new BroadcastChannel(NAME);
  const listener = new Listener(tab, () => channel.postMessage("join" satisfies FromTab));
  const speak: Tab = (message) => {
    channel.postMessage(message);
    listener.hear(message);
  };
  let leader: Leader | null = null;
  let withdraw = () => {};

  channel.onmessage = ({ data }: MessageEvent<ToTab | FromTab>) => {
    if (typeof data !== "string") listener.hear(data);
    else if (data === "join") leader?.join(speak);
    else leader?.wake();
  };

  function stand(): void {
    const standing = new AbortController();
    withdraw = () => standing.abort();
    const lead = () => new Promise<void>((resign) => {
      const held = new Leader(browserWire);
      leader = held;
      withdraw = () => {
        held.leave(speak);
        leader = null;
        resign();
      };
      held.join(speak);
    });
    locks!.request(NAME, { signal: standing.signal }, lead).catch(() => {});
  }

  return (message) => {
    if (message === "leave") withdraw();
    else if (message === "wake" && leader) leader.wake();
    else channel.postMessage(message);
    if (message === "join") stand();
  };
}

function alone(tab: Tab): (message: FromTab) => void {
  const leader = new Leader(browserWire);
  return (message) => {
    if (message === "join") leader.join(tab);
    else if (message === "leave") leader.leave(tab);
    else leader.wake();
  };
}

/** Picks from what is said to all tabs what this one needs: each change once and in its order. */
class Listener {
  readonly #tab: Tab;
  readonly #ask: () => void;
  /** The moment that the tab shows; null before its first snapshot. */
  #at: Position | null = null;

  /** `ask` asks for a snapshot. */
  constructor(tab: Tab, ask: () => void) {
    this.#tab = tab;
    this.#ask = ask;
  }

  hear(message: ToTab): void {
    if (message.type === "snapshot") {
      const { epoch, seq } = message.snapshot;
      // Another tab asked for it.
      if (this.#at?.epoch === epoch && seq <= this.#at.seq) return;
      this.#at = { epoch, seq };
    } else if (message.type === "change") {
      const { seq } = message.change;
      if (this.#at === null || seq <= this.#at.seq) return;
      if (seq > this.#at.seq + 1) {
        this.#at = null;
        this.#ask();
        return;
      }
      this.#at.seq = seq;
    }
    this.#tab(message);
  }
}
