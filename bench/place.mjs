// Where a measurement happens: a folder of its own on a real disk, with daemons of its own, all of
// which is gone afterwards, however it ended.

import { execFileSync, spawn, spawnSync } from "node:child_process";
import { accessSync, closeSync, constants, existsSync, mkdirSync, mkdtempSync, openSync, rmSync, writeFileSync } from "node:fs";
import http from "node:http";
import path from "node:path";

const ROOT = path.dirname(import.meta.dirname);

export class Place {
  constructor({ keep }) {
    const target = process.env.CARGO_TARGET_DIR ?? path.join(ROOT, "target");
    this.fornax = path.resolve(process.env.FORNAX ?? path.join(target, "release", "fornax"));
    if (!existsSync(this.fornax)) throw new Error(`${this.fornax} is missing: make build`);
    this.floor = process.env.FLOOR ?? buildFloor(path.resolve(target));
    this.keep = keep;
    // /tmp is in memory on many machines, where nothing durable can be measured.
    this.dir = mkdtempSync(path.join(process.env.TMPDIR ?? "/var/tmp", "fornax-bench-"));
    this.missing = new Map();
    this.projects = [];
    this.endings = [];
    this.numbers = 0;
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) {
      process.once(signal, () => this.leave().then(() => process.exit(130)));
    }
  }

  /** A folder that nobody has used. */
  fresh(name) {
    const dir = path.join(this.dir, `${name}-${++this.numbers}`);
    mkdirSync(dir, { recursive: true });
    return dir;
  }

  /** Where a program is; where it is not, that is remembered to be told. */
  find(program, name = program) {
    for (const dir of (process.env.PATH ?? "").split(path.delimiter)) {
      const file = path.join(dir, program);
      try {
        accessSync(file, constants.X_OK);
        return file;
      } catch {
        // Not here.
      }
    }
    this.missing.set(name, `no \`${program}\` on PATH`);
    return undefined;
  }

  /** Does some work and then what ends it, also where the place is left in the middle. */
  async during(ending, work) {
    this.endings.push(ending);
    try {
      return await work();
    } finally {
      const at = this.endings.indexOf(ending);
      if (at >= 0) {
        this.endings.splice(at, 1);
        await ending();
      }
    }
  }

  /** A project with its daemon. `config` is its fornax.yaml, as an object: JSON is YAML. */
  async project(config) {
    const project = new Project(this, this.fresh("project"), config);
    this.endings.push(() => project.end());
    await project.start();
    return project;
  }

  async leave() {
    for (const ending of this.endings.splice(0).reverse()) {
      try {
        await ending();
      } catch (error) {
        console.error(`bench: ${error.message}`);
      }
    }
    if (this.keep) console.log(`Kept: ${this.dir}`);
    else rmSync(this.dir, { recursive: true, force: true, maxRetries: 3 });
  }
}

function buildFloor(target) {
  const args = ["build", "--quiet", "--release", "--locked", "-p", "fornax-runner", "--example", "floor"];
  const env = { ...process.env, CARGO_TARGET_DIR: target };
  execFileSync("cargo", args, { cwd: ROOT, env, stdio: ["ignore", "inherit", "inherit"] });
  return path.join(target, "release", "examples", "floor");
}

export class Project {
  constructor(place, dir, config) {
    this.place = place;
    this.dir = dir;
    this.state = place.fresh("state");
    this.env = { ...process.env, XDG_STATE_HOME: this.state };
    writeFileSync(path.join(dir, "fornax.yaml"), JSON.stringify(config));
  }

  async start() {
    await run([this.place.fornax, "up", "-d"], { cwd: this.dir, env: this.env });
    await run([this.place.fornax, "trust"], { cwd: this.dir, env: this.env });
  }

  end() {
    spawnSync(this.place.fornax, ["down", "--stop-tasks"], { cwd: this.dir, env: this.env, stdio: "ignore" });
  }

  /** Writes a plan and returns its file. */
  plan(name, frames) {
    const file = path.join(this.dir, `${name}.json`);
    writeFileSync(file, JSON.stringify({ name, frames }));
    return file;
  }

  /** Runs a plan to its end; the run, and the wall time in seconds. */
  async run(plan) {
    const argv = [this.place.fornax, "run", plan, "--json"];
    const done = await run(argv, { cwd: this.dir, env: this.env, collect: true });
    return { run: JSON.parse(done.output), seconds: done.seconds };
  }

  /** A request over the daemon's socket, and its answer. */
  request(method, url, { body, type, agent } = {}) {
    const socketPath = path.join(this.state, "fornax", "daemon.sock");
    const headers = body === undefined ? {} : { "content-type": type, "content-length": body.length };
    return new Promise((resolve, reject) => {
      const request = http.request({ socketPath, method, path: url, headers, agent }, (response) => {
        const chunks = [];
        response.on("data", (chunk) => chunks.push(chunk));
        response.on("error", reject);
        response.on("end", () => {
          const text = Buffer.concat(chunks).toString();
          if (response.statusCode === 200) resolve(JSON.parse(text));
          else reject(new Error(`${method} ${url}: ${response.statusCode} ${text.slice(0, 500)}`));
        });
      });
      request.on("error", reject);
      request.end(body);
    });
  }
}

/**
 * Runs a program to its end and returns its wall time. It must succeed. `output` is a file for its
 * standard output; `collect` returns it as text.
 */
export function run(argv, { cwd, env, output, collect = false } = {}) {
  return new Promise((resolve, reject) => {
    const file = output === undefined ? undefined : openSync(output, "w");
    const began = process.hrtime.bigint();
    const stdio = ["ignore", collect ? "pipe" : (file ?? "ignore"), "pipe"];
    const child = spawn(argv[0], argv.slice(1).map(String), { cwd, env, stdio });
    if (file !== undefined) closeSync(file);
    const text = { out: [], err: [] };
    child.stdout?.on("data", (chunk) => text.out.push(chunk));
    child.stderr.on("data", (chunk) => text.err.length < 64 && text.err.push(chunk));
    let seconds;
    child.on("exit", () => {
      seconds = Number(process.hrtime.bigint() - began) / 1e9;
    });
    child.on("error", reject);
    // A daemon that it leaves behind may hold the pipes open: they are waited for only where wanted.
    child.on(collect ? "close" : "exit", (code, signal) => {
      child.stderr.destroy();
      if (code === 0) return resolve({ seconds, output: Buffer.concat(text.out).toString() });
      const said = Buffer.concat(text.err).toString().trim().slice(-2000);
      reject(new Error(`${argv.slice(0, 6).join(" ")}: ${signal ?? `exit code ${code}`}: ${said}`));
    });
  });
}
