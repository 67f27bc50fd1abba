// Fornax in OpenCode: frames for its sessions, the context that belongs to them, and the tools to
// work with them. Installed by `fornax install opencode`; Fornax loads it itself into the servers that
// it starts for tasks.
//
// It needs nothing but Node's own modules, talks to nobody but the daemon's Unix socket, and does
// nothing where no daemon runs: one look whether the socket is there, every few seconds at most. What
// goes wrong in it never reaches OpenCode.
//
// Options, in opencode.json: `"plugin": [["file:///.../fornax.js", {"title": true, "tools": "all"}]]`.
// The same by environment: FORNAX_TITLE=1, FORNAX_TOOLS=all. FORNAX_SOCKET names another socket.

import { existsSync, readFileSync } from "node:fs"
import { request } from "node:http"
import { dirname, isAbsolute, join } from "node:path"

/** The protocol that this plugin speaks: `PROTOCOL` in crates/fornax-daemon/src/protocol.rs. */
const PROTOCOL = 1

/** How long a daemon that was not there is taken for absent. */
const ABSENT_MS = 3000
/** How long a directory that is no project of Fornax's is taken for none. */
const FOREIGN_MS = 15000
/** The longest that OpenCode is held up by anything but a call of a tool, where the daemon hangs. */
const PATIENCE_MS = 5000
/** The same at its start, when it has so much to do that it comes to hear of answers late. */
const START_PATIENCE_MS = 15000
/** Reports that wait at most; when the daemon hangs, the newest are dropped. */
const WAITING_MAX = 1000
/** The longest text that is reported, in characters. */
const TEXT_MAX = 20000
/** Suggestions are looked for this often at most. */
const ADVICE_MS = 5000

const WRITERS = new Set(["edit", "write", "multiedit", "patch", "apply_patch"])
/** Tools after which a session may work in another frame, or its goal be another. */
const MOVERS = new Set([
  "flame_push",
  "flame_pop",
  "flame_activate",
  "flame_navigate",
  "flame_set_goal",
])
/** What sessions of subagents are called where no parent is named. */
const SUBAGENT = /@.*subagent|subagent|\[Task\]/i
/** What OpenCode calls a session before it knows better. */
const UNNAMED = /^(New|Child) session - \d{4}-/
const MENTION = /@frame:(f-[0-9a-z]{1,6})(?![0-9a-z])/gi

function socketPath(env) {
  if (env.FORNAX_SOCKET) return env.FORNAX_SOCKET
  if (isAbsolute(env.XDG_STATE_HOME ?? "")) return join(env.XDG_STATE_HOME, "fornax", "daemon.sock")
  if (isAbsolute(env.HOME ?? "")) return join(env.HOME, ".local", "state", "fornax", "daemon.sock")
  return undefined
}

/** One request and its answer: `{status, text}`. */
function exchange(socket, method, path, text, signal) {
  const headers = { host: "fornax", connection: "close" }
  if (text !== undefined) headers["content-type"] = "application/json"
  // In OpenCode this is Bun, whose own way loses no answers when the machine is busy.
  if (globalThis.Bun) {
    return fetch(`http://fornax${path}`, {
      unix: socket,
      method,
      headers,
      body: text,
      signal,
    }).then(async (answer) => ({ status: answer.status, text: await answer.text() }))
  }
  if (text !== undefined) headers["content-length"] = Buffer.byteLength(text)
  return new Promise((resolve, reject) => {
    const asked = request(
      { socketPath: socket, method, path, headers, agent: false, signal },
      (answer) => {
        const chunks = []
        answer.on("data", (chunk) => chunks.push(chunk))
        answer.on("error", reject)
        answer.on("end", () =>
          resolve({ status: answer.statusCode, text: Buffer.concat(chunks).toString("utf8") }),
        )
      },
    )
    asked.on("error", reject)
    asked.end(text)
  })
}

/** The same with JSON, given up when the time is over or the signal says so. */
async function converse(socket, method, path, body, { signal, timeout }) {
  const gaveUp = new AbortController()
  const giveUp = () => gaveUp.abort()
  const late = timeout && setTimeout(giveUp, timeout)
  signal?.addEventListener("abort", giveUp, { once: true })
  try {
    const text = body === undefined ? undefined : JSON.stringify(body)
    const over = new Promise((_, reject) => {
      gaveUp.signal.addEventListener("abort", () => reject(new Error("no answer in time")), {
        once: true,
      })
    })
    const answer = await Promise.race([exchange(socket, method, path, text, gaveUp.signal), over])
    return { status: answer.status, body: answer.text ? JSON.parse(answer.text) : undefined }
  } finally {
    clearTimeout(late)
    signal?.removeEventListener("abort", giveUp)
  }
}

/** What OpenCode answers, if it does in time: it may itself be waiting for this plugin. */
function inTime(answer) {
  let late
  const never = new Promise((resolve) => {
    late = setTimeout(resolve, PATIENCE_MS)
  })
  return Promise.race([Promise.resolve(answer).catch(() => undefined), never]).finally(() =>
    clearTimeout(late),
  )
}

/** The daemon, as far as it is there. */
class Daemon {
  constructor(env, directory) {
    this.socket = socketPath(env)
    this.who = env.FORNAX_SESSION_TOKEN
      ? { dir: directory, token: env.FORNAX_SESSION_TOKEN }
      : { dir: directory }
    this.absentUntil = 0
    this.foreignUntil = 0
    this.waiting = 0
    this.told = Promise.resolve()
  }

  isThere() {
    const now = Date.now()
    if (!this.socket || now < this.absentUntil || now < this.foreignUntil) return false
    if (existsSync(this.socket)) return true
    this.absentUntil = now + ABSENT_MS
    return false
  }

  /**
   * Why the daemon cannot be used, as an answer of its own would be; nothing where it can. Read each
   * time: the daemon may be replaced while OpenCode runs.
   */
  mismatch() {
    let theirs
    try {
      const info = JSON.parse(readFileSync(join(dirname(this.socket), "daemon.json"), "utf8"))
      theirs = info.protocol ?? 0
    } catch {
      return undefined
    }
    if (theirs === PROTOCOL) return undefined
    const message = `The Fornax daemon speaks protocol ${theirs}, and this plugin speaks protocol ${PROTOCOL}.`
    const help =
      theirs < PROTOCOL
        ? "Ask for `fornax up --restart`, which replaces the daemon (tasks live on), then try again."
        : "Ask for `fornax install opencode` and a restart of OpenCode."
    return { status: 409, body: { error: { kind: "conflict", message, help } } }
  }

  /** An answer, or what was wrong: `{status, body}`; nothing where no daemon answers. */
  async ask(method, path, body, limits = { timeout: PATIENCE_MS }) {
    if (!this.isThere()) return undefined
    const mismatch = this.mismatch()
    if (mismatch) return mismatch
    try {
      const answer = await converse(this.socket, method, path, body, limits)
      const message = answer.body?.error?.message ?? ""
      if (answer.status === 404 && message.startsWith("no project of Fornax")) {
        this.foreignUntil = Date.now() + FOREIGN_MS
      }
      return answer
    } catch (error) {
      if (!limits.signal?.aborted) this.absentUntil = Date.now() + ABSENT_MS
      return undefined
    }
  }

  /** What a tool answers; nothing where it is refused. */
  async look(sessionID, tool, args = {}) {
    const body = { ...this.who, session: `opencode:${sessionID}`, arguments: args }
    const answer = await this.ask("POST", `/api/tools/${tool}`, body)
    return answer?.status === 200 ? answer.body : undefined
  }

  /** Tells something, after all that was told before. Nobody waits for it. */
  report(sessionID, report) {
    if (this.waiting >= WAITING_MAX || !this.isThere()) return
    this.waiting += 1
    const body = { ...this.who, session: `opencode:${sessionID}`, report }
    this.told = this.told
      .then(() => this.ask("POST", "/api/sessions/report", body))
      .then(() => {
        this.waiting -= 1
      })
  }
}

/** What is known of OpenCode's sessions, and what of it the daemon is told. */
class Sessions {
  constructor(daemon, client) {
    this.daemon = daemon
    this.client = client
    this.known = new Map()
    this.authors = new Map()
    this.lastRoot = undefined
  }

  /** The session, asked for where it began before this plugin did. */
  async get(id) {
    const known = this.known.get(id)
    if (known) return known
    const answer = await inTime(this.client?.session?.get({ path: { id } }))
    return this.known.get(id) ?? this.take(answer?.data ?? { id })
  }

  take(info) {
    let session = this.known.get(info.id)
    if (!session) {
      session = { id: info.id, began: false, working: false, failed: false, last: "" }
      this.known.set(info.id, session)
    }
    session.title = info.title ?? session.title ?? ""
    if (info.parentID) session.parent = info.parentID
    else if (
      !session.parent &&
      this.lastRoot &&
      this.lastRoot !== info.id &&
      SUBAGENT.test(session.title)
    ) {
      session.parent = this.lastRoot
    }
    return session
  }

  created(info) {
    const session = this.take(info)
    if (session.parent) this.begin(session, "")
  }

  /** Its first word, or the first that is told after it had ended. */
  begin(session, prompt) {
    if (!session.parent) this.lastRoot = session.id
    if (session.began) return
    session.began = true
    // `opencode run` puts what it is told into quotes.
    const line = firstLine(prompt.trim().replace(/^"([^"]*)"$/s, "$1"))
    const title =
      (UNNAMED.test(session.title) ? line : session.title || line) || session.title || "OpenCode"
    if (session.parent) {
      session.failed = false
      this.daemon.report(session.parent, {
        type: "child_began",
        child: `opencode:${session.id}`,
        title,
      })
    } else {
      this.daemon.report(session.id, { type: "began", title })
    }
  }

  prompted(session, text) {
    session.working = true
    this.begin(session, text)
    if (!session.parent) {
      this.daemon.report(session.id, { type: "prompted", text: text.slice(0, TEXT_MAX) })
    }
  }

  /** A message as it is now. Its tokens count once it is whole. */
  message(info) {
    const session = this.known.get(info.sessionID)
    if (info.role !== "assistant" || !session) return
    const author = this.authors.get(info.id)
    if (!author) {
      this.authors.set(info.id, { counted: false })
      // Those of long ago are not heard of again.
      if (this.authors.size > 500) this.authors.delete(this.authors.keys().next().value)
    }
    session.working = true
    if (!info.time?.completed || author?.counted) return
    this.authors.get(info.id).counted = true
    const { input = 0, output = 0, reasoning = 0, cache = {} } = info.tokens ?? {}
    const usage = {
      input,
      output,
      reasoning,
      cache_read: cache.read ?? 0,
      cache_write: cache.write ?? 0,
    }
    if (session.parent) {
      // Fornax counts reasoning within the output.
      const whole = { ...usage, output: output + reasoning, cost_usd: info.cost ?? null }
      this.daemon.report(session.parent, {
        type: "child_worked",
        child: `opencode:${session.id}`,
        messages: 1,
        usage: whole,
      })
    } else {
      const tokens = input + output + reasoning + usage.cache_read + usage.cache_write
      if (tokens > 0) this.daemon.report(session.id, { type: "used", tokens })
    }
  }

  part(part) {
    const session = this.known.get(part.sessionID)
    if (!session) return
    if (part.type === "text" && this.authors.has(part.messageID)) session.last = part.text ?? ""
    // Those that end well come by `tool.execute.after`.
    if (part.type === "tool" && part.state?.status === "error" && !part.tool.startsWith("flame_")) {
      if (session.lastError === part.id) return
      session.lastError = part.id
      const title = firstLine(part.state.error)
      this.daemon.report(session.id, { type: "tool_ended", tool: part.tool, title, success: false })
    }
  }

  /** A turn is over; of a subagent that is all. */
  idle(id) {
    const session = this.known.get(id)
    if (!session?.working) return undefined
    session.working = false
    if (session.parent) this.end(session)
    else this.daemon.report(id, { type: "turn_ended" })
    return session
  }

  end(session) {
    if (!session.began) return
    session.began = false
    this.daemon.report(session.parent, {
      type: "child_ended",
      child: `opencode:${session.id}`,
      success: !session.failed,
      result: session.last.slice(0, TEXT_MAX),
    })
  }

  deleted(id) {
    const session = this.known.get(id)
    if (!session) return
    this.known.delete(id)
    if (session.parent) this.end(session)
    else if (session.began) this.daemon.report(id, { type: "ended" })
  }

  toolEnded({ tool, sessionID, args }, output) {
    if (!this.known.has(sessionID) || tool.startsWith("flame_")) return
    const exit = output?.metadata?.exit
    const success = exit === undefined || exit === null || exit === 0
    const title = firstLine(args?.command ?? output?.title ?? "")
    this.daemon.report(sessionID, { type: "tool_ended", tool, title, success })
    for (const path of filesOf(tool, args))
      this.daemon.report(sessionID, { type: "file_changed", path })
  }
}

function firstLine(text) {
  return String(text ?? "")
    .split("\n")[0]
    .slice(0, 200)
}

function filesOf(tool, args) {
  if (!WRITERS.has(tool)) return []
  if (typeof args?.filePath === "string") return [args.filePath]
  const patch = String(args?.patchText ?? args?.patch ?? "")
  return [...patch.matchAll(/^\*\*\* (?:Add|Update|Delete) File: (.+)$/gm)].map((match) =>
    match[1].trim(),
  )
}

/** What the conversation was shortened to: the newest message that is a summary. */
async function compacted(client, sessionID) {
  const answer = await inTime(client?.session?.messages({ path: { id: sessionID } }))
  const summary = (answer?.data ?? []).findLast(
    ({ info }) => info.role === "assistant" && info.summary,
  )
  if (!summary) return { type: "compacted" }
  const texts = summary.parts.filter((part) => part.type === "text").map((part) => part.text)
  const { input = 0, output = 0, cache = {} } = summary.info.tokens ?? {}
  return {
    type: "compacted",
    summary: texts.join("\n").slice(0, TEXT_MAX),
    tokens_before: input + (cache.read ?? 0) + (cache.write ?? 0),
    tokens_after: output,
  }
}

/** Replaces each `@frame:ID` by the frame's context. */
async function fillIn(daemon, sessionID, parts) {
  for (const part of parts) {
    if (part.type !== "text" || part.synthetic || !part.text) continue
    const ids = new Set([...part.text.matchAll(MENTION)].map((match) => match[1]))
    const contexts = new Map()
    for (const id of ids) {
      const context = await daemon.look(sessionID, "flame_context_preview", {
        frame_id: id.toLowerCase(),
      })
      if (context?.text) contexts.set(id, context.text)
    }
    if (contexts.size > 0)
      part.text = part.text.replace(MENTION, (whole, id) => contexts.get(id) ?? whole)
  }
}

function toolsOf(daemon, definitions) {
  const call = async (name, args, context) => {
    const body = { ...daemon.who, session: `opencode:${context.sessionID}`, arguments: args }
    // No limit of time: a question to a human is answered when it is.
    const answer = await daemon.ask("POST", `/api/tools/${name}`, body, { signal: context.abort })
    if (!answer) throw new Error("Fornax is not running. Go on without it, or ask for `fornax up`.")
    if (answer.status !== 200) {
      const { message, help } = answer.body?.error ?? {}
      throw new Error(
        [message ?? `Fornax answered ${answer.status}`, help].filter(Boolean).join("\n"),
      )
    }
    return answer.body.text
  }
  const tools = definitions.map(({ name, description, input_schema }) => [
    name,
    {
      description,
      args: input_schema.properties ?? {},
      execute: (args, context) => call(name, args, context),
    },
  ])
  return Object.fromEntries(tools)
}

/** What a person sees of Fornax while OpenCode works: suggestions, and the goal as the title. */
class Signs {
  constructor(daemon, client, sessions, wantsTitle) {
    Object.assign(this, { daemon, client, sessions, wantsTitle })
    this.shown = new Map()
    this.lookedAt = 0
  }

  /** Looks what there is to show, without holding OpenCode up. */
  update(sessionID, moved) {
    this.looking = this.look(sessionID, moved).catch(() => undefined)
  }

  async look(sessionID, moved) {
    const now = Date.now()
    if (!(moved && this.wantsTitle) && now < this.lookedAt + ADVICE_MS) return
    this.lookedAt = now
    await this.daemon.told
    const status = await this.daemon.look(sessionID, "flame_status")
    if (!status?.data?.active) return
    for (const advice of [status.data.advice ?? []].flat()) await this.toast(sessionID, advice)
    if (this.wantsTitle) await this.title(sessionID, status.data.active)
  }

  async toast(sessionID, advice) {
    const message = typeof advice === "string" ? advice : (advice.text ?? advice.message)
    if (!message || this.shown.get(sessionID) === message) return
    this.shown.set(sessionID, message)
    await inTime(
      this.client?.tui?.showToast({ body: { title: "Fornax", message, variant: "info" } }),
    )
  }

  async title(sessionID, frame) {
    const title = firstLine(frame.goal || frame.title)
    const session = this.sessions.known.get(sessionID)
    if (!title || !session || session.parent || session.title === title) return
    session.title = title
    await inTime(this.client?.session?.update({ path: { id: sessionID }, body: { title } }))
  }
}

/** The same hooks, which say nothing when they fail. */
function harmless(hooks) {
  const wrapped = Object.entries(hooks).map(([name, hook]) => {
    if (typeof hook !== "function") return [name, hook]
    const quiet = async (...given) => {
      try {
        await hook(...given)
      } catch {
        // OpenCode goes on as it would without Fornax.
      }
    }
    return [name, quiet]
  })
  return Object.fromEntries(wrapped)
}

/** Whether this plugin is there already: installed, and named by Fornax as well. */
function isSecond(input) {
  const mark = Symbol.for("fornax.plugin")
  globalThis[mark] ??= new WeakSet()
  const key = input.client ?? input
  if (globalThis[mark].has(key)) return true
  globalThis[mark].add(key)
  return false
}

export const FornaxPlugin = async (input, options) => {
  if (isSecond(input)) return {}
  const env = process.env
  const client = input.client
  const daemon = new Daemon(env, input.directory)
  // The daemon follows the sessions of its own tasks itself, and their prompts hold the context.
  const isTask = Boolean(env.FORNAX_SESSION_TOKEN)
  const sessions = new Sessions(daemon, client)
  const wantsTitle = !isTask && (options?.title ?? env.FORNAX_TITLE === "1")
  const signs = new Signs(daemon, client, sessions, wantsTitle)
  const profile = encodeURIComponent(options?.tools ?? env.FORNAX_TOOLS ?? "core")
  const offered = await daemon.ask("GET", `/api/tools?profile=${profile}`, undefined, {
    timeout: START_PATIENCE_MS,
  })
  const definitions = Array.isArray(offered?.body) ? offered.body : []
  const schemas = new Map(definitions.map((tool) => [tool.name, tool.input_schema]))
  const summarizing = new Set()

  const heard = async ({ event }) => {
    if (!daemon.isThere()) return
    const given = event.properties ?? {}
    if (event.type === "session.compacted") {
      summarizing.delete(given.sessionID)
      daemon.report(given.sessionID, await compacted(client, given.sessionID))
    }
    if (isTask) return
    if (event.type === "session.created") sessions.created(given.info)
    if (event.type === "session.updated") sessions.take(given.info)
    if (event.type === "session.deleted") sessions.deleted(given.info?.id ?? given.sessionID)
    if (event.type === "message.updated") sessions.message(given.info)
    if (event.type === "message.part.updated") sessions.part(given.part)
    if (event.type === "session.error") {
      const session = sessions.known.get(given.sessionID)
      if (session) session.failed = true
    }
    if (event.type === "session.idle") {
      const session = sessions.idle(given.sessionID)
      if (session && !session.parent) signs.update(session.id, true)
    }
  }

  return harmless({
    event: heard,
    tool: toolsOf(daemon, definitions),
    dispose: async () => {
      await inTime(daemon.told)
    },
    // Without it OpenCode takes every argument for required.
    "tool.definition": async ({ toolID }, output) => {
      if (schemas.has(toolID)) output.jsonSchema = schemas.get(toolID)
    },
    "chat.message": async ({ sessionID }, { parts }) => {
      if (!daemon.isThere()) return
      if (!isTask) {
        const own = parts.filter((part) => part.type === "text" && !part.synthetic)
        sessions.prompted(await sessions.get(sessionID), own.map((part) => part.text).join("\n"))
        // Its frame is there before its context is asked for.
        await daemon.told
      }
      await fillIn(daemon, sessionID, parts)
    },
    "tool.execute.after": async (call, output) => {
      if (isTask || !daemon.isThere()) return
      sessions.toolEnded(call, output)
      const moved = MOVERS.has(call.tool)
      if (!sessions.known.get(call.sessionID)?.parent) signs.update(call.sessionID, moved)
    },
    "experimental.chat.system.transform": async ({ sessionID }, { system }) => {
      if (isTask || !sessionID || summarizing.has(sessionID) || !daemon.isThere()) return
      // A request for a title is not about frames.
      if (system[0]?.startsWith("You are a title generator")) return
      await daemon.told
      // Asked for each time: the daemon has it at hand, and knows when it changed.
      const context = await daemon.look(sessionID, "flame_context_preview")
      if (context?.text) system.push(context.text)
    },
    "experimental.session.compacting": async ({ sessionID }, { context }) => {
      if (!daemon.isThere()) return
      summarizing.add(sessionID)
      const body = { ...daemon.who, session: `opencode:${sessionID}` }
      const answer = await daemon.ask("POST", "/api/sessions/compacting", body)
      if (answer?.status === 200 && answer.body?.text) context.push(answer.body.text)
    },
  })
}
