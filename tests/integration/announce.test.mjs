// The announcement of the page (mDNS): real daemons, real multicast between two machines that are made of namespaces, and
// avahi-browse on the second, which nobody here wrote.

import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";

import { AVAHI, lackingForNetworks, startNetwork } from "./network.mjs";
import { run } from "./raw.mjs";
import { BUILD, ROOT, openPlace, until } from "./support.mjs";

const TYPE = "_omniscient._tcp";
const options = { timeout: 180_000, skip: lackingForNetworks() };
const OBSERVER = [join(ROOT, "scripts/launch"), BUILD, join(BUILD, "omni-observer")];

/** An observer on that host, until the end of the test. */
async function startObserver(t, host, ...args) {
  const { directory } = host.place;
  const observer = host.start(...OBSERVER, "--directory", directory, "--token-file", join(directory, "token"), ...args);
  t.after(() => observer.isRunning && host.end(observer, "SIGKILL"));
  if (!args.includes("--quiet")) await observer.says(/http:\/\/\S+(?=\n)/);
  return observer;
}

/** What an observer says of its announcement, asked on its own host. */
async function statusOf(host, port) {
  const script = "fetch(process.argv[1]).then((answer) => answer.json()).then(({ announced }) => console.log(JSON.stringify(announced)))";
  return JSON.parse(await host.ask(process.execPath, "-e", script, `http://127.0.0.1:${port}/healthz`));
}

/** What the doctor on that host says of it: [grade, sentence, what to type]. */
async function doctorSays(host, ...args) {
  const words = [...OBSERVER, "doctor", "--json", "--directory", host.place.directory, "--token-file", join(host.place.directory, "token"), ...args];
  const { stdout } = await run(host.within[0], [...host.within.slice(1), ...words]).catch((error) => error); // there is no robot: 1
  const { grade, text, type } = stdout.split("\n").filter(Boolean).map((line) => JSON.parse(line)).find(({ check }) => check === "announce");
  return [grade, text, type];
}

/** The status of an answer to who asks from that host under that name. */
async function knock(host, address, name) {
  const script = "require('http').get(process.argv[1], { headers: { host: process.argv[2] } }, ({ statusCode }) => { console.log(statusCode); process.exit(); })";
  return Number(await host.ask(process.execPath, "-e", script, address, name));
}

/** The unique name of a program on the system bus of its host. */
async function nameOnBus(host, program) {
  const call = (member, ...values) => host.ask("dbus-send", "--system", "--print-reply", "--dest=org.freedesktop.DBus", "/", `org.freedesktop.DBus.${member}`, ...values);
  const status = await readFile(`/proc/${await host.idOf(program)}/status`, "utf8");
  const inner = /^NSpid:.*\t(\d+)$/m.exec(status)[1];
  for (const [, name] of (await call("ListNames")).matchAll(/"(:[\d.]+)"/g)) {
    const owner = await call("GetConnectionUnixProcessID", `string:${name}`).catch(() => "");
    if (owner.includes(`uint32 ${inner}\n`)) return name;
  }
  return assert.fail(`${program.name} is not on the bus`);
}

/** What that host finds, once `accept` likes it. */
async function finds(host, what, accept) {
  let found = [];
  const look = async () => (found = await host.found()) && accept(found);
  await until(`${host.name} finds ${what}`, look, 50).catch((error) => assert.fail(`${error.message}; it finds ${JSON.stringify(found)}`));
  return found;
}

const findsOne = (host, wanted) => finds(host, `only ${JSON.stringify(wanted)}`, (found) =>
  found.length === 1 && Object.entries(wanted).every(([key, value]) => found[0][key] === value));
const findsNone = (host) => finds(host, "nothing", ({ length }) => length === 0);

/** A robot's machine and another, with what announces and what listens. */
async function startBoth(t) {
  const [robot, laptop] = await startNetwork(await openPlace(t), ["rover", "laptop"]);
  for (const host of [robot, laptop]) {
    host.bus = await host.startBus();
    host.avahi = await host.startAvahi();
  }
  await laptop.listenFor(TYPE);
  return [robot, laptop];
}

async function tellWhere(t) {
  const [robot, laptop] = await startBoth(t);
  await t.test("name, address, port and texts; and it is gone when the observer ends", async (t) => {
    const observer = await startObserver(t, robot, "--listen", "0.0.0.0:8099");
    const token = new URL(/http:\S+/.exec(observer.stdout)[0]).searchParams.get("token");
    const [found] = await findsOne(laptop, { name: "rover" });
    const version = (await robot.ask(...OBSERVER, "--version")).trim().split(" ").at(-1);
    assert.deepEqual(found, { link: "eth0", family: "IPv4", name: "rover", host: "rover.local", address: "10.77.0.1", port: 8099, texts: ["txtvers=1", "path=/", `version=${version}`] });
    assert.ok(token.length > 40 && !JSON.stringify(found).includes(token.slice(0, 8)), "the token is for nobody");
    await observer.says(/^announced on the network as "rover": http:\/\/rover\.local:8099\/$/m, "stderr");
    assert.deepEqual(await statusOf(robot, 8099), { name: "rover", host: "rover.local", reason: null });
    assert.deepEqual(await doctorSays(robot, "--listen", "0.0.0.0:8099"), ["ok", 'the network is told of "rover", at http://rover.local:8099/', null]);
    assert.deepEqual(await doctorSays(robot, "--listen", "0.0.0.0:8098"), ["ok", "avahi-daemon runs: the network will be told", null]);
    assert.deepEqual(await doctorSays(robot), ["ok", "the network is told nothing: only this machine may look", null]);
    assert.deepEqual(await doctorSays(robot, "--listen", "0.0.0.0:8098", "--announce=no"), ["ok", "the network is told nothing: --announce=no", null]);
    assert.equal(await robot.end(observer), 0);
    await findsNone(laptop);
  });

  await t.test("gone, too, when it is killed", async (t) => {
    const observer = await startObserver(t, robot, "--listen", "0.0.0.0:8099");
    await findsOne(laptop, { name: "rover" });
    await robot.end(observer, "SIGKILL");
    await findsNone(laptop);
  });

  await t.test("a name of one's own; by IPv6 only; the port that was really taken", async (t) => {
    if (!existsSync("/proc/net/if_inet6")) return t.skip("this machine has no IPv6 loopback");
    const observer = await startObserver(t, robot, "--listen", "[::]:0", "--announce=Hühnerstall; 2. Stock");
    const port = Number(/http:\/\/\[\S+\]:(\d+)/.exec(observer.stdout)[1]);
    const [{ family }] = await finds(laptop, "it", (found) => found.length === 1 && found[0].port === port);
    assert.equal(family, "IPv6");
    await observer.says(/as "Hühnerstall; 2\. Stock"/, "stderr");
    await robot.end(observer);
    return findsNone(laptop);
  });

  await t.test("not what only the machine itself can reach, and not what nobody wants announced", async (t) => {
    const alone = await startObserver(t, robot, "--listen", "127.0.0.1:8099", "--listen", "[::1]:8098");
    const silent = await startObserver(t, robot, "--listen", "0.0.0.0:8097", "--announce=no");
    const seen = await startObserver(t, robot, "--listen", "10.77.0.1:8096");
    await findsOne(laptop, { port: 8096 });
    assert.deepEqual(await statusOf(robot, 8099), { name: null, host: null, reason: "only this machine may look" });
    assert.deepEqual(await statusOf(robot, 8097), { name: null, host: null, reason: "it is switched off" });
    for (const observer of [alone, silent]) {
      assert.equal((await readdir(`/proc/${await robot.idOf(observer)}/task`)).length, 1, "nor is there a thread for it");
      assert.equal(observer.stderr, "");
    }
    for (const observer of [alone, silent, seen]) await robot.end(observer);
    await findsNone(laptop);
  });
}

async function tellNames(t) {
  const [robot, laptop] = await startBoth(t);
  await t.test("another who has the name keeps it", async (t) => {
    const other = laptop.start("avahi-publish", "--service", "rover", TYPE, "4711");
    await other.says(/Established/, "stderr");
    const observer = await startObserver(t, robot, "--listen", "0.0.0.0:8099");
    const has = (name, port) => (found) => found.some((one) => one.name === name && one.port === port);
    await finds(laptop, "the observer under another name", (found) => has("rover #2", 8099)(found) && has("rover", 4711)(found));
    await until("it says so", async () => (await statusOf(robot, 8099)).name === "rover #2");
    const second = await startObserver(t, robot, "--listen", "0.0.0.0:8098");
    await finds(laptop, "the third", has("rover #3", 8098));
    for (const program of [observer, second]) await robot.end(program);
    await laptop.end(other);
    await findsNone(laptop);
  });

  await t.test("a machine that is renamed: the observer answers to the new name", async (t) => {
    const observer = await startObserver(t, robot, "--listen", "0.0.0.0:8099");
    await findsOne(laptop, { name: "rover" });
    await until("it answers to its name", async () => (await knock(laptop, "http://10.77.0.1:8099/healthz", "rover.local:8099")) === 200);
    assert.equal(await knock(laptop, "http://10.77.0.1:8099/healthz", "mars.local:8099"), 421);
    await robot.ask("avahi-set-host-name", "mars");
    await findsOne(laptop, { name: "mars", host: "mars.local", port: 8099 });
    await until("it answers to the new name", async () => (await knock(laptop, "http://10.77.0.1:8099/healthz", "mars.local:8099")) === 200);
    await robot.end(observer);
    await robot.ask("avahi-set-host-name", "rover");
    await findsNone(laptop);
  });
}

async function comeAndGo(t) {
  const [robot, laptop] = await startBoth(t);
  const observer = await startObserver(t, robot, "--listen", "0.0.0.0:8099");
  await observer.says(/^announced on the network/m, "stderr"); // its connection to the daemon is open
  const before = (await readdir(`/proc/${await robot.idOf(observer)}/fd`)).length;
  for (const name of ["SIGTERM", "SIGKILL"]) {
    await robot.end(robot.avahi, name);
    await until("it is told", async () => (await statusOf(robot, 8099)).reason !== null);
    robot.avahi = await robot.startAvahi();
    await until("it is announced again", async () => (await statusOf(robot, 8099)).name === "rover");
  }
  await robot.end(robot.avahi);
  await until("it is told", async () => (await statusOf(robot, 8099)).reason === "no avahi-daemon runs");
  await robot.end(robot.bus, "SIGKILL");
  await robot.ask("rm", "-f", "/run/dbus/system_bus_socket");
  await findsNone(laptop);
  robot.bus = await robot.startBus();
  robot.avahi = await robot.startAvahi();
  await findsOne(laptop, { name: "rover", port: 8099 });
  assert.equal((await readdir(`/proc/${await robot.idOf(observer)}/fd`)).length, before, "and nothing is left open");
  await robot.end(observer);
  await findsNone(laptop);
}

async function hangAndLie(t) {
  const [robot, laptop] = await startBoth(t);
  await t.test("one that hangs stops neither the observer nor its end, and what was announced is withdrawn", async (t) => {
    for (const hanging of ["avahi", "bus"]) {
      const observer = await startObserver(t, robot, "--listen", "0.0.0.0:8099");
      await findsOne(laptop, { name: "rover" });
      await robot.signal(robot[hanging], "SIGSTOP");
      const late = await startObserver(t, robot, "--listen", "0.0.0.0:8098");
      for (const port of [8099, 8098]) assert.ok(await statusOf(robot, port));
      for (const program of [observer, late]) assert.equal(await robot.end(program), 0, program.stderr);
      assert.match(late.stderr, /D-Bus does not answer: the thread that announces is left behind/);
      await robot.signal(robot[hanging], "SIGCONT");
      await findsNone(laptop);
    }
  });

  await t.test("whoever lies on the bus gains nothing", async (t) => {
    const observer = await startObserver(t, robot, "--listen", "0.0.0.0:8099");
    await findsOne(laptop, { name: "rover" });
    const name = await nameOnBus(robot, observer);
    const send = `dbus-send --system --type=signal --dest=${name}`;
    const lies = [0, 1, 2, 3, 4, 5, 99].map((state) => `
      ${send} /Client1/EntryGroup1 org.freedesktop.Avahi.EntryGroup.StateChanged int32:${state} string:org.freedesktop.Avahi.CollisionError
      ${send} / org.freedesktop.Avahi.Server.StateChanged int32:${state} string:x
      ${send} / org.freedesktop.Avahi.Server.StateChanged string:nonsense
      ${send} /org/freedesktop/DBus org.freedesktop.DBus.NameOwnerChanged string:org.freedesktop.Avahi string:a string:b`);
    await robot.ask("sh", "-ec", lies.join("\n"));
    assert.ok(await statusOf(robot, 8099));
    await finds(laptop, "it", (found) => found.some(({ port }) => port === 8099));
    assert.equal(await robot.end(observer), 0);
    await findsNone(laptop);
  });
}

/** The doctor at a place where systemd would start a daemon for who connects to its socket. */
async function lookOnly(robot) {
  const says = async () => (await doctorSays(robot, "--listen", "0.0.0.0:8098"))[1];
  const absent = "the network will not be told where the page is: no avahi-daemon runs";
  const script = `require("net").createServer(() => console.log("started")).listen("/run/avahi-daemon/socket", () => console.log("listens"))`;
  const systemd = robot.start(process.execPath, "-e", script);
  await systemd.says(/listens/);
  assert.equal(await says(), absent);
  const daemon = await robot.startAvahi(); // takes the socket's place
  assert.equal(await says(), "avahi-daemon runs: the network will be told");
  await robot.end(daemon, "SIGKILL");
  await robot.ask("test", "-s", "/run/avahi-daemon/pid");
  assert.equal(await says(), absent, "what a dead one left behind is not believed");
  await robot.ask("sh", "-c", "echo 1 >/run/avahi-daemon/pid");
  assert.equal(await says(), absent, "nor is its number, where another process has it now");
  await robot.ask("rm", "/run/avahi-daemon/pid");
  assert.equal(systemd.stdout, "listens\n", "nothing was started");
  await robot.end(systemd);
}

/** What the doctor says to type, for each reason that an observer may give: one that is made up gives them. */
async function typeFor(robot) {
  const listen = ["--listen", "0.0.0.0:8097"];
  const script = `require("http").createServer((request, response) => {
    const reason = require("fs").readFileSync(process.argv[1], "utf8");
    response.end(JSON.stringify({ status: "ok", version: "1", sources: 0, announced: { name: null, host: null, reason } }));
  }).listen(8097, "0.0.0.0", () => console.log("listens"))`;
  const file = join(robot.place.directory, "reason");
  const observer = robot.start(process.execPath, "-e", script, file);
  await observer.says(/listens/);
  for (const [reason, type] of [
    ["libavahi-client is not installed", "sudo systemctl restart omni-observer"],
    ["no avahi-daemon runs", "sudo systemctl start avahi-daemon"],
    ["avahi-daemon has ended", "sudo systemctl start avahi-daemon"],
    ["there is no D-Bus, or it does not answer", "systemctl status dbus"],
    ["D-Bus does not let this user speak to avahi-daemon", "grep -r org.freedesktop.Avahi /etc/dbus-1/system.d /usr/share/dbus-1/system.d"],
    ["avahi-daemon refuses: Too many objects", "journalctl -b -n 20 -u avahi-daemon"],
    ["avahi-daemon settles the machine's name", null],
    ["it is switched off", "omni-observer --announce=yes"],
    ["only this machine may look", "ip -brief address"],
    ["what nobody has heard of yet", null],
  ]) {
    await writeFile(file, reason);
    assert.deepEqual(await doctorSays(robot, ...listen), ["note", `the network is not told where the page is: ${reason}`, type]);
  }
  await robot.end(observer);
}

/** A daemon that may not announce for others: the reason is its own. */
async function beForbidden(robot) {
  const config = join(robot.place.directory, "avahi.conf");
  await writeFile(config, AVAHI.replace("[publish]", "[publish]\ndisable-user-service-publishing=yes"));
  const daemon = await robot.startAvahi();
  await until("it is told", async () => /may not announce for others/.test((await statusOf(robot, 8099)).reason));
  const [, , type] = await doctorSays(robot, "--listen", "0.0.0.0:8099");
  const [, sed] = /^sudo (.*) && sudo systemctl restart avahi-daemon$/.exec(type);
  await robot.ask("sh", "-ec", sed.replace("/etc/avahi/avahi-daemon.conf", config));
  assert.match(await readFile(config, "utf8"), /^#disable-user-service-publishing=yes$/m);
  await robot.end(daemon);
}

async function beWithout(t) {
  const place = await openPlace(t);
  const [robot, laptop] = await startNetwork(place, ["rover", "laptop"]);
  await laptop.startBus();
  await laptop.startAvahi();
  await laptop.listenFor(TYPE);
  const observer = await startObserver(t, robot, "--listen", "0.0.0.0:8099");
  await observer.says(/^not announced on the network: .*\n/m, "stderr");
  assert.match((await statusOf(robot, 8099)).reason, /no avahi-daemon|no D-Bus/);
  assert.match((await doctorSays(robot, "--listen", "0.0.0.0:8099"))[2], /^sudo systemctl start dbus/);
  await robot.startBus();
  await until("it has found the bus", async () => (await statusOf(robot, 8099)).reason === "no avahi-daemon runs");
  assert.equal(observer.stderr.split("\n").length, 2, observer.stderr);
  const remedy = "sudo systemctl start avahi-daemon";
  assert.deepEqual(await doctorSays(robot, "--listen", "0.0.0.0:8099"), ["note", "the network is not told where the page is: no avahi-daemon runs", remedy]);
  assert.deepEqual(await doctorSays(robot, "--listen", "0.0.0.0:8098"), ["note", "the network will not be told where the page is: no avahi-daemon runs", remedy]);
  await t.test("what to type for each reason", () => typeFor(robot));
  await t.test("the doctor starts no daemon", () => lookOnly(robot));
  await t.test("a daemon that may not", () => beForbidden(robot));
  await robot.startAvahi();
  await findsOne(laptop, { name: "rover", port: 8099 });
  await robot.end(observer);
  const quiet = await startObserver(t, robot, "--quiet", "--listen", "0.0.0.0:8098");
  await findsOne(laptop, { name: "rover", port: 8098 });
  assert.equal(quiet.stderr, "", "--quiet is quiet");
}

// Each on a network of its own; most of their time is what the protocol takes to settle a name.
test("the page on the network", { ...options, concurrency: true }, (t) => Promise.all([
  t.test("where the page is", options, tellWhere),
  t.test("names", options, tellNames),
  t.test("a daemon that comes and goes: announced whenever it is there", options, comeAndGo),
  t.test("whoever hangs, and whoever lies", options, hangAndLie),
  t.test("without a daemon, without a bus: it serves as ever, says so once, and is announced when both have come", options, beWithout),
]));
