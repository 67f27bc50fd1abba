// Random numbers that come again: a test prints its seed, and FORNAX_SEED replays it.

export class Random {
  #state;

  /** @param {number} seed */
  constructor(seed) {
    this.seed = seed;
    this.#state = seed >>> 0;
  }

  /** 0 to 1: mulberry32. */
  next() {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let t = this.#state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  }

  /**
   * 0 up to, not including, `bound`.
   * @param {number} bound
   */
  below(bound) {
    return Math.floor(this.next() * bound);
  }

  /** @param {number} probability */
  chance(probability) {
    return this.next() < probability;
  }

  /**
   * @template T
   * @param {readonly T[]} items
   * @returns {T}
   */
  pick(items) {
    return /** @type {T} */ (items[this.below(items.length)]);
  }
}

/** The seed that FORNAX_SEED names, or one of the moment. */
export function firstSeed() {
  const given = process.env.FORNAX_SEED;
  return given === undefined ? Date.now() % 1_000_000_000 : Number(given);
}
