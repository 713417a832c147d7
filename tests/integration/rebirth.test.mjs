// A robot that is killed a thousand times at random moments while it publishes as fast as it can: what
// clients see, how soon they see the next life, and what is kept. The same without an observer, in C:
// tests/unit/shared/crash_test.c.

import assert from "node:assert/strict";
import { test } from "node:test";

import { ask, askJson } from "./raw.mjs";
import { connect, openPlace, until } from "./support.mjs";

const options = { timeout: 300_000 };
const LIVES = 1000;
const LAST = 20; // lives of these, in the end, at a pace at which nothing need be lost
const LAST_PERIOD_NS = 100_000;
const FLEETING = 0.25; // share of lives that die whether anybody looked or not
const LONGEST_FLEETING_US = 8000;
const LONGEST_US = 3000; // for the others, after they were seen
const SUBSCRIBE = { op: "subscribe", source: "robot" };

/** Repeatable chance, 0 to 1 (mulberry32). */
function chances(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let word = Math.imul(state ^ (state >>> 15), state | 1);
    word ^= word + Math.imul(word ^ (word >>> 7), word | 61);
    return ((word ^ (word >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** The clock that the stamps are of, in µs. */
const now = () => Number(process.hrtime.bigint() / 1000n);

// ---- statuses that tell whether they are whole (tests/programs/parcel.h) ----

const WORDS = 12;

/** `values` has the words and the checksum from `at` on. No assert for each: there are millions. */
function assertWhole(serial, values, at = 0) {
  let sum = serial >>> 0;
  for (let i = 0; i < WORDS; i++) {
    const word = (Math.imul(serial, 2654435761) + Math.imul(i, 40503)) >>> 0;
    if (values[at + i] !== word) assert.fail(`word ${i} of ${serial} is ${values[at + i]}, not ${word}`);
    sum = (sum + Math.imul(i + 1, word)) >>> 0;
  }
  if (values[at + WORDS] !== sum) assert.fail(`the checksum of ${serial} is ${values[at + WORDS]}, not ${sum}`);
}

/** A row: tick, time, monotonic, serial, words, checksum. */
function assertRow(row) {
  if (row[3] !== row[0]) assert.fail(`tick ${row[0]} has the serial number ${row[3]}`);
  assertWhole(row[3], row, 4);
}

function assertStatus({ tick, values: { serial, words, checksum } }) {
  assert.equal(serial, tick);
  assertWhole(serial, [...words, checksum]);
}

// ---- two clients ----

/** Checks what a client gets as it comes, and keeps of it what the lives are judged by later. */
class Witness {
  constructor(client) {
    this.newest = 0; // stamp, µs
    this.count = 0;
    this.frames = 0; // that it could not take
    client.messages = { push: (message) => this.hear(message) };
  }

  hear(message) {
    try {
      this[message.op]?.(message);
    } catch (error) {
      this.failure ??= error;
    }
  }

  dropped({ total }) {
    this.frames = total;
  }

  /** Whether it got something that was published after that moment. */
  hasSeen(moment) {
    if (this.failure) throw this.failure;
    return this.newest >= moment;
  }
}

class LatestWitness extends Witness {
  sightings = [];

  status(message) {
    assertStatus(message);
    const { tick, monotonic } = message;
    assert.ok(monotonic >= this.newest, `from ${this.newest} back to ${monotonic}`);
    this.newest = monotonic;
    this.count++;
    this.sightings.push({ tick, last: tick, stamp: monotonic, end: monotonic, received: now() });
  }
}

class EveryWitness extends Witness {
  instances = new Map();

  batch({ instance, rows }) {
    const [[tick, , stamp]] = rows;
    let sighting = this.instances.get(instance);
    if (!sighting) this.instances.set(instance, (sighting = { tick, last: 0, stamp, end: stamp, received: now() }));
    for (const row of rows) {
      assertRow(row);
      if (row[0] <= sighting.last || row[2] < this.newest) assert.fail(`tick ${row[0]} after ${sighting.last}`);
      sighting.last = row[0];
      this.newest = row[2];
    }
    sighting.end = this.newest;
    this.count += rows.length;
  }

  get sightings() {
    return [...this.instances.values()];
  }
}

// ---- the robot that comes back ----

/** tests/programs/phoenix.c; `lives` has what it said of each: process, born, dead (µs) and ticks. */
class Phoenix {
  constructor(place) {
    this.program = place.start("tests/programs/phoenix", [place.directory, "robot"], { input: "pipe" });
    this.lives = [];
    let rest = "";
    this.program.child.stdout.on("data", (bytes) => {
      const lines = (rest + bytes).split("\n");
      rest = lines.pop();
      for (const line of lines) this.hear(...line.split(" "));
    });
  }

  hear(what, process, time, ticks) {
    const moment = Math.floor(Number(time) / 1000);
    if (what === "born") this.lives.push({ process: Number(process), born: moment, dead: undefined });
    else Object.assign(this.lives.at(-1), { dead: moment, ticks: Number(ticks) });
  }

  say(...orders) {
    this.program.child.stdin.write(orders.map((order) => `${order}\n`).join(""));
  }

  async life(number, accept) {
    const life = await until(`life ${number}`, () => {
      assert.ok(this.program.isRunning, this.program.stderr);
      return this.lives[number] && accept(this.lives[number]) && this.lives[number];
    }, 1);
    return life;
  }
}

/** The life in which that was published. Each stamp lies in exactly one. */
function lifeOf(lives, { tick, last, stamp, end }) {
  const life = lives.findLast(({ born }) => born <= stamp);
  const what = `ticks ${tick} to ${last} at ${stamp} to ${end}`;
  assert.ok(life, `${what}: before the first life`);
  assert.ok(end <= life.dead, `${what}: of a robot that was dead at ${life.dead}`);
  assert.ok(last <= life.ticks + 1, `${what}: it had published ${life.ticks}`);
  return life;
}

/** How long after its start each life was first seen, in ms, the quickest first: all, and to that status's stamp. */
function delaysOf(lives, sightings) {
  const delays = new Map();
  for (const sighting of sightings) {
    const life = lifeOf(lives, sighting);
    const [all, stamped] = [sighting.received, sighting.stamp].map((moment) => (moment - life.born) / 1000);
    if (!delays.has(life)) delays.set(life, { all, stamped });
  }
  return [...delays.values()].sort((a, b) => a.all - b.all);
}

function describe(mode, delays) {
  const [median, worst] = [delays[delays.length >> 1], delays.at(-1)];
  return (
    `"${mode}" saw ${delays.length} of ${LIVES} lives; from a robot's start to its first status at the client: p50 ` +
    `${median.all.toFixed(1)} ms, worst ${worst.all.toFixed(1)} ms (${(worst.all - worst.stamped).toFixed(1)} ms after its stamp)`
  );
}

// ---- the history ----

/** The history's rows, one list for each instance, in its order. */
function livesOf(rows) {
  const met = new Map();
  for (const [instance, ...row] of rows) {
    assertRow(row);
    if (!met.has(instance)) met.set(instance, []);
    else if (instance !== [...met.keys()].at(-1)) assert.fail("one instance after the other");
    met.get(instance).push(row);
  }
  return [...met.values()];
}

/** Ticks that are not there, though ticks before and after are. */
function missingIn(rows) {
  for (let i = 1; i < rows.length; i++) assert.ok(rows[i][0] > rows[i - 1][0], "in order");
  return rows.at(-1)[0] - rows[0][0] + 1 - rows.length;
}

function assertHistory({ rows, lost }, lives) {
  const kept = livesOf(rows);
  const missing = kept.reduce((sum, life) => sum + missingIn(life), 0);
  assert.ok(missing <= lost, `${missing} ticks are missing, ${lost} were said to be lost`);
  for (const life of kept) {
    const [tick, , stamp] = life[0];
    const [last, , end] = life.at(-1);
    const { ticks } = lifeOf(lives, { tick, last, stamp, end });
    assert.ok(last >= ticks, `the last that is kept is tick ${last} of ${ticks}`);
  }
  const last = kept.slice(-LAST);
  assert.equal(last.length, LAST);
  for (const [i, life] of last.entries()) {
    assert.equal(missingIn(life), 0, `life ${LIVES - LAST + i}`);
    assert.equal(life[0][0], 1, `life ${LIVES - LAST + i}`);
    assert.ok(life[0][2] >= lives[LIVES - LAST + i].born, "the last lives, all of them");
  }
  return { kept, missing };
}

test(`a robot that is killed ${LIVES} times is seen again each time, and never half`, options, async (t) => {
  const seed = Number(process.env.OMNI_TEST_SEED ?? Math.floor(Math.random() * 2 ** 32));
  t.diagnostic(`OMNI_TEST_SEED=${seed}`);
  const chance = chances(seed);
  const place = await openPlace(t);
  const observer = await place.startObserver({ args: ["--history", "32MiB"] });
  const clients = [await connect(t, observer), await connect(t, observer)];
  const latest = new LatestWitness(clients[0]);
  const every = new EveryWitness(clients[1]);
  const subscribe = async () => {
    await until("a source", async () => (await ask(observer, "/api/status?source=robot")).status === 200);
    clients[0].send({ ...SUBSCRIBE, rate: 1000 });
    clients[1].send({ ...SUBSCRIBE, mode: "every", rate: 1000 });
  };

  const phoenix = new Phoenix(place);
  let held = 0;
  for (let i = 0; i < LIVES; i++) {
    const isLast = i >= LIVES - LAST;
    const birth = `born ${isLast ? LAST_PERIOD_NS : 0}`;
    if (i > 0 && !isLast && chance() < FLEETING) {
      phoenix.say(birth, `kill ${Math.floor(chance() * LONGEST_FLEETING_US)}`);
    } else {
      phoenix.say(birth);
      if (i === 0) await subscribe();
      const { born } = await phoenix.life(i, () => true);
      await until(`life ${i} is seen`, () => latest.hasSeen(born) && every.hasSeen(born), 1);
      phoenix.say(`kill ${Math.floor(chance() * LONGEST_US)}`);
      held++;
    }
    await phoenix.life(i, ({ dead }) => dead);
    // What it knew last can still be read.
    if (i % 100 === 99) assertStatus(await askJson(observer, "/api/status?source=robot"));
  }
  const lives = phoenix.lives;
  assert.equal(lives.length, LIVES);
  await until("its last words", async () => {
    const { tick } = await askJson(observer, "/api/status?source=robot");
    return tick >= lives.at(-1).ticks && every.hasSeen(0) && every.sightings.at(-1).last === tick;
  });

  const delays = [delaysOf(lives, latest.sightings), delaysOf(lives, every.sightings)];
  assert.equal(new Set(every.sightings.map((sighting) => lifeOf(lives, sighting))).size, every.instances.size);
  for (const [i, mode] of ["latest", "every"].entries()) {
    t.diagnostic(describe(mode, delays[i]));
    assert.ok(delays[i].length >= held, `${delays[i].length} lives were seen, ${held} had waited for it`);
  }
  const history = await askJson(observer, "/api/history?source=robot&seconds=3600");
  assert.deepEqual(history.columns.slice(0, 5), ["instance", "tick", "time", "monotonic", "serial"]);
  const { kept, missing } = assertHistory(history, lives);
  t.diagnostic(
    `${latest.count} statuses and ${every.count} rows checked (${latest.frames} and ${every.frames} frames dropped); ` +
      `history: ${history.rows.length} rows of ${kept.length} lives, ${missing} ticks missing, and said so`,
  );
  assert.deepEqual(clients.map(({ socket }) => socket.readyState), [1, 1], "nobody was closed");
});
