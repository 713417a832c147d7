// Memory that machines share, and time: clocks that have nothing in common, publishers and observers that are stopped for a
// while, and who comes in whose place.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import { askJson, run } from "./raw.mjs";
import { awaitState, command, listed, openRegion, publishAt } from "./region.mjs";
import { BUILD, Program, until } from "./support.mjs";

const options = { timeout: 180_000 };
const VERSION_OFFSET = 192; // shared/segment.h
const DEAD_MS = 2000;
const monotonic = () => Number(process.hrtime.bigint() / 1000n); // µs, as the observer tells it

/** Ticks of what a program has dumped. */
const dumped = ({ stdout }) => stdout.slice(0, stdout.lastIndexOf("\n")).split("\n").map((line) => JSON.parse(line)).filter(({ tick }) => tick);

/** Whether programs can be started here whose monotonic clock is another; else why not. */
async function cannotShift() {
  const now = "process.stdout.write(String(process.hrtime()[0]))";
  return run("unshare", ["--time", "--monotonic", "500000", process.execPath, "-e", now]).then(
    ({ stdout }) => (Number(stdout) < 500_000 ? "this kernel gives exec no new clock" : undefined),
    (error) => `unshare --time: ${error.message.split("\n")[0]}`,
  );
}

/** A robot whose monotonic clock is `seconds` away from ours. */
async function publishFrom(region, seconds, ...args) {
  const { place, file, address } = region;
  const words = ["--time", "--monotonic", String(seconds), join(BUILD, "omni-robot"), "--name", "robot", "--region", address, ...args];
  const robot = new Program(spawn("unshare", words, { cwd: place.directory }), "omni-robot elsewhere");
  place.programs.push(robot);
  await until("it publishes", async () => {
    if (!robot.isRunning) assert.fail(robot.stderr);
    const bytes = await readFile(file).catch(() => Buffer.alloc(0));
    return bytes.length > VERSION_OFFSET + 4 && bytes.readUInt32LE(VERSION_OFFSET) > 5;
  });
  return robot;
}

test("another machine's clock, days ahead or hours behind: its ticks are told in ours, in order", options, async (t) => {
  const reason = await cannotShift();
  if (reason) return t.skip(reason);
  const behind = -Math.floor(monotonic() / 2e6); // a clock cannot be before its machine's start
  for (const seconds of [500_000, behind]) {
    const region = await openRegion(t);
    const observer = await region.place.startObserver({ args: ["--region", region.address] });
    const before = monotonic();
    const robot = await publishFrom(region, seconds);
    await awaitState(observer, "live", "", ({ ticks }) => ticks > 200);
    const live = await awaitState(observer, "live", "");
    assert.ok(live.age < 30e6, `age ${live.age} µs`);

    const { rows } = await askJson(observer, "/api/history?source=robot&seconds=3600");
    const after = monotonic();
    const times = rows.map((row) => row[3]);
    assert.ok(times.length >= 200);
    assert.ok(times.every((time, i) => i === 0 || time >= times[i - 1]), "in the order of their times");
    // The first ones may have been there before anybody looked: the wall clocks, which agree here, told how long.
    assert.ok(times[0] > before - 60e6 && times.at(-1) < after, `${times[0]} to ${times.at(-1)}, not within ${before} to ${after}`);

    const [line] = await listed(region);
    assert.equal(line.state, "live");
    assert.ok(line.age < 30e6);
    // dump tells them as they are.
    const dump = await command(region.place, "dump", region.address, "--count", "5");
    for (const { monotonic: there } of dumped(dump)) assert.ok(Math.abs(there - seconds * 1e6 - after) < 60e6, `${there}`);
    await robot.stop();
    await awaitState(observer, "stopped", "closed");
    await observer.stop();
  }
  return undefined;
});

test("a publisher that was paused for longer than a death takes: dump --follow goes on with it, and loses nothing", options, async (t) => {
  const region = await openRegion(t);
  const publisher = await publishAt(region, "tests/programs/publisher", ["--period", "5000"]);
  const following = region.place.start("omni-observer", ["dump", region.address, "--follow"]);
  await following.says(/"tick":100,/);
  const plain = region.place.start("omni-observer", ["dump", region.address]);
  await plain.says(/"tick":100,/);
  publisher.child.kill("SIGSTOP");
  assert.equal((await plain.ended).code, 4);
  assert.match(plain.stderr, /its publisher died; --follow waits for its next start/);
  await sleep(1000); // the other one has seen it, too
  const before = dumped(following).at(-1).tick;
  publisher.child.kill("SIGCONT");
  await until("new ticks", () => dumped(following).at(-1).tick > before + 100);
  assert.deepEqual(dumped(following).map(({ tick }) => tick), dumped(following).map((_, i) => i + 1));
  assert.doesNotMatch(following.stdout, /gap|instance/);
  // And its true end is noticed as ever.
  await publisher.stop("SIGKILL");
  await publishAt(region, "tests/programs/publisher", ["--period", "5000"]);
  await following.says(/\n\{"instance":"[0-9a-f]{16}"\}\n\{"tick":1,/);
  assert.equal((await following.stop()).code, 0);
});

test("an observer that was stopped while the publisher died does not take its last tick for new", options, async (t) => {
  const region = await openRegion(t);
  const observer = await region.place.startObserver({ args: ["--region", region.address] });
  const publisher = await publishAt(region);
  const watch = region.place.start("omni-observer", ["watch", region.address, "--rate", "20"]);
  await watch.says(/ live tick \d+/);
  await awaitState(observer, "live", "", ({ tick }) => tick > 100);
  for (const looker of [observer, watch]) looker.child.kill("SIGSTOP");
  await sleep(500); // it publishes what they have not seen
  const seen = watch.stdout.length; // what was on its way when they were stopped has arrived
  await publisher.stop("SIGKILL");
  const dead = performance.now();
  await sleep(DEAD_MS + 1000);
  for (const looker of [observer, watch]) looker.child.kill("SIGCONT");
  await until("died", async () => {
    const { sources: [source] } = await askJson(observer, "/api/sources");
    const age = source.age / 1000;
    assert.ok(age > DEAD_MS && age < performance.now() - dead + 5000, `${source.state}, ${age} ms old`);
    return source.reason === "died";
  });
  await watch.says(/ stopped \(died\)/);
  assert.doesNotMatch(watch.stdout.slice(seen), / live /);
});

test("a region that was built anew is replaced, not removed; one that was removed is", options, async (t) => {
  const region = await openRegion(t);
  const { place, file, address } = region;
  const first = await publishAt(region);
  const dump = place.start("omni-observer", ["dump", address]);
  await dump.says(/"tick":50,/);
  dump.child.kill("SIGSTOP");
  await first.stop();
  const second = await publishAt(region);
  dump.child.kill("SIGCONT");
  assert.equal((await dump.ended).code, 4);
  assert.match(dump.stderr, /^file:\S+: another publisher has begun in its place; --follow goes on with that one\n$/);

  // As a publisher leaves it that is stopped in the middle of building.
  const observer = await place.startObserver({ args: ["--region", address] });
  await awaitState(observer, "live", "");
  const watch = place.start("omni-observer", ["watch", address, "--rate", "20"]);
  await watch.says(/ live /);
  second.child.kill("SIGSTOP");
  writeFileSync(file, Buffer.alloc(readFileSync(file).length), { flag: "r+" });
  await awaitState(observer, "stopped", "replaced");
  await watch.says(/ stopped \(replaced\)/);
  await second.stop("SIGKILL");
  const third = await publishAt(region);
  await awaitState(observer, "live", "", ({ process }) => process === third.pid);

  const last = place.start("omni-observer", ["dump", address]);
  await last.says(/"tick":50,/);
  await run("rm", [file]);
  assert.equal((await last.ended).code, 4);
  assert.match(last.stderr, /its segment was removed; --follow waits for its next start/);
});

test("the same --region twice is one source; list shows several, and advises nothing that it has not", options, async (t) => {
  const region = await openRegion(t);
  const { place, address } = region;
  const twice = ["--region", address, "--region", address];
  const observer = await place.startObserver({ args: twice });
  const robot = await publishAt(region);
  await awaitState(observer, "live", "");
  await sleep(1500); // a scan more
  const { sources, refused } = await askJson(observer, "/api/sources");
  assert.equal(sources.length, 1);
  assert.deepEqual(refused, []);

  const empty = join(place.directory, "empty");
  writeFileSync(empty, Buffer.alloc(65536));
  await place.startPublisher({ name: "here" });
  const list = await command(place, "list", "--json", "--directory", place.directory, "--region", `file:${empty}`, ...twice);
  assert.equal(list.code, 0, list.stderr);
  const lines = list.stdout.trimEnd().split("\n").map((line) => JSON.parse(line));
  assert.deepEqual(lines.map(({ name, state, reason }) => [name, state, reason]), [
    ["here", "live", ""],
    [`file:${empty}`, "refused", "nothing has been published there yet"],
    ["robot", "live", ""],
  ]);
  await robot.stop();
});

test("lockstep has one kernel: shm:NAME is a name, memory between machines is refused in words", options, async (t) => {
  const region = await openRegion(t);
  const { place, address } = region;
  const directory = ["--directory", place.directory];
  const robot = await place.startRobot({ args: ["--lockstep", "--region", "shm:robot", "--ticks", "300"] });
  const dump = place.start("omni-observer", ["dump", "shm:robot", "--lockstep", ...directory]);
  assert.equal((await dump.ended).code, 0, dump.stderr);
  assert.deepEqual(dumped(dump).slice(0, 300).map(({ tick }) => tick), Array.from({ length: 300 }, (_, i) => i + 1));
  assert.equal((await robot.ended).code, 0);

  const refused = async (...args) => {
    const program = place.start("omni-robot", ["--lockstep", ...directory, ...args]);
    assert.equal((await program.ended).code, 2);
    return program.stderr;
  };
  assert.match(await refused("--region", "shm:other"), /give both the same name/);
  assert.match(await refused("--region", address), /--lockstep needs a kernel that both sides share, and file:\S+ is memory between machines: leave --region out/);
  assert.match(await refused("--region", "tape:0"), /NAME, shm:NAME, file:PATH/);

  await publishAt(region);
  const wrong = await command(place, "dump", address, "--lockstep", ...directory);
  assert.equal(wrong.code, 2);
  assert.match(wrong.stderr, /--lockstep needs a kernel that both sides share, and file:\S+ is memory between machines: dump it without --lockstep/);
});
