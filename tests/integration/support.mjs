// Real programs for a test: each in a folder of its own, on a free port, ended by its process id when
// the test ends, whatever happened. Nothing here asserts how long something takes: `until` waits
// for what must become true and gives up after a generous time.
//
//     const place = await openPlace(t);
//     const observer = await place.startObserver({ args: ["--max-clients", "2"] });
//     const robot = await place.startRobot({ args: ["--tick-hz", "200"] });
//     const client = await connect(t, observer);
//     client.send({ op: "subscribe", source: "robot" });
//     const status = await client.wait((message) => message.op === "status");
//
// OMNI_BUILD names the build folder (default build/<machine>). `start...({ arch: "armv7" })` takes another CPU's, under
// its emulator.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdtemp, readdir, readFile, rm, stat } from "node:fs/promises";
import { arch, tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";

import { WebSocket } from "ws";

const PATIENCE_MS = 30_000;
const PROCESS_ID_OFFSET = 100; // in a segment: shared/segment.h
const VERSION_OFFSET = 192;
export const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const MACHINE = { x64: "x86_64", arm64: "aarch64", arm: "armv7l" }[arch()] ?? arch();

const OWN_BUILD = join(ROOT, "build", MACHINE);
export const BUILD = resolve(ROOT, process.env.OMNI_BUILD ?? OWN_BUILD);

/** What to type for a program of a build folder: [command, argument...]. */
export function commandFor(file, arch) {
  const build = arch ? join(ROOT, "build", arch) : BUILD;
  const program = join(build, file);
  return build === OWN_BUILD ? [program] : [join(ROOT, "scripts/launch"), build, program];
}

/** Whether any user may go where that file is, and run it. */
export async function isReachable(file) {
  for (let at = file; ; at = dirname(at)) {
    if (((await stat(at)).mode & 0o001) === 0) return false;
    if (at === "/") return true;
  }
}

/** Waits until `probe`, asked every few milliseconds, gives something truthy, and returns that. */
export async function until(what, probe, pause = 5) {
  const end = Date.now() + PATIENCE_MS;
  for (;;) {
    const value = await probe();
    if (value) return value;
    if (Date.now() > end) assert.fail(`waited in vain: ${what}`);
    await sleep(pause);
  }
}

/** What all threads of a process have used of the processors, in nanoseconds. */
export async function used(pid) {
  const threads = await readdir(`/proc/${pid}/task`);
  const texts = await Promise.all(threads.map((thread) => readFile(`/proc/${pid}/task/${thread}/schedstat`, "utf8")));
  return texts.reduce((sum, text) => sum + Number(text.split(" ")[0]), 0);
}

/** A running program. */
export class Program {
  constructor(child, name) {
    this.child = child;
    this.name = name;
    this.pid = child.pid;
    this.stdout = "";
    this.stderr = "";
    child.stdout.on("data", (bytes) => (this.stdout += bytes));
    child.stderr.on("data", (bytes) => (this.stderr += bytes));
    this.ended = once(child, "close").then(([code, signal]) => ({ code, signal }));
    this.gone = new Promise((resolve) => child.once("exit", resolve).once("error", resolve));
  }

  get isRunning() {
    return this.child.exitCode === null && this.child.signalCode === null;
  }

  /** Waits for a match in what it printed; fails at once if it ends before. */
  async says(pattern, stream = "stdout") {
    return until(`${this.name} says ${pattern}`, () => {
      const match = pattern.exec(this[stream]);
      if (!match && !this.isRunning) assert.fail(`${this.name} ended: ${this.stderr}`);
      return match;
    });
  }

  /** Ends it and returns { code, signal }. */
  async stop(signal = "SIGTERM") {
    if (this.isRunning) this.child.kill(signal);
    return this.ended;
  }

  /** A line of /proc/PID/status in KiB, such as "VmRSS". */
  async memory(line = "VmRSS") {
    const status = await readFile(`/proc/${this.pid}/status`, "utf8");
    return Number(new RegExp(`^${line}:\\s+(\\d+) kB`, "m").exec(status)[1]);
  }
}

/** The process id that a segment names, once there is a tick in it; undefined before. */
async function publisherOf(segment) {
  const bytes = await readFile(segment).catch(() => undefined);
  return bytes?.readUInt32LE(VERSION_OFFSET) ? bytes.readUInt32LE(PROCESS_ID_OFFSET) : undefined;
}

/** A folder for segments and settings, and the programs that were started in it. */
export class Place {
  constructor(directory) {
    this.directory = directory;
    this.programs = [];
  }

  /** Starts a program of the build folder: "omni-robot", "tests/programs/publisher". `input`: "pipe" to talk to it. */
  start(file, args = [], { env = {}, input = "ignore", arch } = {}) {
    const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith("OMNI_"));
    const [command, ...words] = commandFor(file, arch);
    const child = spawn(command, [...words, ...args], {
      cwd: this.directory,
      env: { ...Object.fromEntries(inherited), HOME: this.directory, ...env },
      stdio: [input, "pipe", "pipe"],
    });
    const program = new Program(child, file);
    this.programs.push(program);
    return program;
  }

  /** An observer on a free port of 127.0.0.1; has `url`, `address` ("127.0.0.1:PORT") and `token`. */
  async startObserver({ args = [], listen = "127.0.0.1:0", env, arch } = {}) {
    const observer = this.start(
      "omni-observer",
      ["--directory", this.directory, "--listen", listen, "--token-file", join(this.directory, "token"), ...args],
      { env, arch },
    );
    const [link] = await observer.says(/http:\/\/\S+(?=\n)/);
    const url = new URL(link);
    observer.url = url.origin;
    observer.address = url.host;
    observer.token = url.searchParams.get("token");
    return observer;
  }

  /** A robot, publishing. */
  async startRobot({ name = "robot", args = [], env, arch } = {}) {
    return this.startPublishing("omni-robot", name, args, { env, arch });
  }

  /** The tests' own publisher, whose values follow from the tick's number (tests/programs). */
  async startPublisher({ name = "robot", args = [], env, arch } = {}) {
    return this.startPublishing("tests/programs/publisher", name, args, { env, arch });
  }

  async startPublishing(file, name, args, { env, arch }) {
    const program = this.start(file, ["--name", name, "--directory", this.directory, ...args], { env, arch });
    await until(`${file} publishes ${name}`, async () => {
      if (!program.isRunning) assert.fail(`${file} ended: ${program.stderr}`);
      return (await publisherOf(this.segment(name))) === program.pid;
    });
    return program;
  }

  /** The file of a source. */
  segment(name) {
    return join(this.directory, `omni.${name}`);
  }

  async close() {
    for (const program of this.programs) if (program.isRunning) program.child.kill("SIGKILL");
    // Not their outputs' ends: what a program started may live on and hold them, and a test would hang in the place of failing.
    await Promise.all(this.programs.map((program) => program.gone));
    for (const { child } of this.programs) for (const stream of [child.stdout, child.stderr]) stream.destroy();
    await rm(this.directory, { recursive: true, force: true });
  }
}

/** Where files lie in memory: a publisher refuses a region on a disk. */
const MEMORY = existsSync("/dev/shm") ? "/dev/shm" : tmpdir();

/** @param {import("node:test").TestContext} t */
export async function openPlace(t, parent = MEMORY) {
  const place = new Place(await mkdtemp(join(parent, "omni-test-")));
  t.after(() => place.close());
  return place;
}

/** A WebSocket client that keeps every message. */
export class Client {
  constructor(socket) {
    this.socket = socket;
    this.messages = [];
    this.seen = 0; // by wait()
    this.pings = 0;
    socket.on("message", (data, isBinary) => {
      assert.equal(isBinary, false, "the wire is text only");
      this.messages.push(JSON.parse(data));
    });
    socket.on("ping", () => this.pings++);
    socket.on("error", () => {});
    this.closed = new Promise((resolve) => {
      socket.on("close", (code, reason) => resolve({ code, reason: reason.toString() }));
    });
  }

  send(message) {
    this.socket.send(typeof message === "string" ? message : JSON.stringify(message));
  }

  all(op) {
    return this.messages.filter((message) => message.op === op);
  }

  last(op) {
    return this.messages.findLast((message) => message.op === op);
  }

  /** The next message, after the one that the last wait() gave, which `accept` likes. */
  async wait(accept, what = accept.toString()) {
    return until(what, () => {
      while (this.seen < this.messages.length) {
        const message = this.messages[this.seen++];
        if (accept(message)) return message;
      }
      if (this.socket.readyState >= WebSocket.CLOSING) assert.fail(`closed while waiting: ${what}`);
      return undefined;
    });
  }

  /** Waits until everything sent so far was handled. */
  async settle() {
    const id = (this.id = (this.id ?? 1000) + 1);
    this.send({ op: "ping", id });
    await until("pong", () => this.messages.some((message) => message.op === "pong" && message.id === id));
  }
}

function dialWebSocket(observer, protocols, options) {
  const scheme = observer.tls ? "wss" : "ws";
  return new WebSocket(`${scheme}://${observer.address}/ws`, protocols, { ...observer.tls, ...options });
}

/** Connects; fails where the server refuses. */
export async function connect(t, observer, { protocols = ["omniscient.v1"], ...options } = {}) {
  const socket = dialWebSocket(observer, protocols, options);
  t.after(() => socket.terminate());
  const client = new Client(socket);
  await once(socket, "open");
  return client;
}

/** Tries to connect, and returns the status and text of the refusal. */
export async function refusal(t, observer, { protocols = [], ...options } = {}) {
  const socket = dialWebSocket(observer, protocols, options);
  t.after(() => socket.terminate());
  return new Promise((resolve, reject) => {
    socket.on("error", reject);
    socket.on("open", () => reject(new Error("was not refused")));
    socket.on("unexpected-response", (request, response) => {
      let text = "";
      response.on("data", (bytes) => (text += bytes));
      response.on("end", () => resolve({ status: response.statusCode, headers: response.headers, text }));
    });
  });
}
