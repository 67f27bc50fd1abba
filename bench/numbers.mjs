// Small things about numbers.

/** Numbers from 0 up to, not including, `count`. */
export const upTo = (count) => Array.from({ length: count }, (_, number) => number);

/** The middle one, or what lies between the two. */
export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** With three digits that count. */
export function fixed(number) {
  const digits = number >= 100 ? 0 : number >= 10 ? 1 : 2;
  return number.toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits });
}
