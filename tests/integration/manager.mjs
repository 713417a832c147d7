// A service manager for a test: it hears what programs say to $NOTIFY_SOCKET (tests/programs/manager.c), and gives them a
// watchdog. It ends nobody: that is systemd's (services.test.mjs says what is tested with systemd's own programs).

import { setTimeout as sleep } from "node:timers/promises";

import { until } from "./support.mjs";

class Manager {
  constructor(program, path) {
    this.program = program;
    this.path = path;
  }

  /** What a program gets that it starts; `watchdog` in seconds. */
  environment(watchdog) {
    return { NOTIFY_SOCKET: this.path, ...(watchdog ? { WATCHDOG_USEC: String(watchdog * 1e6) } : {}) };
  }

  /** All that was heard, oldest first: { pid, text }. */
  get heard() {
    const lines = this.program.stdout.split("\n").slice(1, -1);
    return lines.map((line) => ({ pid: Number(line.split(" ", 1)[0]), text: line.slice(line.indexOf(" ") + 1) }));
  }

  count(text) {
    return this.heard.filter((one) => one.text === text).length;
  }

  /** Waits until a program has said so `more` times more. */
  async hears(text, more = 1) {
    const before = this.count(text);
    await until(`the manager hears ${text}`, () => this.count(text) >= before + more);
  }

  /** What it heard of `text` within a while, after what is still on its way has come. */
  async listens(text, ms) {
    await sleep(300);
    const before = this.count(text);
    await sleep(ms);
    return this.count(text) - before;
  }
}

export async function startManager(place) {
  const path = `${place.directory}/manager.sock`;
  const program = place.start("tests/programs/manager", [path]);
  await program.says(/listening/);
  return new Manager(program, path);
}
