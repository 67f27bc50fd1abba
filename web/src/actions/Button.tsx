// An action as a button: in primary colours where it is what one most likely came for, with its key in its tip.

import { sayKeys } from "../commands/keys.ts";
import { perform } from "./action.ts";
import type { Action } from "./action.ts";

export function ActionButton<S>(props: { action: Action<S>; subject: S }) {
  const titled = () => {
    const keys = props.action.keys?.[0];
    return keys === undefined ? props.action.title : `${props.action.title} (${sayKeys(keys)})`;
  };
  return (
    <button
      class={props.action.wanted ? "primary" : ""}
      title={titled()}
      onClick={() => void perform(props.action, props.subject)}
    >
      {props.action.label}
    </button>
  );
}
