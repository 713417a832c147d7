// Hardware drivers from shared objects (--board driver:PATH.so), of this machine's own CPU: in the robot itself, and kept
// apart in a host process. What becomes of files that are no drivers. Other CPUs: foreign_driver.test.mjs.

import assert from "node:assert/strict";
import { execFile, spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { chmod, chown, copyFile, mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join, relative } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";

import { elf } from "./cpus.mjs";
import { LAUNCHER, badDays, driver, goodDays, hangingIn, isAlive, keepsItsRegion, mayBeRealtime, pathOf, schedulingOf, startSession } from "./driver_scenarios.mjs";
import { BUILD, ROOT, isReachable, openPlace, until } from "./support.mjs";

const options = { timeout: 120_000 };

const inside = { name: "a driver in the robot", isHosted: false };
const apart = { name: "a driver kept apart", isHosted: true, args: ["--isolate-driver"] };

goodDays(inside, options);
goodDays(apart, options);
badDays(apart, options);

const REFUSALS = [
  ["what is not there", undefined, /^--board driver:\S+driver\.so: No such file or directory: type the path of the driver's \.so file\n$/],
  ["a text", Buffer.from("not a driver\n"), /^\S+driver\.so is no ELF file: name a program or shared object that a linker made\n$/],
  ["an empty file", Buffer.alloc(0), /^\S+driver\.so is no ELF file: name a program or shared object that a linker made\n$/],
  ["an object file", elf({ machine: 243, type: 1 }), / is an ELF file, but no shared object: link it with -shared\n$/],
  ["one for a CPU of the other byte order", elf({ machine: 22, order: 2 }), / is for s390x, whose byte order is not that of this CPU .*: they cannot work together\n$/],
  ["one for a CPU without a host program", elf({ machine: 243 }), /^the driver is for riscv64, and there is no omni-driver-host for that CPU: type make install-driver-host ARCH=riscv64 /],
  ["one for a CPU that nobody knows", elf({ machine: 8 }), / is for a CPU that is not known here \(ELF machine 8\): build it for one of aarch64 armv7 .*x86_64\n$/],
];

for (const [what, content, sentence] of REFUSALS)
  test(`${what} is refused as a driver, with one sentence`, options, async (t) => {
    const place = await openPlace(t);
    const file = join(place.directory, "driver.so");
    if (content) await writeFile(file, content);
    const robot = place.start("omni-robot", ["--directory", place.directory, "--board", `driver:${file}`]);
    assert.deepEqual(await robot.ended, { code: 2, signal: null });
    assert.match(robot.stderr, sentence);
    assert.equal(robot.stderr.trimEnd().split("\n").length, 1);
  });

test("other mistakes with drivers are told as well", options, async (t) => {
  const place = await openPlace(t);
  const recorder = `driver:${driver("recorder")}`;
  for (const [args, sentence] of [
    [["--board", "driver"], /--board driver needs a path: --board driver:PATH\.so/],
    [["--board", "driver:"], /--board driver needs a path: --board driver:PATH\.so/],
    [["--board", "driver:misspelt.so"], /^--board driver:misspelt\.so: there is no such file, seen from \/\S+: type the path of the driver's \.so file\n$/],
    [["--board", `driver:${place.directory}`], /^--board driver:\S+: this is a folder: name the driver's file in it, as in --board driver:PATH\.so\n$/],
    [["--board", `driver:${place.directory}/`], /: this is a folder: /],
    [["--board", "driver:/dev/null"], /^\/dev\/null is no ELF file: /],
    [["--board", "sim:x"], /--board sim:x: no such board; there are: sim, gpio, driver:PATH\.so/],
    [["--board", recorder, "--lockstep"], /--lockstep: the board driver lives in real time/],
    [["--board", recorder, "--driver-host", "/nowhere/host"], /--driver-host: there is no program \/nowhere\/host/],
    [["--board", recorder, "--driver-host", driver("recorder")], /its host .* before it was open|cannot start/],
    [["--board", `driver:${join(BUILD, "tests/plugins/moody.so")}`], /moody\.so is no driver: it has no symbol omni_driver: define it as omni\/driver\.h says/],
    [["--board", `driver:${join(BUILD, "tests/plugins/moody.so")}`, "--isolate-driver"], /moody\.so is no driver: it has no symbol omni_driver: define it/],
  ]) {
    const robot = place.start("omni-robot", ["--directory", place.directory, ...args, "--ticks", "3"]);
    const { code } = await robot.ended;
    assert.match(robot.stderr, sentence);
    assert.ok(code === 2 || /before it was open/.test(robot.stderr), `${code} ${robot.stderr}`);
  }
});

test("a driver that this user may not read is told, with what to type", options, async (t) => {
  const place = await openPlace(t);
  const isRoot = process.getuid() === 0;
  const file = join(place.directory, "driver.so");
  await copyFile(driver("recorder"), file);
  await chmod(file, 0);
  await chmod(place.directory, 0o777);
  const words = [join(BUILD, "omni-robot"), "--directory", place.directory, "--board", `driver:${file}`];
  if (isRoot && !(await isReachable(words[0]))) return t.skip("other users cannot reach the build folder");
  const robot = isRoot
    ? place.start(relative(BUILD, "/usr/bin/env"), ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", ...words])
    : place.start("omni-robot", words.slice(1));
  assert.deepEqual(await robot.ended, { code: 2, signal: null }, robot.stderr);
  assert.match(robot.stderr, /^--board driver:\S+driver\.so: this user may not read it: make it readable \(chmod a\+r\), or start the robot as another user\n$/);
});

for (const args of [[], ["--isolate-driver"]])
  test(`a driver that needs a library which is not there is told, with what it needs${args.length ? "; in a host, too" : ""}`, options, async (t) => {
    const place = await openPlace(t);
    const [library, object, source] = ["libgone.so", "driver.so", "source.c"].map((name) => join(place.directory, name));
    const compile = promisify(execFile);
    await writeFile(source, "int gone(void) { return 0; }\n");
    await compile("cc", ["-shared", "-fPIC", "-Wl,-soname,libgone.so", "-o", library, source]);
    await writeFile(source, "int gone(void);\nint here(void) { return gone(); }\n");
    await compile("cc", ["-shared", "-fPIC", "-o", object, source, library]);
    await rm(library);
    const robot = startRefused(place, ["--board", `driver:${object}`, ...args]);
    assert.deepEqual(await robot.ended, { code: 2, signal: null }, robot.stderr);
    assert.match(robot.stderr, /^cannot load the driver \S+driver\.so: libgone\.so: cannot open shared object file: .*: ldd shows what it needs, LD_LIBRARY_PATH names the folders of that\n$/);
  });

/** Starts a robot with a driver that is to be refused at once. */
function startRefused(place, args, env) {
  return place.start("omni-robot", ["--directory", place.directory, "--driver-config", place.directory, ...args], { env });
}

test("a host program that cannot begin is told, with what may be missing", options, async (t) => {
  const place = await openPlace(t);
  const [library, host, source] = ["libgone.so", "host", "source.c"].map((name) => join(place.directory, name));
  const compile = promisify(execFile);
  await writeFile(source, "int gone(void) { return 0; }\n");
  await compile("cc", ["-shared", "-fPIC", "-o", library, source]);
  await writeFile(source, "int gone(void);\nint main(void) { return gone(); }\n");
  await compile("cc", ["-fPIE", "-pie", "-o", host, source, library]);
  const args = ["--board", `driver:${driver("recorder")}`, "--driver-host", host];

  // Runs, but is no host.
  const other = startRefused(place, args, { LD_LIBRARY_PATH: place.directory });
  assert.deepEqual(await other.ended, { code: 2, signal: null }, other.stderr);
  assert.match(other.stderr, /^\S+\/host ended with status 0 before it began: is it the omni-driver-host of this robot's release\?\n$/);

  // The loader's own words, then the robot's.
  await rm(library);
  const lacking = startRefused(place, args);
  assert.deepEqual(await lacking.ended, { code: 2, signal: null }, lacking.stderr);
  assert.match(lacking.stderr, /libgone\.so.*\n\S+\/host ended with status 127 before it began: are the libraries of \S+ there \(Debian: libc6 .*\)\?\n$/);
});

test("a CPU that needs an emulator which is not there is told, with the emulator's name", options, async (t) => {
  if (process.arch === "riscv64") return t.skip("this machine runs programs for riscv64 itself");
  if (existsSync("/proc/sys/fs/binfmt_misc/qemu-riscv64")) return t.skip("this kernel runs programs for riscv64 with an emulator of its own choice");
  const place = await openPlace(t);
  const [object, host] = ["driver.so", "host"].map((name) => join(place.directory, name));
  for (const file of [object, host]) await writeFile(file, elf({ machine: 243 }), { mode: 0o755 });
  const robot = startRefused(place, ["--board", `driver:${object}`, "--driver-host", host], { PATH: await pathOf(place, LAUNCHER) });
  assert.deepEqual(await robot.ended, { code: 2, signal: null }, robot.stderr);
  assert.match(robot.stderr, /^this CPU cannot run programs for riscv64, and there is no qemu-riscv64: install it \(Debian: qemu-user\)\n$/);
});

test("an installed robot finds the host program that was installed beside it", options, async (t) => {
  const place = await openPlace(t);
  const cpu = { x64: "x86_64", arm64: "aarch64", arm: "armv7" }[process.arch] ?? process.arch;
  const [bin, lib] = [join(place.directory, "bin"), join(place.directory, "lib/omniscient", cpu)];
  await mkdir(bin);
  await mkdir(lib, { recursive: true });
  await copyFile(join(BUILD, "omni-robot"), join(bin, "omni-robot"));
  const args = ["--directory", place.directory, "--board", `driver:${driver("recorder")}`, "--driver-config", place.directory, "--isolate-driver", "--ticks", "3"];
  const alone = place.start(relative(BUILD, join(bin, "omni-robot")), args);
  assert.deepEqual(await alone.ended, { code: 2, signal: null });
  assert.match(alone.stderr, /there is no omni-driver-host for that CPU: type make install-driver-host ARCH=/);
  await copyFile(join(BUILD, "omni-driver-host"), join(lib, "omni-driver-host"));
  const both = place.start(relative(BUILD, join(bin, "omni-robot")), args);
  assert.deepEqual(await both.ended, { code: 0, signal: null }, both.stderr);
  assert.match(both.stderr, /open in process \d+/);
});

test("a robot with a driver leaves nothing behind but its segment", options, async (t) => {
  const session = await startSession(t, apart);
  await session.see("it ticks", () => true);
  // Of a process group of its own: what a terminal's Ctrl-C ends is the robot, which then ends the host in order.
  const [, , group] = (await readFile(`/proc/${session.host}/stat`, "utf8")).split(") ").at(-1).split(" ");
  assert.equal(Number(group), session.host);
  await session.robot.stop();
  const left = (await readdir(session.place.directory)).filter((name) => name.startsWith("omni"));
  assert.deepEqual(left.sort(), ["omni-lock.robot", "omni-sleepers.robot", "omni.robot"]);
});

/** The system calls with which a thread may wait, or have to do with processes. */
const WAITS = ["futex", "nanosleep", "poll", "ppoll", "select", "pselect6", "wait4", "waitid", "kill", "tgkill", "vfork", "clone", "clone3", "execve"];

// How long a busy machine makes a wait says nothing; how long the loop asked to wait does.
for (const [what, name, hz, most, told] of [
  ["hangs", "hang", 10, 5_000_000, /its host did not answer and is ended/],
  ["hangs", "hang", 100, 5_000_000, /its host did not answer and is ended/],
  ["hangs", "hang", 1000, 500_000, /its host did not answer and is ended/],
  ["crashes", "crash", 100, 5_000_000, /its host was killed by signal 6 /],
  ["crashes whenever it is opened", "crash-open", 100, 5_000_000, /its host was killed by signal 6 .*next try in 0\.1 s/],
])
  test(`at ${hz} Hz the loop never asks to wait for longer than ${most / 1e6} ms for a driver that ${what}, nor for its host`, options, async (t) => {
    const refused = spawnSync("strace", ["-f", "-o", "/dev/null", "true"], { encoding: "utf8" });
    if (refused.status !== 0) return t.skip(`no program can be traced here: ${refused.error?.message ?? refused.stderr}`);
    const place = await openPlace(t);
    await writeFile(join(place.directory, name), "");
    const log = join(place.directory, "trace");
    const robot = place.start(relative(BUILD, "/usr/bin/env"), ["strace", "-f", "-e", `trace=${WAITS.map((call) => `?${call}`)}`, "-o", log,
      join(BUILD, "omni-robot"), "--directory", place.directory, "--board", `driver:${driver("recorder")}`, "--driver-config", place.directory, "--isolate-driver",
      "--tick-hz", String(hz), "--ticks", String(hz)]);
    assert.deepEqual(await robot.ended, { code: 0, signal: null }, robot.stderr);
    assert.match(robot.stderr, told);
    const lines = (await readFile(log, "utf8")).split("\n");
    const loop = /^\d+ /.exec(lines[0])[0]; // the robot's first thread
    const [, ...calls] = lines.filter((line) => line.startsWith(loop)).map((line) => line.slice(loop.length).trim());
    // The hand-off's words are shared with another process; what threads of one process wait for is private.
    const waits = calls.flatMap((call) => [/FUTEX_WAIT, \d+, \{tv_sec=(\d+), tv_nsec=(\d+)\}/.exec(call)]).filter(Boolean);
    const asked = waits.map(([, seconds, nanoseconds]) => Number(seconds) * 1e9 + Number(nanoseconds));
    assert.ok(asked.every((wait) => wait <= most), `${asked}`);
    if (hz === 10) assert.ok(asked.length > 0, "it does wait"); // at 1000 Hz a busy machine may leave nothing of the time
    // Others start hosts, wait for their ends, and are not waited for: it starts threads, and awaits theirs when all is over.
    // Whether standard error has room is asked for no time at all.
    const others = calls.filter((call) => !/^(futex\(|<\.\.\.|---|\+\+\+|clone3?\(.*CLONE_THREAD|poll\(\[\{fd=2, events=POLLOUT\}\], 1, 0[ )])/.test(call) || /FUTEX_WAIT_BITSET_PRIVATE/.test(call));
    assert.deepEqual(others, []);
  });

test("robots of one name, each on its region, have hosts of their own; and end at once while their drivers open", options, async (t) => {
  const place = await openPlace(t);
  await writeFile(join(place.directory, "hang-open"), "");
  const start = (region) =>
    place.start("omni-robot", ["--directory", place.directory, "--region", `file:${join(place.directory, region)}`,
      "--board", `driver:${driver("recorder")}`, "--driver-config", place.directory, "--isolate-driver"]);
  const robots = [start("first"), start("second")];
  const hosts = await until("both hosts hang", async () => {
    const pids = await hangingIn(place);
    return pids.length === 2 && pids;
  });
  assert.notEqual(hosts[0], hosts[1]);

  // Nobody publishes yet, but their regions are theirs: who shows no sign of life for 2 s is replaced.
  await sleep(2500);
  const third = start("first");
  assert.deepEqual(await third.ended, { code: 2, signal: null });
  assert.match(third.stderr, /its publisher lives/);

  for (const robot of robots) assert.deepEqual(await robot.stop(), { code: 0, signal: null }, robot.stderr);
  for (const host of hosts) assert.equal(isAlive(host), false);
});

keepsItsRegion({ name: "a robot" }, options);

test("a host gets real-time scheduling only when its driver is open, and no more than its bounds", options, async (t) => {
  if (!mayBeRealtime()) return t.skip("robots may not run in real time here");
  const place = await openPlace(t);
  await writeFile(join(place.directory, "hang-open"), "");
  const robot = place.start("omni-robot", ["--directory", place.directory, "--realtime", "--board", `driver:${driver("recorder")}`,
    "--driver-config", place.directory, "--isolate-driver"]);
  const [host] = await until("the host hangs", async () => (await hangingIn(place)).length > 0 && hangingIn(place));
  assert.deepEqual(schedulingOf(host), { priority: 0, policy: 0 }, "SCHED_OTHER");
  const limits = await readFile(`/proc/${host}/limits`, "utf8");
  assert.match(limits, /^Max realtime timeout +1000000 +1000000 /m);
  assert.ok(Number(/^Max realtime priority +\S+ +(\d+)/m.exec(limits)[1]) <= 39, limits);
  assert.deepEqual(await robot.stop(), { code: 0, signal: null }, robot.stderr);
});

/** A line of /proc/PID/status, in words. */
async function statusOf(pid, name) {
  const text = await readFile(`/proc/${pid}/status`, "utf8");
  return new RegExp(`^${name}:\\s+(.*)$`, "m").exec(text)[1].split(/\s+/);
}

/** A robot's programs and a driver, where every user may run and read them. */
async function openPublicPlace(t) {
  const place = await openPlace(t);
  await chmod(place.directory, 0o777);
  for (const program of ["omni-robot", "omni-driver-host"]) await copyFile(join(BUILD, program), join(place.directory, program));
  await copyFile(driver("recorder"), join(place.directory, "driver.so"));
  for (const name of ["omni-robot", "omni-driver-host", "driver.so"]) await chmod(join(place.directory, name), 0o755);
  return place;
}

const NOBODY = 65534;

/** Starts the copy of the robot, with the driver beside it, as that user and group would. */
function startAs(place, user, group, ...more) {
  const words = ["setpriv", `--reuid=${user}`, `--regid=${group}`, "--clear-groups", join(place.directory, "omni-robot"),
    "--directory", place.directory, "--board", `driver:${join(place.directory, "driver.so")}`, "--driver-config", place.directory, ...more];
  return place.start(relative(BUILD, "/usr/bin/env"), words);
}

const four = (id) => Array(4).fill(String(id)); // real, effective, saved, of files

// What the robot has (its effective ids), and what its host must not have. root is 0.
const PRIVILEGES = [
  ["a set-user-id bit", [0, 0, 0o4755], [NOBODY, NOBODY], { Uid: "0", Gid: String(NOBODY) }],
  ["a set-group-id bit", [0, 0, 0o2755], [NOBODY, NOBODY], { Uid: String(NOBODY), Gid: "0" }],
  ["both bits", [0, 0, 0o6755], [NOBODY, NOBODY], { Uid: "0", Gid: "0" }],
  ["both bits, of users that are not root", [NOBODY - 2, NOBODY - 2, 0o6755], [NOBODY, NOBODY], { Uid: String(NOBODY - 2), Gid: String(NOBODY - 2) }],
];

for (const [what, [owner, group, mode], caller, effective] of PRIVILEGES)
  test(`a robot with ${what} loads no driver into itself, and its host is its caller's`, options, async (t) => {
    if (process.getuid() !== 0) return t.skip("only root can make programs of other users here");
    const place = await openPublicPlace(t);
    await chown(join(place.directory, "omni-robot"), owner, group);
    await chmod(join(place.directory, "omni-robot"), mode);
    const robot = startAs(place, ...caller);
    const [, host] = await robot.says(/open in process (\d+)/, "stderr");
    assert.notEqual(Number(host), robot.pid);
    const [[, user], [, itsGroup]] = [await statusOf(robot.pid, "Uid"), await statusOf(robot.pid, "Gid")];
    if (user === String(NOBODY) && itsGroup === user) return t.skip("the folder for tests is mounted nosuid");
    assert.deepEqual({ Uid: user, Gid: itsGroup }, effective, "the robot has the privileges");
    assert.deepEqual(await statusOf(host, "Uid"), four(caller[0]));
    assert.deepEqual(await statusOf(host, "Gid"), four(caller[1]));
    for (const set of ["CapPrm", "CapEff", "CapInh", "CapAmb"]) assert.deepEqual(await statusOf(host, set), ["0000000000000000"], set);
    assert.doesNotMatch(await readFile(`/proc/${robot.pid}/maps`, "utf8"), /driver\.so/);
    assert.match(await readFile(`/proc/${host}/maps`, "utf8"), /driver\.so/);
    assert.deepEqual(await robot.stop(), { code: 0, signal: null }, robot.stderr);
    return undefined;
  });

test("a robot with capabilities of its file loads no driver into itself, and its host has none", options, async (t) => {
  if (process.getuid() !== 0) return t.skip("only root can give capabilities to a file");
  const place = await openPublicPlace(t);
  const refused = spawnSync("setcap", ["cap_sys_nice,cap_ipc_lock+ep", join(place.directory, "omni-robot")], { encoding: "utf8" });
  if (refused.status !== 0) return t.skip(`no file can be given capabilities here: ${refused.error?.message ?? refused.stderr}`);
  const robot = startAs(place, NOBODY, NOBODY);
  const [, host] = await robot.says(/open in process (\d+)/, "stderr");
  assert.notEqual(Number(host), robot.pid);
  const [itsOwn] = await statusOf(robot.pid, "CapEff");
  if (/^0+$/.test(itsOwn)) return t.skip("the folder for tests is mounted nosuid");
  assert.equal(itsOwn, "0000000000804000", "the robot has CAP_SYS_NICE and CAP_IPC_LOCK");
  for (const set of ["CapPrm", "CapEff", "CapInh", "CapAmb"]) assert.deepEqual(await statusOf(host, set), ["0000000000000000"], set);
  assert.deepEqual(await robot.stop(), { code: 0, signal: null }, robot.stderr);
  return undefined;
});

test("what the robot may read and its caller may not is no driver", options, async (t) => {
  if (process.getuid() !== 0) return t.skip("only root can make programs of other users here");
  const place = await openPublicPlace(t);
  await chmod(join(place.directory, "omni-robot"), 0o4755);
  await chmod(join(place.directory, "driver.so"), 0o600);
  const robot = startAs(place, NOBODY, NOBODY, "--ticks", "3");
  assert.deepEqual(await robot.ended, { code: 2, signal: null }, robot.stderr);
  assert.match(robot.stderr, /^--board driver:\S+driver\.so: this user may not read it: make it readable \(chmod a\+r\), or start the robot as another user\n$/);
});

test("a robot that was told to ignore its children's ends hears of them all the same", options, async (t) => {
  const place = await openPlace(t);
  const words = [join(BUILD, "omni-robot"), "--directory", place.directory, "--board", `driver:${driver("recorder")}`,
    "--driver-config", place.directory, "--isolate-driver"];
  const robot = place.start(relative(BUILD, "/usr/bin/env"), ["--ignore-signal=CHLD", ...words]);
  const [, host] = await robot.says(/open in process (\d+)/, "stderr");
  process.kill(Number(host), "SIGKILL");
  await robot.says(/its host was killed by signal 9/, "stderr");
  assert.deepEqual(await robot.stop(), { code: 0, signal: null });
});

test("the driver that the documentation shows is the example, and works in C++, too", options, async (t) => {
  const page = await readFile(join(ROOT, "docs/drivers.md"), "utf8");
  const [, shown] = /```c\n([^]*?)```/.exec(page);
  assert.equal(shown, await readFile(join(ROOT, "examples/driver_loopback.c"), "utf8"));

  const place = await openPlace(t);
  const [source, object] = [join(place.directory, "plain.cpp"), join(place.directory, "plain.so")];
  await writeFile(source, `
#include <omni/driver.h>
static int32_t open(void **, const char *) { return 0; }
static int32_t read(void *, omni_driver_reading *reading) { reading->range_mm[2] = 1234; return 0; }
static int32_t drive(void *, const omni_driver_powers *) { return 0; }
static void close(void *) {}
const struct omni_driver omni_driver = {OMNI_DRIVER_VERSION, 0, open, read, drive, close};
`);
  await promisify(execFile)("g++", ["-std=c++17", "-Wall", "-Wextra", "-Werror", `-I${join(BUILD, "include")}`, "-shared", "-fPIC", "-Wl,--as-needed", "-o", object, source]);
  const robot = place.start("omni-robot", ["--directory", place.directory, "--board", `driver:${object}`, "--ticks", "3"]);
  assert.deepEqual(await robot.ended, { code: 0, signal: null }, robot.stderr);
});
