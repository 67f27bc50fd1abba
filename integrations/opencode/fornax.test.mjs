// The plugin in the real OpenCode, with a scripted model and a daemon of this test's own on a socket.
//
//     cargo build -p fornax-stub-model && node --test integrations/opencode/
//
// FORNAX_TEST_AGENTS names another folder with node_modules than target/agents, FORNAX_STUB_MODEL
// another stub than target/debug/fornax-stub-model.

import assert from "node:assert/strict"
import { spawn } from "node:child_process"
import { once } from "node:events"
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from "node:fs"
import { createServer } from "node:http"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { test } from "node:test"
import { fileURLToPath, pathToFileURL } from "node:url"

const HERE = dirname(fileURLToPath(import.meta.url))
const ROOT = join(HERE, "../..")
const PLUGIN = join(HERE, "fornax.js")
const AGENTS = process.env.FORNAX_TEST_AGENTS ?? join(ROOT, "target/agents")
const OPENCODE = join(AGENTS, "node_modules/.bin/opencode")
const STUB = process.env.FORNAX_STUB_MODEL ?? join(ROOT, "target/debug/fornax-stub-model")
const PATIENCE_MS = 300000

const PUSH = {
  name: "flame_push",
  description: "Push a frame.",
  input_schema: {
    type: "object",
    properties: { goal: { type: "string" }, title: { type: "string" } },
    required: ["goal"],
  },
  read_only: false,
}

/** A daemon that notes what it is asked, and answers what the test says. */
async function daemonAt(socket, { context = "<context>OF-THE-FRAME</context>", advice } = {}) {
  const asked = []
  const server = createServer((request, response) => {
    let text = ""
    request.setEncoding("utf8")
    request.on("data", (chunk) => (text += chunk))
    request.on("end", () => {
      const body = text ? JSON.parse(text) : undefined
      asked.push({ method: request.method, path: request.url, body })
      const [status, answer] = reply(request.url, body)
      response.writeHead(status, { "content-type": "application/json" })
      response.end(answer === undefined ? "" : JSON.stringify(answer))
    })
  })
  const reply = (path, body) => {
    if (path.startsWith("/api/tools?")) return [200, [PUSH]]
    if (path === "/api/tools/flame_context_preview") {
      const id = body.arguments.frame_id
      if (id === "f-nosuch")
        return [404, { error: { kind: "not_found", message: "there is no frame f-nosuch" } }]
      return [200, { text: id ? `<frame id="${id}"/>` : context, data: {} }]
    }
    if (path === "/api/tools/flame_status") {
      return [
        200,
        { text: "", data: { active: { goal: "Make the greeting", title: "greeting" }, advice } },
      ]
    }
    if (path === "/api/tools/flame_push")
      return [200, { text: `pushed for ${body.session}`, data: {} }]
    if (path === "/api/sessions/compacting") return [200, { text: "KEEP-THE-DECISIONS" }]
    if (path === "/api/sessions/report") return [204]
    return [404, { error: { kind: "not_found", message: `no ${path}` } }]
  }
  server.listen(socket)
  await once(server, "listening")
  return {
    asked,
    reports: () =>
      asked.filter((one) => one.path === "/api/sessions/report").map((one) => one.body),
    close: () => new Promise((resolve) => server.close(resolve)),
  }
}

/** A project, a model, and what OpenCode needs to work with them. */
async function stage(script) {
  const temp = realpathSync(mkdtempSync(join(tmpdir(), "fornax-plugin-")))
  const dir = join(temp, "project")
  mkdirSync(dir)
  writeFileSync(join(temp, "script.json"), JSON.stringify(script))
  const log = join(temp, "model.jsonl")
  const port = join(temp, "port")
  const args = [
    "--script",
    join(temp, "script.json"),
    "--port-file",
    port,
    "--log",
    log,
    "--log-bodies",
  ]
  const stub = spawn(STUB, [...args, "--var", `dir=${dir}`], {
    stdio: ["ignore", "ignore", "inherit"],
  })
  await until(() => existsSync(port))
  const base = `http://127.0.0.1:${readFileSync(port, "utf8").trim()}`
  return {
    temp,
    dir,
    socket: join(temp, "daemon.sock"),
    base,
    requests: () =>
      readFileSync(log, "utf8")
        .trim()
        .split("\n")
        .filter(Boolean)
        .map((line) => JSON.parse(line)),
    close: async () => {
      stub.kill("SIGTERM")
      await once(stub, "exit")
      rmSync(temp, { recursive: true, force: true })
    },
  }
}

function environment(at, more) {
  const config = {
    autoupdate: false,
    share: "disabled",
    enabled_providers: ["stub"],
    model: "stub/stub-model",
    small_model: "stub/stub-model",
    plugin: [pathToFileURL(PLUGIN).href],
    provider: {
      stub: {
        npm: "@ai-sdk/openai-compatible",
        name: "Stub",
        options: { baseURL: `${at.base}/v1`, apiKey: "none-needed" },
        models: {
          "stub-model": { name: "Stub", tool_call: true, limit: { context: 100000, output: 8000 } },
        },
      },
    },
  }
  return {
    PATH: process.env.PATH,
    HOME: at.temp,
    PWD: at.dir,
    XDG_DATA_HOME: join(at.temp, "data"),
    XDG_CONFIG_HOME: join(at.temp, "config"),
    XDG_STATE_HOME: join(at.temp, "state"),
    XDG_CACHE_HOME: join(at.temp, "cache"),
    OPENCODE_CONFIG_CONTENT: JSON.stringify(config),
    OPENCODE_DISABLE_AUTOUPDATE: "1",
    OPENCODE_DISABLE_MODELS_FETCH: "1",
    OPENCODE_DISABLE_LSP_DOWNLOAD: "1",
    OPENCODE_DISABLE_DEFAULT_PLUGINS: "1",
    npm_config_offline: "true",
    NO_PROXY: "127.0.0.1,localhost",
    FORNAX_SOCKET: at.socket,
    ...more,
  }
}

async function opencode(at, args, more = {}) {
  const child = spawn(OPENCODE, args, {
    cwd: at.dir,
    env: environment(at, more),
    stdio: ["ignore", "pipe", "pipe"],
    timeout: PATIENCE_MS,
  })
  let said = ""
  child.stdout.on("data", (chunk) => (said += chunk))
  child.stderr.on("data", (chunk) => (said += chunk))
  const [code] = await once(child, "close")
  assert.equal(code, 0, said)
  return said
}

async function until(holds) {
  const end = Date.now() + PATIENCE_MS
  while (!holds()) {
    assert.ok(Date.now() < end, "it does not come")
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

const TITLE = { id: "title", when: { tools: false }, reply: { text: "A title" } }

test("a session is told of, is given its context and the tools, and its subagent is a child", async () => {
  const at = await stage({
    rules: [
      TITLE,
      {
        id: "child",
        when: { user: "Look at the CHILD" },
        reply: { text: "The child has found 42." },
      },
      {
        id: "main",
        when: { user: "GREETING" },
        replies: [
          { text: "", tools: [{ name: "flame_push", args: { goal: "greet" } }] },
          {
            text: "",
            tools: [{ name: "write", args: { filePath: "{{dir}}/hello.txt", content: "hello\n" } }],
          },
          { text: "", tools: [{ name: "bash", args: { command: "exit 3", description: "Fail" } }] },
          {
            text: "",
            tools: [
              {
                name: "task",
                args: {
                  description: "look",
                  prompt: "Look at the CHILD",
                  subagent_type: "general",
                },
              },
            ],
          },
          { text: "All is done." },
        ],
      },
    ],
  })
  const daemon = await daemonAt(at.socket)
  try {
    await opencode(
      at,
      ["run", "--format", "json", "Write the GREETING as @frame:f-abc123 and @frame:f-nosuch say"],
      {
        FORNAX_TITLE: "1",
      },
    )
    const reports = daemon.reports()
    const kinds = (type) => reports.filter((one) => one.report.type === type)
    const [began] = kinds("began")
    assert.match(began.session, /^opencode:ses_/)
    assert.equal(began.dir, at.dir)
    assert.equal(kinds("began").length, 1)
    assert.equal(kinds("prompted").length, 1)
    assert.match(kinds("prompted")[0].report.text, /Write the GREETING/)

    // Every tool once, with how it ended; our own are not told of: the daemon carried them out.
    const tools = kinds("tool_ended").map(({ report }) => [report.tool, report.success])
    assert.deepEqual(tools, [
      ["write", true],
      ["bash", false],
      ["task", true],
    ])
    assert.deepEqual(
      kinds("file_changed").map(({ report }) => report.path),
      [join(at.dir, "hello.txt")],
    )

    const [child] = kinds("child_began")
    assert.equal(child.session, began.session)
    assert.notEqual(child.report.child, began.session)
    const [ended] = kinds("child_ended")
    assert.deepEqual(ended.report, {
      type: "child_ended",
      child: child.report.child,
      success: true,
      result: "The child has found 42.",
    })
    const worked = kinds("child_worked")
    assert.equal(worked.length, 1)
    assert.equal(worked[0].report.messages, 1)
    assert.ok(worked[0].report.usage.input > 0)
    const order = reports.map((one) => one.report.type)
    assert.ok(order.indexOf("child_began") < order.indexOf("child_worked"))
    assert.ok(order.indexOf("child_worked") < order.indexOf("child_ended"))
    // A model call each of the main conversation, none of them the child's.
    assert.equal(kinds("used").length, 5)

    // The tool is called for the session that calls it, and its schema is the daemon's.
    const push = daemon.asked.find((one) => one.path === "/api/tools/flame_push")
    assert.equal(push.body.session, began.session)
    assert.deepEqual(push.body.arguments, { goal: "greet" })
    const main = at.requests().filter((one) => one.rule === "main")
    assert.equal(main.length, 5)
    const offered = main[0].body.tools.find((tool) => tool.function.name === "flame_push")
    assert.deepEqual(offered.function.parameters.required, ["goal"])

    // The context stands at the end of the system prompt; what was mentioned, in the message.
    for (const { body } of main) {
      const system = body.messages.filter((message) => message.role === "system")
      assert.ok(JSON.stringify(system.at(-1).content).trimEnd().endsWith('OF-THE-FRAME</context>"'))
    }
    const prompt = JSON.stringify(main[0].body.messages.find((message) => message.role === "user"))
    assert.match(prompt, /<frame id=\\+"f-abc123\\+"\/> and @frame:f-nosuch say/)
    for (const request of at.requests().filter((one) => one.rule === "title")) {
      assert.doesNotMatch(JSON.stringify(request.body), /OF-THE-FRAME/)
    }
    const sessions = await opencode(at, ["session", "list"])
    assert.match(sessions, /Make the greeting/)
  } finally {
    await daemon.close()
    await at.close()
  }
})

test("in a task of Fornax's own there are the tools and what was mentioned, and nothing is told", async () => {
  const at = await stage({
    rules: [
      TITLE,
      {
        id: "main",
        when: { user: "PUSH" },
        replies: [
          { text: "", tools: [{ name: "flame_push", args: { goal: "greet" } }] },
          { text: "Done." },
        ],
      },
    ],
  })
  const daemon = await daemonAt(at.socket)
  try {
    await opencode(at, ["run", "PUSH for @frame:f-abc123"], { FORNAX_SESSION_TOKEN: "a-token" })
    assert.deepEqual(daemon.reports(), [])
    const push = daemon.asked.find((one) => one.path === "/api/tools/flame_push")
    assert.equal(push.body.token, "a-token")
    const main = at.requests().filter((one) => one.rule === "main")
    assert.doesNotMatch(JSON.stringify(main), /OF-THE-FRAME/)
    assert.match(JSON.stringify(main[0].body.messages), /f-abc123\\+"\/>/)
    assert.match(JSON.stringify(main[1].body.messages), /pushed for opencode:ses_/)
  } finally {
    await daemon.close()
    await at.close()
  }
})

test("a compaction is told what to keep, and what it came to is told", async () => {
  const at = await stage({
    rules: [
      {
        id: "summary",
        when: { tools: false, user: "KEEP-THE-DECISIONS" },
        reply: { text: "SUMMARY-OF-ALL" },
      },
      TITLE,
      { id: "main", when: { user: "GREETING" }, reply: { text: "Hello." } },
    ],
    fallback: { text: "Going on." },
  })
  const daemon = await daemonAt(at.socket)
  const server = spawn(OPENCODE, ["serve", "--port", "0", "--hostname", "127.0.0.1"], {
    cwd: at.dir,
    env: environment(at, { OPENCODE_SERVER_PASSWORD: "secret" }),
    stdio: ["ignore", "pipe", "inherit"],
  })
  try {
    let said = ""
    server.stdout.on("data", (chunk) => (said += chunk))
    await until(() => /listening on \S+\n/.test(said))
    const url = /listening on (\S+)/.exec(said)[1]
    const headers = {
      authorization: `Basic ${Buffer.from("opencode:secret").toString("base64")}`,
      "content-type": "application/json",
      "x-opencode-directory": at.dir,
    }
    const post = async (path, body) => {
      const signal = AbortSignal.timeout(PATIENCE_MS)
      const answer = await fetch(url + path, {
        method: "POST",
        headers,
        body: JSON.stringify(body),
        signal,
      })
      assert.ok(answer.ok, `${path}: ${answer.status}`)
      return answer.json()
    }
    const { id } = await post("/session", {})
    const model = { providerID: "stub", modelID: "stub-model" }
    await post(`/session/${id}/message`, {
      model,
      parts: [{ type: "text", text: "Write the GREETING" }],
    })
    await until(() => daemon.reports().some((one) => one.report.type === "turn_ended"))
    await post(`/session/${id}/summarize`, model)
    const compacted = () => daemon.reports().find((one) => one.report.type === "compacted")
    await until(compacted)
    assert.equal(compacted().session, `opencode:${id}`)
    assert.equal(compacted().report.summary, "SUMMARY-OF-ALL")
    assert.ok(compacted().report.tokens_before > 0)
    const summary = at.requests().find((one) => one.rule === "summary")
    // What the frame's context says is not part of what is to be shortened.
    assert.doesNotMatch(JSON.stringify(summary.body), /OF-THE-FRAME/)
  } finally {
    server.kill("SIGTERM")
    await once(server, "exit")
    await daemon.close()
    await at.close()
  }
})

test("where no daemon runs OpenCode works as without the plugin", async () => {
  const at = await stage({
    rules: [TITLE, { id: "main", when: { user: "GREETING" }, reply: { text: "Hello." } }],
  })
  try {
    const said = await opencode(at, ["run", "Write the GREETING"])
    assert.match(said, /Hello\./)
    const [main] = at.requests().filter((one) => one.rule === "main")
    assert.doesNotMatch(JSON.stringify(main.body.tools), /flame_/)
  } finally {
    await at.close()
  }
})

// What follows needs no OpenCode: its hooks are called by hand.

async function plugged(socket, client = {}, options = undefined) {
  process.env.FORNAX_SOCKET = socket
  const { FornaxPlugin } = await import(PLUGIN)
  return FornaxPlugin({ directory: "/p", client }, options)
}

test("it is there once, however often it is loaded", async () => {
  const client = {}
  assert.ok((await plugged("/nowhere/at.sock", client)).event)
  assert.deepEqual(await plugged("/nowhere/at.sock", client), {})
})

test("what hooks are given never makes them fail", async () => {
  const hooks = await plugged("/nowhere/at.sock")
  for (const [name, hook] of Object.entries(hooks)) {
    if (typeof hook === "function") assert.equal(await hook(undefined, undefined), undefined, name)
  }
})

test("a session without a parent link is a child by its title, and a suggestion is shown once", async () => {
  const temp = mkdtempSync(join(tmpdir(), "fornax-plugin-"))
  const daemon = await daemonAt(join(temp, "daemon.sock"), { advice: "Pop it." })
  const shown = []
  try {
    const hooks = await plugged(join(temp, "daemon.sock"), {
      tui: { showToast: async ({ body }) => shown.push(body.message) },
    })
    const hear = (type, properties) => hooks.event({ event: { type, properties } })
    await hear("session.created", { info: { id: "ses_a", title: "Main" } })
    await hooks["chat.message"]({ sessionID: "ses_a" }, { parts: [{ type: "text", text: "go" }] })
    await hear("session.created", { info: { id: "ses_b", title: "look (@explore subagent)" } })
    await hear("session.created", { info: { id: "ses_c", title: "Another" } })
    for (const id of ["ses_a", "ses_a"]) {
      await hear("message.updated", { info: { role: "assistant", sessionID: id, id: "m1" } })
      await hear("session.idle", { sessionID: id })
    }
    await until(() => daemon.reports().length >= 5)
    assert.deepEqual(
      daemon.reports().map((one) => [one.session, one.report.type, one.report.title ?? ""]),
      [
        ["opencode:ses_a", "began", "Main"],
        ["opencode:ses_a", "prompted", ""],
        ["opencode:ses_a", "child_began", "look (@explore subagent)"],
        ["opencode:ses_a", "turn_ended", ""],
        ["opencode:ses_a", "turn_ended", ""],
      ],
    )
    await until(() => shown.length > 0 && daemon.reports().length === 5)
    assert.deepEqual(shown, ["Pop it."])
  } finally {
    await daemon.close()
    rmSync(temp, { recursive: true })
  }
})
