// The plugin beside daemons of other protocols, without OpenCode: it calls the plugin's hooks itself.
//
//     node --test integrations/opencode/protocol.test.mjs

import assert from "node:assert/strict"
import { once } from "node:events"
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { createServer } from "node:http"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { test } from "node:test"
import { fileURLToPath } from "node:url"

const HERE = dirname(fileURLToPath(import.meta.url))
const STATUS = {
  name: "flame_status",
  description: "Show.",
  input_schema: { type: "object" },
  read_only: true,
}

function ours() {
  const source = readFileSync(join(HERE, "../../crates/fornax-daemon/src/protocol.rs"), "utf8")
  return Number(source.match(/pub const PROTOCOL: u32 = (\d+);/)[1])
}

/** A daemon that notes its requests, and the file in which it names its protocol. */
async function stage(use) {
  const temp = mkdtempSync(join(tmpdir(), "fornax-plugin-"))
  const socket = join(temp, "daemon.sock")
  const asked = []
  const server = createServer((request, response) => {
    asked.push(request.url)
    const answer = request.url.startsWith("/api/tools?") ? [STATUS] : { text: "the status" }
    request.resume().on("end", () => response.end(JSON.stringify(answer)))
  })
  server.listen(socket)
  await once(server, "listening")
  const before = process.env.FORNAX_SOCKET
  process.env.FORNAX_SOCKET = socket
  const setProtocol = (protocol) =>
    writeFileSync(join(temp, "daemon.json"), JSON.stringify({ pid: 1, protocol }))
  try {
    await use({ temp, asked, setProtocol })
  } finally {
    if (before === undefined) delete process.env.FORNAX_SOCKET
    else process.env.FORNAX_SOCKET = before
    await new Promise((resolve) => server.close(resolve))
    rmSync(temp, { recursive: true })
  }
}

test("a tool call fails beside another protocol, and works again when the daemon is the right one", async () => {
  await stage(async ({ temp, asked, setProtocol }) => {
    setProtocol(ours())
    const { FornaxPlugin } = await import("./fornax.js")
    const hooks = await FornaxPlugin({ client: {}, directory: temp })
    const call = () =>
      hooks.tool.flame_status.execute({}, { sessionID: "s", abort: new AbortController().signal })
    assert.equal(await call(), "the status")

    for (const [theirs, help] of [
      [undefined, /`fornax up --restart`/],
      [ours() - 1, /`fornax up --restart`/],
      [ours() + 1, /`fornax install opencode`/],
    ]) {
      setProtocol(theirs)
      const before = asked.length
      await assert.rejects(call, (error) => {
        assert.match(
          error.message,
          new RegExp(`speaks protocol ${theirs ?? 0}, .* protocol ${ours()}`),
        )
        assert.match(error.message, help)
        return true
      })
      // What is only reported, or added to a prompt, is left out without a word.
      const system = []
      await hooks["experimental.chat.system.transform"]({ sessionID: "s" }, { system })
      await hooks["chat.message"]({ sessionID: "s" }, { parts: [{ type: "text", text: "hello" }] })
      await hooks.dispose()
      assert.deepEqual(system, [])
      assert.equal(asked.length, before)
    }

    setProtocol(ours())
    assert.equal(await call(), "the status")
  })
})
