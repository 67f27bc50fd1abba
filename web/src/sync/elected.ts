// One tab's connection for all tabs, in a browser without shared workers: the browser's locks choose the tab
// that holds it, and it speaks through a channel on which every tab hears everything. When that tab goes, or
// the browser has put it to sleep, another one holds the connection.

import { Leader } from "./leader.ts";
import type { Tab } from "./leader.ts";
import type { Connection, FromTab, Position, ToTab } from "./protocol.ts";
import { browserWire } from "./wire.ts";

/** Pages of another build do not understand each other. */
const NAME = `fornax ${import.meta.url}`;
/** The one that holds the connection answers sooner, if it can. */
const PATIENCE_MS = 2_000;
/** Timers of a tab out of sight may be a minute late: one that is looked at reminds it to try again. */
const REMIND_MS = 500;

/** What goes through the channel: a question of a tab, or what it or all tabs are told. */
type Said = Asked | Told;
type Asked = { readonly from: string; readonly question: "join" | "wake" };
type Told = { readonly to: string | null; readonly message: ToTab };

/** Takes part for as long as the tab is open. Without the means, the tab holds a connection of its own. */
export function takePart(tab: Tab): (message: FromTab) => void {
  const locks = navigator.locks as LockManager | undefined;
  if (!locks || typeof BroadcastChannel === "undefined") return alone(tab);
  const member = new Member(tab, locks, new BroadcastChannel(NAME));
  return (message) => member.say(message);
}

function alone(tab: Tab): (message: FromTab) => void {
  const leader = new Leader(browserWire);
  return (message) => {
    if (message === "join") leader.join(tab);
    else if (message === "leave") leader.leave(tab);
    else leader.wake();
  };
}

class Member {
  readonly #tab: Tab;
  readonly #id = crypto.randomUUID();
  readonly #locks: LockManager;
  readonly #channel: BroadcastChannel;
  readonly #listener: Listener;
  /** Where this tab holds the connection. */
  #office: Office | null = null;
  /** Ends what was asked of the locks. */
  #withdraw = () => {};
  #patience: ReturnType<typeof setTimeout> | undefined;
  #reminder: ReturnType<typeof setTimeout> | undefined;
  /** Where the locks fail: a connection of its own. */
  #alone: ((message: FromTab) => void) | null = null;

  constructor(tab: Tab, locks: LockManager, channel: BroadcastChannel) {
    this.#tab = tab;
    this.#locks = locks;
    this.#channel = channel;
    this.#listener = new Listener(tab, () => this.#ask("join"));
    channel.onmessage = ({ data }: MessageEvent<Said>) => {
      if ("question" in data) this.#office?.answer(data);
      else this.#hear(data);
    };
  }

  say(message: FromTab): void {
    if (this.#alone) this.#alone(message);
    else if (message === "leave") {
      this.#waitForNobody();
      this.#withdraw();
    } else {
      if (message === "join") this.#stand();
      if (this.#office) this.#office.answer({ from: this.#id, question: message });
      else this.#ask(message);
    }
  }

  #ask(question: Asked["question"]): void {
    this.#channel.postMessage({ from: this.#id, question } satisfies Said);
    clearTimeout(this.#patience);
    this.#patience = setTimeout(() => {
      // Who is not looked at has time.
      if (!document.hidden) this.#stand({ steal: true });
    }, PATIENCE_MS);
  }

  #hear({ to, message }: Told): void {
    clearTimeout(this.#patience);
    if (message.type === "connection" && !this.#office) {
      clearTimeout(this.#reminder);
      const isBroken = message.connection === "reconnecting" || message.connection === "gone";
      if (isBroken && !document.hidden)
        this.#reminder = setTimeout(() => this.#ask("wake"), REMIND_MS);
    }
    if (to === null || to === this.#id) this.#listener.hear(message);
  }

  /** Holds the connection as soon as nobody else does, or at once where the one who does is to be robbed of it. */
  #stand({ steal = false } = {}): void {
    this.#withdraw();
    const standing = new AbortController();
    this.#withdraw = () => standing.abort();
    const lead = () =>
      new Promise<void>((resign) => {
        this.#waitForNobody();
        const office = new Office((said) => {
          this.#channel.postMessage(said);
          this.#hear(said);
        });
        this.#office = office;
        this.#withdraw = () => {
          this.#office = null;
          office.close();
          standing.abort();
          resign();
        };
        office.open();
      });
    this.#locks
      .request(NAME, steal ? { steal } : { signal: standing.signal }, lead)
      .catch((error: unknown) => {
        if (standing.signal.aborted) return;
        // Another tab has taken it over, as this one did not answer.
        if (error instanceof DOMException && error.name === "AbortError") this.#stand();
        else this.#goAlone();
      });
  }

  #waitForNobody(): void {
    clearTimeout(this.#patience);
    clearTimeout(this.#reminder);
  }

  #goAlone(): void {
    this.#waitForNobody();
    this.#withdraw();
    this.#channel.close();
    this.#alone = alone(this.#tab);
    this.#alone("join");
  }
}

/** What the tab does that holds the connection. */
class Office {
  readonly #leader = new Leader(browserWire);
  readonly #say: (said: Told) => void;
  readonly #all: Tab;
  readonly #guests = new Set<Tab>();
  #connection: Connection = "connecting";

  constructor(say: (said: Told) => void) {
    this.#say = say;
    this.#all = (message) => {
      if (message.type === "connection") this.#connection = message.connection;
      say({ to: null, message });
    };
  }

  open(): void {
    this.#leader.join(this.#all);
  }

  close(): void {
    for (const tab of [...this.#guests, this.#all]) this.#leader.leave(tab);
  }

  answer({ from, question }: Asked): void {
    if (question === "wake") {
      this.#say({ to: from, message: { type: "connection", connection: this.#connection } });
      this.#leader.wake();
      return;
    }
    // It has a seat of its own until it has its snapshot, and what came meanwhile: the others go on.
    const guest: Tab = (message) => {
      this.#say({ to: from, message });
      if (message.type === "snapshot") queueMicrotask(() => this.#dismiss(guest));
    };
    this.#guests.add(guest);
    this.#leader.join(guest);
  }

  #dismiss(guest: Tab): void {
    this.#guests.delete(guest);
    this.#leader.leave(guest);
  }
}

/** Picks from what is said what this tab needs: each change once and in its order. */
class Listener {
  readonly #tab: Tab;
  readonly #ask: () => void;
  /** The moment that the tab shows; null while it waits for a snapshot. */
  #at: Position | null = null;
  #isNew = true;

  /** `ask` asks for a snapshot. */
  constructor(tab: Tab, ask: () => void) {
    this.#tab = tab;
    this.#ask = ask;
  }

  hear(message: ToTab): void {
    if (message.type === "snapshot") {
      const { epoch, seq } = message.snapshot;
      if (this.#at?.epoch === epoch && seq <= this.#at.seq) return;
      this.#at = { epoch, seq };
      this.#isNew = false;
    } else if (message.type === "change") {
      const { seq } = message.change;
      if (this.#at === null || seq <= this.#at.seq) return;
      if (seq > this.#at.seq + 1) {
        this.#at = null;
        this.#ask();
        return;
      }
      this.#at.seq = seq;
    } else if (message.connection === "connecting" && !this.#isNew) {
      // Another tab begins to hold the connection: for this one it is not the first.
      this.#tab({ type: "connection", connection: "reconnecting" });
      return;
    }
    this.#tab(message);
  }
}
