// What a rude or broken client may do to an observer on HTTP and WebSocket: it stays small, gives
// every descriptor back, and whoever behaves does not miss a tick and keeps the rate.

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import { ask, askJson, descriptors, dial, processorTime } from "./raw.mjs";
import { connect, openPlace, until } from "./support.mjs";

const options = { timeout: 180_000 };
const MEMORY_KIB = 64 * 1024;
const SUBSCRIBE = { op: "subscribe", source: "robot" };

/**
 * An observer with two sources at 1 kHz and two clients that behave: one takes every tick, the other the latest.
 * `judge()` ends the abuse: it compares with what was before it.
 */
async function openHealthy(t, args = []) {
  const place = await openPlace(t);
  await place.startPublisher({ args: ["--period", "1000"] });
  await place.startRobot({ name: "second", args: ["--tick-hz", "1000"] });
  const observer = await place.startObserver({ args });
  const [every, latest] = [await connect(t, observer), await connect(t, observer)];
  await Promise.all([every, latest].map((client) => client.wait(({ op }) => op === "status")));
  const figures = { expected: 0, problem: undefined, stamps: [] };
  every.messages = { push: (message) => message.op === "batch" && message.rows.forEach(([tick]) => {
    if (figures.expected && tick !== figures.expected) figures.problem ??= `tick ${tick} came instead of ${figures.expected}`;
    figures.expected = tick + 1;
  }) };
  latest.messages = { push: (message) => message.op === "status" && figures.stamps.push(message.monotonic) };
  every.send({ ...SUBSCRIBE, mode: "every", rate: 60 });
  latest.send({ ...SUBSCRIBE, rate: 50 });
  await until("both are served", () => figures.expected > 0 && figures.stamps.length > 0);

  /** Statuses per second of the publisher's clock, from here until the function is called. */
  const rateFromHere = () => {
    const from = figures.stamps.length;
    return () => {
      const stamps = figures.stamps.slice(from);
      return stamps.length < 2 ? 0 : ((stamps.length - 1) * 1e6) / (stamps.at(-1) - stamps[0]);
    };
  };
  const calm = rateFromHere();
  await until("a second of calm", () => figures.stamps.length > 50);
  const calmRate = calm();
  const baseline = await descriptors(observer.pid);
  const abused = rateFromHere();

  const judge = async (what) => {
    const abusedRate = abused();
    const peak = await observer.memory("VmHWM");
    t.diagnostic(`${what}: healthy client ${abusedRate.toFixed(1)} statuses a second, before ${calmRate.toFixed(1)}; observer at most ${peak} KiB`);
    const now = figures.expected;
    await until("it goes on", () => figures.expected > now + 500);
    assert.equal(figures.problem, undefined);
    assert.ok(abusedRate > calmRate / 3, `${abusedRate} statuses a second, before ${calmRate}`);
    assert.ok(peak < MEMORY_KIB, `${peak} KiB`);
    assert.deepEqual([every.socket.readyState, latest.socket.readyState], [1, 1]);
    assert.equal((await ask(observer, "/healthz")).status, 200);
    assert.ok(observer.isRunning);
  };
  /** Waits until the observer holds no more descriptors than before the abuse. */
  const settled = () => until("every descriptor is given back", async () => (await descriptors(observer.pid)) <= baseline);
  return { observer, judge, settled };
}

/** A WebSocket's handshake as bytes. */
function handshake(observer, more = "") {
  return `GET /ws HTTP/1.1\r\nHost: ${observer.address}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
    `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${randomBytes(16).toString("base64")}\r\n${more}\r\n`;
}

/** A masked frame with that first byte. */
function frame(first, payload) {
  const head = payload.length < 126 ? Buffer.from([first, 0x80 | payload.length]) : Buffer.from([first, 0xfe, payload.length >> 8, payload.length & 255]);
  return Buffer.concat([head, Buffer.alloc(4), Buffer.from(payload)]); // mask 0
}

/** A WebSocket without anybody behind it who would answer pings or read. */
async function dialWebSocket(t, observer) {
  const socket = dial(t, observer);
  socket.write(handshake(observer));
  await until("the handshake", () => socket.received.includes("\r\n\r\n"));
  assert.match(socket.received, /^HTTP\/1\.1 101 /);
  return socket;
}

/** The code of the close frame among what a server sent; undefined where there is none yet. */
function closeCode(received) {
  const bytes = Buffer.from(received, "latin1");
  for (let at = received.indexOf("\r\n\r\n") + 4; at + 2 <= bytes.length; ) {
    const length = bytes[at + 1] < 126 ? bytes[at + 1] : bytes[at + 1] === 126 ? bytes.readUInt16BE(at + 2) : Number(bytes.readBigUInt64BE(at + 2));
    const payload = at + (bytes[at + 1] < 126 ? 2 : bytes[at + 1] === 126 ? 4 : 10);
    if (bytes[at] === 0x88 && payload + 2 <= bytes.length) return bytes.readUInt16BE(payload);
    at = payload + length;
  }
  return undefined;
}

/** Does something so many times, some at a time. */
async function repeat(times, atOnce, action) {
  let next = 0;
  const work = async () => {
    while (next < times) await action(next++);
  };
  await Promise.all(Array.from({ length: atOnce }, work));
}

test("half a request and then silence is ended, and costs nothing", options, async (t) => {
  const { observer, judge, settled } = await openHealthy(t, ["--header-timeout", "2", "--idle-timeout", "3600"]);
  const whole = [`GET / HTTP/1.1\r\nHost: ${observer.address}\r\n`, handshake(observer).slice(0, -2), `POST / HTTP/1.1\r\nHost: ${observer.address}\r\nContent-Length: 100\r\n\r\nabc`];
  const halves = ["", "G", "GET", "GET ", "GET /", "GET /w", "GET /ws", "GET /x", "HEAD", "\r\n", "\0", "\x16\x03\x01", ...whole];
  const before = await processorTime(observer.pid);
  const began = process.hrtime.bigint();
  const sockets = Array.from({ length: 10 * halves.length }, (_, i) => {
    const socket = dial(t, observer);
    if (halves[i % halves.length]) socket.write(halves[i % halves.length], "latin1");
    return socket;
  });
  await Promise.all(sockets.map(({ over }) => over));
  const used = (await processorTime(observer.pid)) - before;
  const waited = Number(process.hrtime.bigint() - began) / 1e6;
  t.diagnostic(`${sockets.length} halves were ended within ${waited.toFixed(0)} ms, for which the observer computed ${used} ms`);
  assert.ok(used < waited / 2, `${used} ms of ${waited} ms: it spins`);
  await settled();
  await judge("halves of requests");
});

test("who sends a byte now and then is ended too", options, async (t) => {
  const { observer, judge, settled } = await openHealthy(t, ["--header-timeout", "2", "--idle-timeout", "3600"]);
  const texts = [`GET /${"a".repeat(2000)}`, handshake(observer, `X: ${"a".repeat(2000)}\r\n`), "\r\n".repeat(2000)];
  let ended = 0;
  const drips = texts.flatMap((text) => Array.from({ length: 10 }, async () => {
    const socket = dial(t, observer);
    socket.over.then(() => ended++);
    for (let i = 0; i < text.length && !socket.closed; i++) {
      socket.write(text[i]);
      await sleep(50);
    }
    await socket.over;
  }));
  await Promise.all(drips);
  assert.equal(ended, 30);
  await settled();
  await judge("a byte now and then");
});

test("10,000 connections in a row", options, async (t) => {
  const { observer, judge, settled } = await openHealthy(t, ["--header-timeout", "2"]);
  const request = `GET /healthz HTTP/1.1\r\nHost: ${observer.address}\r\n`;
  let [answers, welcomes] = [0, 0];
  const kinds = [
    async (socket) => socket.destroy(),
    async (socket) => socket.resetAndDestroy(),
    async (socket) => socket.end("GET"),
    async (socket) => void (socket.write("GET /ws"), socket.resetAndDestroy()),
    async (socket) => void (socket.write(`${request}\r\n`), socket.resetAndDestroy()),
    async (socket) => {
      socket.write(`${request}Connection: close\r\n\r\n`);
      await socket.over;
      answers += socket.received.startsWith("HTTP/1.1 200 ");
    },
    async (socket) => void (socket.write(handshake(observer)), socket.resetAndDestroy()),
    async (socket) => {
      socket.write(handshake(observer));
      await once(socket, "data");
      welcomes += socket.received.startsWith("HTTP/1.1 101 ");
      socket.resetAndDestroy();
    },
  ];
  const before = await observer.memory();
  await repeat(10_000, 16, async (i) => {
    const socket = dial({ after() {} }, observer);
    await once(socket, "connect");
    await kinds[i % kinds.length](socket);
    await socket.over;
  });
  assert.equal(answers, 10_000 / kinds.length);
  assert.equal(welcomes, 10_000 / kinds.length);
  await settled();
  await until("the clients are gone", async () => (await askJson(observer, "/api/observer")).clients === 2);
  t.diagnostic(`memory before ${before} KiB, after ${await observer.memory()} KiB`);
  await judge("10,000 connections");
});

test("more half-open connections than there is room for", options, async (t) => {
  const { observer, judge, settled } = await openHealthy(t, ["--max-requests", "50", "--max-clients", "20", "--header-timeout", "5", "--idle-timeout", "5"]);
  const starts = ["", "GET /w", `GET / HTTP/1.1\r\nHost: ${observer.address}\r\n`, "GET /ws HTTP/1.1\r\n"];
  const sockets = [];
  await repeat(1000, 50, async (i) => {
    const socket = dial(t, observer);
    sockets.push(socket);
    await once(socket, "connect");
    if (starts[i % starts.length]) socket.write(starts[i % starts.length]);
    // Who comes now is served all the same.
    if (i % 100 === 0) await until("an answer", () => ask(observer, "/healthz").then(({ status }) => status === 200, () => false));
  });
  await until("most were turned away", () => sockets.filter(({ closed }) => closed).length > 700);
  const held = await descriptors(observer.pid);
  assert.ok(held < 300, `${held} descriptors`);
  await judge("1,000 half-open connections");
  for (const socket of sockets) socket.destroy();
  await settled();
});

test("half handshakes keep nobody out", options, async (t) => {
  const place = await openPlace(t);
  const observer = await place.startObserver({ args: ["--max-clients", "4"] });
  for (let i = 0; i < 60; i++) {
    const socket = await dial(t, observer);
    socket.write("GET /ws HTTP/1.1\r\nHost: ");
  }
  const client = await connect(t, observer);
  assert.equal((await client.wait(({ op }) => op === "hello")).protocol, "omniscient.v1");
});

test("headers and frames that are too large, text that is none, messages that mean nothing", options, async (t) => {
  const { observer, judge, settled } = await openHealthy(t, ["--header-timeout", "2", "--idle-timeout", "2"]);
  const big = "x".repeat(65_535);
  const json = (value) => frame(0x81, Buffer.from(JSON.stringify(value)));
  const insults = [
    `GET / HTTP/1.1\r\nHost: ${observer.address}\r\nX: ${big}\r\n\r\n`,
    `GET /${big} HTTP/1.1\r\n\r\n`,
    `GET /ws HTTP/1.1\r\nX: ${big}\r\n\r\n`,
    handshake(observer, `X: ${big}\r\n`),
    `GET /ws?${big} HTTP/1.1\r\n\r\n`,
    handshake(observer, "Sec-WebSocket-Protocol: " + "a, ".repeat(5000) + "a\r\n"),
    handshake(observer, "Sec-WebSocket-Extensions: " + "permessage-deflate; x=".repeat(500) + "\r\n"),
  ];
  await repeat(20 * insults.length, 8, async (i) => {
    const socket = dial(t, observer);
    socket.write(insults[i % insults.length]);
    // What was understood nevertheless goes on; it is left.
    await Promise.race([socket.over, once(socket, "data")]);
    assert.doesNotMatch(socket.received, /^HTTP\/1\.1 200/);
    socket.destroy();
  });

  const many = (payload) => Buffer.concat(Array.from({ length: 20 }, () => frame(0x81, Buffer.from(payload))));
  const BROKEN = [1002, undefined]; // no frame at all: ended with or without a word
  const closing = [
    [[1009], frame(0x81, Buffer.from(big))],
    [[1003], frame(0x82, Buffer.from("{}"))],
    [[1007], frame(0x81, Buffer.from([0xff, 0xfe]))],
    [[1007], frame(0x81, Buffer.from([0xc3]))],
    [BROKEN, frame(0xf1, Buffer.from("{}"))], // reserved bits
    [BROKEN, frame(0x83, Buffer.from("{}"))], // an opcode that there is not
    [BROKEN, frame(0x80, Buffer.from("{}"))], // goes on with nothing
    [BROKEN, frame(0x89, Buffer.alloc(200))], // a ping too long
    [BROKEN, frame(0x09, Buffer.from("x"))], // a ping in pieces
    [BROKEN, frame(0x88, Buffer.from([0]))], // a close of one byte
    [[1007], Buffer.concat(Array.from({ length: 50 }, () => frame(0x81, Buffer.from([0x80, 0xbf]))))],
    [[1008], many("{")],
    [[1008], many('{"op":"drive","power":100}')],
    [[1008], many('{"op":"subscribe","source":"none"}')],
    [[1008], many("[".repeat(4000))],
    [[1008], many('{"op":"subscribe","source":"robot","rate":1e999}')],
  ];
  await repeat(10 * closing.length, 8, async (i) => {
    const [codes, bytes] = closing[i % closing.length];
    const socket = await dialWebSocket(t, observer);
    socket.write(bytes);
    const code = await until(`number ${i % closing.length} is closed`, () => closeCode(socket.received) ?? (socket.closed && "none"));
    assert.ok(codes.includes(code === "none" ? undefined : code), `number ${i % closing.length}: ${code} instead of ${codes}`);
    socket.destroy();
  });
  // A frame of 2^63 - 1 bytes that do not come, a frame without a mask: nothing to answer.
  const strange = [Buffer.from([0x81, 0xff, 0x7f, 255, 255, 255, 255, 255, 255, 255, 0, 0, 0, 0]), Buffer.from([0x81, 0x02, 0x7b, 0x7d])];
  await repeat(50, 8, async (i) => {
    const socket = await dialWebSocket(t, observer);
    socket.write(strange[i % strange.length]);
    await once(socket, "data");
    socket.destroy();
  });

  // These are legal, if strange: the connection goes on.
  const polite = await connect(t, observer);
  for (let i = 0; i < 500; i++) {
    polite.send({ op: "ping", id: i, more: { deep: [[[[]]]] }, "": null });
    polite.send({ ...SUBSCRIBE, mode: ["latest", "every"][i % 2], rate: 1 + i });
    polite.socket.ping("x");
  }
  await polite.settle();
  assert.deepEqual(polite.all("error"), []);
  assert.equal(polite.all("pong").length, 501);
  polite.socket.terminate();
  await settled();
  await judge("headers, frames, messages");
});

test("clients that never read, or one byte at a time", options, async (t) => {
  const { observer, judge, settled } = await openHealthy(t, ["--blocked-timeout", "60", "--ping-interval", "60"]);
  const sockets = [];
  await repeat(150, 10, async (i) => {
    const socket = await dialWebSocket(t, observer);
    socket.pause();
    for (const source of ["robot", "second"]) {
      const message = { op: "subscribe", source, mode: ["every", "latest"][i % 2], rate: 1000, ...(i % 2 ? {} : { history: 60 }) };
      socket.write(frame(0x81, Buffer.from(JSON.stringify(message))));
    }
    sockets.push(socket);
  });
  await repeat(50, 10, async () => {
    const socket = dial(t, observer);
    socket.pause();
    socket.write(`GET /api/history?source=robot&seconds=3600 HTTP/1.1\r\nHost: ${observer.address}\r\n\r\n`);
    sockets.push(socket);
  });
  // Twenty of them take a byte now and then.
  const sips = sockets.filter((_, i) => i % 10 === 0);
  for (let i = 0; i < 100; i++) {
    for (const socket of sips) socket.read(1);
    await sleep(50);
  }
  t.diagnostic(JSON.stringify(await askJson(observer, "/api/observer")));
  await judge("200 clients that do not read");
  for (const socket of sockets) socket.destroy();
  await settled();
});
