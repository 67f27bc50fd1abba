// A real daemon for tests, in a directory of its own. FORNAX_BIN names the program.

import { execFile } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

export const ROOT = fileURLToPath(new URL("../../..", import.meta.url));
export const BIN = resolve(process.env.FORNAX_BIN ?? join(ROOT, "target/debug/fornax"));
const call = promisify(execFile);

export class Daemon {
  home = mkdtempSync(join(tmpdir(), "fornax-page-"));
  project = join(this.home, "project");

  /** `files` of the project, by name; `env` beside what every daemon here has. */
  async start(files, env = {}) {
    mkdirSync(this.project);
    for (const [name, text] of Object.entries(files)) writeFileSync(join(this.project, name), text);
    this.env = {
      ...process.env,
      HOME: this.home,
      XDG_STATE_HOME: join(this.home, "state"),
      XDG_CONFIG_HOME: join(this.home, "config"),
      ...env,
    };
    await this.fornax("up", "--detach");
    if ("fornax.yaml" in files) await this.fornax("trust");
    this.url = /http:\/\/[^\s]+/.exec(await this.fornax("status"))[0];
  }

  fornax = async (...args) =>
    (await call(BIN, args, { cwd: this.project, env: this.env })).stdout.trim();

  /** A link that signs a browser in, once. */
  link = () => this.fornax("open", "--print");

  /** Starts a run of a plan. */
  run = async (plan) => JSON.parse(await this.fornax("run", plan, "--detach", "--json"));

  async stop() {
    await this.fornax("down", "--stop-tasks").catch(() => {});
    rmSync(this.home, { recursive: true, force: true });
  }
}
