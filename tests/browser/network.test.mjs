// The way between page and observer breaks: really, in network namespaces, and in a proxy that
// swallows everything. The page must tell that from an observer that is gone.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";

import { Scene, assertStale, claims, launchBrowser, look, lookAtTicks, until } from "./harness.mjs";

/** A TCP proxy that can turn into a black hole: it accepts, and nothing comes through. */
class Proxy {
  static async open(t, target) {
    const proxy = new Proxy();
    proxy.target = target;
    proxy.swallows = false;
    proxy.sockets = new Set();
    proxy.server = createServer((near) => proxy.accept(near));
    await new Promise((done) => proxy.server.listen(0, "127.0.0.1", done));
    proxy.port = proxy.server.address().port;
    t.after(() => proxy.close());
    return proxy;
  }

  accept(near) {
    this.keep(near);
    if (this.swallows) return near.pause();
    const far = connect(this.target, "127.0.0.1");
    this.keep(far);
    near.pipe(far);
    far.pipe(near);
    near.on("close", () => far.destroy());
    far.on("close", () => near.destroy());
  }

  keep(socket) {
    this.sockets.add(socket);
    socket.on("error", () => {});
    socket.on("close", () => this.sockets.delete(socket));
  }

  swallow() {
    this.swallows = true;
    for (const socket of this.sockets) {
      socket.unpipe();
      socket.removeAllListeners("close");
      socket.pause();
    }
  }

  /** What was swallowed is lost, as after a router's restart; new connections come through. */
  recover() {
    this.swallows = false;
    for (const socket of this.sockets) socket.destroy();
  }

  close() {
    this.recover();
    this.server.close();
  }
}

async function withBrowser(t, executable) {
  const browser = await launchBrowser(executable);
  t.after(() => browser.close());
  return browser;
}

test("a black hole on the way: network gone, then live again by itself", async (t) => {
  const browser = await withBrowser(t);
  const scene = await Scene.open(t);
  await scene.publisher("tank");
  const { port } = await scene.observer();
  const proxy = await Proxy.open(t, port);
  const page = await scene.page(browser, `http://127.0.0.1:${proxy.port}/`);
  await lookAtTicks(page, 5);

  proxy.swallow();
  const checking = await until(
    "live is no longer claimed",
    () => look(page),
    ({ claim }) => claim !== "live",
  );
  assertStale(checking);
  const gone = await claims(page, "network gone");
  assertStale(gone);
  assert.match(gone.explanation, /cannot be reached from here/);
  await until(
    "the age grows",
    () => look(page),
    ({ age }) => age !== gone.age,
  );

  proxy.recover();
  await claims(page, "live");
  await lookAtTicks(page, 5);
});

test("a black hole, and behind it the observer ends: told when it can be known", async (t) => {
  const browser = await withBrowser(t);
  const scene = await Scene.open(t);
  await scene.publisher("tank");
  const first = await scene.observer();
  const proxy = await Proxy.open(t, first.port);
  const page = await scene.page(browser, `http://127.0.0.1:${proxy.port}/`);
  await lookAtTicks(page, 2);
  proxy.swallow();
  await claims(page, "network gone");
  await first.stop("SIGKILL");
  proxy.recover();
  await claims(page, "observer gone");
  await scene.observer({ port: first.port });
  await claims(page, "live");
});

test("an observer that hangs: not live meanwhile, and live again when it goes on", async (t) => {
  const browser = await withBrowser(t);
  const scene = await Scene.open(t);
  await scene.publisher("tank");
  const { child, link } = await scene.observer();
  const page = await scene.page(browser, link);
  await lookAtTicks(page, 2);
  child.kill("SIGSTOP");
  await until(
    "live is no longer claimed",
    () => look(page),
    ({ claim }) => claim !== "live",
  );
  assertStale(await claims(page, "network gone"));
  child.kill("SIGCONT");
  await claims(page, "live");
});

function ip(...words) {
  execFileSync("ip", words, { stdio: ["ignore", "ignore", "pipe"] });
}

/** Why network namespaces cannot be made here; "" where they can. */
function namespacesMissing() {
  if (process.getuid() !== 0) return "needs root, for network namespaces";
  const name = `omni-try-${process.pid}`;
  try {
    ip("netns", "add", name);
    ip("netns", "del", name);
    return "";
  } catch (error) {
    return `no network namespaces here: ${String(error.stderr || error.message).trim()}`;
  }
}

/** Two machines with a cable: the robot's has the observer, the visitor's the browser. */
class Machines {
  static robot = "10.203.113.1";
  static visitor = "10.203.113.2";

  static async open(t) {
    const machines = new Machines();
    machines.names = [`omni-robot-${process.pid}`, `omni-visitor-${process.pid}`];
    const [robot, visitor] = machines.names;
    t.after(() => machines.close());
    machines.names.forEach((name) => ip("netns", "add", name));
    ip(
      "link",
      "add",
      "cable0",
      "netns",
      robot,
      "type",
      "veth",
      "peer",
      "name",
      "cable0",
      "netns",
      visitor,
    );
    for (const [name, address] of [
      [robot, Machines.robot],
      [visitor, Machines.visitor],
    ]) {
      ip("-n", name, "addr", "add", `${address}/24`, "dev", "cable0");
      ip("-n", name, "link", "set", "lo", "up");
      ip("-n", name, "link", "set", "cable0", "up");
    }
    machines.directory = await mkdtemp(join(tmpdir(), "omni-machines-"));
    return machines;
  }

  within(index) {
    return ["ip", "netns", "exec", this.names[index]];
  }

  /** A program that is Chromium on the visitor's machine. */
  async chromium() {
    const path = join(this.directory, "chromium");
    await writeFile(path, `#!/bin/sh\nexec ${this.within(1).join(" ")} /usr/bin/chromium "$@"\n`);
    await chmod(path, 0o755);
    return path;
  }

  cable(state) {
    ip("-n", this.names[0], "link", "set", "cable0", state);
  }

  /** The cable is whole, but nobody there has the robot's address. */
  address(verb) {
    ip("-n", this.names[0], "addr", verb, `${Machines.robot}/24`, "dev", "cable0");
  }

  async close() {
    for (const name of this.names) execFileSync("ip", ["netns", "del", name], { stdio: "ignore" });
    await rm(this.directory, { recursive: true, force: true });
  }
}

const skip = namespacesMissing() || false;

test(
  "two machines: cable pulled, machine vanished, observer ended; the page knows which",
  { skip },
  async (t) => {
    const machines = await Machines.open(t);
    const browser = await withBrowser(t, await machines.chromium());
    const scene = await Scene.open(t);
    await scene.publisher("tank");
    const options = { address: Machines.robot };
    scene.within = machines.within(0);
    const first = await scene.observer(options);
    const page = await scene.page(browser, first.link);
    await lookAtTicks(page, 5);

    await t.test("the cable is pulled: network gone; plugged in: live", async () => {
      machines.cable("down");
      const gone = await claims(page, "network gone");
      assertStale(gone);
      machines.cable("up");
      const back = await claims(page, "live");
      assert.ok(Number(back.tick) > Number(gone.tick), `tick ${back.tick} after ${gone.tick}`);
    });

    await t.test("the machine vanishes from a network that works: network gone", async () => {
      machines.address("del");
      assertStale(await claims(page, "network gone"));
      machines.address("add");
      await claims(page, "live");
    });

    await t.test(
      "the observer ends, its machine stays: observer gone; unless the cable goes too",
      async () => {
        await first.stop("SIGKILL");
        assertStale(await claims(page, "observer gone"));
        machines.cable("down");
        await claims(page, "network gone");
        machines.cable("up");
        await claims(page, "observer gone");
        await scene.observer({ ...options, port: first.port });
        await claims(page, "live");
      },
    );
  },
);
