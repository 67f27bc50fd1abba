// The one who holds the connection, for itself or for all tabs of the browser: takes a snapshot,
// opens the stream after it, and hands both on. What it needs of the world is given to it, so that
// tests can be the world.

import type { Change, Snapshot } from "../api/types.gen.ts";
import { packSnapshot } from "./pack.ts";
import { judge, readChange, readPosition, readSnapshot } from "./protocol.ts";
import type { Connection, Position, ToTab } from "./protocol.ts";

/** The daemon wants to know who asks. */
export class SignedOut extends Error {}
/** The daemon cannot be reached. */
export class Unreachable extends Error {}

export interface StreamEvents {
  opened(): void;
  change(id: string, data: string): void;
  /** The daemon says that it cannot go on from there. */
  reset(): void;
  lost(): void;
}

/** The world outside. */
export interface Wire {
  /** The snapshot as the daemon gives it; fails with `SignedOut`, `Unreachable` or anything else. */
  snapshot(): Promise<unknown>;
  /** The epoch of the daemon that is there now; fails as `snapshot` does. */
  probe(): Promise<string>;
  /** Opens the stream of changes after a position; the answer closes it. */
  open(after: Position, events: StreamEvents): () => void;
  /** Calls back after so many milliseconds; the answer cancels that. */
  after(delay_ms: number, then: () => void): () => void;
  now_ms(): number;
  /** 0 to 1. */
  random(): number;
}

export type Tab = (message: ToTab) => void;

/** A tab is sent nothing up to this number; null while it waits for its snapshot. */
interface Seat {
  after: number | null;
}

const QUICK_DELAY_MS = 250;
const QUICK_TRIES = 120;
const SLOWEST_DELAY_MS = 5_000;
/** A daemon that is away for less is being restarted; for longer, it is gone. */
const GONE_AFTER_MS = 2_000;
/** So many gaps without a change between them, and only a new snapshot helps. */
const GAPS_BEFORE_SNAPSHOT = 3;

export class Leader {
  readonly #wire: Wire;
  readonly #judge: typeof judge;
  readonly #tabs = new Map<Tab, Seat>();
  /** The last change taken in; null before the first snapshot. */
  #at: Position | null = null;
  #connection: Connection = "connecting";
  #closeStream: (() => void) | null = null;
  #cancelTry: (() => void) | null = null;
  /** Answers to what an older attempt asked are of no interest. */
  #attempt = 0;
  #trying = false;
  #failures = 0;
  #gaps = 0;
  #awaySince_ms: number | null = null;
  /** Changes that came while a snapshot was on its way; null when none is. */
  #meanwhile: Change[] | null = null;

  constructor(wire: Wire, rules = judge) {
    this.#wire = wire;
    this.#judge = rules;
  }

  join(tab: Tab): void {
    this.#tabs.set(tab, { after: null });
    tab({ type: "connection", connection: this.#connection });
    if (this.#closeStream !== null && this.#at !== null) void this.#seatTheWaiting();
    else this.#tryNow();
  }

  leave(tab: Tab): void {
    this.#tabs.delete(tab);
    if (this.#tabs.size > 0) return;
    this.#hangUp();
    this.#attempt += 1;
    this.#trying = false;
    this.#meanwhile = null;
    this.#at = null;
    this.#connection = "connecting";
  }

  /** Someone looks at the page: do not let them wait for the next attempt. */
  wake(): void {
    if (this.#tabs.size > 0 && this.#closeStream === null) this.#tryNow();
  }

  #tryNow(): void {
    if (this.#trying) return;
    this.#cancelTry?.();
    this.#cancelTry = null;
    void this.#try();
  }

  async #try(): Promise<void> {
    const attempt = ++this.#attempt;
    this.#trying = true;
    try {
      if (this.#at === null || this.#someoneWaits()) {
        const snapshot = readSnapshot(await this.#wire.snapshot());
        if (attempt !== this.#attempt) return;
        this.#start(snapshot);
      } else {
        const epoch = await this.#wire.probe();
        if (attempt !== this.#attempt) return;
        if (epoch !== this.#at.epoch) {
          this.#at = null;
          return await this.#try();
        }
      }
      this.#trying = false;
      this.#open();
    } catch (error) {
      if (attempt !== this.#attempt) return;
      this.#trying = false;
      this.#failed(error);
    }
  }

  /** Begins anew from a snapshot, for every tab that is not there yet. */
  #start(snapshot: Snapshot): void {
    const sameLife = this.#at !== null && this.#at.epoch === snapshot.epoch;
    for (const [tab, seat] of this.#tabs) {
      // Tabs that are up to date to #at get the rest from the stream, which goes on from there.
      if (sameLife && seat.after !== null) continue;
      this.#seat(tab, seat, snapshot);
    }
    if (!sameLife) this.#at = { epoch: snapshot.epoch, seq: snapshot.seq };
  }

  #open(): void {
    const at = this.#at;
    if (at === null || this.#tabs.size === 0) return;
    const attempt = this.#attempt;
    const mine = (then: () => void) => () => {
      if (attempt === this.#attempt) then();
    };
    this.#closeStream = this.#wire.open(at, {
      opened: mine(() => {
        this.#failures = 0;
        this.#awaySince_ms = null;
        this.#say("live");
      }),
      change: (id, data) => {
        if (attempt === this.#attempt) this.#take(id, data);
      },
      reset: mine(() => this.#reset()),
      lost: mine(() => this.#lost()),
    });
    // Those who came while the daemon was only asked whether it is there.
    if (this.#someoneWaits()) void this.#seatTheWaiting();
  }

  #take(id: string, data: string): void {
    const at = this.#at;
    if (at === null) return;
    let position: Position;
    let change: Change;
    try {
      position = readPosition(id);
      change = readChange(data);
    } catch {
      // What cannot be read cannot be skipped either.
      this.#reset();
      return;
    }
    switch (this.#judge(at, position)) {
      case "drop":
        return;
      case "gap":
        this.#gap();
        return;
      case "reset":
        this.#reset();
        return;
      case "apply":
        at.seq = position.seq;
        this.#gaps = 0;
        this.#meanwhile?.push(change);
        for (const [tab, seat] of this.#tabs) {
          if (seat.after !== null && position.seq > seat.after) tab({ type: "change", change });
        }
    }
  }

  /** Takes a snapshot for the tabs that came while the stream was open. */
  async #seatTheWaiting(): Promise<void> {
    // One on its way will do: changes since it was asked for are kept.
    if (this.#meanwhile !== null) return;
    const attempt = this.#attempt;
    const meanwhile: Change[] = [];
    this.#meanwhile = meanwhile;
    try {
      const snapshot = readSnapshot(await this.#wire.snapshot());
      if (attempt !== this.#attempt) return;
      if (snapshot.epoch !== this.#at?.epoch) {
        this.#reset();
        return;
      }
      for (const [tab, seat] of this.#tabs) {
        if (seat.after !== null) continue;
        this.#seat(tab, seat, snapshot);
        for (const change of meanwhile) {
          if (change.seq > snapshot.seq) tab({ type: "change", change });
        }
      }
    } catch (error) {
      if (attempt === this.#attempt) this.#failed(error);
    } finally {
      if (this.#meanwhile === meanwhile) this.#meanwhile = null;
    }
  }

  #seat(tab: Tab, seat: Seat, snapshot: Snapshot): void {
    seat.after = snapshot.seq;
    // Packed for each tab: it is handed over.
    tab({ type: "snapshot", snapshot: packSnapshot(snapshot) });
  }

  #someoneWaits(): boolean {
    return [...this.#tabs.values()].some((seat) => seat.after === null);
  }

  #gap(): void {
    this.#gaps += 1;
    if (this.#gaps >= GAPS_BEFORE_SNAPSHOT) this.#reset();
    else this.#lost();
  }

  #reset(): void {
    this.#at = null;
    for (const seat of this.#tabs.values()) seat.after = null;
    this.#lost();
  }

  #lost(): void {
    this.#hangUp();
    this.#attempt += 1;
    this.#trying = false;
    this.#failures += 1;
    this.#awaySince_ms ??= this.#wire.now_ms();
    this.#say("reconnecting");
    this.#tryLater();
  }

  #failed(error: unknown): void {
    this.#hangUp();
    this.#attempt += 1;
    this.#failures += 1;
    const now_ms = this.#wire.now_ms();
    this.#awaySince_ms ??= now_ms;
    const gone = error instanceof Unreachable && now_ms - this.#awaySince_ms >= GONE_AFTER_MS;
    if (error instanceof SignedOut) this.#say("signed_out");
    else if (gone) this.#say("gone");
    else if (this.#connection !== "connecting") this.#say("reconnecting");
    this.#tryLater();
  }

  #tryLater(): void {
    if (this.#tabs.size === 0) return;
    const slow = this.#connection === "signed_out" ? SLOWEST_DELAY_MS : 0;
    const growth = 1.5 ** Math.max(0, Math.min(this.#failures - QUICK_TRIES, 20));
    const delay_ms = Math.max(slow, Math.min(QUICK_DELAY_MS * growth, SLOWEST_DELAY_MS));
    this.#cancelTry?.();
    this.#cancelTry = this.#wire.after(delay_ms * (0.8 + 0.4 * this.#wire.random()), () => {
      this.#cancelTry = null;
      void this.#try();
    });
  }

  #hangUp(): void {
    this.#closeStream?.();
    this.#closeStream = null;
    this.#cancelTry?.();
    this.#cancelTry = null;
    this.#meanwhile = null;
  }

  #say(connection: Connection): void {
    if (connection === this.#connection) return;
    this.#connection = connection;
    for (const tab of this.#tabs.keys()) tab({ type: "connection", connection });
  }
}
