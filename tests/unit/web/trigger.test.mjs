import assert from "node:assert/strict";
import { test } from "node:test";

import { GAP } from "../../../web/series.js";
import { Trigger, firstLevel, hysteresisOf, levelOf } from "../../../web/trigger.js";
import { field, randomOf } from "./support.mjs";

const SETTINGS = { kind: "above", level: 10, hysteresis: 0, share: 0.5, span: 4000, mode: "single" };

/** Feeds a tick each millisecond; tells at which ticks it fired, in order. */
function fired(trigger, values, first = 1) {
  const ticks = [];
  values.forEach((value, i) => {
    const before = trigger.pending ?? trigger.shot;
    trigger.feed(value, (first + i) * 1000, first + i);
    const now = trigger.pending ?? trigger.shot;
    if (now && now !== before && now.tick === first + i) ticks.push(first + i);
  });
  return ticks;
}

const always = (more) => new Trigger({ ...SETTINGS, mode: "normal", span: 0, ...more });

test("rises above: the tick that is the first above, not one that began there", () => {
  assert.deepEqual(fired(always({}), [20, 20, 10, 10, 10.1, 30, 5, 11]), [5, 8]);
});

test("falls below", () => {
  assert.deepEqual(fired(always({ kind: "below" }), [5, 15, 10, 9.9, 3, 12, 1]), [4, 7]);
});

test("becomes: from another value, not as the first that is known", () => {
  const trigger = always({ kind: "becomes", level: 2 });
  assert.deepEqual(fired(trigger, [2, 2, 0, 2, 2, 1, 2]), [4, 7]);
});

test("noise around the level fires once: it must come back by the hysteresis", () => {
  const values = [0, 10.1, 9.9, 10.1, 9.2, 10.1, 8.9, 10.1];
  assert.deepEqual(fired(always({ hysteresis: 1 }), values), [2, 8]);
  assert.deepEqual(fired(always({ hysteresis: 0 }), values), [2, 4, 6, 8]);
});

test("what is no number changes nothing", () => {
  assert.deepEqual(fired(always({}), [5, NaN, 15, NaN, 15, NaN, 5, NaN, 15]), [3, 9]);
});

test("the window lies around the tick as the share says, and is shown when it is full", () => {
  const trigger = new Trigger({ ...SETTINGS, share: 0.25 });
  assert.equal(trigger.phase, "armed");
  assert.deepEqual(fired(trigger, [0, 0, 20]), [3]);
  assert.deepEqual([trigger.phase, trigger.shot], ["filling", null]);
  fired(trigger, [0, 0], 4);
  assert.equal(trigger.phase, "filling");
  fired(trigger, [0], 6);
  assert.equal(trigger.phase, "held");
  assert.deepEqual(trigger.shot, { time: 3000, tick: 3, missed: 0, from: 2000, to: 6000 });
});

test("single: the first one stays, whatever comes, until armed again", () => {
  const trigger = new Trigger(SETTINGS);
  const values = [0, 20, 0, 0, 0, 0, 20, 0, 0, 0, 0, 20];
  assert.deepEqual(fired(trigger, values), [2]);
  assert.equal(trigger.shot.tick, 2);
  trigger.arm();
  assert.deepEqual([trigger.phase, trigger.shot], ["armed", null]);
  assert.deepEqual(fired(trigger, [20, 0, 20], 100), [102]);
});

test("normal: the newest one stays until the next is complete", () => {
  const trigger = new Trigger({ ...SETTINGS, mode: "normal" });
  fired(trigger, [0, 20, 0, 0, 0, 0, 20]);
  assert.deepEqual([trigger.phase, trigger.shot.tick, trigger.count], ["filling", 2, 1]);
  fired(trigger, [0, 0, 0], 8);
  assert.deepEqual([trigger.phase, trigger.shot.tick, trigger.count], ["held", 7, 2]);
  fired(trigger, new Array(5000).fill(0), 11);
  assert.deepEqual([trigger.phase, trigger.shot.tick], ["held", 7]);
});

test("a crossing while the window fills is part of it, not another one", () => {
  const trigger = new Trigger({ ...SETTINGS, mode: "normal" });
  assert.deepEqual(fired(trigger, [0, 20, 0, 20, 0, 0, 0, 20]), [2, 8]);
});

test("auto: runs on by itself where nothing fires for a while, and still fires", () => {
  const trigger = new Trigger({ ...SETTINGS, mode: "auto" });
  fired(trigger, [0, 20, 0, 0, 0]);
  assert.equal(trigger.phase, "held");
  fired(trigger, new Array(900).fill(0), 6);
  assert.equal(trigger.phase, "held");
  fired(trigger, new Array(200).fill(0), 906);
  assert.deepEqual([trigger.phase, trigger.shot], ["armed", null]);
  assert.deepEqual(fired(trigger, [20], 1106), [1106]);
});

test("off does nothing", () => {
  const trigger = new Trigger({ ...SETTINGS, mode: "off" });
  assert.deepEqual(fired(trigger, [0, 20, 0, 20]), []);
  assert.equal(trigger.phase, "off");
});

/** What fires with the settings that a field of this type and range gets. */
function firedOf(type, range, kind, text, values) {
  const what = field("x", type, range);
  const level = levelOf(what, text);
  return fired(always({ kind, level, hysteresis: hysteresisOf(what, kind, level) }), values);
}

test("a level where the field rests is left and reached again, at either end of its range", () => {
  const range = { minimum: 0, maximum: 4000 };
  for (const type of ["u16", "f32", "f64"]) {
    assert.deepEqual(firedOf(type, range, "above", "0", [0, 0, 0, 50, 0, 50]), [4, 6], type);
    assert.deepEqual(firedOf(type, range, "below", "4000", [4000, 4000, 3999, 4000, 3000]), [3, 5], type);
    assert.deepEqual(firedOf(type, range, "above", "50", [50, 50, 51]), [3], type);
  }
  assert.deepEqual(firedOf("u8", range, "above", "50", [51, 50, 51, 50, 51]), [3, 5], "integers do not tremble");
  assert.deepEqual(firedOf("f32", range, "above", "50", [51, 50, 51, 30, 51]), [5], "floats do");
});

test("a level is as exact as the field's values are", () => {
  const float = Math.fround(0.1);
  assert.deepEqual(firedOf("f32", {}, "becomes", "0.1", [0, float, 0, float]), [2, 4]);
  assert.deepEqual(firedOf("f32", {}, "above", "0.1", [0, float, 0.2]), [3]);
  const big = 2n ** 64n - 5n;
  assert.deepEqual(firedOf("u64", {}, "becomes", String(big), [big - 1n, big, big + 1n, big]), [2, 4]);
  assert.deepEqual(firedOf("u64", {}, "above", String(big), [big - 1n, big, big + 1n]), [3]);
  assert.deepEqual(firedOf("i64", {}, "below", "0.5", [3n, 1n, 0n]), [3]);
  assert.deepEqual(firedOf("i64", {}, "becomes", "3", [2n, 3n]), [2]);
});

test("the level to begin with is the middle of the range", () => {
  assert.equal(firstLevel(field("x", "u8", { minimum: 0, maximum: 255 })), 127);
  assert.equal(firstLevel(field("x", "f32", { minimum: -1, maximum: 2 })), 0.5);
  assert.equal(firstLevel(field("x", "f32", { minimum: 3 })), 0);
  assert.equal(firstLevel(field("x", "u64", { minimum: 0, maximum: "18446744073709551615" })), 2 ** 63);
});

test("another run crosses nothing with its first value", () => {
  for (const more of [{}, { kind: "becomes", level: 20 }]) {
    const trigger = always(more);
    trigger.feed(0, 1000, 1);
    trigger.feed(20, 2000, 1, GAP.restart);
    assert.equal(trigger.shot, null);
    assert.deepEqual(fired(trigger, [0, 20], 3), [4]);
  }
});

test("a crossing right after lost ticks says how much earlier it may have been", () => {
  const trigger = always({});
  trigger.feed(0, 1000, 1);
  trigger.feed(20, 9000, 9, GAP.lost);
  assert.deepEqual([trigger.shot.tick, trigger.shot.missed], [9, 7]);
});

test("what is caught when nothing more comes is shown, and the trigger goes on", () => {
  const trigger = new Trigger({ ...SETTINGS, mode: "normal" });
  assert.equal(trigger.finish(), false, "nothing is caught");
  fired(trigger, [0, 20]);
  assert.equal(trigger.finish(), true);
  assert.deepEqual([trigger.phase, trigger.shot.tick, trigger.count], ["held", 2, 1]);
  assert.deepEqual(fired(trigger, [0, 20], 3), [4]);
  trigger.feed(0, 500, 1, GAP.restart);
  assert.deepEqual([trigger.phase, trigger.shot.tick, trigger.count], ["held", 4, 2]);
});

test("auto: also where the clock begins anew it runs on after a while", () => {
  const trigger = new Trigger({ ...SETTINGS, mode: "auto" });
  for (const [value, time] of [[0, 9e9], [20, 9e9 + 1000], [0, 9e9 + 9000]]) trigger.feed(value, time, time / 1000);
  assert.equal(trigger.phase, "held");
  trigger.feed(0, 5000, 1, GAP.restart);
  assert.equal(trigger.phase, "held");
  trigger.feed(0, 1.1e6, 2);
  assert.deepEqual([trigger.phase, trigger.shot], ["armed", null]);
});

test("random walks: it fires exactly where a slow look finds a crossing", () => {
  for (let seed = 1; seed <= 50; seed++) {
    const random = randomOf(seed * 104729);
    const hysteresis = random() * 3;
    let level = 10;
    const values = Array.from({ length: 500 }, () => (level += (random() - 0.5) * 4));
    const expected = [];
    for (let i = 1; i < values.length; i++) {
      if (!(values[i] > 10)) continue;
      let j = i - 1;
      while (j >= 0 && values[j] <= 10 && values[j] > 10 - hysteresis) j--;
      // The first of all counts as soon as it is not above.
      if (j < 0 || values[j] <= 10 - hysteresis) expected.push(i + 1);
    }
    assert.deepEqual(fired(always({ hysteresis }), values), expected, `seed ${seed}`);
  }
});
