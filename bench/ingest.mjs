// How many trace events a second are taken: checked, redacted, numbered, written.

import { execFileSync } from "node:child_process";
import { closeSync, fdatasyncSync, openSync, statSync, writeSync } from "node:fs";
import http from "node:http";
import path from "node:path";

import { upTo } from "./numbers.mjs";
import { run } from "./place.mjs";

const EVENTS = 300_000;
/** About 1 MiB: what an exporter sends that gathers for a moment. */
const BATCH = 3_000;
const CONNECTIONS = 4;
/** Peers are slower; their rate shows in fewer. */
const LOGGING_EVENTS = 50_000;
const SPANS = 20_000;

export async function ingest(place) {
  const project = await place.project({ tools: { noop: { cmd: ["true"] } } });
  const { run: made } = await project.run(project.plan("one", [{ id: "one", tool: "noop", goal: "Nothing" }]));
  const { projects } = await project.request("GET", "/api/status");
  const url = `/api/trace?project=${projects[0].project.id}&run=${made.id}`;
  const batches = upTo(EVENTS / BATCH).map((number) => batch(number * BATCH));
  const bytes = batches.reduce((sum, { length }) => sum + length, 0);
  const python = peers(place);
  return [
    {
      name: "ingest",
      title:
        `trace events of ${Math.round(bytes / EVENTS)} bytes; HTTP over the Unix socket, ` +
        `${CONNECTIONS} connections, ${BATCH.toLocaleString("en-US")} a request`,
      metrics: [{ key: "rate", unit: "events/s", better: "higher" }],
      floor: "floor: straight into a file, synced",
      contenders: [
        { name: "floor: straight into a file, synced", once: async () => written(place, batches) },
        { name: "fornax", once: () => posted(project, url, batches, CONNECTIONS) },
        { name: "fornax, 1 connection", once: () => posted(project, url, batches, 1) },
        ...python.map(({ name, mode, count }) => ({
          name,
          once: async () => {
            const file = path.join(place.fresh("python"), "events");
            const argv = [place.python, path.join(import.meta.dirname, "ingest_peers.py"), mode, count, file];
            const { output } = await run(argv, { collect: true });
            if (statSync(file).size < count * 200) throw new Error(`${name} has not written its events`);
            return { rate: count / Number(output) };
          },
        })),
      ],
    },
  ];
}

/** The five kinds in the mix of a working agent, valid and without a secret. */
function batch(first) {
  const lines = upTo(BATCH).map((number) => JSON.stringify(event(first + number)) + "\n");
  return Buffer.from(lines.join(""));
}

function event(number) {
  const seconds = Math.floor(number / 1_000);
  const ts = new Date(Date.UTC(2026, 10, 21, 2, 0, seconds, number % 1_000)).toISOString();
  const head = { ts, frame_id: "f-7zx0gm", session_id: `ses_${String(number % 64).padStart(8, "0")}` };
  switch (number % 20) {
    case 0:
      return {
        ...head,
        event: "failure",
        error: { type: "AssertionError", message: "expected 12 rows of the export, found 11" },
        location: { file: "src/export/rows.py", line: 214, function: "write_all" },
        locals: { expected: { t: "int", v: 12 }, path: { t: "str", v: "/home/ana/out.csv" } },
      };
    case 5:
      return {
        ...head,
        event: "git_diff",
        turn: 7,
        commit: "0f4352d1",
        dirty: true,
        files_changed: 3,
        lines_added: 48,
        lines_removed: 12,
        diff: "--- a/src/rows.py\n+++ b/src/rows.py\n@@ -210,7 +210,7 @@\n-    return rows\n+    return rows[:-1]\n",
        truncated: false,
      };
    case 10:
      return {
        ...head,
        event: "decision",
        question: "Where is the row lost: in the reader or in the writer?",
        answer: "in the writer",
        reason: "the reader's test passes with the same file",
        alternatives: ["in the reader", "in the test's own expectation"],
      };
    default:
      return number % 2 === 0 ? call(head, number) : output(head);
  }
}

function call(head, number) {
  return {
    ...head,
    event: "llm_call",
    model: "claude-opus-4-6",
    provider: "anthropic",
    tokens_in: number % 9_000,
    tokens_out: number % 700,
    tokens_cache_read: 18_234,
    tokens_cache_write: 120,
    tokens_reasoning: 0,
    tokens_total: 18_354 + (number % 9_700),
    duration_ms: 4_210,
    cost_usd: 0.0421,
    estimated: false,
    call_id: `call_${String(number).padStart(8, "0")}`,
  };
}

function output(head) {
  return {
    ...head,
    event: "tool_output",
    tool: "bash",
    args: { command: "cargo test -p core -- --nocapture", cwd: "/home/ana/src/app" },
    stdout: "running 12 tests\ntest state::tests::applies ... ok\ntest result: ok. 12 passed\n",
    stderr: "",
    exit_code: 0,
    duration_ms: 812,
    success: true,
  };
}

function written(place, batches) {
  const file = openSync(path.join(place.fresh("floor"), "events.jsonl"), "w");
  const began = process.hrtime.bigint();
  for (const batch of batches) writeSync(file, batch);
  fdatasyncSync(file);
  const seconds = Number(process.hrtime.bigint() - began) / 1e9;
  closeSync(file);
  return { rate: EVENTS / seconds };
}

async function posted(project, url, batches, connections) {
  const agent = new http.Agent({ keepAlive: true, maxSockets: connections });
  const waiting = [...batches];
  let accepted = 0;
  const connection = async () => {
    for (let body = waiting.pop(); body !== undefined; body = waiting.pop()) {
      const answer = await project.request("POST", url, { body, type: "application/x-ndjson", agent });
      if (answer.rejected.length > 0) throw new Error(`rejected: ${JSON.stringify(answer.rejected[0])}`);
      accepted += answer.accepted;
    }
  };
  const began = process.hrtime.bigint();
  await Promise.all(upTo(connections).map(connection));
  const seconds = Number(process.hrtime.bigint() - began) / 1e9;
  agent.destroy();
  if (accepted !== EVENTS) throw new Error(`${accepted} of ${EVENTS} events were accepted`);
  return { rate: EVENTS / seconds };
}

/** The Python peers, in an environment of their own. */
function peers(place) {
  const python = place.find("python3", "Python logging, OpenTelemetry SDK");
  if (!python) return [];
  place.python = python;
  const made = [{ name: "Python logging", mode: "logging", count: LOGGING_EVENTS }];
  const venv = place.fresh("venv");
  try {
    const quietly = { stdio: ["ignore", "ignore", "pipe"] };
    execFileSync(python, ["-m", "venv", venv], quietly);
    const bin = path.join(venv, "bin", "python");
    execFileSync(bin, ["-m", "pip", "install", "--quiet", "opentelemetry-sdk"], quietly);
    place.python = bin;
    made.push({ name: "OpenTelemetry SDK (Python)", mode: "opentelemetry", count: SPANS });
  } catch (error) {
    const why = error.stderr?.toString().trim().split("\n").pop() || error.message;
    place.missing.set("OpenTelemetry SDK", `it cannot be installed: ${why}`);
  }
  return made;
}
