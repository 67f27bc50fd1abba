// Random numbers that come again: the seed is printed with a failure, and FORNAX_SEED replays it.

export class Random {
  #state: number;

  constructor(readonly seed: number) {
    this.#state = seed >>> 0;
  }

  /** 0 to 1: mulberry32. */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let t = this.#state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  }

  /** 0 up to, not including, `bound`. */
  below(bound: number): number {
    return Math.floor(this.next() * bound);
  }

  chance(probability: number): boolean {
    return this.next() < probability;
  }

  pick<T>(items: readonly T[]): T {
    return items[this.below(items.length)]!;
  }
}

/** Runs a property for so many seeds; a failure names its seed. */
export async function forSeeds(count: number, property: (random: Random) => void | Promise<void>): Promise<void> {
  const given = process.env.FORNAX_SEED;
  const first = given === undefined ? Date.now() % 1_000_000_000 : Number(given);
  for (let seed = first; seed < first + (given === undefined ? count : 1); seed++) {
    try {
      await property(new Random(seed));
    } catch (error) {
      throw new Error(`with FORNAX_SEED=${seed}: ${String(error)}`, { cause: error });
    }
  }
}
