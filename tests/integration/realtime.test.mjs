// What --realtime does to the real robot, as the kernel tells it; and what --self-test says of a machine.

import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";

import { BUILD, Program, ROOT, openPlace, until } from "./support.mjs";

const SCHED_FIFO = 1;
const LAUNCH = [join(ROOT, "scripts/launch"), BUILD, join(BUILD, "omni-robot")];
const [LAUNCHER, ...ROBOT] = LAUNCH;

const HIGHEST = 50; // what the unit grants; a unit test compares the program's own with it

/** Whether SCHED_FIFO is permitted here at all. */
const mayBeRealtime = spawnSync("chrt", ["--fifo", String(HIGHEST), "true"]).status === 0;
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
  assert.deepEqual([loop.policy, loop.priority], [SCHED_FIFO, 48]);
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

test("--realtime: what shows life while the board closes is not kept on the loop's CPU", permitted, async (t) => {
  const place = await openPlace(t);
  const mine = await cpusOf(process.pid);
  const hold = join(place.directory, "hold-close");
  await writeFile(hold, "");
  const robot = place.start("omni-robot", [
    ...["--board", `driver:${join(BUILD, "tests/drivers/recorder.so")}`, "--driver-config", place.directory],
    ...["--realtime", "--region", `file:${join(place.directory, "region")}`],
  ]);
  await robot.says(/ runs: /, "stderr");
  await until("it ticks", async () => (await readFile(join(place.directory, "log"), "utf8")).includes(" motors "));
  robot.child.kill("SIGTERM");
  await until("it closes", async () => (await readFile(join(place.directory, "log"), "utf8")).includes(" close"));
  const [life, ...others] = await threadsOf(robot.pid);
  assert.deepEqual(others, []);
  const { policy, priority } = await statOf(robot.pid, life);
  assert.deepEqual([policy, priority], [SCHED_FIFO, 49], "above a driver that never sleeps");
  assert.equal(await cpusOf(robot.pid, life), mine);
  await rm(hold);
  assert.deepEqual(await robot.ended, { code: 0, signal: null }, robot.stderr);
});

test("--realtime-cpu chooses the CPU, or none; what is no CPU is refused", permitted, async (t) => {
  const place = await openPlace(t);
  const mine = await cpusOf(process.pid);
  const first = /^\d+/.exec(mine)[0];
  const chosen = await place.startRobot({ name: "chosen", args: ["--realtime", "--realtime-cpu", first] });
  await until("it is there", async () => (await cpusOf(chosen.pid)) === first);
  const any = await place.startRobot({ name: "any", args: ["--realtime", "--realtime-cpu", "any"] });
  await any.says(/ runs: /, "stderr"); // which it says when its CPU is set
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

/* ---- --self-test ---- */

/** A self-test in a process that was changed before, by a prefix such as prlimit's. */
async function selfTest(place, prefix = [], args = ["--tick-hz", "50"]) {
  const [command, ...words] = [...prefix, LAUNCHER, ...ROBOT, "--self-test", "--self-test-seconds", "1", ...args];
  const child = spawn(command, words, { stdio: ["ignore", "pipe", "pipe"] });
  const program = new Program(child, "omni-robot --self-test");
  place.programs.push(program);
  const { code } = await program.ended;
  assert.equal(program.stderr, "");
  const lines = program.stdout.split("\n");
  const line = (what) => lines.findIndex((text) => text.slice(9).startsWith(what));
  return {
    code,
    text: program.stdout,
    /** { verdict, text, remedy } of one finding. */
    of: (what) => {
      const at = line(what);
      assert.ok(at >= 0, `${what} in ${program.stdout}`);
      return { verdict: lines[at].split(" ")[0], text: lines[at].slice(21), remedy: /^ +do: (.*)/.exec(lines[at + 1])?.[1] };
    },
    missing: lines.filter((text) => text.startsWith("missing")).length,
  };
}

/** What takes root's rights away, and gives limits instead. */
const ordinary = (limits) => ["prlimit", ...limits, "setpriv", "--bounding-set", "-sys_nice,-ipc_lock", "--inh-caps", "-all"];
const takesRoot = { skip: process.getuid() === 0 && spawnSync("setpriv", ["--version"]).status === 0 ? undefined : "it takes root, prlimit and setpriv" };

test("--self-test: a machine that permits nothing is told line by line, with what to type", takesRoot, async (t) => {
  const place = await openPlace(t);
  const report = await selfTest(place, ordinary(["--rtprio=0", "--memlock=65536"]));
  const scheduling = report.of("scheduling");
  assert.equal(scheduling.verdict, "missing");
  assert.match(scheduling.text, /SCHED_FIFO is refused: no CAP_SYS_NICE, and priorities only up to 0/);
  assert.match(scheduling.remedy, /^sudo setcap cap_sys_nice,cap_ipc_lock\+ep \S*omni-robot \(a systemd unit: LimitRTPRIO=50\)$/);
  const memory = report.of("memory");
  assert.equal(memory.verdict, "missing");
  assert.match(memory.text, /only 64 KiB may be locked/);
  assert.match(memory.remedy, /LimitMEMLOCK=infinity/);
  assert.equal(report.code, 1);
});

// A container's root often may not.
const mayRaise = spawnSync("prlimit", [`--rtprio=${HIGHEST}`, "--memlock=unlimited", "true"]).status === 0;
const raising = { skip: takesRoot.skip ?? (mayRaise ? undefined : "the hard limits of real-time priority and locked memory cannot be raised here") };

test("--self-test: limits as the unit sets them are enough, without any capability", raising, async (t) => {
  const place = await openPlace(t);
  const report = await selfTest(place, ordinary([`--rtprio=${HIGHEST}`, "--memlock=unlimited"]), ["--tick-hz", "1"]);
  for (const what of ["scheduling", "memory", "CPUs"]) assert.equal(report.of(what).verdict, "well", report.text);
  assert.equal(report.code, report.missing > 0 ? 1 : 0);
});

test("--self-test measures: every tick of the time is in the histogram, and nothing is published", async (t) => {
  const place = await openPlace(t);
  const report = await selfTest(place, ["env", `OMNI_DIRECTORY=${place.directory}`], ["--tick-hz", "200"]);
  const { text } = report.of("jitter");
  const [, worst, ticks, leftOut] = /^worst (\d+) µs, half of (\d+) ticks within .* (\d+) left out$/.exec(text).map(Number);
  assert.ok(ticks + leftOut >= 200, text);
  const rows = [...report.text.matchAll(/^ +(?:less|longer) than +(\d+) µs +(\d+) ?#*$/gm)];
  assert.equal(rows.reduce((sum, [, , count]) => sum + Number(count), 0), ticks, report.text);
  assert.ok(rows.length > 0 && Number(rows.at(-1)[1]) >= Math.min(worst, 1 << 19), report.text);
  for (const what of ["kernel", "clock", "throttling", "frequency"]) report.of(what);
  assert.equal(report.code, report.missing > 0 ? 1 : 0);
  assert.deepEqual(await readdir(place.directory), []);
});

test("--self-test: a signal ends it early, with what was measured till then", async (t) => {
  const place = await openPlace(t);
  const program = place.start("omni-robot", ["--self-test", "--self-test-seconds", "600"]);
  await program.says(/measuring for 600 s/);
  program.child.kill("SIGINT");
  const { signal } = await program.ended;
  assert.equal(signal, null);
  assert.match(program.stdout, /jitter +worst/);
});
