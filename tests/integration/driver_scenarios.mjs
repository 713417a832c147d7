// What a robot promises of its driver, whatever CPU that is for and wherever it runs: each function here adds the tests for
// one kind of driver. tests/drivers/recorder.c gives readings that are known in advance and writes down its calls.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, rmSync } from "node:fs";
import { mkdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import { BUILD, ROOT, openPlace, until } from "./support.mjs";

const HZ = 50;

/** Ticks that come while no host is there; a loop that waited for each of them would not come so far in a test's patience. */
const ALONE = 50;

/** A driver of the build folder of that CPU; undefined: of this one. */
export function driver(name, arch) {
  return join(arch ? join(ROOT, "build", arch) : BUILD, "tests/drivers", `${name}.so`);
}

/** A robot with the recorder, and its every tick. */
class Session {
  constructor(place, robot, dump) {
    Object.assign(this, { place, robot, dump, parsed: 0, ticks: [], seen: 0 });
  }

  /** Every tick until now: { tick, monotonic, ...values }. None may be lost. */
  read() {
    const text = this.dump.stdout;
    for (let end; (end = text.indexOf("\n", this.parsed)) >= 0; this.parsed = end + 1) {
      const { tick, monotonic, gap, values } = JSON.parse(text.slice(this.parsed, end));
      assert.equal(gap, undefined, "ticks are lost");
      this.ticks.push({ tick, monotonic, ...values });
    }
    return this.ticks;
  }

  /** The first tick after the one that was seen last which `accept` likes. */
  async see(what, accept) {
    return until(what, () => {
      if (!this.robot.isRunning) assert.fail(`the robot ended: ${this.robot.stderr}`);
      this.read();
      while (this.seen < this.ticks.length) if (accept(this.ticks[this.seen++])) return this.ticks[this.seen - 1];
      return undefined;
    });
  }

  /** Calls that the driver wrote down: { process, call }. */
  async log() {
    const text = await readFile(join(this.place.directory, "log"), "utf8").catch(() => "");
    return text.split("\n").slice(0, -1).map((line) => {
      const [, process, call] = /^(\d+) (.*)$/.exec(line);
      return { process: Number(process), call };
    });
  }

  /** The host that has the driver now, by what the robot said. */
  get host() {
    return Number(this.robot.stderr.match(/open in process \d+/g).at(-1).split(" ").at(-1));
  }

  shall(what) {
    return writeFile(join(this.place.directory, what), "");
  }

  shallNot(what) {
    return rm(join(this.place.directory, what));
  }

  /** Each tick came, in its turn, and said whether its driver had answered. How long a tick took says as much of the machine;
   * what the loop asks to wait for is traced in driver.test.mjs. */
  assertThatItTicked() {
    const ticks = this.read();
    for (let i = 1; i < ticks.length; i++) {
      assert.equal(ticks[i].tick, ticks[i - 1].tick + 1);
      const more = ticks[i].driver_silent - ticks[i - 1].driver_silent;
      assert.ok(more === 0 || more === 1, `tick ${ticks[i].tick}: ${more} ticks without an answer since the one before`);
    }
  }

  /** The loop ticks on, for long, while there is no host that is open; and says of each tick that nobody has answered. */
  async seeItAlone() {
    const { tick: now } = this.read().at(-1);
    const last = await this.see("it ticks without a host", ({ tick }) => tick > now + ALONE);
    const first = this.ticks.find(({ tick }) => tick === now);
    assert.equal(last.driver_silent - first.driver_silent, last.tick - first.tick);
    assert.deepEqual([last.sensors, last.motor_power], [[0, 0, 0, 0, 0], [0, 0, 0]]);
  }
}

/** What scripts/launch needs. */
export const LAUNCHER = ["bash", "env", "awk", "basename", "dirname", "uname"];

/** A PATH on which there are these programs and no others. */
export async function pathOf(place, programs) {
  const folder = join(place.directory, "bin");
  await mkdir(folder);
  const folders = process.env.PATH.split(":");
  for (const program of programs)
    await symlink(folders.map((name) => join(name, program)).find((file) => existsSync(file)), join(folder, program));
  return folder;
}

/** Ends the hosts that a robot has told of; none is left but where a test fails. */
function endHosts(robot) {
  for (const [, pid] of robot.stderr.matchAll(/open in process (\d+)/g)) endHost(Number(pid));
}

function endHost(pid) {
  if (isHost(pid)) process.kill(pid, "SIGKILL");
}

/** A list of hosts that end with the test. Before its place, which waits for all that hold its pipes. */
function endAfter(t) {
  const hosts = [];
  t.after(() => hosts.forEach(endHost));
  return hosts;
}

/** Whether that process is a driver's host still: its number may be somebody else's by now. */
function isHost(pid) {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").includes("omni-driver-host");
  } catch {
    return false;
  }
}

/** What is different between kinds: `arch` of the driver, `robotArch` of the robot, `args` of the robot. */
export async function startSession(t, { arch, robotArch, args = [], isHosted }, { hz = HZ, before = [] } = {}) {
  const started = [];
  t.after(() => started.forEach(endHosts)); // before the place is closed, which waits for all that hold its pipes
  const place = await openPlace(t);
  for (const what of before) await writeFile(join(place.directory, what), "");
  const board = ["--board", `driver:${driver("recorder", arch)}`, "--driver-config", place.directory];
  const robot = await place.startRobot({ args: [...board, "--tick-hz", String(hz), ...args], arch: robotArch });
  started.push(robot);
  const dump = place.start("omni-observer", ["dump", "robot", "--directory", place.directory]);
  const session = new Session(place, robot, dump);
  if (isHosted && before.length === 0) await robot.says(/open in process \d+/, "stderr");
  return session;
}

/** Whether a process is there, and no zombie that only waits for its parent's attention. */
export function isAlive(pid) {
  try {
    return readFileSync(`/proc/${pid}/stat`, "utf8").split(") ").at(-1)[0] !== "Z";
  } catch {
    return false;
  }
}

/** The processes of the recorder that hang, by its log. */
export async function hangingIn(place) {
  const text = await readFile(join(place.directory, "log"), "utf8").catch(() => "");
  return [...text.matchAll(/^(\d+) hang$/gm)].map(([, pid]) => Number(pid));
}

/** As in /proc/PID/stat, which proc(5) describes. */
export function schedulingOf(pid) {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ").at(-1).split(" ");
  return { priority: Number(fields[37]), policy: Number(fields[38]) };
}

/** The number of the reading that a tick shows, which all sensors agree upon; undefined where it shows none. */
function readingOf({ sensors, tick }) {
  if (sensors.every((range) => range === 0)) return undefined;
  const n = sensors[0] - 100;
  sensors.forEach((range, i) => assert.equal(range, n + 100 * (i + 1), `tick ${tick}`));
  return n;
}

/** Whether the one list is the other with some left out. */
function isPartOf(part, whole) {
  let at = 0;
  for (const item of whole) if (item === part[at]) at++;
  return at === part.length;
}

/** A driver that does what it should, in the robot or in a host. */
export function goodDays(kind, options) {
  test(`${kind.name}: what it reads is what the robot publishes, what the robot decides is what it is told`, options, async (t) => {
    const session = await startSession(t, kind);
    await session.see("it drives", ({ tick, motor_power: powers }) => tick > 60 && powers.some((power) => power !== 0));
    assert.deepEqual(await session.robot.stop(), { code: 0, signal: null }, session.robot.stderr);
    assert.deepEqual(await session.dump.ended, { code: 0, signal: null }, session.dump.stderr);

    // One reading a tick; where the host was late (this machine was busy), the tick says so, and the next one catches up.
    const ticks = session.read();
    let exact = 0;
    for (let i = 2; i < ticks.length; i++) {
      const [before, now] = [readingOf(ticks[i - 1]), readingOf(ticks[i])];
      if (ticks[i].driver_silent !== ticks[i - 2].driver_silent || before === undefined) continue;
      assert.equal(now, before + 1, `tick ${ticks[i].tick}`);
      exact++;
    }
    assert.ok(exact > 0 && (kind.isHosted || exact === ticks.length - 2), `${exact} of ${ticks.length}`);

    const log = await session.log();
    assert.equal(new Set(log.map(({ process }) => process)).size, 1);
    assert.equal(log[0].process === session.robot.pid, !kind.isHosted);
    const calls = log.map(({ call }) => call);
    const decided = ticks.map(({ motor_power: powers }) => `motors ${powers.join(" ")}`);
    assert.equal(calls[0], "open");
    assert.deepEqual(calls.slice(-2), ["motors 0 0 0", "close"]);
    assert.ok(isPartOf(calls.slice(1, -2), decided), `${calls}\n${decided}`);
    if (ticks.at(-1).driver_silent === 0) assert.equal(calls.length - 3, decided.length);
    if (kind.isHosted) assert.equal(isAlive(log[0].process), false);
  });

  test(`${kind.name}: without new readings it drives slower, then stands still; then it goes on`, options, async (t) => {
    const session = await startSession(t, kind);
    await session.see("it sees", ({ sensor_mode: mode }) => mode === "fresh");
    await session.shall("quiet");
    await session.see("it is late", ({ sensor_mode: mode }) => mode === "late");
    const { bot_mode: mode, motor_power: powers } = await session.see("it is silent", ({ sensor_mode: mode }) => mode === "silent");
    assert.deepEqual([mode, powers], ["waiting", [0, 0, 0]]);
    await session.shallNot("quiet");
    await session.see("it sees again", ({ sensor_mode: mode }) => mode === "fresh");
    assert.equal(session.ticks.at(-1).driver_restarts, 0);
  });

  test(`${kind.name}: motors that refuse end the robot, with the reason`, options, async (t) => {
    const session = await startSession(t, kind);
    await session.see("it ticks", () => true);
    await session.shall("refuse");
    assert.deepEqual(await session.robot.ended, { code: 1, signal: null });
    assert.match(session.robot.stderr, /refused the motors' powers: Input\/output error/);
  });

  test(`${kind.name}: hardware that is not there is told at the start`, options, async (t) => {
    const place = await openPlace(t);
    await writeFile(join(place.directory, "fail-open"), "");
    const board = ["--board", `driver:${driver("recorder", kind.arch)}`, "--driver-config", place.directory];
    const robot = place.start("omni-robot", ["--directory", place.directory, ...board, ...(kind.args ?? [])], { arch: kind.robotArch });
    assert.deepEqual(await robot.ended, { code: 2, signal: null });
    assert.match(robot.stderr, /^the driver .*recorder\.so cannot open its hardware: Input\/output error\n$/);
  });

  test(`${kind.name}: a driver of another version is refused, with both numbers`, options, async (t) => {
    const place = await openPlace(t);
    const start = (name) =>
      place.start("omni-robot", ["--directory", place.directory, "--board", `driver:${driver(name, kind.arch)}`, ...(kind.args ?? [])], { arch: kind.robotArch });
    const other = start("other_version");
    assert.deepEqual(await other.ended, { code: 2, signal: null });
    assert.match(other.stderr, /^\S+other_version\.so is a driver of version 7, this robot takes version 1: build it with .*\n$/);
    const half = start("half");
    assert.deepEqual(await half.ended, { code: 2, signal: null });
    assert.match(half.stderr, /half\.so is no complete driver: a function is missing/);
  });
}

/** Whether robots may run in real time here: then a busy machine does not disturb their loops. */
export function mayBeRealtime() {
  const [program, args] = [join(BUILD, "omni-robot"), ["--realtime", "--ticks", "1", "--name", `may-${process.pid}`, "--directory", tmpdir()]];
  const { status } = spawnSync(program, args, { stdio: "ignore" });
  for (const prefix of ["omni.", "omni-lock.", "omni-sleepers."]) rmSync(join(tmpdir(), `${prefix}may-${process.pid}`), { force: true });
  return status === 0;
}

/** What may happen to a host. */
export function badDays(plain, options) {
  const isRealtime = !options.skip && mayBeRealtime();
  const kind = isRealtime ? { ...plain, args: [...(plain.args ?? []), "--realtime"] } : plain;
  if (!isRealtime && !options.skip)
    test(`${plain.name}: all that may happen to its host, with --realtime`, { skip: "robots may not run in real time here; what follows is without it" });
  const untilItWorks = async (session, restarts) => {
    const mended = await session.see("it works again", (tick) => tick.driver_restarts >= restarts && tick.sensor_mode === "fresh");
    await session.see("it goes on", ({ tick }) => tick > mended.tick + 10);
    return mended;
  };

  test(`${kind.name}: its host is killed, and killed again, and crashes: the loop ticks on, and it works again`, options, async (t) => {
    const session = await startSession(t, kind);
    for (const restarts of [1, 2]) {
      await session.see("it sees", ({ sensor_mode: mode }) => mode === "fresh");
      const killed = session.host;
      process.kill(killed, "SIGKILL");
      // Before, a reading that is fresh may still be the killed one's.
      await until("another host is open", () => session.host !== killed);
      await untilItWorks(session, restarts);
    }
    await session.shall("crash");
    await session.robot.says(/its host was killed by signal 6 .*next try in 0\.2 s/, "stderr");
    await session.shallNot("crash");
    await untilItWorks(session, 3);
    session.assertThatItTicked();
    const said = session.robot.stderr.match(/its host was killed by signal 9 .*; next try (at once|in 0\.\d s)/g);
    assert.deepEqual(said?.map((line) => line.split("; next try ")[1]), ["at once", "in 0.1 s"]);
    const { driver_restarts: restarts, driver_silent: silent } = session.ticks.at(-1);
    assert.equal(restarts, 3);
    assert.ok(silent > 0);
    assert.equal((await session.log()).filter(({ call }) => call === "open").length, 4);
  });

  for (const [what, hang, end] of [
    ["stopped", (session) => process.kill(session.host, "SIGSTOP"), () => {}],
    ["in a call that spins", (session) => session.shall("spin"), (session) => session.shallNot("spin")],
    ["in a call that never returns", (session) => session.shall("hang"), (session) => session.shallNot("hang")],
  ])
    test(`${kind.name}: its host hangs, ${what}: sensors silent, motors at zero, then it works again`, options, async (t) => {
      const session = await startSession(t, kind);
      await session.see("it sees", ({ sensor_mode: mode }) => mode === "fresh");
      const hung = session.host;
      await hang(session);
      await session.robot.says(/its host did not answer and is ended; next try at once/, "stderr");
      await end(session);
      await untilItWorks(session, 1);
      session.assertThatItTicked();
      assert.equal(isAlive(hung), false);
      const silent = session.ticks.filter(({ sensor_mode: mode }) => mode === "silent");
      assert.ok(silent.length > 0);
      for (const { sensors, motor_power: powers, bot_mode: mode } of silent)
        assert.deepEqual([sensors, powers, mode], [[0, 0, 0, 0, 0], [0, 0, 0], "waiting"]);
    });

  test(`${kind.name}: a driver that crashes whenever it is opened is tried more and more seldom, and the loop ticks on`, options, async (t) => {
    const session = await startSession(t, kind, { before: ["crash-open"] });
    await session.robot.says(/its host was killed by signal 6 .* before it was open; next try in 0\.4 s/, "stderr");
    const pauses = session.robot.stderr.match(/next try .*/g);
    assert.deepEqual(pauses, ["at once", "in 0.1 s", "in 0.2 s", "in 0.4 s"].map((when) => `next try ${when}.`));
    await session.see("restarts are counted", ({ driver_restarts: restarts }) => restarts === 3);
    assert.ok(session.read().every(({ sensor_mode: mode }) => mode === "starting" || mode === "silent"));
    await session.seeItAlone();
    await session.shallNot("crash-open");
    await untilItWorks(session, 4);
    session.assertThatItTicked();
  });

  test(`${kind.name}: while the next host hangs in open(), the loop ticks on`, options, async (t) => {
    const session = await startSession(t, kind);
    await session.see("it sees", ({ sensor_mode: mode }) => mode === "fresh");
    await session.shall("hang-open");
    await session.shall("hang");
    const next = await until("the next host hangs", async () => (await hangingIn(session.place))[1]);
    assert.notEqual(next, session.host);
    await session.see("it is silent", ({ sensor_mode: mode }) => mode === "silent");
    await session.seeItAlone();
    session.assertThatItTicked();
    assert.deepEqual(await session.robot.stop(), { code: 0, signal: null }, session.robot.stderr);
    assert.equal(isAlive(next), false);
  });

  test(`${kind.name}: a driver that is late each time still serves`, options, async (t) => {
    const session = await startSession(t, kind, { hz: 100, before: ["slow"] });
    // More than a tick may wait, less than a period.
    await session.see("readings come", ({ sensor_mode: mode }) => mode === "fresh");
    const first = await session.see("late ticks are counted", ({ driver_silent: silent }) => silent > 20);
    assert.equal(first.driver_restarts, 0);
    await session.see("and it drives", ({ motor_power: powers }) => powers.some((power) => power !== 0));
    await until("the motors are told", async () => (await session.log()).some(({ call }) => /^motors .*[1-9]/.test(call)));
    session.assertThatItTicked();
  });

  test(`${kind.name}: a driver that cuts short what it shares with the robot, or takes it away, harms nobody but itself`, options, async (t) => {
    const session = await startSession(t, kind);
    await session.see("it sees", ({ sensor_mode: mode }) => mode === "fresh");
    const says = (what) => until(`the driver has ${what}`, async () => (await session.log()).find(({ call }) => call.startsWith(what)));
    await session.shall("cut");
    const { call: cut } = await says("cut");
    await session.shallNot("cut");
    assert.match(cut, /^cut 0 of [1-9]/); // what it shares with the robot is among them, and nothing can be cut
    const works = async () => {
      const { tick: now } = session.read().at(-1);
      await session.see("it works", ({ tick, sensor_mode: mode }) => tick > now + 10 && mode === "fresh");
    };
    await works();
    await session.shall("punch");
    const { call: punched } = await says("punched");
    await session.shallNot("punch");
    assert.match(punched, /^punched [1-9]/);
    await works();
    session.assertThatItTicked();
  });

  test(`${kind.name}: a robot that is killed leaves no host behind, and its motors are stopped`, options, async (t) => {
    const session = await startSession(t, kind);
    await session.see("it drives", ({ motor_power: powers }) => powers.some((power) => power !== 0));
    const { host } = session;
    if (kind.args?.includes("--realtime")) assert.deepEqual(schedulingOf(host), { priority: 39, policy: 1 }, "SCHED_FIFO");
    session.robot.child.kill("SIGKILL");
    await until("the host has ended", () => !isAlive(host));
    assert.deepEqual((await session.log()).slice(-2).map(({ call }) => call), ["motors 0 0 0", "close"]);
  });

  test(`${kind.name}: nor does it where the driver hangs`, options, async (t) => {
    const session = await startSession(t, kind);
    await session.see("it sees", ({ sensor_mode: mode }) => mode === "fresh");
    const { host } = session;
    await session.shall("hang");
    // The robot's own verdict takes 250 ms: it dies before that.
    await until("the host hangs", async () => (await session.log()).some(({ call }) => call === "hang"), 1);
    session.robot.child.kill("SIGKILL");
    await until("the host has ended", () => !isAlive(host));
    assert.equal((await session.log()).at(-1).call, "hang");
  });

  // Whatever the driver has taken from its host: signals, descriptors.
  for (const [what, before] of [
    ["has taken all signals for itself and hangs", ["deaf", "hang"]],
    ["has taken all signals and descriptors and hangs", ["deaf", "shut", "hang"]],
    ["has taken all signals and hangs in open()", ["deaf", "hang-open"]],
  ])
    test(`${kind.name}: a robot that is killed leaves no host behind whose driver ${what}`, options, async (t) => {
      const left = endAfter(t);
      const place = await openPlace(t);
      for (const name of before) await writeFile(join(place.directory, name), "");
      const board = ["--board", `driver:${driver("recorder", kind.arch)}`, "--driver-config", place.directory];
      const robot = place.start("omni-robot", ["--directory", place.directory, ...board, ...(kind.args ?? [])], { arch: kind.robotArch });
      const host = await until("the host hangs", async () => (await hangingIn(place))[0], 1);
      left.push(host);
      robot.child.kill("SIGKILL");
      await until("the host has ended", () => !isAlive(host));
    });

  test(`${kind.name}: a driver that has taken all signals, but answers, stops its motors when the robot is killed; what it started ends, too`, options, async (t) => {
    const left = endAfter(t);
    const session = await startSession(t, kind, { before: ["deaf", "helper"] });
    await session.see("it drives", ({ motor_power: powers }) => powers.some((power) => power !== 0));
    const log = await session.log();
    const [host, helper] = ["open", "helper"].map((what) => log.find(({ call }) => call === what).process);
    left.push(helper);
    assert.ok(isAlive(helper) && helper !== host);
    session.robot.child.kill("SIGKILL");
    await until("the host has ended", () => !isAlive(host));
    await until("what it started has ended", () => !isAlive(helper));
    assert.deepEqual((await session.log()).slice(-2).map(({ call }) => call), ["motors 0 0 0", "close"]);
  });

  test(`${kind.name}: a host that hangs does not keep the robot from ending`, options, async (t) => {
    const session = await startSession(t, kind);
    await session.see("it sees", ({ sensor_mode: mode }) => mode === "fresh");
    process.kill(session.host, "SIGSTOP");
    session.robot.child.kill("SIGTERM");
    assert.deepEqual(await session.robot.ended, { code: 0, signal: null });
    assert.equal(isAlive(session.host), false);
  });
}

/** kind: { name, arch (driver's), robotArch } of a driver in the robot itself. */
export function keepsItsRegion(kind, options) {
  test(`${kind.name} keeps its region while its driver, in the robot itself, takes long to open or to close`, options, async (t) => {
    const place = await openPlace(t);
    const region = `file:${join(place.directory, "region")}`;
    const log = () => readFile(join(place.directory, "log"), "utf8").catch(() => "");
    const args = ["--region", region, "--board", `driver:${driver("recorder", kind.arch)}`, "--driver-config", place.directory];
    const start = () => place.start("omni-robot", args, { arch: kind.robotArch });
    // Longer than it takes to be dead for others.
    const isKept = async () => {
      await sleep(2500);
      const second = place.start("omni-robot", ["--region", region, "--ticks", "3"]);
      assert.deepEqual(await second.ended, { code: 2, signal: null }, second.stderr);
      assert.match(second.stderr, /its publisher lives/);
    };
    await writeFile(join(place.directory, "hang-open"), "");
    const first = start();
    await until("it opens", async () => (await log()).includes("hang\n"));
    await isKept();
    await first.stop("SIGKILL");

    await rm(join(place.directory, "hang-open"));
    await writeFile(join(place.directory, "hold-close"), "");
    const robot = start();
    await robot.says(/runs: /, "stderr");
    robot.child.kill("SIGTERM");
    await until("it closes", async () => (await log()).includes("close\n"));
    const observer = place.start("omni-observer", ["dump", region]);
    await isKept();
    assert.ok(observer.isRunning, observer.stderr);
    await rm(join(place.directory, "hold-close"));
    assert.deepEqual(await robot.ended, { code: 0, signal: null }, robot.stderr);
    assert.deepEqual(await observer.ended, { code: 0, signal: null }, observer.stderr);
  });
}
