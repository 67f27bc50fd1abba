// What a person can do, each with a name and perhaps a key: the one list behind keys, palette and help.
// A part of the page adds its commands while it is shown.

import { createMemo, createRoot, createSignal, onCleanup } from "solid-js";

export interface Command {
  /** Its name within the page, such as `run.stop`. */
  readonly id: string;
  /** What it does, as a person would say it. */
  readonly title: string;
  /** What it belongs to: a heading in palette and help. */
  readonly group: string;
  /** Keys that do it, such as `s`, `Shift+S`, `Mod+Enter` (Mod: Ctrl, or Cmd on a Mac), `g i` (one after
   *  the other). */
  readonly keys?: readonly string[];
  /** Whether it is done again and again while its key is held, as a move is. */
  readonly repeats?: boolean;
  /** Whether it is so plain that the palette need not list it, as a move is. */
  readonly onlyKey?: boolean;
  /** Why it cannot be done now; null where it can. */
  unavailable?(): string | null;
  run(): void;
}

type Source = () => readonly Command[];

const [sources, setSources] = createSignal<readonly Source[]>([]);

/** All commands there are now. Of two with the same id, the one added last. */
export const commands = createRoot(() =>
  createMemo(() => {
    const byId = new Map<string, Command>();
    for (const source of sources()) for (const command of source()) byId.set(command.id, command);
    return [...byId.values()];
  }),
);

/** Adds commands for as long as the component is shown that calls this. */
export function useCommands(source: Source): void {
  setSources((before) => [...before, source]);
  onCleanup(() => setSources((before) => before.filter((each) => each !== source)));
}
