import assert from "node:assert/strict";
import { test } from "node:test";

import { parseMessage } from "../../../web/protocol.js";
import { Model, RateMeter, judge } from "../../../web/state.js";

const SECOND = 1e6;
const SCHEMA = {
  hash: "1",
  fields: [
    { name: "level", type: "f64", count: 1, unit: "l", minimum: 0, maximum: 9, description: "" },
  ],
};

function report(name, more = {}) {
  return {
    name,
    state: "live",
    reason: "",
    age: 0,
    instance: "a",
    period: 10000,
    process: 1,
    version: 1,
    tick: 1,
    ticks: 1,
    lost: 0,
    schema: structuredClone(SCHEMA),
    ...more,
  };
}

function hello(...sources) {
  return {
    op: "hello",
    protocol: "omniscient.v1",
    version: "1",
    time: 0,
    monotonic: 0,
    sources,
    refused: [],
  };
}

function status(source, tick, monotonic, more = {}) {
  return {
    op: "status",
    source,
    version: tick,
    tick,
    time: 0,
    monotonic,
    lost: 0,
    values: { level: tick },
    ...more,
  };
}

/** A model with one live source that showed tick 100 at 1 s. */
function living(more = {}) {
  const model = new Model();
  model.apply(hello(report("robot", more)), SECOND);
  model.apply(status("robot", 100, SECOND), SECOND);
  return model;
}

test("the first live source is looked at, else the first", () => {
  const model = new Model();
  model.apply(hello(report("a", { state: "stopped", reason: "died" }), report("b")), 0);
  assert.equal(model.selected, "b");
  const other = new Model();
  other.apply(hello(report("a", { state: "stopped", reason: "died" })), 0);
  assert.equal(other.selected, "a");
});

test("a later hello does not change what is looked at", () => {
  const model = living();
  model.apply(hello(report("a"), report("robot")), SECOND);
  assert.equal(model.selected, "robot");
  assert.deepEqual([...model.sources.keys()], ["a", "robot"]);
});

test("live: open link, live source, young values", () => {
  const source = living().current();
  assert.deepEqual(judge("open", source, SECOND + 8000), { claim: "live", fresh: true, age: 8000 });
});

test("live is never claimed on hearsay", () => {
  const source = living().current();
  const words = {
    connecting: "connecting",
    quiet: "checking",
    checking: "checking",
    "observer-gone": "observer-gone",
    "network-gone": "network-gone",
    "needs-link": "needs-link",
    refused: "refused",
  };
  for (const [link, claim] of Object.entries(words))
    assert.deepEqual(judge(link, source, SECOND + 7), { claim, fresh: false, age: 7 }, link);
});

test("ages go on when nothing comes any more", () => {
  const source = living().current();
  assert.equal(judge("network-gone", source, 61 * SECOND).age, 60 * SECOND);
});

test("an observer's clock that seems behind gives no negative age", () => {
  assert.equal(judge("open", living().current(), SECOND - 500).age, 0);
});

test("values that come late are not called live", () => {
  const source = living().current();
  assert.equal(judge("open", source, SECOND + 1.9 * SECOND).claim, "live");
  assert.deepEqual(judge("open", source, SECOND + 2.1 * SECOND), {
    claim: "late",
    fresh: false,
    age: 2.1 * SECOND,
  });
});

test("a slow source has its own idea of late, one without a period none", () => {
  const slow = living({ period: 10 * SECOND }).current();
  assert.equal(judge("open", slow, 50 * SECOND).claim, "live");
  assert.equal(judge("open", slow, 70 * SECOND).claim, "late");
  const seldom = living({ period: 0 }).current();
  assert.equal(judge("open", seldom, 9000 * SECOND).claim, "live");
});

test("stopped, with its reason and the age of its last values", () => {
  const model = living();
  const stopped = report("robot", { state: "stopped", reason: "silent", age: 3 * SECOND });
  delete stopped.schema;
  model.apply({ op: "source", change: "changed", source: stopped }, 4 * SECOND);
  const source = model.current();
  assert.equal(source.reason, "silent");
  assert.deepEqual(judge("open", source, 5 * SECOND), {
    claim: "stopped",
    fresh: false,
    age: 4 * SECOND,
  });
  assert.equal(source.values.level, 100);
});

test("a stamp from the future is as old as the observer says", () => {
  const model = living();
  const ahead = status("robot", 101, 3600 * SECOND, { age: 250_000 });
  model.apply(ahead, 2 * SECOND);
  assert.equal(judge("open", model.current(), 2 * SECOND).age, 250_000);
  assert.deepEqual(judge("open", model.current(), 60 * SECOND), {
    claim: "late",
    fresh: false,
    age: 58.25 * SECOND,
  });
});

test("a stamp from the future is believed no longer than until the observer tells an age", () => {
  const model = living();
  model.apply(status("robot", 101, 3600 * SECOND), null);
  assert.equal(judge("open", model.current(), 2 * SECOND).age, 0);
  const stopped = { state: "stopped", reason: "silent", tick: 101, age: 7 * SECOND };
  const silent = report("robot", stopped);
  model.apply({ op: "source", change: "changed", source: silent }, 9 * SECOND);
  assert.equal(judge("open", model.current(), 9 * SECOND).age, 7 * SECOND);
});

test("a report of a newer tick does not make the values that are shown younger, nor older", () => {
  const model = living();
  const newer = report("robot", { tick: 200, age: 5 * SECOND });
  model.apply({ op: "source", change: "changed", source: newer }, 5.5 * SECOND);
  assert.equal(judge("open", model.current(), 5.5 * SECOND).age, 4.5 * SECOND);
});

test("a message that was long on its way is late, however young it was when it was written", () => {
  const model = living();
  model.apply(status("robot", 101, 2 * SECOND, { age: 150 }), 9 * SECOND);
  assert.deepEqual(judge("open", model.current(), 9 * SECOND), {
    claim: "late",
    fresh: false,
    age: 7 * SECOND,
  });
});

test("a restart: old values are not called live before new ones came", () => {
  const model = living();
  model.apply(
    { op: "source", change: "changed", source: report("robot", { instance: "b" }) },
    SECOND,
  );
  assert.equal(judge("open", model.current(), SECOND).claim, "checking");
  model.apply(status("robot", 1, 1.1 * SECOND), 1.1 * SECOND);
  assert.equal(judge("open", model.current(), 1.1 * SECOND).claim, "live");
});

test("a reconnect: the same", () => {
  const model = living();
  model.apply(hello(report("robot", { age: 5000 })), 2 * SECOND);
  assert.deepEqual(judge("open", model.current(), 2 * SECOND), {
    claim: "checking",
    fresh: false,
    age: 5000,
  });
});

test("the schema stays the same object while it says the same", () => {
  const model = living();
  const { schema } = model.current();
  model.apply(hello(report("robot")), SECOND);
  assert.equal(model.current().schema, schema);
  assert.equal(model.current().values.level, 100);
});

test("another schema comes without the old values", () => {
  const model = living();
  const schema = { hash: "2", fields: [{ ...SCHEMA.fields[0], name: "depth" }] };
  model.apply(
    { op: "source", change: "came", source: report("robot", { schema, instance: "b" }) },
    SECOND,
  );
  assert.deepEqual(model.current().schema, schema);
  assert.equal(model.current().values, null);
});

test("what is looked at stays when it goes, removed; others vanish", () => {
  const model = living();
  model.apply({ op: "source", change: "came", source: report("tank") }, SECOND);
  model.apply({ op: "source", change: "went", source: { name: "tank" } }, SECOND);
  model.apply({ op: "source", change: "went", source: { name: "robot" } }, SECOND);
  assert.deepEqual([...model.sources.keys()], ["robot"]);
  assert.equal(judge("open", model.current(), SECOND).claim, "stopped");
  assert.equal(model.current().reason, "removed");
  model.apply({ op: "source", change: "came", source: report("robot", { instance: "c" }) }, SECOND);
  model.apply(status("robot", 1, SECOND), SECOND);
  assert.equal(judge("open", model.current(), SECOND).claim, "live");
});

test("looking elsewhere forgets what was removed, and old values of the other are not live", () => {
  const model = living();
  model.apply({ op: "source", change: "came", source: report("tank") }, SECOND);
  model.apply(status("tank", 5, SECOND), SECOND);
  model.apply({ op: "source", change: "went", source: { name: "robot" } }, SECOND);
  model.select("tank");
  assert.deepEqual([...model.sources.keys()], ["tank"]);
  assert.equal(judge("open", model.current(), SECOND).claim, "checking");
});

test("a machine is looked at for want of a robot only", () => {
  const machine = report("a-host", { host: true });
  const came = (more) => ({ op: "source", change: "came", source: report("robot", more) });
  const model = new Model();
  model.apply(hello(machine), SECOND);
  assert.equal(model.selected, "a-host");
  model.apply(came({ state: "stopped", reason: "silent" }), SECOND);
  assert.equal(model.selected, "a-host");
  model.apply({ ...came(), change: "changed" }, SECOND);
  assert.equal(model.selected, "robot");
  model.apply({ op: "source", change: "changed", source: machine }, SECOND);
  assert.equal(model.selected, "robot");
  const chosen = new Model();
  chosen.apply(hello(machine), SECOND);
  chosen.select("a-host");
  chosen.apply(came(), SECOND);
  assert.equal(chosen.selected, "a-host");
});

test("events are looked at for want of a robot only, and before a machine", () => {
  const came = (name, more) => ({ op: "source", change: "came", source: report(name, more) });
  const model = new Model();
  model.apply(hello(report("a-host", { host: true })), SECOND);
  model.apply(came("relay", { occasional: true, period: 0 }), SECOND);
  assert.equal(model.selected, "relay");
  model.apply(came("other", { occasional: true, period: 0 }), SECOND);
  assert.equal(model.selected, "relay");
  model.apply(came("robot"), SECOND);
  assert.equal(model.selected, "robot");
  model.apply({ ...came("relay", { occasional: true, period: 0 }), change: "changed" }, SECOND);
  assert.equal(model.selected, "robot");
});

test("no source", () => {
  assert.deepEqual(judge("open", null, 5), { claim: "empty", fresh: false, age: null });
});

test("dropped frames add up over reconnects", () => {
  const model = living();
  model.apply({ op: "dropped", source: "robot", frames: 12, total: 12 }, SECOND);
  model.apply(hello(report("robot")), SECOND);
  model.apply({ op: "dropped", source: "robot", frames: 3, total: 3 }, SECOND);
  assert.equal(model.current().dropped, 15);
});

test("unknown ops, members and sources change nothing", () => {
  const model = living();
  const before = JSON.stringify(model.current());
  model.apply({ op: "toString" }, SECOND);
  model.apply({ op: "weather", sky: "blue" }, SECOND);
  model.apply(status("nobody", 1, 1), SECOND);
  assert.equal(JSON.stringify(model.current()), before);
  assert.equal(model.sources.size, 1);
});

test("events that come before the answer to the subscription come again, and count then", () => {
  const model = living();
  const event = (sequence) => model.apply({ op: "event", source: "robot", sequence, tick: sequence }, SECOND);
  event(77);
  assert.equal(model.current().events.all.length, 0);
  model.apply({ op: "subscribed", source: "other" }, SECOND);
  event(78);
  model.apply({ op: "subscribed", source: "robot" }, SECOND);
  for (let sequence = 1; sequence <= 79; sequence++) event(sequence);
  assert.deepEqual(model.current().events.all.map(({ sequence }) => sequence), Array.from({ length: 79 }, (_, i) => i + 1));
  model.apply({ op: "hello", version: "2", refused: [], sources: [] }, SECOND);
  assert.equal(model.heard, "");
});

test("events are kept in order, bounded", () => {
  const model = living();
  model.apply({ op: "subscribed", source: "robot" }, SECOND);
  for (let sequence = 1; sequence <= 700; sequence++)
    model.apply({ op: "event", source: "robot", sequence, tick: sequence }, SECOND);
  const events = model.current().events.all;
  assert.equal(events.length, 500);
  assert.equal(events[0].sequence, 201);
  assert.equal(events.at(-1).sequence, 700);
});

test("tick rate: from the ticks' own times, however few arrive", () => {
  const meter = new RateMeter();
  assert.equal(meter.hertz(), null);
  for (let tick = 1; tick < 5000; tick += 16) meter.add(tick, tick * 1000);
  assert.equal(meter.hertz(), 1000);
  assert.ok(meter.seen.length <= 2000 / 16 + 2, `${meter.seen.length} samples kept`);
});

test("tick rate: follows a change within its window, and a restart at once", () => {
  const meter = new RateMeter();
  for (let tick = 0; tick <= 300; tick++) meter.add(tick, tick * 10000);
  for (let tick = 301; tick <= 360; tick++) meter.add(tick, 3e6 + (tick - 300) * 50000);
  assert.equal(meter.hertz(), 20);
  meter.add(1, 7e6);
  assert.equal(meter.hertz(), null);
  meter.add(2, 7.5e6);
  assert.equal(meter.hertz(), 2);
});

test("tick rate: the same tick twice counts once", () => {
  const meter = new RateMeter();
  meter.add(5, 1e6);
  meter.add(5, 1e6);
  assert.equal(meter.hertz(), null);
});

test("what is no message is none", () => {
  for (const data of ["", "[]", "null", "1", '{"op":1}', "{", new ArrayBuffer(2)])
    assert.equal(parseMessage(data), null, String(data));
  assert.equal(parseMessage('{"op":"pong"}').op, "pong");
});
