// Questions and commands to the daemon.

import { ProtocolError, readColumns } from "../sync/protocol.ts";
import type {
  Answer,
  CandidateView,
  CommandRequest,
  Error as Refusal,
  FrameColumns,
  FrameDetail,
  Request as Command,
  RunDetail,
  RunView,
  TaskColumns,
  TaskView,
} from "./types.gen.ts";

/** The daemon refused, or could not be asked. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    message: string,
    /** What to do next. */
    readonly help: string | null,
  ) {
    super(message);
  }
}

/** What went wrong, as something that the daemon could have said. */
export function asApiError(reason: unknown): ApiError {
  return reason instanceof ApiError ? reason : new ApiError(0, String(reason), null);
}

const TIMEOUT_MS = 30_000;

/** The address of something below `/api/`; parts and parameters are escaped here and only here. */
export function address(
  parts: readonly string[],
  query: Record<string, string | number | boolean> = {},
): string {
  const parameters = new URLSearchParams(
    Object.entries(query).map(([name, value]) => [name, String(value)]),
  );
  const path = `/api/${parts.map(encodeURIComponent).join("/")}`;
  return parameters.size === 0 ? path : `${path}?${parameters}`;
}

/** Asks, and fails with what the daemon says where it refuses. */
export async function ask(url: string, init: RequestInit = {}): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(url, { cache: "no-store", ...init });
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new ApiError(
      0,
      "The daemon does not answer.",
      "Look at `fornax status`; `fornax up` starts it.",
    );
  }
  if (!response.ok) throw await refusal(response);
  return response;
}

/** The whole lines of an answer, as they come. */
export async function* readLines(response: Response): AsyncGenerator<string> {
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      const lines = (rest + value).split("\n");
      rest = lines.pop()!;
      yield* lines;
    }
  } finally {
    // Whoever has read enough does not want the rest.
    void reader.cancel().catch(() => {});
  }
}

async function refusal(response: Response): Promise<ApiError> {
  if (response.status === 401) {
    return new ApiError(
      401,
      "This browser is not signed in.",
      "Run `fornax open` and follow its link.",
    );
  }
  try {
    const { error } = (await response.json()) as { error: Refusal };
    return new ApiError(
      response.status,
      String(error.message),
      error.help === undefined ? null : String(error.help),
    );
  } catch {
    return new ApiError(
      response.status,
      `The daemon answered ${response.status}.`,
      "See `fornax doctor`.",
    );
  }
}

async function get<T>(url: string, signal?: AbortSignal): Promise<T> {
  const timeout = AbortSignal.timeout(TIMEOUT_MS);
  const response = await ask(url, {
    signal: signal ? AbortSignal.any([signal, timeout]) : timeout,
  });
  return (await response.json()) as T;
}

/** Runs of a project that are older than one, newest first. */
export function getRuns(
  project: string,
  before: string | null,
): Promise<{ runs: RunView[]; more: boolean }> {
  return get(address(["runs"], { project, limit: 50, ...(before === null ? {} : { before }) }));
}

/** A run with all its frames and tasks. */
export async function getRun(
  project: string,
  run: string,
  signal: AbortSignal,
): Promise<RunDetail> {
  const detail = await get<RunDetail>(address(["runs", run], { project }), signal);
  if (typeof detail.run?.id !== "string") throw new ProtocolError("the answer is not a run");
  return {
    run: detail.run,
    frames: readColumns<FrameColumns>(detail.frames, "frames"),
    tasks: readColumns<TaskColumns>(detail.tasks, "tasks"),
  };
}

/** All about a frame. */
export function getFrame(
  project: string,
  frame: string,
  signal: AbortSignal,
): Promise<FrameDetail> {
  return get(address(["frames", frame], { project }), signal);
}

/** The ids of the newest commands that were given on this page: their outcome is told where they were given. */
export const ownCommands = new Set<string>();
const OWN_KEPT = 256;

/** The id of a command that is given here. */
export function newCommand(): string {
  const id = crypto.randomUUID();
  ownCommands.add(id);
  if (ownCommands.size > OWN_KEPT) ownCommands.delete(ownCommands.values().next().value!);
  return id;
}

/** A tool of a project, and whether it can be used. */
export interface ToolFound {
  name: string;
  program: string;
  usable: boolean;
  path: string | null;
  version: string | null;
  problem: string | null;
  help: string | null;
}

/** The tools of a project. */
export function getTools(project: string, signal: AbortSignal): Promise<ToolFound[]> {
  return get(address(["projects", project, "tools"]), signal);
}

/** A filter that the configuration of a project's git repository defines. */
export interface TrustFilter {
  name: string;
  kind: "clean" | "smudge" | "process";
  command: string;
  digest: string;
  is_trusted: boolean;
  trusted_before: string | null;
}

/** What a project's fornax.yaml executes, and where it stands. */
export interface TrustReview {
  dir: string;
  standing: "executes_nothing" | "trusted" | "always" | "undecided" | "declined";
  digest: string | null;
  executes: string;
  diff: string | null;
  programs: string[];
  filters: TrustFilter[];
  refused: Refusal | null;
}

/** Looks at what a person has to decide about. */
export function getReview(dir: string): Promise<TrustReview> {
  return get(address(["trust"], { dir }));
}

/** Sends a person's decision. */
export function decideTrust(decision: {
  decision: "accept";
  dir: string;
  digest: string | null;
  filters: string[];
  always: boolean;
}): Promise<TrustReview> {
  return post(address(["trust"]), decision);
}

/** What accepting a read-only run executes. */
export function getCandidate(project: string, run: string): Promise<CandidateView> {
  return get(address(["runs", run, "acceptance"], { project }));
}

/** Accepts a read-only run, of which the person was shown the records with this digest. */
export async function acceptRun(project: string, run: string, digest: string): Promise<void> {
  await send(address(["runs", run, "acceptance"], { project }), { digest });
}

/** All about a task: how it was started and how it ended, as its folder tells it. */
export function getTask(
  project: string,
  task: string,
  signal?: AbortSignal,
): Promise<{ task: TaskView; record: unknown; exit: unknown }> {
  return get(address(["tasks", task], { project }), signal);
}

/** What a tool of the call stack answers. */
export interface Reply {
  text: string;
  data: unknown;
}

/** Has something done. */
export function command(
  project: string,
  request: Command,
  cmd_id: string = newCommand(),
): Promise<Answer> {
  return post(address(["commands"]), {
    cmd_id,
    project,
    command: request,
  } satisfies CommandRequest);
}

/** Has the person's own session call a tool of the call stack. */
export function callTool(
  project: string,
  name: string,
  args: Record<string, unknown>,
  cmd_id: string = newCommand(),
): Promise<Reply> {
  return post(address(["tools", name]), { cmd_id, project, arguments: args });
}

/** Sent once more where the answer is lost: the body's `cmd_id` makes that harmless. */
async function post<T>(url: string, body: object): Promise<T> {
  const once = async () => (await (await send(url, body)).json()) as T;
  try {
    return await once();
  } catch (error) {
    if (error instanceof ApiError && error.status === 0) return once();
    throw error;
  }
}

function send(url: string, body: object): Promise<Response> {
  return ask(url, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
    signal: AbortSignal.timeout(TIMEOUT_MS),
  });
}
