import assert from "node:assert/strict";
import { test } from "node:test";

import { EventLog } from "../../../web/events.js";

function event(sequence, tick, more = {}) {
  return { op: "event", source: "robot", sequence, instance: "a", tick, time: 0, monotonic: 0, field: "mode", element: 0, from: "x", to: "y", ...more };
}

test("each event once, in order, over any number of connections", () => {
  const log = new EventLog();
  assert.equal(log.after("one"), 0);
  for (const sequence of [1, 2, 2, 1, 3]) log.add(event(sequence, sequence * 10));
  assert.equal(log.after("one"), 3);
  for (const sequence of [2, 3, 4]) log.add(event(sequence, sequence * 10));
  assert.deepEqual(log.all.map(({ sequence }) => sequence), [1, 2, 3, 4]);
});

test("events that never came are counted with the next one; before the first there is no hole", () => {
  const log = new EventLog();
  log.after("one");
  for (const sequence of [905, 906, 910, 911]) log.add(event(sequence, sequence * 10));
  assert.deepEqual(log.all.map(({ skipped }) => skipped), [undefined, undefined, 3, undefined]);
});

test("another run of the observer counts from 1 again, and repeats nothing", () => {
  const log = new EventLog();
  log.after("one");
  log.add(event(1, 10));
  log.add(event(2, 20));
  assert.equal(log.after("two"), 0);
  log.add(event(1, 20));
  log.add(event(2, 20, { field: "flag" }));
  log.add(event(3, 30));
  log.add(event(4, 1, { instance: "b" }));
  assert.deepEqual(
    log.all.map(({ instance, tick, field }) => [instance, tick, field]),
    [["a", 10, "mode"], ["a", 20, "mode"], ["a", 20, "flag"], ["a", 30, "mode"], ["b", 1, "mode"]],
  );
});

test("a source that came anew counts from 1 again", () => {
  const log = new EventLog();
  log.after("one");
  log.add(event(9, 90));
  log.restart();
  assert.equal(log.add(event(1, 1, { instance: "b" })), true);
});

test("the newest 500 are kept, all are counted", () => {
  const log = new EventLog();
  for (let i = 1; i <= 700; i++) log.add(event(i, i));
  assert.deepEqual([log.all.length, log.all[0].sequence, log.count], [500, 201, 700]);
});
