// Keeps a layout true to a table that changes. Most changes are put into the layout that is there; for
// the others a new one is made, which takes time with the number of frames: of few frames at once, and
// for no more than a tenth of the time; of many by another thread, while the one that is there goes on
// to be patched.

import type { FrameTable } from "./columns.ts";
import { givenOf, layOut } from "./layout.ts";
import type { Given, Layout } from "./layout.ts";
import { patch } from "./patch.ts";
import { isSame } from "./same.ts";

/** Of more frames, layouts are made by another thread. */
export const LARGE = 4_000;
/** How many times as long as a layout took, none is made. */
const REST = 9;
const REST_ELSEWHERE = 4;
/** It is not worth waiting for less. */
const SHORTEST_WAIT_MS = 4;
/** By then what was shown has been drawn. */
const DRAWN_MS = 20;

/** The world outside. */
export interface Helper {
  /** Makes a layout elsewhere; fails where that cannot be. */
  layOut(given: Given): Promise<Layout>;
  after(delay_ms: number, then: () => void): () => void;
  now_ms(): number;
}

/** A table, and where its bars are. */
export interface Shown {
  readonly frames: FrameTable;
  readonly layout: Layout;
}

/** What is left of a keeper, by its table. */
interface Left {
  readonly layout: Layout;
  readonly seen: number;
  readonly hidden: Uint8Array | null;
  readonly dependencies: number;
  readonly isStale: boolean;
}

const kept = new WeakMap<FrameTable, Left>();

export class LayoutKeeper {
  /** How many layouts were made, and how many changes were put into one. */
  readonly made = { layouts: 0, patches: 0 };
  readonly #show: (shown: Shown) => void;
  readonly #helper: Helper;
  #layout: Layout | null = null;
  #frames: FrameTable | null = null;
  #hidden: Uint8Array | null = null;
  #choice: unknown = null;
  /** Whether a person waits for the next layout. */
  #isAwaited = false;
  /** The table's changes up to which the layout is true. */
  #seen = 0;
  #dependencies = 0;
  /** Whether a new layout is asked for that is not being made yet. */
  #isStale = false;
  #isMaking = false;
  #restUntil_ms = -Infinity;
  #cancel: (() => void) | null = null;
  #isOver = false;

  /** `show` is called whenever a frame may have changed, with a new object each time. */
  constructor(show: (shown: Shown) => void, helper: Helper) {
    this.#show = show;
    this.#helper = helper;
  }

  /** The table has changed, or what of it is `hidden`: see `Given`. `choice` is what a person chose to be hidden:
   *  where it is another, that is laid out as soon as can be. */
  changed(frames: FrameTable, hidden: Uint8Array | null, choice: unknown = null): void {
    const isOther = frames !== this.#frames;
    const isChosen = this.#frames !== null && choice !== this.#choice;
    this.#choice = choice;
    if (isChosen) this.#isAwaited = true;
    if (isChosen || isOther) {
      this.#cancel?.();
      this.#cancel = null;
    }
    if (isOther) this.#takeUp(frames);
    if (!isSame(hidden, this.#hidden) || frames.dependsOn.changes !== this.#dependencies)
      this.#isStale = true;
    this.#hidden = hidden;
    this.#catchUp();
    this.#refresh();
  }

  /** No more is wanted. */
  end(): void {
    this.#isOver = true;
    this.#cancel?.();
    if (this.#layout === null) return;
    const isStale = this.#isStale || this.#isMaking;
    kept.set(this.#frames!, {
      layout: this.#layout,
      seen: this.#seen,
      hidden: this.#hidden,
      dependencies: this.#dependencies,
      isStale,
    });
  }

  /** Goes on with another table: as the last keeper of it left it, where there was one. */
  #takeUp(frames: FrameTable): void {
    const left = kept.get(frames);
    // Others may not patch its layout too.
    kept.delete(frames);
    this.#frames = frames;
    this.#layout = left?.layout ?? null;
    this.#isStale = left?.isStale ?? true;
    if (!left) return;
    this.#hidden = left.hidden;
    this.#dependencies = left.dependencies;
    this.#seen = left.seen;
    this.#show({ frames, layout: left.layout });
  }

  /** Puts what has changed into the layout that is there, and shows it. */
  #catchUp(): void {
    if (this.#layout === null || this.#seen === this.#frames!.changes) return;
    const frames = this.#frames!;
    const bars = frames.changedSince(this.#seen);
    this.#seen = frames.changes;
    if (bars === null) this.#isStale = true;
    const next = { ...this.#layout };
    for (const bar of bars ?? []) {
      if (patch(next, frames, bar, this.#layout.children)) this.made.patches += 1;
      else this.#isStale = true;
    }
    this.#layout = next;
    this.#show({ frames, layout: next });
  }

  #refresh(): void {
    if (!this.#isStale || this.#isMaking || this.#cancel !== null) return;
    const wait_ms = this.#layout === null || this.#isAwaited ? 0 : this.#waitForNews();
    if (wait_ms <= SHORTEST_WAIT_MS) this.#make();
    else {
      this.#cancel = this.#helper.after(wait_ms, () => {
        this.#cancel = null;
        this.#make();
      });
    }
  }

  #waitForNews(): number {
    const rest_ms = this.#restUntil_ms - this.#helper.now_ms();
    // Of many frames it takes time even to say what they are: what was put into the layout is drawn before.
    return this.#frames!.length > LARGE ? Math.max(rest_ms, DRAWN_MS) : rest_ms;
  }

  #make(): void {
    const frames = this.#frames!;
    const began_ms = this.#helper.now_ms();
    this.#isStale = false;
    this.#isAwaited = false;
    this.#dependencies = frames.dependsOn.changes;
    const upTo = frames.changes;
    this.made.layouts += 1;
    const hidden = this.#hidden;
    const here = () =>
      this.#take(layOut(frames, hidden), upTo, REST * (this.#helper.now_ms() - began_ms));
    if (frames.length <= LARGE) {
      here();
      return;
    }
    this.#isMaking = true;
    const ready = (take: () => void) => {
      this.#isMaking = false;
      if (this.#isOver) return;
      // Not of a table that has been replaced meanwhile.
      if (frames === this.#frames) take();
      this.#refresh();
    };
    this.#helper.layOut(givenOf(frames, hidden)).then(
      (layout) =>
        ready(() => this.#take(layout, upTo, REST_ELSEWHERE * (this.#helper.now_ms() - began_ms))),
      () => ready(here),
    );
  }

  #take(layout: Layout, upTo: number, rest_ms: number): void {
    this.#restUntil_ms = this.#helper.now_ms() + rest_ms;
    this.#layout = withOld(layout, this.#layout);
    this.#seen = upTo;
    // What has come while it was made.
    if (upTo < this.#frames!.changes) this.#catchUp();
    else this.#show({ frames: this.#frames!, layout: this.#layout });
  }
}

/** Keeps the tree of the layout before where it is the same, so that what is made of it is not made anew. */
function withOld(layout: Layout, before: Layout | null): Layout {
  if (
    before === null ||
    !isSame(layout.children, before.children) ||
    !isSame(layout.childStart, before.childStart)
  )
    return layout;
  return { ...layout, children: before.children, childStart: before.childStart };
}
