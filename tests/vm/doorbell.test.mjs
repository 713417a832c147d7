// The observer as the shared-memory server of virtual machines: guests ring it, and it sleeps until they do. Two guests
// on one region, machines that are killed and come back, and an observer that does.

import assert from "node:assert/strict";
import { open, readdir, readFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";

import { askJson } from "../integration/raw.mjs";
import { connect, openPlace, until } from "../integration/support.mjs";
import { doorbellDevice, machineTest, OTHER, OWN, SLOT, startMachine } from "./machine.mjs";

const BAR = `pci:${SLOT}/resource2`;
const ROBOT = `omni-robot --name tank --region ${BAR}`;
const CHECKS_A_SECOND = 2; // looks of an observer that waits for a bell: is the robot still alive?

/** A place with an observer that serves machines at a socket. */
async function serve(t) {
  const place = await openPlace(t);
  const socket = `${place.directory}/sock`;
  const start = () => place.startObserver({ args: ["--ivshmem", socket] });
  return { place, socket, start, observer: await start() };
}

/** The file of the memory, which is named after the socket. */
const memoryOf = (place, socket) =>
  `${place.directory}/omni-ivshmem.${socket.slice(1).replace(/[-_]/g, "_$&").replaceAll("/", "-")}`;

const tank = async (observer) => (await askJson(observer, "/api/sources")).sources.find(({ name }) => name === "tank");

/** Waits for a message about the tank. */
const becomes = (client, state, reason) =>
  client.wait(({ op, source }) => op === "source" && source.name === "tank" && source.state === state && source.reason === reason,
    `${state} ${reason}`);

/** What the observer did in a second or two, while a client wants every tick. */
async function watchLooks(observer) {
  await until("the observer relies on the bell", async () => (await tank(observer)).wait === "bell");
  const [before, start] = [await tank(observer), Date.now()];
  await sleep(1500);
  const [after, end] = [await tank(observer), Date.now()];
  const grown = (key) => after[key] - before[key];
  return { ticks: grown("ticks"), looks: grown("looks"), rings: grown("rings"), seconds: (end - start) / 1000 };
}

/** Each look has a ring that caused it, but for the checks. */
function checkLooks(t, { ticks, looks, rings, seconds }) {
  t.diagnostic(`${ticks} ticks, ${rings} rings, ${looks} looks in ${seconds} s`);
  assert.ok(rings > 10, `${rings} rings`);
  assert.ok(looks <= rings + CHECKS_A_SECOND * seconds + 1, `${looks} looks`);
  assert.ok(ticks >= rings, `${ticks} ticks`);
}

machineTest("guests ring the observer, share a region, die and come back", [OWN], async (t) => {
  const { place, socket, start, observer } = await serve(t);
  const client = await connect(t, observer);
  const [first, second] = await Promise.all([1, 2].map(() => startMachine(t, { devices: doorbellDevice(socket) })));
  await first.start("robot", ROBOT);
  await becomes(client, "live", "");
  client.send({ op: "subscribe", source: "tank", mode: "every" });
  const { rows, columns } = await client.wait(({ op, rows }) => op === "batch" && rows.length > 0);
  assert.equal(typeof rows[0][columns.indexOf("direction")], "number");
  checkLooks(t, await watchLooks(observer));

  // The other guest reads the same robot from the same memory as the host.
  const here = place.start("omni-observer", ["dump", `file:${memoryOf(place, socket)}`]);
  const theirs = (await second.must(`omni-observer dump ${BAR} --count 20`)).trimEnd().split("\n").map((line) => JSON.parse(line));
  const last = theirs.at(-1).tick;
  await here.says(new RegExp(`"tick":${last},`));
  await here.stop();
  const ours = new Map(here.stdout.split("\n").slice(0, -1).map((line) => JSON.parse(line)).map((line) => [line.tick, line]));
  const common = theirs.filter(({ tick }) => ours.has(tick));
  assert.ok(common.length > 0);
  for (const line of common) assert.deepEqual(line, ours.get(line.tick));

  // One robot at a time; its machine's death is noticed, and its place taken.
  const refused = await second.run(ROBOT);
  assert.notEqual(refused.code, 0);
  assert.match(refused.text, /is in use, "tank" is published there and its publisher lives/);
  await first.kill();
  await becomes(client, "stopped", "died");
  await second.start("robot", ROBOT);
  await becomes(client, "live", "");
  checkLooks(t, await watchLooks(observer));

  await second.kill();
  await becomes(client, "stopped", "died");
  const third = await startMachine(t, { devices: doorbellDevice(socket) });
  await third.start("robot", ROBOT);
  await becomes(client, "live", "");
  checkLooks(t, await watchLooks(observer));
  assert.match(observer.stderr, /machine 1 has connected/);
  assert.match(observer.stderr, /machine 2 is gone/);

  // Guests do not notice an observer's death; the next one shows them, without their bell.
  await observer.stop("SIGKILL");
  const next = await start();
  const again = await connect(t, next);
  await again.wait(({ op, source }) => op === "status" && source === "tank");
  const { ticks } = await tank(next);
  await until("ticks go on", async () => (await tank(next)).ticks > ticks + 50);
  assert.deepEqual([(await tank(next)).wait, (await tank(next)).state, (await tank(next)).rings], ["poll", "live", 0]);
  assert.equal((await third.run("pidof omni-robot >/dev/null")).code, 0);
});

machineTest(`a guest with another CPU (${OTHER}) rings this one`, [OTHER], async (t) => {
  const { socket, observer } = await serve(t);
  const client = await connect(t, observer);
  const machine = await startMachine(t, { arch: OTHER, devices: doorbellDevice(socket) });
  await machine.start("robot", ROBOT);
  await becomes(client, "live", "");
  checkLooks(t, await watchLooks(observer));
  await machine.must("killall omni-robot");
  await becomes(client, "stopped", "closed");
});

/* ---- who is not asked does not ring ---- */

const BELL_WORD = 212; // offset in a segment: shared/segment.h
const RING_PEER_0 = 0x80000000;

/** How often eventfds of a process were written since it read them. */
async function unheardRings(pid) {
  const names = await readdir(`/proc/${pid}/fdinfo`);
  const texts = await Promise.all(names.map((name) => readFile(`/proc/${pid}/fdinfo/${name}`, "utf8").catch(() => "")));
  const counts = texts.map((text) => /eventfd-count:\s+([0-9a-f]+)/.exec(text)).filter(Boolean);
  assert.ok(counts.length > 0);
  return counts.reduce((sum, [, count]) => sum + parseInt(count, 16), 0);
}

machineTest("a guest rings once for each time that it is asked, and else not at all", [OWN], async (t) => {
  const place = await openPlace(t);
  const socket = `${place.directory}/sock`;
  const observer = await place.startObserver({ args: ["--ivshmem", socket, "--ivshmem-wait", "poll"] });
  const client = await connect(t, observer);
  const machine = await startMachine(t, { devices: doorbellDevice(socket) });
  await machine.start("robot", ROBOT);
  const tickAfter = (n) => client.wait(({ op, source, tick }) => op === "status" && source === "tank" && tick > n);
  const { tick } = await tickAfter(100);
  const { wait, rings, state } = await tank(observer);
  assert.deepEqual([wait, rings, state], ["poll", 0, "live"]);
  assert.equal(await unheardRings(observer.pid), 0);

  const file = await open(memoryOf(place, socket), "r+");
  t.after(() => file.close());
  const word = Buffer.alloc(4);
  word.writeUInt32LE(RING_PEER_0);
  for (const asked of [1, 2]) {
    await file.write(word, 0, 4, BELL_WORD);
    await until("the guest rings", async () => (await unheardRings(observer.pid)) >= asked);
    await tickAfter(tick + 100 * asked);
    assert.equal(await unheardRings(observer.pid), asked);
    assert.equal((await file.read(Buffer.alloc(4), 0, 4, BELL_WORD)).buffer.readUInt32LE(), 0);
  }
});
