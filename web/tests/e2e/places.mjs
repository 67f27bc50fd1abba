// Every place of the page, for tests that go to all of them: one row more, and it is tested.

import { APP, LIVE } from "../fixture/scenario.mjs";
import { fixture, idOf } from "./setup.mjs";

/** Where it is, and what is in sight once it is there. */
export const PLACES = [
  { name: "runs", path: () => "/", ready: (page) => page.getByRole("link", { name: "Build app" }) },
  {
    name: "runs of a project",
    path: () => `/?project=${APP}`,
    ready: (page) => page.getByRole("link", { name: "Build app" }),
  },
  { name: "inbox", path: () => "/inbox", ready: (page) => page.getByRole("article").nth(3) },
  {
    name: "inbox with nothing in it",
    path: () => "/inbox?project=none",
    ready: (page) => page.getByText("Nothing waits for you"),
  },
  {
    name: "tools",
    path: () => "/tools",
    ready: (page) => page.getByRole("rowheader", { name: "claude" }).first(),
  },
  {
    name: "logs",
    path: () => "/logs",
    ready: (page) => page.getByRole("heading", { name: "Logs" }),
  },
  {
    name: "log",
    path: () => `/logs/${APP}/${fixture.runs.get(LIVE).frames.get(idOf("passkeys")).task}`,
    ready: (page) => page.getByText("See the report."),
  },
  {
    name: "settings",
    path: () => "/settings",
    ready: (page) => page.getByRole("heading", { name: "Settings" }),
  },
  {
    name: "run",
    path: () => `/runs/${LIVE}`,
    ready: (page) => page.locator(`#tree-${idOf("build")}`),
  },
  {
    name: "run, graph",
    path: () => `/runs/${LIVE}?view=graph`,
    ready: (page) => page.getByRole("region", { name: "Graph" }),
  },
  {
    name: "run, table",
    path: () => `/runs/${LIVE}?view=table`,
    ready: (page) => page.getByRole("grid"),
  },
  {
    name: "run, cost",
    path: () => `/runs/${LIVE}?view=cost`,
    ready: (page) => page.getByText("No model was used").or(page.locator(".cost-kinds")).first(),
  },
  {
    name: "frame",
    path: () => `/runs/${LIVE}?frame=${idOf("passkeys")}`,
    ready: (page) => page.getByText("Let people sign in with a passkey."),
  },
  {
    name: "frame's log",
    path: () => `/runs/${LIVE}?frame=${idOf("passkeys")}&tab=log`,
    ready: (page) => page.getByText("See the report."),
  },
  {
    name: "frame's diff",
    path: () => `/runs/${LIVE}?frame=${idOf("notes")}&tab=diff`,
    ready: (page) => page.locator(".diff").getByText("src/a.ts").first(),
  },
  {
    name: "frame's artifacts",
    path: () => `/runs/${LIVE}?frame=${idOf("notes")}&tab=artifacts`,
    ready: (page) => page.getByRole("list", { name: "Artifacts" }),
  },
  {
    name: "frame's events",
    path: () => `/runs/${LIVE}?frame=${idOf("passkeys")}&tab=events`,
    ready: (page) => page.locator(".events-row").first(),
  },
  {
    name: "nowhere",
    path: () => "/nowhere",
    ready: (page) => page.getByText("There is no such page"),
  },
  {
    name: "no such run",
    path: () => `/runs/${APP}/RUN-20200101-001`,
    ready: (page) => page.getByText("There is no such run"),
  },
  {
    name: "embedded run",
    path: () => `/embed/run/${LIVE.split("/")[1]}?project=${APP}`,
    ready: (page) => page.locator(".chart-box"),
    framed: true,
  },
];

/** Lets a frame of each kind wait for a human. */
export function letSomeWait() {
  const task = (key) => fixture.runs.get(LIVE).frames.get(idOf(key)).task;
  fixture.change(LIVE, {
    frames: [
      {
        id: idOf("list"),
        asks: [
          {
            id: "q1",
            kind: "question",
            question: "By cursor or by offset?",
            options: ["by cursor", "by offset"],
          },
        ],
      },
      {
        id: idOf("update"),
        asks: [
          {
            id: "q2",
            kind: "limit",
            limit: "cost",
            question: "It cost $2.00, its limit. Go on?",
            options: ["go on", "block"],
          },
          { id: "q3", kind: "question", question: "What is the base URL?" },
        ],
      },
    ],
    tasks: [
      {
        id: task("table"),
        waits: [
          { id: "p1", tool: "Bash", title: "npm install" },
          { id: "p2", tool: "Edit", title: "src/table.ts" },
        ],
      },
      { id: task("deploy"), idle: true },
    ],
  });
}

export const TOOLS = [
  {
    name: "shell",
    program: "bash",
    usable: true,
    path: "/usr/bin/bash",
    version: "5.2.37",
    problem: null,
    help: null,
  },
  {
    name: "claude",
    program: "claude",
    usable: false,
    path: null,
    version: null,
    problem: "`claude` is not on the PATH",
    help: "npm install -g @anthropic-ai/claude-code",
  },
];
