// Packs boxes, each so long and so many rows high, into as few rows as first-fit finds. Pure.

/** The end of the last box in each row, with the least of each range of rows known: a segment tree. */
class RowEnds {
  #leaves = 1;
  #least: Float64Array = new Float64Array(2).fill(-Infinity);
  rows = 0;

  /** The first row from `row` on whose last box ends at or before `start`. */
  firstFree(row: number, start: number): number {
    while (row < this.#leaves) {
      let node = row + this.#leaves;
      // Climb while nothing to the right, within the node, is free.
      while (this.#least[node]! > start) {
        while (node & 1) node >>= 1;
        if (node === 0) return this.#leaves;
        node += 1;
      }
      while (node < this.#leaves) {
        node *= 2;
        if (this.#least[node]! > start) node += 1;
      }
      return node - this.#leaves;
    }
    return row;
  }

  endOf(row: number): number {
    return row < this.#leaves ? this.#least[row + this.#leaves]! : -Infinity;
  }

  fill(row: number, end: number): void {
    while (row >= this.#leaves) this.#double();
    this.rows = Math.max(this.rows, row + 1);
    let node = row + this.#leaves;
    this.#least[node] = end;
    for (node >>= 1; node > 0; node >>= 1) {
      this.#least[node] = Math.min(this.#least[node * 2]!, this.#least[node * 2 + 1]!);
    }
  }

  #double(): void {
    const before = this.#least.subarray(this.#leaves);
    this.#leaves *= 2;
    this.#least = new Float64Array(this.#leaves * 2).fill(-Infinity);
    this.#least.set(before, this.#leaves);
    for (let node = this.#leaves - 1; node > 0; node--) {
      this.#least[node] = Math.min(this.#least[node * 2]!, this.#least[node * 2 + 1]!);
    }
  }
}

/**
 * Gives each box its top row, so that no two boxes share a place. `order` names the boxes by
 * ascending start; `tops` is written at the boxes' numbers. Returns how many rows are used.
 */
export function pack(
  order: ArrayLike<number>,
  start: ArrayLike<number>,
  end: ArrayLike<number>,
  height: ArrayLike<number>,
  tops: Int32Array,
): number {
  const ends = new RowEnds();
  for (let i = 0; i < order.length; i++) {
    const box = order[i]!;
    let top = ends.firstFree(0, start[box]!);
    for (let below = 1; below < height[box]!; below++) {
      if (ends.endOf(top + below) <= start[box]!) continue;
      top = ends.firstFree(top + below + 1, start[box]!);
      below = 0;
    }
    tops[box] = top;
    for (let row = top; row < top + height[box]!; row++) ends.fill(row, end[box]!);
  }
  return ends.rows;
}
