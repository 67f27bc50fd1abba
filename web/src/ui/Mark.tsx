// The product's mark, and the signs of the navigation.

import { Match, Switch } from "solid-js";
import type { PlaceId } from "../routes/routes.ts";

export function Mark() {
  return (
    <svg viewBox="0 0 20 20" width="20" height="20" aria-hidden="true">
      <rect x="1" y="13.5" width="18" height="4.5" rx="1" class="mark-low" />
      <rect x="3.5" y="8" width="11" height="4.5" rx="1" class="mark-mid" />
      <rect x="6" y="2.5" width="5.5" height="4.5" rx="1" class="mark-top" />
    </svg>
  );
}

export function Sign(props: { of: PlaceId }) {
  return (
    <svg class="sign" viewBox="0 0 20 20" width="18" height="18" aria-hidden="true">
      <Switch>
        <Match when={props.of === "inbox"}>
          <path d="M3 11.5 5.2 4h9.6L17 11.5V16H3zM3 11.5h4l1 2h4l1-2h4" />
        </Match>
        <Match when={props.of === "runs"}>
          <path d="M2.5 15.5h15M2.5 10h9.5M2.5 4.5h5" />
        </Match>
        <Match when={props.of === "tools"}>
          <path d="M12.2 7.8 4.6 15.4M12.2 7.8a3.4 3.4 0 0 1 4-4.4L14 5.6l.4 1.6 1.6.4 2-2a3.4 3.4 0 0 1-4.6 3.8" />
        </Match>
        <Match when={props.of === "logs"}>
          <path d="M4 2.5h12v15H4zM7 6.5h6M7 10h6M7 13.5h3" />
        </Match>
        <Match when={props.of === "settings"}>
          <path d="M3 5.5h8m4 0h2M3 14.5h2m4 0h8M13 3.5v4M7 12.5v4" />
        </Match>
      </Switch>
    </svg>
  );
}
