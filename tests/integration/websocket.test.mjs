// The wire (docs/websocket.md) as a client sees it that nobody here wrote: Node's `ws`, against the
// real observer, following the real robot or the tests' publisher, whose values follow from the tick.

import assert from "node:assert/strict";
import { unlink } from "node:fs/promises";
import { get } from "node:http";
import { connect as connectRaw } from "node:net";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import { connect, openPlace, refusal, until } from "./support.mjs";

const SUBSCRIBE = { op: "subscribe", source: "robot" };
const options = { timeout: 120_000 };

/** Ticks in the rows of all batches. */
function ticksOf(client) {
  return client.all("batch").flatMap((batch) => batch.rows.map((row) => row[0]));
}

function assertConsecutive(ticks) {
  const gap = ticks.findIndex((tick, i) => i > 0 && tick !== ticks[i - 1] + 1);
  assert.equal(gap, -1, `after tick ${ticks[gap - 1]} came ${ticks[gap]}`);
}

/** Microseconds by the publisher's clock from the first status to the last, for each of them. */
function spacing(statuses) {
  return (statuses.at(-1).monotonic - statuses[0].monotonic) / (statuses.length - 1);
}

test("a client that says nothing gets hello, then the first source at up to 60 a second", options, async (t) => {
  const place = await openPlace(t);
  const observer = await place.startObserver();
  await place.startRobot({ name: "zeta" });
  await place.startRobot({ name: "alpha", args: ["--tick-hz", "1000"] });
  await until("both are found", async () => {
    const client = await connect(t, observer, { protocols: [] });
    const hello = await client.wait((message) => message.op === "hello");
    client.socket.close();
    return hello.sources.length === 2;
  });

  const client = await connect(t, observer);
  assert.equal(client.socket.protocol, "omniscient.v1");
  await until("statuses", () => client.all("status").length > 120);
  const [hello, ...rest] = client.messages;
  assert.equal(hello.op, "hello");
  assert.equal(hello.protocol, "omniscient.v1");
  assert.deepEqual(hello.sources.map(({ name }) => name), ["alpha", "zeta"]);
  const { schema, period, state } = hello.sources[0];
  assert.equal(period, 1000);
  assert.equal(state, "live");
  assert.ok(Math.abs(hello.time - Date.now() * 1000) < 3600e6, "microseconds since 1970");
  assert.equal(rest.some(({ op }) => op === "hello"), false);

  const statuses = client.all("status");
  for (const [i, status] of statuses.entries()) {
    assert.equal(status.source, "alpha");
    assert.deepEqual(Object.keys(status.values), schema.fields.map(({ name }) => name));
    if (i > 0) assert.ok(status.tick > statuses[i - 1].tick, "ticks go up");
  }
  assert.ok(spacing(statuses) > 1e6 / 66, `at most 60 a second, not one every ${spacing(statuses)} µs`);
});

test("hello tells one run of the observer from another", options, async (t) => {
  const place = await openPlace(t);
  const instances = [];
  for (let run = 0; run < 2; run++) {
    const observer = await place.startObserver();
    for (const client of [await connect(t, observer), await connect(t, observer)])
      instances.push((await client.wait(({ op }) => op === "hello")).instance);
    await observer.stop();
  }
  assert.match(instances[0], /^[0-9a-f]{16}$/);
  assert.equal(instances[0], instances[1]);
  assert.equal(instances[2], instances[3]);
  assert.notEqual(instances[0], instances[2]);
});

test("the status of a robot that stopped is as old as it says, whenever it is sent", options, async (t) => {
  const place = await openPlace(t);
  const observer = await place.startObserver();
  const robot = await place.startRobot();
  const before = await connect(t, observer);
  await before.wait(({ op }) => op === "status");
  await robot.stop();
  await before.wait(({ op, source }) => op === "source" && source.state === "stopped");
  const { age: first } = await (await connect(t, observer)).wait(({ op }) => op === "status");
  await sleep(1500);
  const { age: second } = await (await connect(t, observer)).wait(({ op }) => op === "status");
  assert.ok(second >= first + 1_400_000, `${second} µs after ${first} µs and 1.5 s`);
});

test("the first source that comes is the default; enums come as labels, wide integers as strings", options, async (t) => {
  const place = await openPlace(t);
  const observer = await place.startObserver();
  const client = await connect(t, observer);
  assert.deepEqual((await client.wait(({ op }) => op === "hello")).sources, []);
  await place.startPublisher();
  const came = await client.wait(({ op }) => op === "source");
  assert.equal(came.change, "came");
  assert.ok(came.source.schema.fields.length > 5);
  const status = await client.wait(({ op }) => op === "status");
  assert.equal(status.values.counter, status.tick);
  assert.equal(status.values.countdown, String(2n ** 64n - 1n - BigInt(status.tick)));
  assert.equal(status.values.broken, null);
  assert.equal(status.values.mode, Math.floor(status.tick / 50) % 2 ? "draining" : "filling");
  assert.equal(status.values.leaking, Math.floor(status.tick / 25) % 2 === 1);
});

test("each client has the rate that it asked for", options, async (t) => {
  const place = await openPlace(t);
  const observer = await place.startObserver();
  await place.startPublisher({ args: ["--period", "2000"] });
  const rates = [5, 50, 200];
  const clients = await Promise.all(rates.map(() => connect(t, observer)));
  await Promise.all(clients.map((client) => client.wait(({ op }) => op === "status")));
  for (const [i, client] of clients.entries()) {
    client.send({ ...SUBSCRIBE, rate: rates[i] });
    await client.settle();
    client.messages.length = 0;
    client.seen = 0;
  }
  await until("enough statuses", () => clients[0].all("status").length > 8);
  for (const [i, client] of clients.entries()) {
    const µs = spacing(client.all("status"));
    assert.ok(µs > 0.85e6 / rates[i], `rate ${rates[i]}: one every ${µs} µs`);
    assert.deepEqual(client.all("dropped"), []);
  }
  assert.ok(clients[1].all("status").length > clients[0].all("status").length);
  assert.ok(clients[2].all("status").length > clients[1].all("status").length);
});

test("mode every gives every tick exactly once, whatever the rate", options, async (t) => {
  const place = await openPlace(t);
  const observer = await place.startObserver();
  await place.startPublisher({ args: ["--period", "1000", "--ticks", "4000"] });
  const clients = await Promise.all([1, 10, 60, 1000].map(async (rate) => {
    const client = await connect(t, observer);
    await client.wait(({ op }) => op === "status");
    client.send({ ...SUBSCRIBE, mode: "every", rate });
    return client;
  }));
  for (const client of clients) {
    await until("the last tick", () => ticksOf(client).at(-1) === 4000);
    assertConsecutive(ticksOf(client));
    assert.deepEqual(client.all("dropped"), []);
    const { columns, rows } = client.last("batch");
    assert.deepEqual(columns.slice(0, 4), ["tick", "time", "monotonic", "counter"]);
    assert.ok(columns.includes("spectrum[39]"));
    for (const row of rows) {
      assert.equal(row.length, columns.length);
      assert.equal(row[columns.indexOf("counter")], row[0]);
      assert.equal(row[columns.indexOf("mode")], Math.floor(row[0] / 50) % 2);
    }
  }
  assert.ok(clients[0].all("batch").length < clients[3].all("batch").length);
});

test("a history joins what comes without gap or duplicate", options, async (t) => {
  const place = await openPlace(t);
  const observer = await place.startObserver({ args: ["--history", "16MiB"] });
  await place.startPublisher({ args: ["--period", "1000", "--ticks", "6000"] });
  const watcher = await connect(t, observer);
  await until("a past", () => (watcher.last("status")?.tick ?? 0) > 2500);
  const client = await connect(t, observer);
  client.send({ ...SUBSCRIBE, mode: "every", rate: 20, history: 60 });
  await until("the last tick", () => ticksOf(client).at(-1) === 6000);
  const ticks = ticksOf(client);
  assert.equal(ticks[0], 1);
  assertConsecutive(ticks);
  assert.deepEqual(client.all("dropped"), []);
});

/** Events of the publisher: `leaking` changes every 25 ticks, `mode` every 50. */
function assertEvents(client) {
  const events = client.all("event");
  const [first] = events;
  let expected = [];
  for (let tick = Math.ceil(first.tick / 25) * 25; expected.length < events.length; tick += 25) {
    if (tick % 50 === 0) expected.push([tick, "mode"]);
    expected.push([tick, "leaking"]);
  }
  if (first.field === "leaking" && first.tick % 50 === 0) expected = expected.slice(1);
  assert.deepEqual(events.map(({ tick, field }) => [tick, field]), expected.slice(0, events.length));
  assert.deepEqual(events.map(({ sequence }) => sequence), events.map((_, i) => first.sequence + i));
  let shown = 0;
  for (const message of client.messages) {
    if (message.op === "status") shown = message.tick;
    if (message.op === "batch") shown = message.rows.at(-1)[0];
    if (message.op === "event") assert.ok(message.tick > shown, `the event of tick ${message.tick} came after tick ${shown}`);
  }
}

test("events come exactly once, in order, before the values of their tick", options, async (t) => {
  const place = await openPlace(t);
  const observer = await place.startObserver();
  await place.startPublisher({ args: ["--period", "1000", "--ticks", "3000"] });
  const modes = [{ rate: 1 }, { rate: 60 }, { rate: 1000 }, { mode: "every", rate: 1 }, { mode: "every", rate: 1000 }];
  const clients = await Promise.all(modes.map(async (mode) => {
    const client = await connect(t, observer);
    await client.wait(({ op }) => op === "status");
    client.send({ ...SUBSCRIBE, ...mode });
    await client.settle();
    client.messages.length = 0;
    client.seen = 0;
    return client;
  }));
  const plain = await connect(t, observer);
  for (const client of [...clients, plain]) {
    await until("the last event", () => client.last("event")?.tick === 3000 && client.last("event").field === "leaking");
    assertEvents(client);
  }

  const back = await connect(t, observer);
  const newest = plain.last("event").sequence;
  back.send({ ...SUBSCRIBE, events_after: newest - 7 });
  await back.settle();
  assert.deepEqual(back.all("event"), plain.all("event").slice(-7));
});

test("a client that does not read disturbs nobody, stays small, and is told what it missed", options, async (t) => {
  const place = await openPlace(t);
  const observer = await place.startObserver({ args: ["--ping-interval", "60", "--blocked-timeout", "60"] });
  await place.startPublisher({ args: ["--period", "1000"] });
  const healthy = await connect(t, observer);
  await healthy.wait(({ op }) => op === "status");
  healthy.send({ ...SUBSCRIBE, mode: "every", rate: 1000 });
  const slow = await Promise.all(Array.from({ length: 20 }, async () => {
    const client = await connect(t, observer);
    client.send({ ...SUBSCRIBE, rate: 1000 });
    await client.settle();
    client.socket.pause();
    return client;
  }));
  const before = await observer.memory();
  const start = ticksOf(healthy).length;
  await until("time goes by", () => ticksOf(healthy).length > start + 6000);
  assertConsecutive(ticksOf(healthy));
  assert.deepEqual(healthy.all("dropped"), []);
  const grown = (await observer.memory()) - before;
  assert.ok(grown < 20 * 256, `${grown} KiB more for 20 clients that do not read`);

  for (const client of slow) client.socket.resume();
  for (const client of slow) {
    await until("dropped", () => client.last("dropped"));
    await client.settle();
    const { source, frames, total } = client.last("dropped");
    assert.equal(source, "robot");
    assert.ok(frames > 0 && total >= frames);
    const at = client.messages.findLastIndex(({ op }) => op === "dropped");
    const status = client.messages.slice(at + 1).find(({ op }) => op === "status");
    const stale = client.messages.slice(0, at).findLast(({ op }) => op === "status");
    assert.ok(status.tick > stale.tick, "the newest comes right after");
    assertEvents({ all: client.all.bind(client), messages: client.messages });
  }
});

test("frames stay whole where a client stalls, and pongs come between them", options, async (t) => {
  const place = await openPlace(t);
  const observer = await place.startObserver({ args: ["--ping-interval", "60", "--blocked-timeout", "60"] });
  await place.startPublisher({ args: ["--period", "1000"] });
  const modes = [{ rate: 1000 }, { mode: "every", rate: 2 }, { mode: "every", rate: 1000 }];
  const clients = await Promise.all(modes.map(async (mode) => {
    const client = await connect(t, observer);
    client.send({ ...SUBSCRIBE, ...mode });
    await client.settle();
    client.pongs = [];
    client.socket.on("pong", (payload) => client.pongs.push(payload.toString()));
    return client;
  }));
  const healthy = await connect(t, observer);
  for (const round of ["first", "second", "third"]) {
    for (const { socket } of clients) socket.pause();
    const start = (await healthy.wait(({ op }) => op === "status")).tick;
    for (const { socket } of clients) socket.ping(round);
    // Longer than the sockets' buffers last.
    await healthy.wait(({ op, tick }) => op === "status" && tick > start + 5000);
    for (const { socket } of clients) socket.resume();
    for (const client of clients) {
      await until("its pong", () => client.pongs.at(-1) === round);
      await client.settle();
    }
  }
  for (const client of clients) {
    assert.deepEqual(client.pongs, ["first", "second", "third"]);
    assert.equal(client.socket.readyState, client.socket.OPEN);
    assertEvents(client);
  }
});

test("a client that takes nothing for too long is closed", options, async (t) => {
  const place = await openPlace(t);
  const observer = await place.startObserver({ args: ["--ping-interval", "60", "--blocked-timeout", "1"] });
  await place.startPublisher({ args: ["--period", "1000"] });
  const healthy = await connect(t, observer);
  await healthy.wait(({ op }) => op === "status");
  const stuck = await connect(t, observer);
  stuck.send({ ...SUBSCRIBE, mode: "every", rate: 1000 });
  await stuck.settle();
  stuck.socket.pause();
  await until("it is gone", async () => (await figures(observer)).clients === 1);
  stuck.socket.resume();
  const { code } = await stuck.closed;
  assert.ok([1006, 1013].includes(code), `${code}`);
  await healthy.settle();
});

/** What the observer counts. */
async function figures(observer) {
  return (await fetch(`${observer.url}/api/observer`)).json();
}

test("what a client may not send closes it with the code that says why", options, async (t) => {
  const place = await openPlace(t);
  const observer = await place.startObserver();
  const cases = [
    [1003, (socket) => socket.send(Buffer.from("{}"), { binary: true })],
    [1007, (socket) => socket.send(Buffer.from([0x22, 0xc3, 0x28, 0x22]), { binary: false })],
    [1007, (socket) => socket.send(Buffer.from([0x22, 0xed, 0xa0, 0x80, 0x22]), { binary: false })],
    [1009, (socket) => socket.send(`"${"x".repeat(4096)}"`)],
    [1009, (socket) => socket.send("x".repeat(10_000_000))],
    [1008, (socket) => Array.from({ length: 10 }, () => socket.send("?"))],
  ];
  for (const [expected, misbehave] of cases) {
    const client = await connect(t, observer);
    await client.wait(({ op }) => op === "hello");
    misbehave(client.socket);
    const { code } = await client.closed;
    assert.equal(code, expected, misbehave.toString());
  }
  const parts = await connect(t, observer);
  for (let i = 0; i < 5; i++) parts.socket.send("x".repeat(1000), { fin: false });
  assert.equal((await parts.closed).code, 1009);
  const polite = await connect(t, observer);
  await polite.settle();
});

test("what cannot be understood is answered, and the connection goes on", options, async (t) => {
  const place = await openPlace(t);
  const observer = await place.startObserver();
  await place.startPublisher();
  const client = await connect(t, observer);
  await client.wait(({ op }) => op === "status");
  const cases = [
    ["{", "bad-json"],
    ["[1]", "bad-message"],
    [{ op: "drive", power: 100 }, "unknown-op"],
    [{ op: "subscribe", source: "rbot" }, "unknown-source"],
    [{ ...SUBSCRIBE, rate: 5000 }, "bad-value"],
  ];
  for (const [message, code] of cases) {
    client.send(message);
    const error = await client.wait(({ op }) => op === "error");
    assert.equal(error.code, code);
    assert.ok(error.message.length > 0);
  }
  assert.match(client.all("error")[3].message, /rbot.*robot/);
  // None of that ended the default.
  await client.settle();
  await client.wait(({ op }) => op === "status");
});

test("pings are answered on both levels, and must be answered", options, async (t) => {
  const place = await openPlace(t);
  const observer = await place.startObserver({ args: ["--ping-interval", "1"] });
  const client = await connect(t, observer);
  const rude = await connect(t, observer, { autoPong: false });
  client.send({ op: "ping", id: 5.5 });
  const pong = await client.wait(({ op }) => op === "pong");
  assert.equal(pong.id, 5.5);
  assert.ok(Math.abs(pong.time - Date.now() * 1000) < 3600e6);
  client.socket.ping("echo");
  const [payload] = await new Promise((resolve) => client.socket.once("pong", (...all) => resolve(all)));
  assert.equal(payload.toString(), "echo");
  const { code, reason } = await rude.closed;
  assert.equal(code, 1013);
  assert.equal(reason, "a ping was not answered");
  assert.ok(client.pings > 0);
  await client.settle();
});

test("nobody waits long for a sign of life", options, async (t) => {
  const place = await openPlace(t);
  const observer = await place.startObserver();
  const alone = await connect(t, observer);
  await until("signs of life", () => alone.all("alive").length >= 2);
  await place.startPublisher({ args: ["--ticks", "10"] });
  const watcher = await connect(t, observer);
  await until("news of an idle source", () => watcher.all("source").filter(({ change }) => change === "changed").length >= 3);
  const { source } = watcher.last("source");
  assert.equal(source.state, "stopped");
  assert.equal(source.reason, "silent");
  assert.ok(source.age > 0);
  assert.equal("schema" in source, false);
});

test("robots come, stop, die, come back and go; two of them; every client hears of it", options, async (t) => {
  const place = await openPlace(t);
  const observer = await place.startObserver();
  const client = await connect(t, observer);
  const reason = (name, state, why) => ({ op, change, source }) =>
    op === "source" && change === "changed" && source.name === name && source.state === state && source.reason === why;

  const robot = await place.startRobot();
  assert.equal((await client.wait(({ op }) => op === "source")).change, "came");
  client.send({ ...SUBSCRIBE, mode: "every", rate: 100 });
  const first = await client.wait(({ op }) => op === "batch");

  const other = await place.startPublisher({ name: "other" });
  const came = await client.wait(({ op, change }) => op === "source" && change === "came");
  assert.equal(came.source.name, "other");
  client.send({ op: "subscribe", source: "other", rate: 20 });
  await client.wait(({ op, source }) => op === "status" && source === "other");

  await robot.stop("SIGKILL");
  await client.wait(reason("robot", "stopped", "died"));
  const again = await place.startRobot();
  await client.wait(reason("robot", "live", ""));
  const batch = await client.wait(({ op, instance }) => op === "batch" && instance !== first.instance);
  assert.equal(batch.source, "robot");
  for (const { instance, rows } of client.all("batch")) {
    assertConsecutive(rows.map(([tick]) => tick));
    assert.ok([first.instance, batch.instance].includes(instance));
  }
  await again.stop("SIGTERM");
  await client.wait(reason("robot", "stopped", "closed"));

  // Another schema under the same name: the subscription goes on with it.
  await other.stop();
  await client.wait(reason("other", "stopped", "closed"));
  await place.startPublisher({ name: "other", args: ["--layout", "b"] });
  const changed = await client.wait(({ op, change, source }) => op === "source" && change === "came" && source.name === "other");
  assert.deepEqual(changed.source.schema.fields.map(({ name }) => name), ["depth", "pump"]);
  const status = await client.wait(({ op, source }) => op === "status" && source === "other");
  assert.deepEqual(Object.keys(status.values), ["depth", "pump"]);

  await unlink(place.segment("robot"));
  const went = await client.wait(({ op, change }) => op === "source" && change === "went");
  assert.deepEqual(went.source, { name: "robot" });
  client.send({ op: "unsubscribe", source: "other" });
  await client.settle();
  const statuses = client.all("status").length;
  await sleep(200);
  assert.equal(client.all("status").length, statuses);
});

test("there is room for as many clients as allowed", options, async (t) => {
  const place = await openPlace(t);
  const observer = await place.startObserver({ args: ["--max-clients", "2"] });
  const first = await connect(t, observer);
  const second = await connect(t, observer);
  await first.settle();
  const { status, text } = await refusal(t, observer);
  assert.equal(status, 503);
  assert.match(text, /clients/);
  first.socket.close();
  await first.closed;
  await until("room again", () => connect(t, observer).then(() => true, () => false));
  await second.settle();
});

test("who may not come in is told why", options, async (t) => {
  const place = await openPlace(t);
  const observer = await place.startObserver({ args: ["--require-token", "always"] });
  assert.equal((await refusal(t, observer)).status, 401);
  assert.equal((await refusal(t, observer, { headers: { authorization: "Bearer x" } })).status, 401);
  const headers = { authorization: `Bearer ${observer.token}` };
  assert.equal((await refusal(t, observer, { headers, origin: "http://evil.example" })).status, 403);
  assert.equal((await refusal(t, observer, { headers: { ...headers, host: "evil.example" } })).status, 421);
  assert.equal((await refusal(t, observer, { headers, protocols: ["mqtt"] })).status, 400);
  const client = await connect(t, observer, { headers, origin: observer.url });
  await client.settle();
  const cookie = `omniscient-${new URL(observer.url).port}=${observer.token}`;
  const browser = await connect(t, observer, { headers: { cookie }, origin: observer.url });
  await browser.settle();

  const response = await new Promise((resolve, reject) => get(`${observer.url}/ws`, resolve).on("error", reject));
  response.resume();
  assert.equal(response.statusCode, 426);
  assert.equal(response.headers["sec-websocket-version"], "13");
});

test("a handshake that never ends is ended", options, async (t) => {
  const place = await openPlace(t);
  const observer = await place.startObserver({ args: ["--header-timeout", "1"] });
  const { hostname, port } = new URL(observer.url);
  const ended = await Promise.all(Array.from({ length: 50 }, (_, i) => new Promise((resolve) => {
    const socket = connectRaw(Number(port), hostname);
    t.after(() => socket.destroy());
    socket.write("GET /ws HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\n".slice(0, 8 + i));
    socket.resume();
    socket.on("error", () => {});
    socket.on("close", () => resolve(true));
  })));
  assert.equal(ended.length, 50);
  await (await connect(t, observer)).settle();
});

test("an observer that ends says so", options, async (t) => {
  const place = await openPlace(t);
  const observer = await place.startObserver();
  await place.startRobot();
  const clients = await Promise.all(Array.from({ length: 50 }, () => connect(t, observer)));
  await Promise.all(clients.map((client) => client.wait(({ op }) => op === "status")));
  assert.deepEqual(await observer.stop(), { code: 0, signal: null });
  for (const client of clients) {
    const { code, reason } = await client.closed;
    assert.equal(code, 1001);
    assert.equal(reason, "the observer is shutting down");
  }
});
