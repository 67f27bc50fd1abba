import { expect, test } from "vitest";
import { isSame, keepSame } from "../../src/model/same.ts";

test("what is as it was before is the same object, and what is not is as it was made", () => {
  const before = {
    list: ["a", "b"],
    marks: Uint8Array.of(1, 0),
    worth: { cost: 2, of: new Map() },
    none: null,
  };
  const made = () => ({
    list: ["a", "b"],
    marks: Uint8Array.of(1, 0),
    worth: { cost: 2, of: before.worth.of },
    none: null,
  });
  expect(keepSame(made(), before)).toBe(before);
  const other = keepSame({ ...made(), marks: Uint8Array.of(1, 1) }, before);
  expect(other).not.toBe(before);
  expect([...other.marks]).toEqual([1, 1]);
  expect(other.list).toBe(before.list);
  expect(other.worth).toBe(before.worth);
});

test("what is longer, shorter or of another kind is not the same", () => {
  expect(keepSame<number[]>([1, 2], [1, 2, 3])).toEqual([1, 2]);
  expect(keepSame<number[]>([1, 2, 3], [1, 2])).toEqual([1, 2, 3]);
  expect(keepSame<unknown>([], {})).toEqual([]);
  expect(keepSame<unknown>({}, [])).toEqual({});
  expect(keepSame<unknown>(null, Uint8Array.of(1))).toBeNull();
  expect(keepSame<unknown>(Uint8Array.of(1), null)).toEqual(Uint8Array.of(1));
  // Objects of a class are not looked into.
  const [one, two] = [new Map([["a", 1]]), new Map([["a", 1]])];
  expect(keepSame({ of: two }, { of: one }).of).toBe(two);
});

test("lists of numbers are compared to their last byte, wherever they lie", () => {
  for (const length of [0, 1, 3, 4, 5, 8, 11]) {
    const bytes = Uint8Array.from({ length }, (_, i) => i + 1);
    expect(isSame(bytes, bytes.slice())).toBe(true);
    for (let i = 0; i < length; i++) expect(isSame(bytes, bytes.with(i, 0))).toBe(false);
    // Where no word begins.
    const apart = new Uint8Array(length + 1);
    apart.set(bytes, 1);
    expect(isSame(apart.subarray(1), bytes)).toBe(true);
    for (let i = 0; i < length; i++)
      expect(isSame(apart.subarray(1), bytes.with(i, 0))).toBe(false);
  }
  const numbers = Float64Array.of(1, NaN, Infinity);
  expect(isSame(numbers, numbers.slice())).toBe(true);
  expect(isSame(numbers, Float64Array.of(1, NaN, 2))).toBe(false);
  expect(isSame(Int32Array.of(1, 2), Int32Array.of(1, 3))).toBe(false);
  expect(isSame(Uint8Array.of(1, 0, 0, 0), Int32Array.of(1, 5, 6, 7))).toBe(false);
  expect(isSame(new Float64Array(8), new Uint8Array(8))).toBe(false);
});
