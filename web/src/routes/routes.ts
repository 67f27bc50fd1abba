// The page's places, each loaded when it is gone to.

import { lazy } from "solid-js";
import type { Component } from "solid-js";
import { unescaped } from "../paths.ts";

export interface RouteProps {
  /** The variable parts of the path, in their order. */
  parts: readonly string[];
}

interface Route {
  readonly path: RegExp;
  readonly page: Component<RouteProps>;
}

const RunPage = lazy(() => import("./run.tsx").then(({ RunPage: Page }) => ({ default: Page })));

export const ROUTES: readonly Route[] = [
  { path: /^\/$/, page: lazy(async () => ({ default: (await import("./runs.tsx")).RunsPage })) },
  { path: /^\/inbox$/, page: lazy(() => import("./inbox.tsx")) },
  { path: /^\/logs$/, page: lazy(() => import("./logs.tsx")) },
  { path: /^\/logs\/([^/]+)\/([^/]+)$/, page: lazy(() => import("./log.tsx")) },
  { path: /^\/tools$/, page: lazy(() => import("./tools.tsx")) },
  { path: /^\/settings$/, page: lazy(() => import("./settings.tsx")) },
  { path: /^\/compare$/, page: lazy(() => import("./compare.tsx")) },
  { path: /^\/import$/, page: lazy(() => import("../export/Import.tsx")) },
  {
    path: /^\/runs\/([^/]+)\/([^/]+)$/,
    page: (props) =>
      RunPage({
        get project() {
          return props.parts[0]!;
        },
        get run() {
          return props.parts[1]!;
        },
      }),
  },
];

/** The place that a path names; null where there is none. */
export function routeOf(path: string): { route: Route; parts: readonly string[] } | null {
  for (const route of ROUTES) {
    const found = route.path.exec(path);
    if (!found) continue;
    const parts = found.slice(1).map(unescaped);
    return parts.includes(null) ? null : { route, parts: parts as string[] };
  }
  return null;
}

/** What stands in the navigation. */
export const NAVIGATION = [
  { id: "inbox", path: "/inbox", word: "Inbox", keys: "g i" },
  { id: "runs", path: "/", word: "Runs", keys: "g r" },
  { id: "tools", path: "/tools", word: "Tools", keys: "g t" },
  { id: "logs", path: "/logs", word: "Logs", keys: "g l" },
  { id: "settings", path: "/settings", word: "Settings", keys: "g s" },
] as const;
export type PlaceId = (typeof NAVIGATION)[number]["id"];
