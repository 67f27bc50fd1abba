// Actions as commands: with their keys, in palette and help, for as long as what they are about is shown.

import type { Command } from "../commands/registry.ts";
import { useCommands } from "../commands/registry.ts";
import { perform } from "./action.ts";
import type { Action } from "./action.ts";

export function useActions<S>(actions: readonly Action<S>[], subject: () => S): void {
  const listed = actions.map((action): Command => ({
    id: action.id,
    title: action.title,
    group: action.group,
    ...(action.keys ? { keys: action.keys } : {}),
    unavailable: () => action.why(subject()),
    run: () => void perform(action, subject()),
  }));
  useCommands(() => listed);
}
