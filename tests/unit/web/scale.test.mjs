import assert from "node:assert/strict";
import { test } from "node:test";

import { scaleRange } from "../../../web/scale.js";

test("a scale leaves some room, and holds still while it suits", () => {
  const [low, high] = scaleRange(10, 20);
  assert.ok(low < 10 && low > 8 && high > 20 && high < 22, `${low} to ${high}`);
  const known = scaleRange(0, 10);
  assert.equal(scaleRange(0.5, 9.5, known), known);
  assert.notDeepEqual(scaleRange(4, 5, known), known, "too much of it is empty");
  assert.notDeepEqual(scaleRange(0, 11, known), known, "it no longer fits");
});

test("one value has a scale, none keeps the last", () => {
  for (const value of [0, 5, -5, 1e-30, 2 ** 64]) {
    const [low, high] = scaleRange(value, value);
    assert.ok(low < value && value < high, `${low} to ${high} around ${value}`);
  }
  assert.deepEqual(scaleRange(Infinity, -Infinity), [0, 1]);
  assert.deepEqual(scaleRange(Infinity, -Infinity, [3, 4]), [3, 4]);
  assert.deepEqual(scaleRange(-1.7e308, 1.7e308, [3, 4]), [3, 4], "wider than a number");
});

test("a scale has room for steps that change its numbers, however large they are", () => {
  for (const [low, high] of [[2 ** 64 - 2048, 2 ** 64], [-(2 ** 63), 1024 - 2 ** 63], [1, 1 + Number.EPSILON], [1e300, 1.0000000000000002e300]]) {
    const [from, to] = scaleRange(low, high);
    assert.ok(from < low && to > high, `${from} to ${to} around ${low} to ${high}`);
    const step = (to - from) / 100;
    assert.ok(from + step > from && to - step < to, `steps of ${step} at ${to}`);
  }
});
