// The machine's own conditions as a source: real observers, told of a machine that the test makes up as a tree of files
// of the shape that /proc and /sys have; and once of this machine itself.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdir, readFile, truncate, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { test } from "node:test";

import { connect, openPlace, until } from "./support.mjs";

const options = { timeout: 120_000 };
const FIRMWARE = "sys/devices/platform/soc/soc:firmware/get_throttled";
const ZONE = "sys/class/thermal/thermal_zone0";

/** A machine below `place`: what it tells is in `files`. */
async function makeMachine(place, files) {
  const root = join(place.directory, "machine");
  const write = async (path, text) => {
    await mkdir(dirname(join(root, path)), { recursive: true });
    await writeFile(join(root, path), text);
  };
  await mkdir(root);
  for (const [path, text] of Object.entries(files)) await write(path, text);
  return { root, write };
}

const RASPBERRY = {
  [`${ZONE}/type`]: "cpu-thermal\n",
  [`${ZONE}/temp`]: "48312\n",
  [FIRMWARE]: "0\n",
  "proc/loadavg": "0.50 0.25 0.125 1/100 1000\n",
  "proc/stat": "cpu  100 0 50 800 50 0 0 0 0 0\n",
  "proc/net/wireless": "a\nb\n wlan0: 0000   49.  -61.  -256  0 0 0 0 0 0\n",
};

async function listed(place) {
  const command = place.start("omni-observer", ["list", "--json", "--directory", place.directory]);
  await command.ended;
  return command.stdout.split("\n").filter(Boolean).map((line) => JSON.parse(line));
}

async function statusOf(observer, name) {
  const answer = await fetch(`${observer.url}/api/status?source=${name}`);
  return answer.ok ? (await answer.json()).values : null;
}

test("the observer publishes what its machine tells, like any robot", options, async (t) => {
  const place = await openPlace(t);
  const machine = await makeMachine(place, RASPBERRY);
  const observer = await place.startObserver({ args: ["--host-source", "--host-root", machine.root] });
  const first = await until("host ticks", () => statusOf(observer, "host"));
  assert.deepEqual(first, {
    temperature: 48.312, busy: null, load: [0.5, 0.25, 0.125], wifi_signal: -61,
    under_voltage: "never", frequency_capped: "never", throttled: "never", soft_temperature_limit: "never",
  });
  const client = await connect(t, observer);
  client.send({ op: "subscribe", source: "host" });
  await client.wait((message) => message.op === "status");
  await machine.write(FIRMWARE, "50005\n");
  await machine.write("proc/stat", "cpu  150 0 75 875 50 0 0 0 0 0\n");
  const event = await client.wait((message) => message.op === "event" && message.field === "under_voltage");
  assert.deepEqual([event.from, event.to], ["never", "now"]);
  await until("it is throttled", async () => (await statusOf(observer, "host")).throttled === "now");
  const [source] = await listed(place);
  assert.deepEqual([source.name, source.state, source.period, source.process], ["host", "live", 1e6, observer.pid]);
  const dump = place.start("omni-observer", ["dump", "host", "--count", "1", "--directory", place.directory]);
  await dump.ended;
  assert.equal(JSON.parse(dump.stdout).values.temperature, 48.312);
  await observer.stop();
  assert.deepEqual((await listed(place)).map(({ name, reason }) => [name, reason]), [["host", "closed"]]);
});

test("what a machine does not tell is absent, and comes when it is there", options, async (t) => {
  const place = await openPlace(t);
  const machine = await makeMachine(place, {});
  const observer = await place.startObserver({ args: ["--host-source=cellar", "--host-root", machine.root] });
  const absent = await until("cellar ticks", () => statusOf(observer, "cellar"));
  const nothing = "no reading";
  assert.deepEqual(absent, {
    temperature: null, busy: null, load: [null, null, null], wifi_signal: null,
    under_voltage: nothing, frequency_capped: nothing, throttled: nothing, soft_temperature_limit: nothing,
  });
  await machine.write(`${ZONE}/temp`, "20000\n");
  await machine.write(`${ZONE}/type`, "cpu-thermal\n");
  await until("there is a temperature", async () => (await statusOf(observer, "cellar")).temperature === 20);
  await observer.stop();
});

test("this machine's load is what its kernel says", options, async (t) => {
  const place = await openPlace(t);
  const observer = await place.startObserver({ args: ["--host-source"] });
  const values = await until("there is a whole second", async () => {
    const status = await statusOf(observer, "host");
    return status?.busy === null ? null : status;
  });
  assert.ok(values.busy >= 0 && values.busy <= 100, String(values.busy));
  await until("its load is the kernel's", async () => {
    const kernels = (await readFile("/proc/loadavg", "utf8")).split(" ", 3).map(Number);
    return (await statusOf(observer, "host")).load.every((load, i) => Math.abs(load - kernels[i]) < 0.001);
  });
  await observer.stop();
});

test("a file that blocks makes the source silent, and nothing else", options, async (t) => {
  const place = await openPlace(t);
  const machine = await makeMachine(place, { [`${ZONE}/type`]: "cpu-thermal\n" });
  execFileSync("mkfifo", [join(machine.root, ZONE, "temp")]); // nobody will ever write
  await place.startRobot();
  const observer = await place.startObserver({ args: ["--host-source", "--host-root", machine.root] });
  const client = await connect(t, observer);
  client.send({ op: "subscribe", source: "robot" });
  const { tick } = await client.wait((message) => message.op === "status" && message.source === "robot");
  await client.wait((message) => message.op === "status" && message.source === "robot" && message.tick > tick + 500);
  const { sources } = await (await fetch(`${observer.url}/api/sources`)).json();
  assert.deepEqual(sources.map(({ name, state, reason }) => [name, state, reason]), [
    ["robot", "live", ""],
    ["host", "stopped", "silent"],
  ]);
  assert.deepEqual(await observer.stop(), { code: 0, signal: null });
  assert.match(observer.stderr, /blocks: its thread is left behind/);
});

test("its segment may be cut short: nothing else ends", options, async (t) => {
  const place = await openPlace(t);
  await place.startRobot();
  const observer = await place.startObserver({ args: ["--host-source"] });
  await until("host ticks", () => statusOf(observer, "host"));
  await truncate(place.segment("host"));
  await truncate(join(place.directory, "omni-sleepers.host"));
  await until("it is no source any more", async () => !(await statusOf(observer, "host")));
  const { uptime } = await (await fetch(`${observer.url}/healthz`)).json();
  await until("two more seconds went by", async () => (await (await fetch(`${observer.url}/healthz`)).json()).uptime > uptime + 2, 100);
  assert.ok(await statusOf(observer, "robot"));
  assert.deepEqual(await observer.stop(), { code: 0, signal: null });
});

test("a second observer says that it is there already, and publishes it when the first ends", options, async (t) => {
  const place = await openPlace(t);
  const first = await place.startObserver({ args: ["--host-source"] });
  const second = await place.startObserver({ args: ["--host-source"] });
  await second.says(new RegExp(`host source: "host" is published by process ${first.pid} already`), "stderr");
  const third = await place.startObserver({ args: ["--host-source=third"] });
  for (const observer of [first, second, third])
    await until("both are shown", async () => (await statusOf(observer, "host")) && (await statusOf(observer, "third")));
  assert.equal(third.stderr, "");
  const fourth = await place.startObserver({ args: ["--host-source"] });
  await fourth.stop();
  assert.equal((await listed(place))[0].process, first.pid, "the first one's goes on");
  await first.stop();
  await second.says(/host source: "host" is published by this observer now/, "stderr");
  const isLive = (process) => async () => (await listed(place)).some(({ name, state, ...source }) => name === "host" && state === "live" && source.process === process);
  await until("the second one's is there", isLive(second.pid));
  const last = await place.startObserver({ args: ["--host-source"] });
  await second.stop("SIGKILL");
  await until("the last one's is there, too", isLive(last.pid));
});

test("a robot of that name keeps it, also when it has ended", options, async (t) => {
  const place = await openPlace(t);
  const first = await place.startObserver({ args: ["--host-source"] });
  const second = await place.startObserver({ args: ["--host-source"] });
  await second.says(/is published by process \d+ already/, "stderr");
  second.child.kill("SIGSTOP"); // so that the robot is there before it has looked
  await first.stop("SIGKILL");
  const robot = await place.startRobot({ name: "host" });
  await robot.stop("SIGKILL");
  second.child.kill("SIGCONT");
  await second.says(/host source: the segment "host" holds no machine's conditions, but a robot's/, "stderr");
  const third = await place.startObserver({ args: ["--host-source"] });
  await third.says(/host source: the segment "host" holds no machine's conditions, but a robot's/, "stderr");
  const clock = await place.startObserver({ args: ["--host-source=clock"] });
  await until("they have looked again", async () => (await listed(place)).some(({ name, tick }) => name === "clock" && tick > 3), 100);
  assert.deepEqual((await listed(place)).filter(({ name }) => name === "host").map(({ process, reason }) => [process, reason]), [[robot.pid, "died"]]);
  await until("it is shown as a robot", async () => {
    const { sources } = await (await fetch(`${third.url}/api/sources`)).json();
    return sources.some(({ name, host, reason }) => name === "host" && host === undefined && reason === "died");
  });
  assert.equal(second.stderr.match(/holds no machine's conditions/g).length, 1, "said once");
  const again = await place.startRobot({ name: "host" });
  await again.stop();
  await clock.stop();
});

test("who names no source wants a robot", options, async (t) => {
  const place = await openPlace(t);
  const observer = await place.startObserver({ args: ["--host-source=a-host"] });
  const client = await connect(t, observer);
  await client.wait((message) => message.op === "status" && message.source === "a-host");
  await place.startPublisher({ name: "b-relay", args: ["--no-period"] });
  await client.wait((message) => message.op === "status" && message.source === "b-relay");
  await place.startRobot();
  await client.wait((message) => message.op === "status" && message.source === "robot");
  assert.equal((await (await fetch(`${observer.url}/api/status`)).json()).source, "robot");
  const { sources } = await (await fetch(`${observer.url}/api/sources`)).json();
  assert.deepEqual(sources.map(({ name, occasional, host }) => [name, occasional, host]), [
    ["robot", undefined, undefined], ["b-relay", true, undefined], ["a-host", undefined, true],
  ]);
});

test("what it is given is checked", options, async (t) => {
  const place = await openPlace(t);
  const refused = async (args) => {
    const program = place.start("omni-observer", ["--directory", place.directory, "--listen", "127.0.0.1:0", ...args]);
    const { code } = await program.ended;
    return [code, program.stderr];
  };
  const name = await refused(["--host-source=../robot"]);
  assert.equal(name[0], 2);
  assert.match(name[1], /--host-source: "\.\.\/robot" is not a source's name/);
  const root = await refused(["--host-source", "--host-root", "/nowhere"]);
  assert.equal(root[0], 2);
  assert.match(root[1], /cannot read the directory \/nowhere: .*--host-root DIR/);
});
