// Packs boxes, each so long and so many rows high, into as few rows as first-fit finds. Pure.

/** The end of the last box in each row, with the least of each range of rows known: a segment tree. */
class RowEnds {
  #leaves = 1;
  /** By node: its children are at twice its place; leaves are at the end. */
  #least = new Float64Array(64);
  rows = 0;

  /** Empty again, with the room that it has got. */
  clear(): void {
    this.#leaves = 1;
    this.#least[1] = -Infinity;
    this.rows = 0;
  }

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
    const leaves = this.#leaves;
    if (leaves * 4 > this.#least.length) {
      const larger = new Float64Array(leaves * 8);
      larger.set(this.#least);
      this.#least = larger;
    }
    this.#leaves = leaves * 2;
    this.#least.copyWithin(leaves * 2, leaves, leaves * 2);
    this.#least.fill(-Infinity, leaves * 3, leaves * 4);
    for (let node = this.#leaves - 1; node > 0; node--) {
      this.#least[node] = Math.min(this.#least[node * 2]!, this.#least[node * 2 + 1]!);
    }
  }
}

/** Used again for each packing: there is one for each frame that holds others. */
const ends = new RowEnds();

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
  ends.clear();
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
