// Two cores of a board for a test: two network namespaces, joined by a pair of interfaces as rpmsg joins the real ones. The
// near one has the relay; the far one a program in Python (far_core.py), a second relay, or both.
//
//     const cores = await openCores(t, place);
//     const far = await cores.startFar();
//     const relay = await cores.startRelay({ config });
//     await far.ask("send", "ihub_hwwd_irq");

import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";

import { BUILD, Program, ROOT, until } from "./support.mjs";

export const NEAR = "rpmsg4000";
export const FAR = "core1";

function ip(...words) {
  execFileSync("ip", words, { stdio: ["ignore", "ignore", "pipe"] });
}

/** Why there can be no namespaces here; undefined where there can. */
export function lackingForCores() {
  if (process.getuid() !== 0) return "needs root, for network namespaces";
  const name = `omni-try-${process.pid}`;
  try {
    ip("netns", "add", name);
    ip("netns", "del", name);
    return undefined;
  } catch (error) {
    return `no network namespaces here: ${String(error.stderr || error.message).trim()}`;
  }
}

/** The program in Python: asked in turns. */
class Far {
  constructor(program) {
    this.program = program;
    this.asked = 0;
  }

  async ask(...words) {
    const answer = ++this.asked;
    this.program.child.stdin.write(`${JSON.stringify(words)}\n`);
    const lines = await until(`the far core answers ${words[0]}`, () => {
      const all = this.program.stdout.split("\n");
      if (!this.program.isRunning) assert.fail(this.program.stderr);
      return all.length > answer + 1 && all;
    }, 2);
    return JSON.parse(lines[answer]);
  }

  /** Payloads of the frames that came since the last call. */
  async payloads() {
    return (await this.ask("take")).map((frame) => Buffer.from(frame.slice(28), "hex").toString());
  }
}

let serial = 0;

class Cores {
  constructor(place) {
    this.place = place;
    const id = `${process.pid}-${++serial}`;
    this.names = { near: `omni-near-${id}`, far: `omni-far-${id}` };
  }

  /** Makes the cable: both ends are up. The kernel takes a moment to say so: wait for isUp(). */
  plug() {
    const { near, far } = this.names;
    ip("link", "add", NEAR, "netns", near, "type", "veth", "peer", "name", FAR, "netns", far);
    ip("-n", far, "link", "set", FAR, "up");
    ip("-n", near, "link", "set", NEAR, "up");
  }

  isUp(interfaceName = NEAR) {
    const [{ operstate }] = JSON.parse(execFileSync("ip", ["-j", "-n", this.names.near, "link", "show", interfaceName]));
    return operstate === "UP";
  }

  unplug() {
    ip("-n", this.names.near, "link", "del", NEAR);
  }

  /** set("near", NEAR, "down"), set("near", NEAR, "name", "other") */
  set(core, interfaceName, ...state) {
    ip("-n", this.names[core], "link", "set", interfaceName, ...state);
  }

  within(core, ...words) {
    return ["ip", "netns", "exec", this.names[core], ...words];
  }

  spawn(core, words, { env = {}, input = "ignore", name } = {}) {
    const [command, ...rest] = this.within(core, ...words);
    const inherited = Object.entries(process.env).filter(([variable]) => !variable.startsWith("OMNI_"));
    const child = spawn(command, rest, {
      cwd: this.place.directory,
      env: { ...Object.fromEntries(inherited), OMNI_DIRECTORY: this.place.directory, ...env },
      stdio: [input, "pipe", "pipe"],
    });
    const program = new Program(child, name);
    this.place.programs.push(program);
    return program;
  }

  async startFar({ core = "far", interfaceName = FAR, ethertype = "0x8800" } = {}) {
    const script = join(ROOT, "tests/integration/far_core.py");
    const program = this.spawn(core, ["python3", script, interfaceName, ethertype], { input: "pipe", name: "far_core.py" });
    await program.says(/"ready"\n/);
    return new Far(program);
  }

  /** A relay that runs; `config` is an object, or { env, args } say it otherwise. */
  async startRelay(options = {}) {
    const relay = await this.tryRelay(options);
    await relay.says(/Relay ".*" runs/, "stderr");
    return relay;
  }

  /** The same, whatever becomes of it. `before`: words of a program that starts it. */
  async tryRelay({ config, core = "near", args, env, before = [], interfaceName = core === "near" ? NEAR : FAR } = {}) {
    const file = join(this.place.directory, `${core}.json`);
    if (config) await writeFile(file, typeof config === "string" ? config : JSON.stringify(config));
    const words = args ?? ["--interface", interfaceName, "--config", file, ...(core === "near" ? [] : ["--name", core])];
    return this.spawn(core, [...before, join(ROOT, "scripts/launch"), BUILD, join(BUILD, "omni-relay"), ...words], { env, name: "omni-relay" });
  }

  close() {
    for (const name of Object.values(this.names)) execFileSync("ip", ["netns", "del", name], { stdio: "ignore" });
  }
}

export async function openCores(t, place) {
  const cores = new Cores(place);
  t.after(() => cores.close());
  for (const name of Object.values(cores.names)) ip("netns", "add", name);
  cores.plug();
  await until("the cable is plugged in", () => cores.isUp());
  return cores;
}
