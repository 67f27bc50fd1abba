// Texts by number, each different one kept once. Those that come packed are one long text, with where each
// ends and an index to find them: a hundred thousand strings of their own would each be copied from
// thread to thread, put into a map, and looked at by every collection of garbage. Nothing here is reactive.

export interface PackedTexts {
  readonly joined: string;
  /** Where each text ends in it. */
  readonly ends: Uint32Array<ArrayBuffer>;
  /** A table of hashes with open addresses: a text's number and 1; 0 for a free place. */
  readonly index: Uint32Array<ArrayBuffer>;
}

const FEWEST_PLACES = 16;

export class Texts {
  #joined = "";
  #ends = new Uint32Array(0);
  #index = new Uint32Array(FEWEST_PLACES);
  /** Those that were added since: numbers go on after the packed ones. */
  readonly #more: string[] = [];

  static unpack(packed: PackedTexts): Texts {
    const texts = new Texts();
    texts.#joined = packed.joined;
    texts.#ends = packed.ends;
    texts.#index = packed.index;
    return texts;
  }

  get length(): number {
    return this.#ends.length + this.#more.length;
  }

  get(number: number): string {
    const packed = this.#ends.length;
    if (number >= packed) return this.#more[number - packed]!;
    return this.#joined.slice(number === 0 ? 0 : this.#ends[number - 1]!, this.#ends[number]!);
  }

  /** The number of a text; -1 where it is not here. */
  find(text: string): number {
    return this.#index[this.#placeOf(text)]! - 1;
  }

  /** The number of a text, which is added where it is not here. */
  add(text: string): number {
    const place = this.#placeOf(text);
    const known = this.#index[place]!;
    if (known > 0) return known - 1;
    const number = this.length;
    this.#more.push(text);
    this.#index[place] = number + 1;
    // At most half full, so that looking takes few steps.
    if (this.length * 2 > this.#index.length) this.#widen();
    return number;
  }

  pack(): PackedTexts {
    const packed = this.#ends.length;
    const ends = new Uint32Array(this.length);
    ends.set(this.#ends);
    let end = this.#joined.length;
    this.#more.forEach((text, i) => (ends[packed + i] = end += text.length));
    return { joined: this.#joined + this.#more.join(""), ends, index: this.#index.slice() };
  }

  /** Where a text is in the index, or is to be. */
  #placeOf(text: string): number {
    const mask = this.#index.length - 1;
    let place = hash(text) & mask;
    for (;;) {
      const number = this.#index[place]!;
      if (number === 0 || this.#is(number - 1, text)) return place;
      place = (place + 1) & mask;
    }
  }

  #is(number: number, text: string): boolean {
    const packed = this.#ends.length;
    if (number >= packed) return this.#more[number - packed] === text;
    const from = number === 0 ? 0 : this.#ends[number - 1]!;
    return this.#ends[number]! - from === text.length && this.#joined.startsWith(text, from);
  }

  #widen(): void {
    const mask = this.#index.length * 2 - 1;
    this.#index = new Uint32Array(mask + 1);
    for (let number = 0; number < this.length; number++) {
      let place = hash(this.get(number)) & mask;
      while (this.#index[place] !== 0) place = (place + 1) & mask;
      this.#index[place] = number + 1;
    }
  }
}

/** FNV-1a over at most so many places, from both ends: texts of agents may be long. */
const HASHED = 64;

function hash(text: string): number {
  let hash = 0x811c9dc5 ^ text.length;
  const { length } = text;
  for (let i = 0; i < length; i++) {
    if (i === HASHED / 2 && length > HASHED) i = length - HASHED / 2;
    hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  }
  return hash ^ (hash >>> 15);
}
