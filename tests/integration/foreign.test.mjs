// One kernel, two CPUs: programs for another architecture, under its emulator (qemu-user), beside this machine's own.
// The same bytes must mean the same on both sides, whichever of them writes; and a CPU with the other byte order must
// be told so. `scripts/test foreign` builds what is needed; what is not built is skipped by name.

import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { readdir, readFile } from "node:fs/promises";
import { basename, join, relative } from "node:path";
import { text } from "node:stream/consumers";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";

import { emulatorOf, lacking } from "./cpus.mjs";
import { ask, askJson } from "./raw.mjs";
import { BUILD, ROOT, connect, openPlace, until, used } from "./support.mjs";

const run = promisify(execFile);

const LITTLE = ["armv7", "aarch64"];
const BIG = "s390x";
const TICKS = 300;
const LOCKSTEP_TICKS = 5000;
const SPECTRUM = 40; // elements, in tests/programs/publisher.c

/** How the test of a CPU is run: or skipped, and why. */
const options = (arch) => ({ timeout: 240_000, skip: lacking(arch) });

/** What tests/programs/publisher puts into the tick of that number, as tests/programs/reader says it. */
function valuesAt(tick) {
  const list = (count, at) => Array.from({ length: count }, (_, i) => String(at(i)));
  const degrees = tick % 50;
  return {
    counter: [String(tick)],
    countdown: [String(2n ** 64n - 1n - BigInt(tick))],
    level: [(tick % 1000) / 10],
    temperature: [degrees, -degrees / 2],
    broken: ["nan"],
    hot: ["340"],
    spectrum: list(SPECTRUM, (i) => (tick + i) % 1000),
    motto: ["grüezi"],
    mode: list(1, () => Math.floor(tick / 50) % 2),
    leaking: list(1, () => Math.floor(tick / 25) % 2),
  };
}

/** A reader's line, its floats as numbers: 17 digits say which. */
function parseLine(line) {
  const { tick, missed, values } = JSON.parse(line);
  for (const name of ["level", "temperature"]) values[name] = values[name].map(Number);
  return { tick, missed, values };
}

/** Starts the tests' reader and waits until it has attached. */
async function startReader(place, name, arch, ...longestSleep) {
  const reader = place.start("tests/programs/reader", [place.directory, name, ...longestSleep], { arch });
  await reader.says(/^attached$/m);
  return reader;
}

/** Reads a source to its end, with an observer or reader of that CPU; returns what it said. */
async function output(place, arch, file, ...args) {
  const program = place.start(file, args, { arch });
  const { code } = await program.ended;
  return { code, stdout: program.stdout, stderr: program.stderr };
}

const dump = (place, arch, name) =>
  output(place, arch, "omni-observer", "dump", name, "--count", String(TICKS), "--directory", place.directory);

/* ---- one segment, both directions ---- */

for (const arch of LITTLE)
  for (const [writer, reader] of [[arch, undefined], [undefined, arch]])
    test(`what ${writer ?? "this CPU"} writes, ${reader ?? "this CPU"} reads: every tick, every value`, options(arch), async (t) => {
      const place = await openPlace(t);
      // The version counter wraps on the way: the futex word is told, and the ring goes on.
      const args = ["--period", "1000", "--ticks", String(TICKS), "--first-version", String(2 ** 32 - TICKS / 2)];
      const publisher = await place.startPublisher({ name: "source", arch: writer, args });
      const following = await startReader(place, "source", reader);
      await following.says(new RegExp(`"tick":${TICKS},`));
      await publisher.stop();
      assert.deepEqual(await following.ended, { code: 0, signal: null }, following.stderr);

      const lines = following.stdout.trimEnd().split("\n").slice(1).map(parseLine);
      assert.deepEqual(lines.map(({ tick }) => tick), Array.from({ length: TICKS }, (_, i) => i + 1));
      for (const { tick, missed, values } of lines) {
        assert.equal(missed, 0, `tick ${tick}`);
        assert.deepEqual(values, valuesAt(tick), `tick ${tick}`);
      }
      // And the observer's own formatter, to the letter.
      const [here, there] = [await dump(place, undefined, "source"), await dump(place, arch, "source")];
      assert.deepEqual([here.code, there.code], [0, 0], here.stderr + there.stderr);
      assert.equal(here.stdout.split("\n").length, TICKS + 1);
      assert.equal(there.stdout, here.stdout);
    });

/* ---- memory that machines share ---- */

for (const arch of LITTLE)
  for (const [writer, reader] of [[arch, undefined], [undefined, arch]])
    test(`in a region, what ${writer ?? "this CPU"} writes, ${reader ?? "this CPU"} reads`, options(arch), async (t) => {
      const place = await openPlace(t);
      const region = `file:${join(place.directory, "region")}`;
      const args = ["--name", "source", "--region", region, "--period", "2000"];
      const publisher = place.start("tests/programs/publisher", args, { arch: writer });
      await publisher.says(/^publishing$/m);
      const dumping = output(place, reader, "omni-observer", "dump", region, "--count", String(TICKS));
      // Who owns the region is told across the CPUs, too.
      const second = place.start("tests/programs/publisher", args, { arch: reader });
      assert.deepEqual([(await second.ended).code, /its publisher lives/.test(second.stderr)], [2, true], second.stderr);
      const { code, stdout, stderr } = await dumping;
      assert.equal(code, 0, stderr);
      const lines = stdout.trimEnd().split("\n").map((line) => JSON.parse(line));
      assert.deepEqual(lines.map(({ tick }) => tick), lines.map((_, i) => lines[0].tick + i));
      for (const { tick, values } of lines) {
        const expected = valuesAt(tick);
        assert.equal(values.counter, tick);
        assert.equal(values.countdown, expected.countdown[0]);
        assert.equal(values.level, expected.level[0]);
        assert.deepEqual(values.temperature, expected.temperature);
        assert.deepEqual(values.spectrum.map(String), expected.spectrum);
        assert.equal(values.motto, "grüezi");
      }
      // And so is its death; its heir is of the other CPU.
      await publisher.stop("SIGKILL");
      const heir = place.start("tests/programs/publisher", args, { arch: reader });
      await heir.says(/^publishing$/m);
      assert.equal((await output(place, writer, "omni-observer", "dump", region, "--count", "20")).code, 0);
    });

/* ---- the whole path ---- */

for (const arch of LITTLE) {
  test(`a robot on ${arch} is shown as one on this CPU is`, options(arch), async (t) => {
    const place = await openPlace(t);
    const observer = await place.startObserver();
    const client = await connect(t, observer);
    await place.startRobot({ name: "native" });
    const robot = await place.startRobot({ name: "foreign", arch });
    const came = await client.wait(({ op, source }) => op === "source" && source?.name === "foreign");
    assert.equal(came.source.process, robot.pid);
    client.send({ op: "subscribe", source: "foreign", mode: "every" });

    const { sources } = await askJson(observer, "/api/sources");
    const [foreign, native] = ["foreign", "native"].map((name) => sources.find((source) => source.name === name));
    assert.deepEqual(foreign.schema, native.schema);
    const seen = await client.wait(({ op, source, rows }) => op === "batch" && source === "foreign" && rows.length > 0);
    assert.ok(seen.columns.includes("direction"));
    const status = await askJson(observer, "/api/status?source=foreign");
    assert.equal(typeof status.values.direction, "number");

    // Dead, not only silent: the kernel drops the lock of an emulated process, too.
    await robot.stop("SIGKILL");
    const changed = (accept) =>
      client.wait(({ op, source }) => op === "source" && source.name === "foreign" && accept(source), accept.toString());
    await changed(({ state, reason }) => state === "stopped" && reason === "died");
    await place.startRobot({ name: "foreign", arch });
    await changed(({ state, instance }) => state === "live" && instance !== came.source.instance);
  });

  test(`an observer on ${arch} shows a robot on this CPU`, options(arch), async (t) => {
    const place = await openPlace(t);
    await place.startRobot();
    const observer = await place.startObserver({ arch });
    const client = await connect(t, observer);
    const { values } = await client.wait(({ op, source }) => op === "status" && source === "robot");
    assert.equal(typeof values.direction, "number");
    const page = await ask(observer, "/");
    assert.equal(page.status, 200);
    assert.match(page.text, /<!doctype html>/);
    assert.equal((await askJson(observer, "/api/status?source=robot")).source, "robot");
    assert.deepEqual(await observer.stop(), { code: 0, signal: null });
  });
}

/* ---- make run ---- */

/** The processes that have this folder in their environment; those that are gone while they are looked at are not there. */
async function startedIn(directory) {
  const ids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name));
  const texts = await Promise.all(ids.map((id) => readFile(`/proc/${id}/environ`, "latin1").catch(() => "")));
  return ids.filter((_, i) => texts[i].split("\0").includes(`OMNI_DIRECTORY=${directory}`));
}

for (const arch of LITTLE)
  test(`make run ARCH=${arch} starts both under the emulator, prints a link to a page that lives, and leaves nothing behind`, options(arch), async (t) => {
    const planned = await run("make", ["-C", ROOT, "--dry-run", "--no-print-directory", "-o", "all", "run", `ARCH=${arch}`, "LISTEN=127.0.0.1:0"]);
    const [, script, ...words] = /^(scripts\/run) (\S+) (--listen) (\S+)\n$/.exec(planned.stdout);
    assert.equal(words[0], `build/${arch}`);

    let place;
    t.after(async () => { // before its place is closed, which waits for all that hold its pipes
      for (const id of await startedIn(place?.directory)) process.kill(id, "SIGKILL");
    });
    place = await openPlace(t);
    const both = place.start(relative(BUILD, join(ROOT, script)), [join(ROOT, words[0]), ...words.slice(1)], { env: { OMNI_DIRECTORY: place.directory } });
    const [link] = await both.says(/http:\/\/\S+(?=\n)/);
    const page = await fetch(link);
    assert.equal(page.status, 200);
    assert.match(await page.text(), /<!doctype html>/);
    const { host } = new URL(link);
    const client = await connect(t, { address: host });
    const isStatus = ({ op, source }) => op === "status" && source === "robot";
    const first = await client.wait(isStatus);
    await client.wait((message) => isStatus(message) && message.tick > first.tick + 10, "ticks count");
    const statuses = client.all("status");
    statuses.slice(1).forEach(({ tick }, i) => assert.ok(tick > statuses[i].tick, `${tick} after ${statuses[i].tick}`));
    assert.equal(typeof first.values.direction, "number");

    // Both are that CPU's, not this one's.
    const running = await startedIn(place.directory);
    const machines = await Promise.all(running.map(async (id) => {
      const [program, ...rest] = (await readFile(`/proc/${id}/cmdline`, "utf8")).split("\0");
      return rest.some((word) => word === join(ROOT, words[0], "omni-robot") || word === join(ROOT, words[0], "omni-observer")) ? basename(program) : undefined;
    }));
    assert.deepEqual(machines.filter(Boolean), Array(2).fill(emulatorOf(arch)));

    both.child.kill("SIGINT");
    await until("it ends", () => !both.isRunning);
    assert.deepEqual(await startedIn(place.directory), []);
    assert.deepEqual(await both.ended, { code: 0, signal: null }, both.stderr);
    await assert.rejects(fetch(link), "the observer has ended");
    const list = await output(place, undefined, "omni-observer", "list", "--json", "--directory", place.directory);
    assert.equal(JSON.parse(list.stdout).reason, "closed", "the robot said goodbye");
  });

/* ---- waiting costs nothing ---- */

const IDLE = 0.001; // of a core: the promise
const WINDOWS = 5; // at most
const WINDOW_MS = 1500;

/** That a program which waits uses next to nothing: in one of some stretches of time, because whatever else runs on this
 * machine empties the caches between two looks, and that is not the program's work. */
async function assertIdle(t, program, most = IDLE) {
  await sleep(500); // the emulator has translated the way into its sleep
  const shares = [];
  while (shares.length < WINDOWS && !(shares.at(-1) < most)) {
    const [before, start] = [await used(program.pid), process.hrtime.bigint()];
    await sleep(WINDOW_MS);
    shares.push((await used(program.pid) - before) / Number(process.hrtime.bigint() - start));
  }
  assert.ok(program.isRunning, program.stderr);
  t.diagnostic(`${shares.map((share) => (100 * share).toFixed(4)).join(", ")} % of a core`);
  assert.ok(shares.at(-1) < most, `${shares} of a core`);
}

for (const arch of LITTLE)
  test(`a reader on ${arch} that waits uses next to nothing, and is woken by the futex`, options(arch), async (t) => {
    const place = await openPlace(t);
    const args = ["--ticks", "2", "--period", "16000000", "--certain-wake"];
    await place.startPublisher({ name: "slow", args });
    const reader = await startReader(place, "slow", arch, "3600");
    await reader.says(/"tick":1,/);
    await assertIdle(t, reader);
    // A sleep on the version (1) that ends with 0 was ended by a wake; time over would be ETIMEDOUT, too late EAGAIN.
    const trace = spawn("strace", ["-f", "-e", "trace=futex", "-p", String(reader.pid)], { stdio: ["ignore", "ignore", "pipe"] });
    const calls = text(trace.stderr);
    let refused;
    trace.once("error", ({ message }) => (refused = message));
    await reader.says(/"tick":2,/);
    trace.kill();
    refused ??= /attach: .*/.exec(await calls)?.[0];
    if (refused) return t.skip(`strace: ${refused}`);
    assert.match(await calls, /^.*futex\(0x[0-9a-f]+, FUTEX_WAIT(_BITSET)?, 1, .*\) = 0$/m);
    return undefined;
  });

const LOOKS = 12.5; // a second, in lockstep: whether the other side lives (shared/handoff.c)

/** How often the threads of a process have fallen asleep. */
async function sleeps(pid) {
  const threads = await readdir(`/proc/${pid}/task`);
  const texts = await Promise.all(threads.map((thread) => readFile(`/proc/${pid}/task/${thread}/status`, "utf8")));
  return texts.reduce((sum, status) => sum + Number(/^voluntary_ctxt_switches:\s+(\d+)/m.exec(status)[1]), 0);
}

/** That a program which waits sleeps between its looks. What a look costs, an emulator and whatever else this machine does
 * decide: bench/handoff measures that, and here no more than twice its bound is let pass. */
async function assertRests(t, program) {
  await sleep(500);
  const [before, start] = [await sleeps(program.pid), process.hrtime.bigint()];
  await assertIdle(t, program, 2 * IDLE);
  const rate = (await sleeps(program.pid) - before) / (Number(process.hrtime.bigint() - start) / 1e9);
  t.diagnostic(`${rate.toFixed(1)} times a second`);
  assert.ok(rate > 0 && rate < 2 * LOOKS, `it wakes ${rate} times a second`);
}

for (const arch of LITTLE)
  for (const waiting of ["robot", "consumer"])
    test(`in lockstep, a ${waiting} on ${arch} that waits sleeps between its looks, and goes on`, options(arch), async (t) => {
      const place = await openPlace(t);
      const robot = await place.startRobot({ args: ["--lockstep"], arch: waiting === "robot" ? arch : undefined });
      const args = ["dump", "robot", "--lockstep", "--directory", place.directory];
      const consumer = place.start("omni-observer", args, { arch: waiting === "consumer" ? arch : undefined });
      await consumer.says(/"tick":100,/);
      const [sleeper, other] = waiting === "robot" ? [robot, consumer] : [consumer, robot];
      process.kill(other.pid, "SIGSTOP"); // it lives: the sleeper has to look again and again
      await assertRests(t, sleeper);
      process.kill(other.pid, "SIGCONT");
      const taken = () => Number(/.*"tick":(\d+),.*\n[^\n]*$/.exec(consumer.stdout)[1]);
      const before = taken();
      await until("it goes on", () => taken() > before + 100);
    });

/* ---- lockstep ---- */

for (const arch of LITTLE)
  for (const [producer, consumer] of [[arch, undefined], [undefined, arch]])
    test(`in lockstep, a robot on ${producer ?? "this CPU"} and a consumer on ${consumer ?? "this CPU"} lose nothing`, options(arch), async (t) => {
      const place = await openPlace(t);
      const args = ["--lockstep", "--ticks", String(LOCKSTEP_TICKS)];
      const robot = await place.startRobot({ args, arch: producer });
      const { code, stdout, stderr } = await output(place, consumer, "omni-observer", "dump", "robot", "--lockstep", "--directory", place.directory);
      assert.deepEqual([code, stderr], [0, ""]);
      const ticks = stdout.trimEnd().split("\n").map((line) => JSON.parse(line).tick);
      assert.deepEqual(ticks, Array.from({ length: LOCKSTEP_TICKS }, (_, i) => i + 1));
      assert.deepEqual(await robot.ended, { code: 0, signal: null }, robot.stderr);
    });

/* ---- the other byte order ---- */

const REFUSED = /another byte order \(04030201, expected 01020304\): run publisher and observer on CPUs of the same byte order/;

test(`${BIG} refuses what this CPU writes, with the reason`, options(BIG), async (t) => {
  const place = await openPlace(t);
  await place.startPublisher({ name: "little", args: ["--ticks", "3"] });
  const { code, stdout, stderr } = await output(place, BIG, "tests/programs/reader", place.directory, "little");
  assert.deepEqual([code, stdout], [3, ""]);
  assert.match(stderr, REFUSED);
});

test(`what ${BIG} writes is refused here, with the reason, and nothing else suffers`, options(BIG), async (t) => {
  const place = await openPlace(t);
  const observer = await place.startObserver();
  const big = place.start("tests/programs/publisher", ["--name", "big", "--directory", place.directory, "--ticks", "3"], { arch: BIG });
  await big.says(/^publishing$/m);
  await place.startPublisher({ name: "little" });

  const alike = await startReader(place, "big", BIG); // its own kind reads it
  await alike.says(/"tick":3,/);
  assert.deepEqual(parseLine(alike.stdout.trimEnd().split("\n")[3]).values, valuesAt(3));
  for (const arch of [undefined, ...LITTLE.filter((one) => !options(one).skip)]) {
    const { code, stderr } = await output(place, arch, "tests/programs/reader", place.directory, "big");
    assert.equal(code, 3, `${arch}`);
    assert.match(stderr, REFUSED);
  }
  const list = await output(place, undefined, "omni-observer", "list", "--json", "--directory", place.directory);
  const { state, reason } = list.stdout.trimEnd().split("\n").map((line) => JSON.parse(line)).find(({ name }) => name === "big");
  assert.equal(state, "refused");
  assert.match(reason, REFUSED);
  await until("the observer shows the other", async () => {
    const { sources } = await askJson(observer, "/api/sources");
    return sources.some(({ name, state: now }) => name === "little" && now === "live");
  });
  assert.match(observer.stderr, REFUSED);
  await big.stop();
  assert.deepEqual(await alike.ended, { code: 0, signal: null }, alike.stderr);
});
