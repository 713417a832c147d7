// Robots and observers that are killed and come back: what clients see, what the robot feels, what is kept.
// A robot that is killed a thousand times: rebirth.test.mjs.

import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import { askJson } from "./raw.mjs";
import { BUILD, connect, openPlace, until } from "./support.mjs";

const options = { timeout: 180_000 };
const SUBSCRIBE = { op: "subscribe", source: "robot" };

test("the history goes on where the robot was killed", options, async (t) => {
  const place = await openPlace(t);
  const observer = await place.startObserver();
  const read = () => askJson(observer, "/api/history?source=robot&seconds=3600");
  let before = { rows: [] };
  const instances = [];
  for (let i = 0; i < 5; i++) {
    const robot = await place.startPublisher({ args: ["--period", "1000"] });
    await until("ticks", async () => {
      const { source, values } = await askJson(observer, "/api/status").catch(() => ({}));
      const { sources } = await askJson(observer, "/api/sources");
      return source && sources[0].process === robot.pid && values.counter > 100;
    });
    await robot.stop("SIGKILL");
    // Its last ticks come into the history even though it is dead.
    const [{ slots, tick }] = await listed(place);
    assert.ok(slots > 0);
    const now = await until("all that it published", async () => {
      const history = await read();
      return history.rows.at(-1)?.[1] === tick && history;
    });
    assert.deepEqual(now.rows.slice(0, before.rows.length), before.rows, "nothing of before was lost");
    const added = now.rows.slice(before.rows.length);
    assert.equal(new Set(added.map(([instance]) => instance)).size, 1);
    assert.deepEqual(added.map((row) => row[1]), Array.from({ length: tick }, (_, k) => k + 1));
    instances.push(added[0][0]);
    before = now;
  }
  assert.equal(new Set(instances).size, 5);
  const times = before.rows.map((row) => row[3]);
  assert.ok(times.every((time, k) => k === 0 || time >= times[k - 1]), "in the order of their times");
});

/** What `omni-observer list` says. */
async function listed(place) {
  const list = place.start("omni-observer", ["list", "--json", "--directory", place.directory]);
  assert.equal((await list.ended).code, 0);
  return list.stdout.split("\n").slice(0, -1).map((line) => JSON.parse(line));
}

// ---- what the robot feels of its observer ----

/** The robot's newest ticks, read after the fact by nobody who was there before. */
async function ticksHeld(place) {
  const [{ slots, tick }] = await listed(place);
  const dump = place.start("omni-observer", ["dump", "robot", "--directory", place.directory, "--count", String(Math.min(slots - 2, tick))]);
  assert.equal((await dump.ended).code, 0);
  const lines = dump.stdout.split("\n").slice(0, -1).map((line) => JSON.parse(line));
  for (const [i, line] of lines.entries()) assert.equal(line.tick, lines[0].tick + i, JSON.stringify(line).slice(0, 80));
  return lines;
}

/** The robot's own figures over some ticks. */
function figuresOf(ticks) {
  const jitter = Math.max(...ticks.map(({ values }) => values.jitter));
  const longest = Math.max(...ticks.map(({ values }) => values.period));
  const overruns = Number(ticks.at(-1).values.overruns) - Number(ticks[0].values.overruns);
  return { ticks: ticks.length, overruns, jitter, longest };
}

function describe(what, { ticks, overruns, jitter, longest }) {
  return `${what}: ${ticks} ticks, ${overruns} overruns, worst jitter ${jitter} µs, longest period ${longest} µs`;
}

test("a robot does not notice that its observer is killed and comes back", options, async (t) => {
  const OUTAGE_MS = 1000;
  const place = await openPlace(t);
  const robot = await place.startRobot({ args: ["--tick-hz", "200"] });
  const [{ instance, slots, period }] = await listed(place);
  const stretch = (slots * period) / 1000 - 200; // in ms: what the ring holds, and a bit less
  assert.ok(stretch > OUTAGE_MS * 1.5, `the ring holds ${stretch} ms`);

  await sleep(stretch);
  const alone = await ticksHeld(place);

  const watched = async (kill) => {
    const observer = await place.startObserver();
    const client = await connect(t, observer);
    await client.wait(({ op }) => op === "hello");
    client.send({ ...SUBSCRIBE, mode: "every", rate: 1000 });
    await client.wait(({ op }) => op === "batch");
    if (kill) await observer.stop("SIGKILL");
  };
  const end = Date.now() + stretch;
  let kills = 0;
  do {
    await watched(true);
    await sleep(Math.random() * 50);
    kills++;
  } while (kills < 5 || Date.now() < end);
  const killed = await ticksHeld(place);

  await watched(true);
  await sleep(OUTAGE_MS);
  await watched(false);
  const away = await ticksHeld(place);

  t.diagnostic(describe("no observer", figuresOf(alone)));
  t.diagnostic(describe(`observer killed ${kills} times`, figuresOf(killed)));
  t.diagnostic(describe(`observer away for ${OUTAGE_MS} ms`, figuresOf(away)));
  assert.ok(robot.isRunning);
  const [after] = await listed(place);
  assert.deepEqual([after.instance, after.process], [instance, robot.pid]);
  // Every tick is there, and no pause between two is as long as the observer was away.
  for (const ticks of [alone, killed, away]) {
    const stamps = ticks.map(({ monotonic }) => monotonic);
    const pauses = stamps.slice(1).map((stamp, i) => stamp - stamps[i]);
    assert.ok(Math.max(...pauses) < OUTAGE_MS * 1000, `a pause of ${Math.max(...pauses)} µs`);
  }
  assert.equal((await robot.stop()).code, 0);
});

// ---- names and layouts ----

test("the second robot of a name is refused, and told who has it", options, async (t) => {
  const place = await openPlace(t);
  const first = await place.startRobot();
  const second = place.start("omni-robot", ["--name", "robot", "--directory", place.directory]);
  assert.deepEqual(await second.ended, { code: 2, signal: null });
  assert.match(second.stderr, new RegExp(`^[^\\n]*"robot"[^\\n]*\\b${first.pid}\\b[^\\n]*\\n$`));
  const foreign = place.start("tests/programs/publisher", ["--name", "robot", "--directory", place.directory]);
  assert.equal((await foreign.ended).code, 2, "also where it is another program");
  assert.ok(first.isRunning);
  const [before] = await listed(place);
  assert.equal(before.process, first.pid);
  await until("the first goes on", async () => (await listed(place))[0].tick > before.tick);
  // The place of a killed one is free at once.
  await first.stop("SIGKILL");
  const third = await place.startRobot();
  assert.equal((await listed(place))[0].process, third.pid);
});

test("a robot that cannot start because of a file leaves the last words of the run before", options, async (t) => {
  const place = await openPlace(t);
  const run = (...args) => place.start("omni-robot", ["--directory", place.directory, ...args]).ended;
  assert.equal((await run("--ticks", "20")).code, 0);
  const before = await readFile(place.segment("robot"));
  const config = join(place.directory, "board.ini");
  await writeFile(config, "[board]\nchip = gpiochip0\nno_such_key = 1\n");
  for (const args of [
    ["--board", "gpio"], ["--board", "gpio", "--board-config", "/nowhere.ini"], ["--board", "gpio", "--board-config", config],
    ["--board", "driver:/nowhere.so"], ["--board", `driver:${config}`], ["--board", `driver:${join(BUILD, "tests/drivers/recorder.so")}`, "--driver-host", "/nowhere/host"],
  ]) {
    assert.equal((await run(...args)).code, 2, args.join(" "));
    assert.ok(before.equals(await readFile(place.segment("robot"))), args.join(" "));
  }
});

test("a robot that comes back with another layout is shown with it", options, async (t) => {
  const place = await openPlace(t);
  const observer = await place.startObserver();
  const client = await connect(t, observer);
  const layouts = [
    [() => place.startRobot(), "direction"],
    [() => place.startPublisher({ args: ["--layout", "a"] }), "counter"],
    [() => place.startPublisher({ args: ["--layout", "b"] }), "depth"],
    [() => place.startRobot(), "direction"],
  ];
  const hashes = [];
  for (const [start, field] of layouts) {
    const program = await start();
    const { source } = await client.wait(({ op, change }) => op === "source" && change === "came", `came with ${field}`);
    assert.equal(source.process, program.pid);
    assert.equal(source.schema.fields[0].name, field);
    hashes.push(source.schema.hash);
    const status = await client.wait(({ op }) => op === "status");
    assert.deepEqual(Object.keys(status.values), source.schema.fields.map(({ name }) => name));
    const { columns, rows } = await askJson(observer, "/api/history?source=robot");
    assert.equal(columns[4].split("[")[0], field);
    for (const row of rows) assert.equal(row.length, columns.length);
    await program.stop("SIGKILL");
  }
  assert.equal(new Set(hashes).size, 3);
  assert.equal(hashes[3], hashes[0]);
});

test("an observer that is killed leaves everything as it was, and a new one shows the past", options, async (t) => {
  const place = await openPlace(t);
  const publisher = await place.startPublisher({ args: ["--period", "1000"] });
  let seen = 0;
  for (let i = 0; i < 5; i++) {
    const observer = await place.startObserver();
    const client = await connect(t, observer);
    const status = await client.wait(({ op }) => op === "status");
    assert.equal(status.values.counter, status.tick);
    assert.ok(status.tick > seen);
    seen = status.tick;
    const { rows } = await askJson(observer, "/api/history?source=robot&seconds=3600");
    for (const [k, row] of rows.entries()) assert.equal(row[1], rows[0][1] + k);
    assert.ok(rows[0][1] === 1 || rows.length > 1000, "the ring's ticks are in the history");
    await observer.stop("SIGKILL");
  }
  assert.ok(publisher.isRunning);
  const bytes = await readFile(place.segment("robot"));
  assert.equal(bytes.toString("latin1", 0, 8), "OMNISTAT");
});
