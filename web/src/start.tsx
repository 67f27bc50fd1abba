// The whole page, as it is when it is not framed by another.

import { render } from "solid-js/web";
import { App } from "./app.tsx";
import { listenForKeys } from "./commands/keys.ts";
import { startNotifying } from "./inbox/notify.ts";
import { inbox, startInbox } from "./inbox/state.ts";
import { listen, place } from "./router.ts";
import { runOf } from "./paths.ts";
import { startAnnouncing } from "./ui/announce.ts";
import { startTitle } from "./ui/title.ts";

export function startPage(root: HTMLElement): void {
  listen();
  listenForKeys();
  startInbox();
  startTitle(() => inbox().length);
  startNotifying();
  startAnnouncing(inbox, () => runOf(place().path)?.key ?? null);
  render(() => <App />, root);
}
