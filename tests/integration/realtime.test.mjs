// What --realtime does to the real robot, as the kernel tells it; and what --self-test says of a machine.

import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";

import { BUILD, Program, ROOT, openPlace, until } from "./support.mjs";

const SCHED_FIFO = 1;
const LAUNCH = [join(ROOT, "scripts/launch"), BUILD, join(BUILD, "omni-robot")];
const [LAUNCHER, ...ROBOT] = LAUNCH;

/** Whether SCHED_FIFO is permitted here at all. */
const mayBeRealtime = spawnSync("chrt", ["--fifo", "50", "true"]).status === 0;
const permitted = { skip: mayBeRealtime ? undefined : "SCHED_FIFO is not permitted here" };

/** Fields of /proc/PID/task/TID/stat from the third on, by their numbers in proc(5). */
async function statOf(pid, thread = pid) {
  const text = await readFile(`/proc/${pid}/task/${thread}/stat`, "latin1");
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ").map(Number);
  return { faults: fields[10 - 3] + fields[12 - 3], priority: fields[40 - 3], policy: fields[41 - 3], ticks: fields };
}

const cpusOf = async (pid, thread = pid) => /^Cpus_allowed_list:\s*(\S+)/m.exec(await readFile(`/proc/${pid}/task/${thread}/status`, "utf8"))[1];
const threadsOf = async (pid) => (await readdir(`/proc/${pid}/task`)).map(Number).filter((thread) => thread !== pid);

/** Ticks of the segment so far: the version counter, as the observer's list tells it. */
async function tickOf(place) {
  const listing = place.start("omni-observer", ["list", "--json", "--directory", place.directory]);
  await listing.ended;
  return JSON.parse(listing.stdout).tick;
}

test("--realtime: SCHED_FIFO for loop and sensors, the loop alone kept on one CPU, all memory locked", permitted, async (t) => {
  const place = await openPlace(t);
  const mine = await cpusOf(process.pid);
  const robot = await place.startRobot({ args: ["--realtime"] });
  const [sensor] = await until("its sensor thread runs", async () => { const threads = await threadsOf(robot.pid); return threads.length > 0 && threads; });
  const loop = await until("the loop is where it shall be", async () => { const cpus = await cpusOf(robot.pid); return (/^\d+$/.test(cpus) || !/[-,]/.test(mine)) && { cpus, ...(await statOf(robot.pid)) }; });
  assert.deepEqual([loop.policy, loop.priority], [SCHED_FIFO, 50]);
  const { policy, priority } = await statOf(robot.pid, sensor);
  assert.deepEqual([policy, priority], [SCHED_FIFO, 40]);
  assert.equal(await cpusOf(robot.pid, sensor), mine, "the sensor thread goes where there is room");
  const locked = await robot.memory("VmLck");
  assert.ok(locked >= (await robot.memory("VmRSS")) / 2 && locked > 0, `${locked} KiB are locked`);
});

test("--realtime: no page is missing once the loop runs", permitted, async (t) => {
  const place = await openPlace(t);
  const robot = await place.startRobot({ args: ["--realtime", "--tick-hz", "500"] });
  const first = await tickOf(place);
  await until("it has run for a while", async () => (await tickOf(place)) > first + 500, 50);
  const { faults } = await statOf(robot.pid);
  const before = await tickOf(place);
  await until("a thousand ticks more", async () => (await tickOf(place)) > before + 1000, 100);
  assert.equal((await statOf(robot.pid)).faults, faults, "page faults of the loop's thread in a thousand ticks");
});

test("--realtime-cpu chooses the CPU, or none; what is no CPU is refused", permitted, async (t) => {
  const place = await openPlace(t);
  const mine = await cpusOf(process.pid);
  const first = /^\d+/.exec(mine)[0];
  const chosen = await place.startRobot({ name: "chosen", args: ["--realtime", "--realtime-cpu", first] });
  await until("it is there", async () => (await cpusOf(chosen.pid)) === first);
  const any = await place.startRobot({ name: "any", args: ["--realtime", "--realtime-cpu", "any"] });
  await until("it ticks", async () => (await threadsOf(any.pid)).length > 0);
  assert.equal(await cpusOf(any.pid), mine);
  for (const [cpu, pattern] of [["1023", /--realtime-cpu 1023: no CPU that this process may use/], ["-1", /not a CPU's number/], ["fast", /not a CPU's number/]]) {
    const robot = place.start("omni-robot", ["--directory", place.directory, "--realtime", `--realtime-cpu=${cpu}`]);
    assert.equal((await robot.ended).code, 2);
    assert.match(robot.stderr, pattern);
  }
  const without = place.start("omni-robot", ["--directory", place.directory, "--realtime-cpu", "0"]);
  assert.equal((await without.ended).code, 2);
  assert.match(without.stderr, /--realtime-cpu needs --realtime/);
});
