// Whether what was made anew is as it was before. Pure.

type Numbers = Uint8Array | Int32Array | Float64Array;

export function isSame(one: Numbers | null, other: Numbers | null): boolean {
  if (one === other || one === null || other === null) return one === other;
  if (one.length !== other.length || one.BYTES_PER_ELEMENT !== other.BYTES_PER_ELEMENT)
    return false;
  // Four bytes at a time where they lie so, whatever they are: a loop for one kind of list is many times as fast as one for all.
  const words = (one.byteOffset | other.byteOffset) % 4 === 0 ? one.byteLength >> 2 : 0;
  const [oneWords, otherWords] = [wordsOf(one, words), wordsOf(other, words)];
  for (let i = 0; i < words; i++) if (oneWords[i] !== otherWords[i]) return false;
  for (let i = (words * 4) / one.BYTES_PER_ELEMENT; i < one.length; i++)
    if (one[i] !== other[i]) return false;
  return true;
}

function wordsOf({ buffer, byteOffset }: Numbers, words: number): Int32Array {
  return new Int32Array(buffer, words === 0 ? 0 : byteOffset, words);
}

/** What was made, with all of it that is as it was before taken from there: what nobody changed stays the same
 *  object, down to lists of numbers, so that nobody who shows it has to look into it. */
export function keepSame<T>(made: T, before: T): T {
  if (Object.is(made, before)) return before;
  if (isNumbers(made)) return isNumbers(before) && isSame(made, before) ? before : made;
  if (!isPlain(made) || !isPlain(before) || Array.isArray(made) !== Array.isArray(before))
    return made;
  const keys = Object.keys(made) as (keyof T)[];
  let isAsBefore = keys.length === Object.keys(before).length;
  const kept = (Array.isArray(made) ? [] : {}) as T;
  for (const key of keys) {
    kept[key] = keepSame(made[key], before[key]);
    isAsBefore &&= Object.is(kept[key], before[key]);
  }
  return isAsBefore ? before : kept;
}

function isNumbers(value: unknown): value is Numbers {
  return (
    value instanceof Uint8Array || value instanceof Int32Array || value instanceof Float64Array
  );
}

function isPlain(value: unknown): value is object {
  return (
    Array.isArray(value) ||
    (typeof value === "object" &&
      value !== null &&
      Object.getPrototypeOf(value) === Object.prototype)
  );
}
