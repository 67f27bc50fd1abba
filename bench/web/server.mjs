// Serves the peers' page, built as one bundles a page for others: with the packages of this folder.

import { existsSync } from "node:fs";
import { readFile, mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import os from "node:os";
import path from "node:path";
import { pathToFileURL } from "node:url";

const HTML = '<!doctype html><meta charset="utf-8"><title>Peer</title><link rel="stylesheet" href="/peers.css"><div id="chart"></div><script type="module" src="/peers.js"></script>';
const TYPES = { ".js": "text/javascript", ".css": "text/css", ".json": "application/json" };

export class PeerServer {
  /** The tree that the next page is given, as JSON. */
  tree = "";

  async start() {
    this.dir = await mkdtemp(path.join(os.tmpdir(), "fornax-bench-web-"));
    await bundle(this.dir);
    this.server = createServer((request, response) => void this.#serve(request, response));
    await new Promise((resolve) => this.server.listen(0, "127.0.0.1", resolve));
    this.url = `http://127.0.0.1:${this.server.address().port}`;
  }

  async stop() {
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
    await rm(this.dir, { recursive: true });
  }

  async #serve(request, response) {
    const { pathname } = new URL(request.url, "http://localhost");
    response.setHeader("content-type", TYPES[path.extname(pathname)] ?? "text/html");
    if (pathname === "/tree.json") return response.end(this.tree);
    const file = path.join(this.dir, path.basename(pathname));
    response.end(pathname !== "/" && existsSync(file) ? await readFile(file) : HTML);
  }
}

/** The page's own bundler does it. */
async function bundle(dir) {
  const require = createRequire(new URL("../../web/package.json", import.meta.url));
  const { build } = await import(pathToFileURL(require.resolve("vite")).href);
  await build({
    root: import.meta.dirname,
    configFile: false,
    logLevel: "warn",
    define: { "process.env.NODE_ENV": '"production"' },
    build: {
      outDir: dir,
      emptyOutDir: false,
      target: "es2023",
      lib: { entry: path.join(import.meta.dirname, "peers.js"), formats: ["es"], fileName: () => "peers.js", cssFileName: "peers" },
    },
  });
}
