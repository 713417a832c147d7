// list, watch and dump in scripts and pipes, against real publishers.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { copyFile, mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";

import { BUILD, openPlace, Program, ROOT, until } from "./support.mjs";

const options = { timeout: 120_000 };

/** Starts a command of the observer in the place's directory. */
function look(place, ...args) {
  return place.start("omni-observer", [...args, "--directory", place.directory]);
}

/** Runs one to its end. */
async function looked(place, ...args) {
  const command = look(place, ...args);
  const end = await command.ended;
  return { ...end, stdout: command.stdout, stderr: command.stderr };
}

/** Starts a pipeline of the shell, the observer's path in $OBSERVER and the place in $PLACE. */
function startPipe(place, line) {
  const child = spawn("bash", ["-c", `set -o pipefail; ${line}`], {
    env: { ...process.env, OBSERVER: join(BUILD, "omni-observer"), OMNI_DIRECTORY: place.directory },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const program = new Program(child, line);
  place.programs.push(program);
  return program;
}

/** The lines of JSON. */
function parse(text) {
  assert.ok(text === "" || text.endsWith("\n"), "whole lines only");
  return text.split("\n").slice(0, -1).map((line) => JSON.parse(line));
}

/** Fails where a tick is missing that no gap tells of. */
function assertAccounted(lines) {
  let expected = lines[0].tick;
  for (const line of lines) {
    if ("gap" in line) {
      assert.equal(line.from, expected);
      assert.equal(line.to - line.from + 1, line.gap);
      expected = line.to + 1;
    } else {
      assert.equal(line.tick, expected);
      expected++;
    }
  }
}

test("list names the sources and their states, for people and for programs", options, async (t) => {
  const place = await openPlace(t);
  const nothing = await looked(place, "list");
  assert.deepEqual([nothing.code, nothing.stdout], [0, ""]);
  assert.match(nothing.stderr, /no sources/);
  assert.equal((await looked(place, "list", "--quiet")).stderr, "");

  const robot = await place.startRobot();
  const dead = await place.startPublisher({ name: "dead" });
  const closed = await place.startPublisher({ name: "closed", args: ["--layout", "b"] });
  await dead.stop("SIGKILL");
  await closed.stop();
  await place.startPublisher({ name: "events", args: ["--no-period"] });
  const found = async (source) => parse((await looked(place, "list", "--json")).stdout).find(({ name }) => name === source);
  await until("the robot's rate is known", async () => (await found("robot")).rate > 0);
  await until("events have come", async () => (await found("events")).tick > 2);

  const { code, stdout } = await looked(place, "list", "--json");
  assert.equal(code, 0);
  const lines = parse(stdout);
  assert.deepEqual(lines.map(({ name, state, reason }) => [name, state, reason]).sort(), [
    ["closed", "stopped", "closed"],
    ["dead", "stopped", "died"],
    ["events", "live", ""],
    ["robot", "live", ""],
  ]);
  const live = lines.find(({ name }) => name === "robot");
  assert.equal(live.process, robot.pid);
  assert.equal(live.period, 10_000);
  assert.equal(live.owner, process.getuid());
  assert.equal(lines.find(({ name }) => name === "events").rate, null, "events have no rate");

  const table = (await looked(place, "list")).stdout.split("\n");
  assert.match(table[0], /^NAME\tSTATE\tRATE/);
  assert.equal(table.length, 6);
  assert.ok(table.some((line) => line.startsWith(`robot\tlive\t`) && line.split("\t").includes(String(robot.pid))));
});

test("dump gives every tick as a line, from the oldest that is there to the last", options, async (t) => {
  const place = await openPlace(t);
  const publisher = await place.startPublisher({ args: ["--period", "1000", "--ticks", "1200"] });
  const dump = look(place, "dump", "robot");
  await dump.says(/"tick":1200,/);
  await publisher.stop();
  assert.deepEqual(await dump.ended, { code: 0, signal: null });
  const lines = parse(dump.stdout);
  assert.deepEqual(lines.map(({ tick }) => tick), Array.from({ length: 1200 }, (_, i) => i + 1));
  for (const { tick, values } of lines) assert.equal(values.counter, tick);

  const some = await looked(place, "dump", "robot", "--count", "5");
  assert.equal(some.code, 0);
  assert.deepEqual(parse(some.stdout).map(({ tick }) => tick), [1, 2, 3, 4, 5]);
  const csv = await looked(place, "dump", "robot", "--format", "csv");
  const [head, ...rows] = csv.stdout.trimEnd().split(/\r?\n/);
  assert.match(head, /^tick,time,monotonic,counter,/);
  assert.equal(rows.length, 1200);
});

test("ticks that were lost are reported, exactly", options, async (t) => {
  const place = await openPlace(t);
  const publisher = await place.startPublisher({ args: ["--period", "1000"] });
  const dump = look(place, "dump", "robot");
  await dump.says(/"tick":/);
  const [live] = parse((await looked(place, "list", "--json")).stdout);
  dump.child.kill("SIGSTOP");
  await until("the ring was overwritten", async () => {
    const [now] = parse((await looked(place, "list", "--json")).stdout);
    return now.tick > live.tick + 2 * now.slots;
  });
  const table = look(place, "dump", "robot", "--format", "csv");
  dump.child.kill("SIGCONT");
  await dump.says(/"gap":/);
  await dump.says(/"gap":[^]*"tick":/);
  await table.says(/\n\d+,/);
  await publisher.stop();
  assert.equal((await dump.ended).code, 0);
  const lines = parse(dump.stdout);
  assertAccounted(lines);
  const gap = lines.find((line) => "gap" in line);
  assert.ok(gap.gap > live.slots / 2, `${gap.gap} ticks`);
});

test("a pipe that closes ends dump without a word", options, async (t) => {
  const place = await openPlace(t);
  await place.startPublisher({ args: ["--period", "1000"] });
  // The robot goes on: only the closed pipe can end this.
  const pipe = startPipe(place, '"$OBSERVER" dump robot | head -n 3');
  assert.deepEqual(await pipe.ended, { code: 0, signal: null }, pipe.stderr);
  assert.equal(parse(pipe.stdout).length, 3);
  assert.equal(pipe.stderr, "");
  // Also where it waits for ticks that do not come.
  await place.startPublisher({ name: "idle", args: ["--ticks", "5"] });
  const waiting = startPipe(place, '"$OBSERVER" dump idle | head -n 5');
  assert.deepEqual(await waiting.ended, { code: 0, signal: null }, waiting.stderr);
  const live = startPipe(place, '"$OBSERVER" watch robot --rate 50 | head -n 3');
  assert.deepEqual(await live.ended, { code: 0, signal: null }, live.stderr);
  const listed = startPipe(place, '"$OBSERVER" list | true');
  assert.deepEqual(await listed.ended, { code: 0, signal: null }, listed.stderr);
});

test("dump says how a publisher ended, and follows it where it is asked to", options, async (t) => {
  const place = await openPlace(t);
  const first = await place.startPublisher();
  const plain = look(place, "dump", "robot");
  const following = look(place, "dump", "robot", "--follow");
  await Promise.all([plain.says(/"tick":/), following.says(/"tick":/)]);
  await first.stop("SIGKILL");
  assert.equal((await plain.ended).code, 4);
  assert.match(plain.stderr, /died.*--follow/);
  const second = await place.startPublisher({ args: ["--layout", "b"] });
  await following.says(/"depth":/);
  await second.stop();
  await following.stop("SIGINT");
  const lines = parse(following.stdout);
  const at = lines.findIndex((line) => "instance" in line);
  assert.ok(at > 0);
  assertAccounted(lines.slice(0, at));
  assertAccounted(lines.slice(at + 1));
});

test("watch writes plain lines where there is no terminal", options, async (t) => {
  const place = await openPlace(t);
  const publisher = await place.startPublisher();
  const watch = look(place, "watch", "robot", "--rate", "50");
  await watch.says(/live tick \d+:[^\n]* counter \d+[^\n]*\n[^]*live tick \d+:/);
  await publisher.stop("SIGKILL");
  await watch.says(/stopped \(died\)/);
  await place.startPublisher({ args: ["--layout", "b"] });
  await watch.says(/live tick \d+:[^\n]* depth /);
  assert.equal((await watch.stop("SIGINT")).code, 0);
  assert.equal(watch.stdout.includes("\x1b"), false, "nothing that only a terminal understands");
  for (const line of watch.stdout.trimEnd().split("\n"))
    assert.match(line, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z robot (live|stopped)/);
});

test("watch calls a source that lives live from its first line on", options, async (t) => {
  const place = await openPlace(t);
  const region = `file:${join(place.directory, "robot.region")}`;
  const robot = place.start("omni-robot", ["--region", region]);
  await robot.says(/runs/, "stderr");
  // Nothing but the next tick tells that a region's publisher lives.
  const watch = look(place, "watch", region, "--rate", "50");
  await watch.says(/\n/);
  assert.match(watch.stdout, /^\S+ \S+ live tick \d+:/);
  robot.child.kill("SIGSTOP");
  const still = look(place, "watch", region, "--rate", "50");
  await still.says(/\n/);
  assert.match(still.stdout, /^\S+ \S+ stopped \((silent|died)\) tick \d+:/);
  robot.child.kill("SIGKILL");
  await still.says(/stopped \(died\)/);
});

test("a region is named instead of a source, not beside it", options, async (t) => {
  const place = await openPlace(t);
  for (const command of ["dump", "watch"]) {
    const { code, stderr } = await looked(place, command, "robot", "--region", "file:/dev/shm/robot.region");
    assert.equal(code, 2);
    assert.match(stderr, new RegExp(`^--region is not for ${command}.*omni-observer ${command} file:PATH\n$`));
  }
});

test("the robot answers a misspelled option or board with what there is", options, async (t) => {
  const place = await openPlace(t);
  for (const [args, said] of [
    [["--tik-hz", "50"], /^--tik-hz: no such option; did you mean --tick-hz\? try: omni-robot --help\n$/],
    [["--frobnicate"], /^--frobnicate: no such option; try: omni-robot --help\n$/],
    [["--board", "simm"], /^--board simm: no such board; there are: sim, gpio, driver:PATH\.so\n$/],
  ]) {
    const robot = place.start("omni-robot", [...args, "--directory", place.directory]);
    assert.equal((await robot.ended).code, 2);
    assert.match(robot.stderr, said);
  }
});

test("the robot refuses an option of another board, instead of showing a simulated robot", options, async (t) => {
  const place = await openPlace(t);
  for (const [args, board] of [
    [["--board-config", "robot.ini"], "gpio"],
    [["--driver-config", "fast"], "driver:PATH.so"],
    [["--isolate-driver"], "driver:PATH.so"],
    [["--driver-host", "/nowhere/host"], "driver:PATH.so"],
  ]) {
    const robot = place.start("omni-robot", [...args, "--directory", place.directory, "--ticks", "5"]);
    assert.equal((await robot.ended).code, 2);
    assert.equal(robot.stderr, `${args[0]} is not for --board sim: write --board ${board}, or leave it out\n`);
  }
  const crossed = place.start("omni-robot", ["--board", "gpio", "--board-config", "/nowhere.ini", "--isolate-driver", "--directory", place.directory]);
  assert.equal((await crossed.ended).code, 2);
  assert.match(crossed.stderr, /^--isolate-driver is not for --board gpio: /);
});

test("a GPIO chip that is not there is told with where to look, or that there is none", options, async (t) => {
  const place = await openPlace(t);
  const config = join(place.directory, "robot.ini");
  const example = await readFile(join(ROOT, "examples/raspberry_pi.ini"), "utf8");
  await writeFile(config, example.replace(/^chip = .*$/m, "chip = no-such-chip"));
  const hasChips = (await readdir("/dev")).some((name) => name.startsWith("gpiochip"));
  const robot = place.start("omni-robot", ["--board", "gpio", "--board-config", config, "--directory", place.directory]);
  assert.equal((await robot.ended).code, 2);
  const where = hasChips ? "gpiodetect (of the package gpiod) shows which there are" : "this machine has none: there is no /dev/gpiochip0";
  assert.equal(robot.stderr, `GPIO chip no-such-chip: No such file or directory; ${where}\n`);
});

/** Runs a program of the project's to its end; returns what it said. */
async function refusedBy(place, command, ...args) {
  const program = new Program(spawn(command, args, { cwd: ROOT, stdio: ["ignore", "pipe", "pipe"] }), command);
  place.programs.push(program);
  const { code } = await program.ended;
  assert.notEqual(code, 0);
  return program.stderr;
}

test("make answers a CPU that it does not know with those that it does", options, async (t) => {
  const place = await openPlace(t);
  const said = await refusedBy(place, "make", "ARCH=typo", "programs");
  assert.match(said, /ARCH=typo: write one of aarch64 armv7 .*; a Raspberry Pi is aarch64/);
});

test("make answers a release of Debian's that there is not with names of some", options, async (t) => {
  const place = await openPlace(t);
  const [build, sysroot] = ["build", "sysroot"].map((name) => join(place.directory, name));
  const said = await refusedBy(place, "make", "SUITE=typo", `BUILD=${build}`, `SYSROOT=${sysroot}`, "programs");
  const why = /sysroot: (apt-get is missing|apt knows no mirror|the mirrors cannot be reached).*/.exec(said);
  if (why) return t.skip(why[0]);
  assert.match(said, /sysroot: the mirrors have no packages of typo for \S+: .*SUITE=bookworm or SUITE=trixie/);
});

test("without a network a sysroot says that, and what to do", options, async (t) => {
  const place = await openPlace(t);
  const isolated = ["-rn", "scripts/sysroot", "aarch64", join(place.directory, "sysroot"), "trixie"];
  const said = await refusedBy(place, "unshare", ...isolated);
  const why = /unshare: .*|sysroot: (apt-get is missing|apt knows no mirror).*/.exec(said);
  if (why) return t.skip(why[0]);
  assert.match(said, /sysroot: the mirrors cannot be reached .*look at the network.*say the same again/);
});

test("where npm cannot fetch the page's libraries, it is said what to look at", options, async (t) => {
  const place = await openPlace(t);
  for (const folder of ["scripts", "web", "bin"]) await mkdir(join(place.directory, folder));
  await copyFile(join(ROOT, "scripts/deps"), join(place.directory, "scripts/deps"));
  await writeFile(join(place.directory, "bin/npm"), "#!/bin/sh\necho 'npm ERR! no network' >&2; exit 1\n", { mode: 0o755 });
  const said = await refusedBy(place, "env", `PATH=${join(place.directory, "bin")}:${process.env.PATH}`, join(place.directory, "scripts/deps"), "page");
  if (said.includes("installing ") || said.includes("missing: ")) return t.skip(`this machine lacks what the page is made with: ${said}`);
  assert.match(said, /npm ERR! no network\nnpm could not fetch them.*look at the network.*type the same again\n$/);
});

test("a source that is not there is exit 3, named with those that are; --wait waits", options, async (t) => {
  const place = await openPlace(t);
  const empty = await looked(place, "dump", "robot");
  assert.equal(empty.code, 3);
  assert.match(empty.stderr, /^[^\n]*robot[^\n]*--wait[^\n]*\n$/);
  await place.startPublisher({ name: "tank" });
  for (const command of ["dump", "watch"]) {
    const { code, stderr } = await looked(place, command, "robot");
    assert.equal(code, 3);
    assert.match(stderr, /"robot".*tank/);
  }
  const waiting = look(place, "dump", "robot", "--wait", "--count", "3");
  const quiet = look(place, "dump", "robot", "--wait", "--count", "3", "--quiet");
  await waiting.says(/^waiting for robot: no source "robot" in \S+; there are: tank\n/, "stderr");
  const lonely = await openPlace(t);
  await look(lonely, "dump", "robot", "--wait").says(/^waiting for robot: no source "robot" in \S+, nor any other\n/, "stderr");
  const watching = look(place, "watch", "robot", "--wait", "--rate", "50");
  await watching.says(/missing/);
  await place.startPublisher();
  assert.equal((await waiting.ended).code, 0);
  assert.deepEqual(parse(waiting.stdout).map(({ tick }) => tick), [1, 2, 3]);
  assert.equal(waiting.stderr.split("\n").length, 2, "said once");
  assert.deepEqual([(await quiet.ended).code, quiet.stderr], [0, ""]);
  await watching.says(/live/);
});

test("all of them end at once when they are told to", options, async (t) => {
  const place = await openPlace(t);
  await place.startPublisher();
  for (const command of ["dump", "watch"])
    for (const signal of ["SIGINT", "SIGTERM"]) {
      const program = look(place, command, "robot");
      await program.says(/\n/);
      program.child.kill(signal);
      const { code } = await program.ended;
      assert.equal(code, 0, `${command} ${signal}`);
    }
  const child = spawn(join(BUILD, "omni-robot"), ["--ticks", "20", "--name", "short", "--directory", place.directory], { stdio: "ignore" });
  assert.deepEqual(await once(child, "exit"), [0, null]);
  const { stdout } = await looked(place, "dump", "short");
  assert.equal(parse(stdout).at(-1).values.bot_mode, "stopped");
});
