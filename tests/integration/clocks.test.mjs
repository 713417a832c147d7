// What counts and what tells the time may jump: the version counter wraps after 2^32 ticks, and a wall
// clock is set while the robot runs. From the publisher through the observer to clients and commands.

import assert from "node:assert/strict";
import { test } from "node:test";

import { ask, askJson } from "./raw.mjs";
import { connect, openPlace, until } from "./support.mjs";

const options = { timeout: 120_000 };
const SUBSCRIBE = { op: "subscribe", source: "robot" };
const SECOND_US = 1_000_000;
const PATIENT_US = 30 * SECOND_US; // an age that a busy machine may have, and a wrong clock has not

/** The clock that the stamps are of, in µs. */
const now = () => Number(process.hrtime.bigint() / 1000n);

const numbers = (first, last) => Array.from({ length: last - first + 1 }, (_, k) => first + k);

/** Runs a command of the observer to its end and returns its lines. */
async function linesOf(place, ...args) {
  const command = place.start("omni-observer", [...args, "--directory", place.directory]);
  const { code } = await command.ended;
  assert.equal(code, 0, command.stderr);
  return command.stdout.split("\n").slice(0, -1);
}

const parse = (lines) => lines.map((line) => JSON.parse(line));

/** Every row that a client got; its batches must not tell of anything lost. */
function rowsOf(client) {
  for (const { lost } of client.all("batch")) assert.equal(lost, 0);
  return client.all("batch").flatMap(({ rows }) => rows);
}

// ---- the version counter ----

const WRAPS_AFTER = 400; // ticks
const TICKS = 700;
const FIRST_VERSION = 2 ** 32 - WRAPS_AFTER;

/** Counts from 1 to 2^32 - 1 and on from 1: 0 is "none yet". */
const versionOf = (tick) => ((FIRST_VERSION + tick - 2) % (2 ** 32 - 1)) + 1;

test("the version counter wraps, and nobody loses a tick", options, async (t) => {
  assert.deepEqual([WRAPS_AFTER, WRAPS_AFTER + 1].map(versionOf), [2 ** 32 - 1, 1]);
  const place = await openPlace(t);
  const observer = await place.startObserver();
  const latest = await connect(t, observer); // the first source, without asking
  const every = await connect(t, observer);
  const dump = place.start("omni-observer", ["dump", "robot", "--wait", "--count", String(TICKS), "--directory", place.directory]);
  const args = ["--period", "5000", "--ticks", String(TICKS), "--first-version", String(FIRST_VERSION)];
  const publisher = await place.startPublisher({ args });
  await every.wait(({ op, change }) => op === "source" && change === "came");
  every.send({ ...SUBSCRIBE, mode: "every", rate: 1000, history: 60 });
  await until("the last tick", () => rowsOf(every).at(-1)?.[0] === TICKS && latest.last("status").tick === TICKS);

  assert.deepEqual(rowsOf(every).map(([tick]) => tick), numbers(1, TICKS));
  assert.deepEqual(rowsOf(every).map((row) => row[3]), numbers(1, TICKS), "the values are those of the tick");
  const statuses = latest.all("status");
  for (const { version, tick, lost, values } of statuses)
    assert.deepEqual({ version, lost, counter: values.counter }, { version: versionOf(tick), lost: 0, counter: tick });
  assert.ok(statuses[0].tick <= WRAPS_AFTER, `the first status is of tick ${statuses[0].tick}`);
  for (const [i, { tick }] of statuses.entries()) assert.ok(i === 0 || tick > statuses[i - 1].tick, `status ${i}`);
  // `mode` changes every 50 ticks, on both sides of the wrap.
  const changes = every.all("event").filter(({ field }) => field === "mode");
  assert.deepEqual(changes.map(({ tick, missed }) => [tick, missed]), numbers(1, TICKS / 50).map((k) => [50 * k, undefined]));

  assert.deepEqual(await dump.ended, { code: 0, signal: null });
  const dumped = parse(dump.stdout.split("\n").slice(0, -1));
  assert.deepEqual(dumped.map(({ tick }) => tick), numbers(1, TICKS), "no gap");
  assert.deepEqual(dumped.map(({ values }) => values.counter), numbers(1, TICKS));

  const { sources: [source] } = await askJson(observer, "/api/sources");
  const { version, tick, ticks, lost } = source;
  assert.deepEqual({ version, tick, ticks, lost }, { version: versionOf(TICKS), tick: TICKS, ticks: TICKS, lost: 0 });
  const { rows } = await askJson(observer, "/api/history?seconds=3600");
  assert.deepEqual(rows.map((row) => row[1]), numbers(1, TICKS));

  // Who comes now reads back over the wrap what the ring holds.
  const [{ slots }] = parse(await linesOf(place, "list", "--json"));
  assert.ok(TICKS - WRAPS_AFTER < slots - 2 && slots < TICKS, `${slots} slots`);
  const held = parse(await linesOf(place, "dump", "robot", "--count", String(slots - 2)));
  assert.deepEqual(held.map((line) => line.tick), numbers(held[0].tick, held[0].tick + slots - 3));
  const second = await place.startObserver();
  const late = await askJson(second, "/api/history?seconds=3600");
  assert.deepEqual(late.rows.map((row) => row[1]), numbers(held[0].tick, TICKS));
  assert.equal(late.lost, 0);
  assert.ok(held[0].tick < WRAPS_AFTER && publisher.isRunning);
});

// ---- the wall clock ----
// Nothing but the kernel's own clock could be set, and that is the whole machine's (no namespace has a wall
// clock of its own): so the publisher stamps its ticks as if it had been.

const STEPS_S = [0, -3600, 365 * 24 * 3600]; // 40 ticks each: tests/programs/publisher.c

/** Fails where a tick's wall time is not as far from its monotonic time as it was published. */
function assertStamps(stamps) {
  const distance = ({ tick, time, monotonic }) => time - monotonic - STEPS_S[Math.floor(tick / 40) % 3] * SECOND_US;
  for (const stamp of stamps) {
    const moved = Math.abs(distance(stamp) - distance(stamps[0])) / SECOND_US;
    assert.ok(moved < 60, `tick ${stamp.tick} is ${moved} s off`);
  }
  for (const [i, { tick, monotonic }] of stamps.entries()) {
    if (i === 0) continue;
    assert.equal(tick, stamps[i - 1].tick + 1);
    assert.ok(monotonic >= stamps[i - 1].monotonic, `tick ${tick}`);
  }
  const leaps = stamps.slice(1).map(({ time }, i) => (time - stamps[i].time) / SECOND_US);
  assert.ok(Math.min(...leaps) < -3500 && Math.max(...leaps) > 360 * 24 * 3600, "it was set, back and forth");
}

const stampsOf = (rows, from = 0) => rows.map((row) => ({ tick: row[from], time: row[from + 1], monotonic: row[from + 2] }));

function assertAges(ages) {
  assert.ok(ages.length > 0);
  for (const age of ages) assert.ok(age >= 0 && age < PATIENT_US, `${age} µs`);
}

test("the wall clock is set back by an hour and ahead by a year, and all stays in order", options, async (t) => {
  const place = await openPlace(t);
  const observer = await place.startObserver();
  await place.startPublisher({ args: ["--period", "5000", "--wall-steps"] });
  const latest = await connect(t, observer);
  const every = await connect(t, observer);
  await until("the source", async () => (await ask(observer, "/api/status")).status === 200);
  every.send({ ...SUBSCRIBE, mode: "every", rate: 60, history: 60 });
  await until("three seconds of it", () => rowsOf(every).at(-1)?.[0] > 600);

  const rows = rowsOf(every);
  assert.equal(rows[0][0], 1);
  assertStamps(stampsOf(rows));
  const statuses = latest.all("status");
  for (const [i, { tick }] of statuses.entries()) assert.ok(i === 0 || tick > statuses[i - 1].tick, `status ${i}`);
  assertAges(statuses.map(({ age }) => age));
  const { sources } = await askJson(observer, "/api/sources");
  assertAges([sources[0].age, (await askJson(observer, "/api/status")).age]);
  assertAges(parse(await linesOf(place, "list", "--json")).map(({ age }) => age));
  assert.equal(sources[0].lost, 0);
  await until("it is live", async () => (await askJson(observer, "/api/sources")).sources[0].state === "live");

  // Seconds of the past are seconds of the clock that never steps.
  const before = now();
  const { rows: second } = await askJson(observer, "/api/history?seconds=1");
  const after = now();
  const { rows: whole } = await askJson(observer, "/api/history?seconds=3600");
  assertStamps(stampsOf(whole, 1));
  assert.equal(whole[0][1], 1);
  assert.ok(second[0][3] >= before - SECOND_US, `begins ${before - second[0][3]} µs before it was asked for`);
  const missing = whole.filter((row) => row[3] >= after - SECOND_US && row[3] <= second.at(-1)[3] && row[1] < second[0][1]);
  assert.deepEqual(missing, [], "nothing of the last second is left out");
  assert.deepEqual(second, whole.slice(second[0][1] - 1, second.at(-1)[1]));
  const joiner = await connect(t, observer);
  const asked = now();
  joiner.send({ ...SUBSCRIBE, mode: "every", history: 1 });
  const first = await joiner.wait(({ op }) => op === "batch");
  assert.ok(first.rows[0][2] >= asked - SECOND_US, `begins ${asked - first.rows[0][2]} µs before it was asked for`);

  const csv = await ask(observer, "/api/history?seconds=3600&format=csv");
  const [header, ...lines] = csv.text.trim().split(/\r?\n/);
  assert.equal(header.split(",").slice(0, 4).join(), "instance,tick,time,monotonic");
  const cells = lines.map((line) => line.split(",").slice(1, 4).map(Number));
  assert.deepEqual(stampsOf(cells).slice(0, whole.length), stampsOf(whole, 1));

  assertStamps(parse(await linesOf(place, "dump", "robot", "--count", "240")));
  const [titles, ...dumped] = await linesOf(place, "dump", "robot", "--format", "csv", "--count", "240");
  assert.match(titles, /^tick,time,monotonic,/);
  assertStamps(stampsOf(dumped.map((line) => line.split(",").slice(0, 3).map(Number))));
});
