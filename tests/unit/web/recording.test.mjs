import assert from "node:assert/strict";
import { beforeEach, mock, test } from "node:test";

import { Recording } from "../../../web/recording.js";
import { batch, field, schemaOf } from "./support.mjs";

/** What stands for the observer: each connection of the page, the newest last. */
let sockets = [];

class FakeSocket {
  static OPEN = 1;
  readyState = 0;
  sent = [];
  constructor(url) {
    this.url = String(url);
    sockets.push(this);
  }
  send(text) {
    this.sent.push(JSON.parse(text));
  }
  close() {
    this.readyState = 3;
  }
  /** A message from the observer. */
  tell(message) {
    this.readyState = 1;
    this.onmessage?.({ data: JSON.stringify(message) });
  }
  lose() {
    this.readyState = 3;
    this.onclose?.({ code: 1006 });
  }
}

globalThis.WebSocket = FakeSocket;
globalThis.location = new URL("https://robot.example/page/?token=x#tank");
const SCHEMA = schemaOf(field("x"));
const hello = (tick, instance = "a", schema = SCHEMA) => ({
  op: "hello",
  monotonic: 7,
  sources: [{ name: "robot", instance, tick, schema }],
});
/** Ticks from `first` to `last`, a millisecond apart, by a clock that begins at `base`. */
const ticks = (first, last, instance = "a", base = 0) =>
  batch(["x"], Array.from({ length: last - first + 1 }, (_, i) => [first + i, base + (first + i) * 1000, i]), instance);

let now = 0;
beforeEach(() => {
  sockets = [];
  now = 50_000;
  mock.restoreAll();
  mock.method(performance, "now", () => now);
  mock.method(Date, "now", () => now + 1e12);
  mock.method(globalThis, "setInterval", (action) => (watch = action));
});
let watch;

/** @param {number} ms */
function wait(ms) {
  now += ms;
  watch();
}

function begin() {
  const seen = { changes: 0, dropped: [] };
  const recording = new Recording(() => seen.changes++, (message) => seen.dropped.push(message.frames));
  const follow = (schema = SCHEMA, isOpen = true, source = "robot") => recording.follow(source, schema, 1000, isOpen);
  follow();
  return { recording, seen, follow };
}

test("asks for every tick and for the past of one that it knows nothing of", () => {
  const { recording } = begin();
  assert.equal(sockets[0].url, "wss://robot.example/page/ws");
  assert.equal(recording.isOpen, false);
  sockets[0].tell(hello(5));
  assert.equal(recording.isOpen, true);
  assert.deepEqual(sockets[0].sent, [{ op: "subscribe", source: "robot", mode: "every", rate: 60, history: 900 }]);
});

test("what was published before the page was there is told from what came since", () => {
  const { recording, seen } = begin();
  sockets[0].tell(hello(5));
  sockets[0].tell(ticks(1, 3, "before"));
  sockets[0].tell(ticks(1, 3, "a", 5000));
  assert.equal(recording.series.live, 6);
  sockets[0].tell(ticks(4, 8, "a", 5000));
  assert.equal(recording.series.live, 8, "ticks 4 and 5 are of the past, in whatever batch");
  sockets[0].tell(ticks(9, 20, "a", 5000));
  assert.equal(recording.series.live, 8);
  assert.equal(seen.changes, 1 + 4);
});

test("whatever comes of the next run is of this page's own time", () => {
  const { recording } = begin();
  sockets[0].tell(hello(5));
  sockets[0].tell(ticks(1, 5));
  sockets[0].tell({ op: "source", change: "changed", source: { name: "robot", instance: "b" } });
  sockets[0].tell(ticks(1, 3, "b", 9000));
  assert.equal(recording.series.live, 5);
});

test("after a loss it asks for what it missed by its own clock, whatever the stamps say", () => {
  for (const base of [0, 1e15]) {
    sockets = [];
    const { follow } = begin();
    sockets[0].tell(hello(5));
    now += 10_000;
    sockets[0].tell(ticks(1, 5, "a", base));
    sockets[0].lose();
    wait(20_000);
    follow();
    sockets[1].tell(hello(2, "after a reboot"));
    assert.equal(sockets[1].sent[0].history, 24);
  }
});

test("a laptop that slept asks for what it slept through, and nobody for more than there is", () => {
  const { follow } = begin();
  sockets[0].tell(hello(5));
  sockets[0].tell(ticks(1, 5));
  sockets[0].lose();
  wait(1000);
  mock.method(Date, "now", () => now + 1e12 + 60_000);
  follow();
  sockets[1].tell(hello(9));
  assert.equal(sockets[1].sent[0].history, 65);
  sockets[1].lose();
  wait(3_600_000);
  follow();
  sockets[2].tell(hello(9));
  assert.equal(sockets[2].sent[0].history, 900);
});

test("refused again and again it waits longer and longer, and not so after a good connection", () => {
  mock.method(Math, "random", () => 1);
  const { follow } = begin();
  const waits = [];
  for (let i = 0; i < 6; i++) {
    sockets.at(-1).lose();
    const [lost, count] = [now, sockets.length];
    for (; sockets.length === count; now += 10) follow();
    waits.push(now - 10 - lost);
  }
  assert.deepEqual(waits, [250, 500, 1000, 2000, 4000, 5000]);
  sockets.at(-1).tell(hello(1));
  wait(3000);
  sockets.at(-1).lose();
  const count = sockets.length;
  now += 250;
  follow();
  assert.equal(sockets.length, count + 1);
});

test("a connection on which nothing is heard is given up", () => {
  const { follow, recording } = begin();
  sockets[0].tell(hello(1));
  wait(4000);
  sockets[0].tell({ op: "alive" });
  wait(4000);
  assert.equal(recording.isOpen, true);
  wait(4000);
  assert.equal(recording.isOpen, false);
  wait(5000);
  follow();
  assert.equal(sockets.length, 2);
});

test("another schema or another source begins anew; the same schema does not", () => {
  const { recording, follow } = begin();
  sockets[0].tell(hello(1));
  sockets[0].tell(ticks(1, 5));
  const { series } = recording;
  follow(schemaOf(field("x")));
  assert.equal(recording.series, series);
  const other = schemaOf(field("y"));
  sockets[0].tell({ op: "source", change: "came", source: { name: "robot", instance: "b", schema: other } });
  assert.equal(recording.isOpen, false, "its batches would not fit");
  follow(other);
  assert.notEqual(recording.series, series);
  follow(SCHEMA, true, "tank");
  assert.equal(recording.series.isEmpty, true);
  assert.equal(sockets.length, 2, "and at once");
  sockets[1].tell(ticks(1, 5));
  assert.equal(recording.series.isEmpty, true, "batches of another source are none of its business");
});

test("nothing is asked while the observer cannot be reached; what was dropped is told", () => {
  const { follow, seen, recording } = begin();
  sockets[0].tell(hello(1));
  sockets[0].tell({ op: "dropped", source: "robot", frames: 12, total: 12 });
  assert.deepEqual(seen.dropped, [12]);
  follow(SCHEMA, false);
  assert.equal(recording.isOpen, false);
  wait(60_000);
  follow(SCHEMA, false);
  assert.equal(sockets.length, 1);
});
