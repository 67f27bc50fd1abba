// A daemon and a network for tests of the sync: a few runs that change at random, and a stream whose
// events may be doubled, lost, swapped or cut off. Time is a number.

import type { Change, FrameView, ProjectView, RunView, TaskView } from "../../src/api/types.gen.ts";
import { SignedOut, Unreachable } from "../../src/sync/leader.ts";
import type { StreamEvents, Wire } from "../../src/sync/leader.ts";
import { Mirror, isOpen, runKey } from "../../src/sync/apply.ts";
import type { ToTab } from "../../src/sync/protocol.ts";
import { FRAME_STATUSES, TASK_STATES } from "../../src/model/status.ts";
import type { Random } from "./random.ts";
import { T0, frame, frameColumns, project, run, task, taskColumns } from "./views.ts";

/** A run as the daemon holds it. Two projects may each have one of the same id. */
interface Run {
  view: RunView;
  frames: Map<string, FrameView>;
  tasks: Map<string, TaskView>;
}

export class FakeDaemon {
  epoch = "life-0";
  seq = 0;
  readonly projects: ProjectView[] = [project("aaaaaaaa"), project("bbbbbbbb")];
  readonly runs: Run[] = [];
  /** All changes of this life. */
  changes: Change[] = [];
  #lives = 0;
  #ids = 0;

  constructor(readonly random: Random) {}

  /** Something happens. */
  change(): void {
    const open = this.runs.filter((each) => isOpen(each.view));
    const change: Change = {
      seq: ++this.seq,
      projects: [],
      runs: [],
      frames: [],
      tasks: [],
      events: [],
    };
    if (open.length === 0 || this.random.chance(0.05)) this.#startRun(change);
    else this.#moveRun(this.random.pick(open), change);
    this.changes.push(change);
  }

  /** Another life of the daemon: its runs are there, its numbers are not. */
  restart(): void {
    this.epoch = `life-${++this.#lives}`;
    this.seq = 0;
    this.changes = [];
  }

  /** The number is taken first, so what changes until the state is read is told again. */
  snapshot(seq = this.seq): unknown {
    const open = this.runs.filter((each) => isOpen(each.view));
    return structuredClone({
      epoch: this.epoch,
      seq,
      now_ms: T0,
      projects: this.projects,
      runs: this.runs.map((each) => each.view).reverse(),
      frames: frameColumns(open.flatMap((each) => [...each.frames.values()])),
      tasks: taskColumns(open.flatMap((each) => [...each.tasks.values()])),
    });
  }

  #startRun(change: Change): void {
    const { id: projectId } = this.random.pick(this.projects);
    const number = this.runs.filter((each) => each.view.project === projectId).length + 1;
    const id = `RUN-20261121-${String(number).padStart(3, "0")}`;
    const root = frame(id, this.#frameId(), null, {
      group: true,
      status: "in_progress",
      started_ms: T0,
    });
    const started: Run = {
      view: run(projectId, id, root.id),
      frames: new Map([[root.id, root]]),
      tasks: new Map(),
    };
    this.runs.push(started);
    change.runs.push({ ...started.view });
    change.frames.push(root);
    change.events.push(this.#event(started.view));
  }

  #moveRun(moved: Run, change: Change): void {
    const { view, frames, tasks } = moved;
    view.seq += 1;
    const known = this.random.pick([...frames.values()]);
    const id = this.random.chance(0.3) ? this.#frameId() : known.id;
    const status = this.random.pick(FRAME_STATUSES);
    const parent = id === known.id ? known.parent : known.id;
    const next = frame(view.id, id, parent, { status, started_ms: T0 + this.random.below(1_000) });
    frames.set(id, next);
    change.frames.push(next);
    if (this.random.chance(0.5)) {
      const attempt = task(view.id, id, 1 + this.random.below(2), {
        state: this.random.pick(TASK_STATES),
      });
      tasks.set(attempt.id, attempt);
      change.tasks.push(attempt);
    }
    if (this.random.chance(0.05)) view.ended_ms = T0 + 5_000;
    change.runs.push({ ...view });
    change.events.push(this.#event(view));
  }

  #event(view: RunView) {
    return {
      run: view.id,
      seq: view.seq,
      ts_ms: T0,
      event: "x",
      flame: null,
      frame: null,
      task: null,
      cmd_id: null,
      summary: "x",
    };
  }

  #frameId(): string {
    return `f-${String(++this.#ids).padStart(6, "0")}`;
  }
}

/** How often what goes wrong, of each thing that is delivered. */
export interface Faults {
  double: number;
  lose: number;
  swap: number;
  cut: number;
  refuse: number;
}

export const NO_FAULTS: Faults = { double: 0, lose: 0, swap: 0, cut: 0, refuse: 0 };

interface Stream {
  events: StreamEvents;
  /** The epoch that it was opened in, and the number of the last change put on it. */
  epoch: string;
  sent: number;
  /** That it is open, or that it cannot go on from there: said for certain, before all else. */
  greeting: (() => void) | null;
  queue: (() => void)[];
}

export class FakeWire implements Wire {
  faults: Faults;
  /** Of refusals, how many ask who it is. */
  signedOut = 0.3;
  now = 0;
  readonly #timers: { at: number; then: () => void }[] = [];
  readonly #answers: (() => void)[] = [];
  #stream: Stream | null = null;

  constructor(
    readonly daemon: FakeDaemon,
    faults: Faults,
  ) {
    this.faults = faults;
  }

  get dice(): Random {
    return this.daemon.random;
  }

  snapshot(): Promise<unknown> {
    const { epoch, seq } = this.daemon;
    return this.#answer(() => this.daemon.snapshot(this.daemon.epoch === epoch ? seq : undefined));
  }

  probe(): Promise<string> {
    return this.#answer(() => this.daemon.epoch);
  }

  open(after: { epoch: string; seq: number }, events: StreamEvents): () => void {
    const stream: Stream = {
      events,
      epoch: this.daemon.epoch,
      sent: after.seq,
      greeting: () => events.opened(),
      queue: [],
    };
    if (after.epoch !== this.daemon.epoch || after.seq > this.daemon.seq)
      stream.greeting = () => events.reset();
    this.#stream = stream;
    return () => {
      if (this.#stream === stream) this.#stream = null;
    };
  }

  after(delay_ms: number, then: () => void): () => void {
    const timer = { at: this.now + delay_ms, then };
    this.#timers.push(timer);
    return () => {
      const place = this.#timers.indexOf(timer);
      if (place >= 0) this.#timers.splice(place, 1);
    };
  }

  now_ms(): number {
    return this.now;
  }

  random(): number {
    return this.dice.next();
  }

  /** One thing arrives somewhere, or time goes on to the next timer. Says false when nothing is left. */
  step(): boolean {
    this.#fillStream();
    const queue = this.#stream?.queue ?? [];
    if (this.dice.chance(this.faults.cut) && this.#stream) {
      const { events } = this.#stream;
      this.#stream = null;
      events.lost();
      return true;
    }
    if (this.#answers.length > 0 && (queue.length === 0 || this.dice.chance(0.3))) {
      this.#answers.splice(this.dice.below(this.#answers.length), 1)[0]!();
      return true;
    }
    if (this.#stream?.greeting) {
      const { greeting } = this.#stream;
      this.#stream.greeting = null;
      greeting();
      return true;
    }
    if (queue.length > 0) {
      if (queue.length > 1 && this.dice.chance(this.faults.swap))
        [queue[0], queue[1]] = [queue[1]!, queue[0]!];
      const deliver = queue.shift()!;
      if (this.dice.chance(this.faults.lose)) return true;
      if (this.dice.chance(this.faults.double))
        queue.splice(this.dice.below(queue.length + 1), 0, deliver);
      deliver();
      return true;
    }
    const next = this.#timers.sort((a, b) => a.at - b.at).shift();
    if (!next) return false;
    this.now = Math.max(this.now, next.at);
    next.then();
    return true;
  }

  #fillStream(): void {
    const stream = this.#stream;
    if (!stream) return;
    if (stream.epoch !== this.daemon.epoch) {
      this.#stream = null;
      stream.events.lost();
      return;
    }
    while (stream.sent < this.daemon.seq) {
      const change = this.daemon.changes[stream.sent]!;
      stream.sent += 1;
      const [id, data] = [`${stream.epoch}:${change.seq}`, JSON.stringify(change)];
      stream.queue.push(() => stream.events.change(id, data));
    }
  }

  /** What the daemon says at some moment between the question and the arrival of the answer. */
  #answer<T>(say: () => T): Promise<T> {
    const early = this.dice.chance(0.5) ? { said: say() } : null;
    return new Promise((resolve, reject) => {
      this.#answers.push(() => {
        if (!this.dice.chance(this.faults.refuse)) resolve(early ? early.said : say());
        else
          reject(
            this.dice.chance(this.signedOut)
              ? new SignedOut("who?")
              : new Unreachable("nobody there"),
          );
      });
    });
  }
}

/** A tab: what it was told, in a mirror of its own, and what of it was against the rules. */
export class FakeTab {
  readonly mirror = new Mirror();
  connection = "";
  seq: number | null = null;
  readonly wrong: string[] = [];
  readonly tell = (message: ToTab): void => {
    if (message.type === "connection") {
      this.connection = message.connection;
    } else if (message.type === "snapshot") {
      this.seq = message.snapshot.seq;
      this.mirror.reset(structuredClone(message.snapshot));
    } else {
      if (message.change.seq !== (this.seq ?? NaN) + 1)
        this.wrong.push(`${message.change.seq} after ${this.seq}`);
      this.seq = message.change.seq;
      this.mirror.apply(structuredClone(message.change));
    }
  };

  /** What the mirror shows of the runs that go on, to be compared with what is. */
  shows(): unknown {
    const { mirror } = this;
    const runs = [...mirror.runs]
      .filter(([, view]) => isOpen(view))
      .map(([key, view]) => {
        const content = mirror.contents.get(key);
        const rows = <V>(table: { length: number; get(row: number): V } | undefined) =>
          Array.from({ length: table?.length ?? 0 }, (_, row) => table!.get(row)).sort(
            byId as never,
          );
        return {
          key,
          view,
          complete: content?.complete,
          frames: rows(content?.frames),
          tasks: rows(content?.tasks),
        };
      });
    return runs.sort((a, b) => (a.key < b.key ? -1 : 1));
  }
}

/** The same of what the daemon holds. */
export function truth(daemon: FakeDaemon): unknown {
  const runs = daemon.runs
    .filter((each) => isOpen(each.view))
    .map((each) => ({
      key: runKey(each.view.project, each.view.id),
      view: each.view,
      complete: true,
      frames: [...each.frames.values()].sort(byId),
      tasks: [...each.tasks.values()].sort(byId),
    }));
  return runs.sort((a, b) => (a.key < b.key ? -1 : 1));
}

function byId(a: { id: string }, b: { id: string }): number {
  return a.id < b.id ? -1 : 1;
}
