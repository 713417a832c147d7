// omni-robot --lockstep with omni-observer dump --lockstep: nothing is lost, nothing runs ahead, the same seed gives the
// same run; and what happens when either side is stopped, slow, killed, or not there.

import assert from "node:assert/strict";
import { open, rm } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import { askJson } from "./raw.mjs";
import { openPlace, until, used } from "./support.mjs";

const options = { timeout: 120_000 };
const TICKS = 20_000;
const KILLS = 7;
const NOTICED_MS = 100; // the promise
const OF_THE_MACHINE = ["time", "monotonic", "publish_cost"]; // all other columns follow from the seed

const robot = (place, ...args) => place.startRobot({ args: ["--lockstep", ...args] });
const look = (place, ...args) => place.start("omni-observer", ["dump", "robot", ...args, "--directory", place.directory]);
const consume = (place, ...args) => look(place, "--lockstep", ...args);

/** Whole lines of CSV as objects, without the header. */
function rows(csv) {
  const [header, ...lines] = csv.slice(0, csv.lastIndexOf("\n")).split("\n");
  const names = header.split(",");
  return lines.map((line) => Object.fromEntries(line.split(",").map((value, i) => [names[i], value])));
}

/** Tick numbers of whole lines of JSON. */
const ticks = (json) => [...json.matchAll(/^\{"tick":(\d+),.*\}$/gm)].map(([, tick]) => Number(tick));

/** What a run looked like, whatever machine it ran on. */
function course(csv) {
  return rows(csv).map((row) => {
    for (const name of OF_THE_MACHINE) {
      assert.ok(name in row, name);
      delete row[name];
    }
    return row;
  });
}

async function runToEnd(place, seed, during = async () => {}) {
  const producer = await robot(place, "--ticks", String(TICKS), "--seed", seed);
  const consumer = consume(place, "--format", "csv");
  await during(producer, consumer);
  assert.deepEqual(await consumer.ended, { code: 0, signal: null }, consumer.stderr);
  assert.deepEqual(await producer.ended, { code: 0, signal: null }, producer.stderr);
  assert.equal(consumer.stderr, ""); // no word of lost ticks
  await rm(place.segment("robot"));
  return course(consumer.stdout);
}

/** Shares of a core that a process uses while nothing is to be done. */
async function idleShare(pid) {
  const [before, start] = [await used(pid), process.hrtime.bigint()];
  await sleep(1000);
  return (await used(pid) - before) / Number(process.hrtime.bigint() - start);
}

/** Kills a program and returns how long it took until the other had said so, in ms. */
async function killAndAwait(program, other, pattern) {
  const told = new Promise((resolve) => {
    let heard = "";
    other.child.stderr.on("data", function listen(bytes) {
      heard += bytes;
      if (!pattern.test(heard)) return;
      other.child.stderr.off("data", listen);
      resolve(performance.now());
    });
  });
  const start = performance.now();
  process.kill(program.pid, "SIGKILL");
  const noticed = (await told) - start;
  await program.ended;
  return noticed;
}

/* Single kills may fall into a moment in which the machine, or this test, has no time. */
function assertNoticed(t, times) {
  times.sort((a, b) => a - b);
  const median = times[Math.floor(times.length / 2)];
  t.diagnostic(`noticed after ${times.map((ms) => ms.toFixed(0)).join(", ")} ms`);
  assert.ok(median < NOTICED_MS, `median ${median} ms`);
}

test(`${TICKS} ticks in lockstep: none lost, none twice, and the same seed is the same run, however slow the reader`, options, async (t) => {
  const place = await openPlace(t);
  const first = await runToEnd(place, "7");
  assert.deepEqual(first.map(({ tick }) => Number(tick)), Array.from({ length: TICKS }, (_, i) => i + 1));
  assert.ok(new Set(first.map(({ bot_mode }) => bot_mode)).size >= 5, "something happens in a run");
  assert.ok(first.slice(1).every(({ period, jitter, overruns }) => period === "10000" && jitter === "0" && overruns === "0"));

  const again = await runToEnd(place, "7", async (producer, consumer) => {
    consumer.child.stdout.pause(); // the pipe fills, and all wait
    await until("the robot waits", async () => (await idleShare(producer.pid)) < 0.01);
    assert.ok(producer.isRunning);
    consumer.child.stdout.resume();
  });
  assert.deepEqual(again, first);
  assert.notDeepEqual(await runToEnd(place, "8"), first);
});

test("without a consumer the first tick waits, which is said once, and a signal ends it in order", options, async (t) => {
  const place = await openPlace(t);
  const producer = await robot(place);
  await producer.says(/There is no consumer; tick 1 waits for one: omni-observer dump robot --lockstep/, "stderr");
  const share = await idleShare(producer.pid);
  assert.ok(share < 0.01, `${share} of a core`);
  assert.deepEqual(await producer.stop(), { code: 0, signal: null });
  assert.equal(producer.stderr.match(/no consumer/g).length, 1);
  // A source that has ended takes no turns: what it left is written.
  const late = consume(place);
  assert.deepEqual(await late.ended, { code: 0, signal: null }, late.stderr);
  assert.deepEqual(ticks(late.stdout), [1, 2]);
  assert.match(late.stdout.trimEnd().split("\n")[1], /"bot_mode":"?(stopped|5)/);
});

test("a consumer's death is noticed in time, the next one goes on, and no tick is lost between them", options, async (t) => {
  const place = await openPlace(t);
  const producer = await robot(place);
  const [seen, times] = [new Set(), []];
  for (let i = 0; i < KILLS; i++) {
    const consumer = consume(place);
    const before = Math.max(0, ...seen);
    await until("it takes new ticks", () => ticks(consumer.stdout).at(-1) > before + 100);
    times.push(await killAndAwait(consumer, producer, /The consumer is gone; tick \d+ waits/));
    for (const tick of ticks(consumer.stdout)) seen.add(tick);
  }
  const last = consume(place, "--count", "6000"); // more than the ring holds
  assert.deepEqual(await last.ended, { code: 0, signal: null }, last.stderr);
  for (const tick of ticks(last.stdout)) seen.add(tick);
  assert.equal(seen.size, Math.max(...seen), "every tick from the first to the newest");
  assert.doesNotMatch(last.stdout, /gap/);
  assert.ok(producer.stderr.match(/consumer is gone/g).length >= KILLS);
  assert.deepEqual(await producer.stop(), { code: 0, signal: null });
  assertNoticed(t, times);
});

test("a robot's death is noticed in time, and --follow takes turns with the next one", options, async (t) => {
  const place = await openPlace(t);
  const times = [];
  for (let i = 0; i < KILLS; i++) {
    const producer = await robot(place);
    const consumer = consume(place);
    await consumer.says(/"tick":100,/);
    times.push(await killAndAwait(producer, consumer, /its publisher died; --follow waits/));
    assert.deepEqual(await consumer.ended, { code: 4, signal: null });
  }
  assertNoticed(t, times);

  await rm(place.segment("robot"));
  const first = await robot(place, "--seed", "1");
  const following = consume(place, "--follow");
  await following.says(/"tick":100,/);
  await first.stop("SIGKILL");
  // It may have ended before anybody could see it run.
  const second = place.start("omni-robot", ["--lockstep", "--seed", "2", "--ticks", "300", "--directory", place.directory]);
  assert.deepEqual(await second.ended, { code: 0, signal: null }, second.stderr);
  await following.says(/^\{"instance":[^]*"tick":300,/m);
  const lines = following.stdout.split(/^\{"instance":.*\n/m);
  assert.deepEqual(ticks(lines[1]), Array.from({ length: 300 }, (_, i) => i + 1));
  assert.deepEqual(await following.stop(), { code: 0, signal: null });
});

test("while the consumer is stopped the robot waits, without work and without a word", options, async (t) => {
  const place = await openPlace(t);
  const producer = await robot(place);
  const consumer = consume(place);
  await consumer.says(/"tick":100,/);
  process.kill(consumer.pid, "SIGSTOP");
  await until("the robot waits", async () => (await idleShare(producer.pid)) < 0.01);
  assert.doesNotMatch(producer.stderr, /gone/);
  process.kill(consumer.pid, "SIGCONT");
  const before = ticks(consumer.stdout).at(-1);
  await until("it goes on", () => ticks(consumer.stdout).at(-1) > before + 1000);
  await producer.stop();
  assert.deepEqual(await consumer.ended, { code: 0, signal: null }, consumer.stderr);
  const all = ticks(consumer.stdout);
  assert.deepEqual(all, Array.from({ length: all.length }, (_, i) => i + 1));
});

test("others look at a run in lockstep as always: they take no turns, and nobody waits for them", options, async (t) => {
  const place = await openPlace(t);
  const producer = await robot(place);
  const [plain, stopped] = [look(place), look(place)];
  const observer = await place.startObserver();
  await stopped.says(/"tick":1,/);
  process.kill(stopped.pid, "SIGSTOP");
  await plain.says(/"tick":1,/);
  assert.equal(ticks(plain.stdout).at(-1), 1, "looking hands nothing over");
  const consumer = consume(place);
  await consumer.says(/"tick":5000,/);
  await until("the plain dump follows", () => ticks(plain.stdout).at(-1) > 1000);
  const status = await askJson(observer, "/api/status?source=robot");
  assert.ok(status.tick > 1000);
  await producer.stop();
  assert.equal((await consumer.ended).code, 0);
  assert.equal((await plain.ended).code, 0);
});

test("who cannot take turns is told so", options, async (t) => {
  const place = await openPlace(t);
  const unpaced = await place.startRobot();
  const refused = consume(place);
  assert.equal((await refused.ended).code, 2);
  assert.match(refused.stderr, /^robot does not run in lockstep: start it with omni-robot --lockstep, or dump it without --lockstep\n$/);
  assert.equal(refused.stdout, "");
  await unpaced.stop();

  await robot(place);
  const consumer = consume(place);
  await consumer.says(/"tick":1,/);
  const second = consume(place);
  assert.equal((await second.ended).code, 2);
  assert.match(second.stderr, /^another consumer takes the ticks of "robot" already: end that one first\n$/);
  for (const args of [["--lockstep"], []]) {
    const twin = place.start("omni-robot", [...args, "--directory", place.directory]);
    assert.equal((await twin.ended).code, 2);
    assert.match(twin.stderr, args.length > 0 ? /"robot" runs in lockstep already/ : /is published already/);
  }
  assert.equal(consumer.isRunning, true);
});

test("a hand-off's file that was removed is made anew where nobody waits in it", options, async (t) => {
  const place = await openPlace(t);
  const producer = await robot(place);
  await producer.says(/There is no consumer/, "stderr");
  await rm(join(place.directory, "omni-step.robot"));
  await until("there is one again", () => rm(join(place.directory, "omni-step.robot")).then(() => true, () => false));
  const consumer = await until("a consumer finds it", async () => {
    const one = consume(place, "--count", "1000");
    await until("it has begun or ended", () => one.stdout !== "" || !one.isRunning);
    return one.stdout !== "" ? one : undefined;
  });
  assert.deepEqual(await consumer.ended, { code: 0, signal: null }, consumer.stderr);
});

// shared/README.md has the places.
const WORDS = { asked: 64, answered: 128, tick: 192, instance: 200 };

test("garbage in the hand-off's file is told, and neither stops the run nor loses a tick", options, async (t) => {
  const place = await openPlace(t);
  const producer = await robot(place);
  await producer.says(/There is no consumer/, "stderr");
  const file = await open(join(place.directory, "omni-step.robot"), "r+");
  t.after(() => file.close());
  const spoil = (...words) => Promise.all(words.map((word) => file.write(Buffer.alloc(word === "tick" || word === "instance" ? 8 : 4, 0xee), 0, null, WORDS[word])));
  await spoil("tick");
  const first = consume(place, "--count", "1000");
  assert.deepEqual(await first.ended, { code: 0, signal: null }, first.stderr);
  assert.match(first.stderr, /^robot: what its omni-step file says of the tick that waits is not so, somebody has changed that file: .*\n$/);
  await producer.says(/The consumer is gone/, "stderr");

  await spoil("instance");
  const second = consume(place);
  for (let i = 0; i < 20; i++) {
    const before = ticks(second.stdout).at(-1) ?? 0;
    await spoil(Object.keys(WORDS)[i % 4]);
    await until("it goes on", () => ticks(second.stdout).at(-1) > before + 500);
  }
  await producer.stop();
  assert.deepEqual(await second.ended, { code: 0, signal: null }, second.stderr);
  assert.match(second.stderr, /^robot: what its omni-step file says .*\n$/, "once");
  const all = ticks(second.stdout);
  assert.deepEqual(all, Array.from({ length: all.length }, (_, i) => all[0] + i), "none lost, none twice");
});

test("of more ticks than are wanted the first ones are taken", options, async (t) => {
  const place = await openPlace(t);
  await robot(place);
  const before = consume(place);
  await before.says(/"tick":1000,/);
  await before.stop();
  const few = consume(place, "--count", "10");
  assert.deepEqual(await few.ended, { code: 0, signal: null }, few.stderr);
  assert.equal(ticks(few.stdout).length, 10);
});

test("a robot whose tick waits is not called live: nothing moves", options, async (t) => {
  const place = await openPlace(t);
  const producer = await robot(place);
  await producer.says(/There is no consumer/, "stderr");
  const observer = await place.startObserver();
  const is = (state, reason) => until(`${state} ${reason}`, async () => {
    const { sources: [source] } = await askJson(observer, "/api/sources");
    return source?.state === state && source.reason === reason;
  });
  await is("stopped", "silent");
  const list = place.start("omni-observer", ["list", "--json", "--directory", place.directory]);
  await list.ended;
  assert.equal(JSON.parse(list.stdout).reason, "silent");
  const consumer = consume(place);
  await is("live", "");
  process.kill(consumer.pid, "SIGSTOP");
  await is("stopped", "silent");
  process.kill(consumer.pid, "SIGCONT");
  await is("live", "");
});

test("lockstep and real time exclude each other", options, async (t) => {
  const place = await openPlace(t);
  const both = place.start("omni-robot", ["--lockstep", "--realtime", "--directory", place.directory]);
  assert.equal((await both.ended).code, 2);
  assert.match(both.stderr, /^--lockstep and --realtime exclude each other: .*leave one of them out\n$/);
});
