import assert from "node:assert/strict";
import { test } from "node:test";

import { ClockOffset, PageClock } from "../../../web/clock.js";

/** Clocks that are set by hand. */
function hands(steady, wall) {
  const at = { steady, wall };
  return {
    at,
    clock: new PageClock(
      () => at.steady,
      () => at.wall,
    ),
  };
}

test("the page clock follows the steady clock", () => {
  const { at, clock } = hands(100, 5000);
  at.steady += 40;
  at.wall += 40;
  assert.equal(clock.look(), false);
  assert.equal(clock.now(), 140);
});

test("time that passed while the machine slept counts", () => {
  const { at, clock } = hands(100, 5000);
  at.steady += 10;
  at.wall += 60010;
  assert.equal(clock.look(), true);
  assert.equal(clock.now(), 60110);
  assert.equal(clock.look(), false);
});

test("a wall clock that is set back, or creeps, changes nothing", () => {
  const { at, clock } = hands(100, 5000);
  at.wall -= 3600e3;
  assert.equal(clock.look(), false);
  for (let i = 0; i < 10; i++) {
    at.wall += 900;
    assert.equal(clock.look(), false);
  }
  assert.equal(clock.now(), 100);
});

test("nothing is known before the first answer", () => {
  const offset = new ClockOffset();
  assert.equal(offset.best(), null);
  assert.equal(offset.remote(5), null);
});

test("the quickest answer counts most", () => {
  const offset = new ClockOffset();
  offset.add(0, 100, 1_000_090_000); // slow on its way here: off by 40 ms
  offset.add(200, 202, 1_000_201_000); // exact
  offset.add(300, 390, 1_000_310_000);
  assert.equal(offset.remote(500), 1_000_500_000);
});

test("the error is at most half of the round trip", () => {
  const truth = 123456; // the observer's clock is ahead by so much, ms
  let seed = 1;
  const random = () => (seed = (seed * 48271) % 2147483647) / 2147483647;
  const offset = new ClockOffset();
  for (let sent = 0; sent < 60000; sent += 2000) {
    const there = random() * 80;
    const back = random() * 80;
    offset.add(sent, sent + there + back, (sent + there + truth) * 1000);
    const best = offset.best();
    const error = Math.abs(best.offset - truth);
    assert.ok(error <= best.doubt + 1e-6, `off by ${error} ms, in doubt by ${best.doubt} ms`);
  }
});

test("an answer that contradicts the older ones replaces them", () => {
  const offset = new ClockOffset();
  offset.add(0, 2, 1_000_000);
  offset.add(10, 12, 1_010_000);
  offset.add(20, 120, 90_000_000); // much less exact, but the others must be wrong
  assert.equal(offset.remote(70), 90_000_000);
});

test("a sample from nowhere is ignored", () => {
  const offset = new ClockOffset();
  offset.add(10, 5, 1000);
  offset.add(0, 2, NaN);
  assert.equal(offset.best(), null);
});
