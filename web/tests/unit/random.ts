// Properties that must hold for many seeds.

import { Random, firstSeed } from "../random.mjs";

export { Random };

/** Runs a property for so many seeds; a failure names its seed. */
export async function forSeeds(
  count: number,
  property: (random: Random) => void | Promise<void>,
): Promise<void> {
  const first = firstSeed();
  for (
    let seed = first;
    seed < first + (process.env.FORNAX_SEED === undefined ? count : 1);
    seed++
  ) {
    try {
      await property(new Random(seed));
    } catch (error) {
      throw new Error(`with FORNAX_SEED=${seed}: ${String(error)}`, { cause: error });
    }
  }
}
