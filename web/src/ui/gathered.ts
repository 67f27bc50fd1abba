// News that wait to be told, and the sentence that tells them. Pure.

import { plural } from "../format.ts";

/** More runs than this are only counted. */
const NAMED_RUNS = 2;
const TITLE_MAX = 80;

/** What came since the last sentence. */
export class Gathered {
  readonly #frames = new Map<string, string[]>();
  readonly #runs: string[] = [];
  #waiting = 0;

  frame(ending: string, title: string): void {
    const titles = this.#frames.get(ending);
    if (titles) titles.push(title);
    else this.#frames.set(ending, [title]);
  }

  run(name: string, status: string): void {
    this.#runs.push(`${name}: ${status}`);
  }

  waits(count: number): void {
    this.#waiting += count;
  }

  /** All of it in one sentence or a few, and nothing is left; null where nothing came. */
  sentence(): string | null {
    const said: string[] = [];
    if (this.#waiting > 0) said.push(`${plural(this.#waiting, "new item")} in the inbox.`);
    if (this.#runs.length <= NAMED_RUNS) said.push(...this.#runs.map((run) => `${run}.`));
    else said.push(`${plural(this.#runs.length, "run")} ended.`);
    const frames = [...this.#frames].map(([ending, titles]) => {
      return titles.length === 1
        ? `${titles[0]!.slice(0, TITLE_MAX)} ${ending}`
        : `${plural(titles.length, "frame")} ${ending}`;
    });
    if (frames.length > 0) said.push(`${frames.join(", ")}.`);
    this.#waiting = 0;
    this.#runs.length = 0;
    this.#frames.clear();
    return said.length === 0 ? null : said.join(" ");
  }
}
