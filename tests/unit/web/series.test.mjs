import assert from "node:assert/strict";
import { test } from "node:test";

import { Extremes } from "../../../web/extremes.js";
import { GAP, Series, columnsOf } from "../../../web/series.js";
import { batch, field, randomOf, schemaOf, seriesOf } from "./support.mjs";

const ticks = (series) =>
  Array.from({ length: series.end - series.begin }, (_, i) => series.tick(series.begin + i));
const ms = (count) => Array.from({ length: count }, (_, i) => [i + 1, (i + 1) * 1000, i]);

test("columns are those of a batch; text cannot be plotted", () => {
  const schema = schemaOf(
    field("a"),
    field("b", "u16", { count: 3 }),
    field("words", "text", { count: 32 }),
    field("mode", "enum", { labels: ["x"] }),
    field("on", "bool"),
  );
  assert.deepEqual(
    columnsOf(schema).map(({ name, isState }) => [name, isState]),
    [["a", false], ["b[0]", false], ["b[1]", false], ["b[2]", false], ["mode", true], ["on", true]],
  );
});

test("values come back as they were, each kind of number", () => {
  const cells = { f64: 1 / 3, f32: 0.5, i8: -128, u8: 255, i16: -5, u16: 65535, u32: 2 ** 32 - 1 };
  const more = { i32: -(2 ** 31), u64: 2 ** 53 - 1, i64: -7, bool: 1, enum: 3 };
  const all = Object.entries({ ...cells, ...more });
  const series = new Series(schemaOf(...all.map(([type]) => field(`f_${type}`, type))));
  series.append(batch(all.map(([type]) => `f_${type}`), [[1, 1000, ...all.map(([, v]) => v)]]));
  assert.deepEqual(all.map((_, column) => series.value(column, 0)), all.map(([, value]) => value));
});

test("null is no number; long integers come as texts", () => {
  const series = new Series(schemaOf(field("x"), field("big", "u64"), field("deep", "i64")));
  const row = [null, "18446744073709551613", "-9223372036854775807"];
  series.append(batch(["x", "big", "deep"], [[1, 1000, ...row]]));
  assert.ok(Number.isNaN(series.value(0, 0)));
  assert.equal(series.exact(1, 0), 2n ** 64n - 3n);
  assert.equal(series.value(1, 0), 2 ** 64, "as a plot needs it");
  assert.equal(series.exact(2, 0), 1n - 2n ** 63n);
});

test("a clock that is put right by less than a second costs no row; order is kept", () => {
  const series = new Series(schemaOf(field("x")), 1000);
  series.append(batch(["x"], [[1, 5e6, 1], [2, 5e6 - 1, 2], [3, 4.5e6, 3], [4, 5.1e6, 4]]));
  assert.deepEqual(ticks(series), [1, 2, 3, 4]);
  assert.deepEqual([0, 1, 2, 3].map((row) => series.time(row)), [5e6, 5e6, 5e6, 5.1e6]);
  assert.equal(series.generation, 0);
  series.append(batch(["x"], [[5, 4e6, 5]]));
  assert.deepEqual(ticks(series), [5]);
  assert.equal(series.generation, 1);
});

test("an excerpt holds its stretch and the neighbours, whatever becomes of the ring", () => {
  const schema = schemaOf(field("x"), field("big", "u64"));
  const series = new Series(schema, 1000, 2 ** 20, 64);
  const rows = (first, count) => Array.from({ length: count }, (_, i) => [first + i, (first + i) * 1000, first + i, String(2n ** 63n + BigInt(first + i))]);
  series.append(batch(["x", "big"], rows(1, 40)));
  series.append(batch(["x", "big"], rows(50, 50), "b"));
  const excerpt = series.excerpt(45e3, 60e3);
  series.append(batch(["x", "big"], rows(100, 500), "b"));
  assert.deepEqual(ticks(excerpt), [40, ...rows(50, 12).map(([tick]) => tick)]);
  for (let row = excerpt.begin; row < excerpt.end; row++) {
    assert.equal(excerpt.value(0, row), excerpt.tick(row));
    assert.equal(excerpt.exact(1, row), 2n ** 63n + BigInt(excerpt.tick(row)));
    assert.equal(excerpt.time(row), excerpt.tick(row) * 1000);
  }
  assert.equal(excerpt.gap(excerpt.begin + 1), GAP.restart);
  assert.deepEqual([excerpt.instance(excerpt.begin), excerpt.instance(excerpt.end - 1)], ["a", "b"]);
  assert.deepEqual([excerpt.find("b", 55), excerpt.tick(excerpt.find("b", 55))], [45, 55]);
  assert.equal(excerpt.wallOffset, 5e6);
});

test("rows begin to leave when the ring is full, and not before", () => {
  const series = new Series(schemaOf(field("x")), 1000, 2 ** 20, 64);
  series.append(batch(["x"], ms(63)));
  assert.equal(series.isLeaving(0), false);
  series.append(batch(["x"], ms(64)));
  assert.deepEqual([0, 8000, 9000, 64e3].map((time) => series.isLeaving(time)), [true, true, false, false]);
});

test("columns are found by name, wherever they stand and whatever else there is", () => {
  const series = new Series(schemaOf(field("a"), field("b")));
  series.append(batch(["b", "new", "a"], [[1, 1000, 2, 99, 1]]));
  assert.deepEqual([series.value(0, 0), series.value(1, 0)], [1, 2]);
});

test("what came twice is kept once", () => {
  const series = new Series(schemaOf(field("x")));
  assert.equal(series.append(batch(["x"], ms(10))), 10);
  assert.equal(series.append(batch(["x"], ms(15))), 5);
  assert.deepEqual(ticks(series), ms(15).map(([tick]) => tick));
});

test("lost ticks, restarts and silence are gaps", () => {
  const series = new Series(schemaOf(field("x")), 1000);
  const rows = [[1, 1000, 0], [2, 2000, 0], [5, 5000, 0], [6, 2e6, 0]];
  series.append(batch(["x"], rows));
  series.append(batch(["x"], [[1, 3e6, 0], [2, 3.001e6, 0]], "b"));
  assert.deepEqual(
    [0, 1, 2, 3, 4, 5].map((row) => series.gap(row)),
    [GAP.none, GAP.none, GAP.lost, GAP.silence, GAP.restart, GAP.none],
  );
  assert.deepEqual([series.instance(3), series.instance(4)], ["a", "b"]);
});

test("rows of a run that ended do not come again after the next one began", () => {
  const series = new Series(schemaOf(field("x")), 1000);
  series.append(batch(["x"], [[7, 1000, 0]], "a"));
  series.append(batch(["x"], [[1, 2000, 0]], "b"));
  assert.equal(series.append(batch(["x"], [[7, 1000, 0], [8, 1500, 0]], "a")), 0);
  assert.deepEqual(ticks(series), [7, 1]);
});

test("a clock that begins anew begins the series anew", () => {
  const series = new Series(schemaOf(field("x")), 1000);
  series.append(batch(["x"], ms(10)));
  const { generation } = series;
  series.append(batch(["x"], [[1, 500, 42], [2, 1500, 43]], "after the reboot"));
  assert.deepEqual(ticks(series), [1, 2]);
  assert.notEqual(series.generation, generation);
  assert.equal(series.value(0, series.begin), 42);
  assert.equal(series.instance(series.begin), "after the reboot");
});

test("memory is bounded: the oldest make room", () => {
  const series = seriesOf([], { budget: 33 * 64 });
  assert.equal(series.capacity, 64);
  for (let i = 0; i < 1000; i++) series.append(batch(["x"], [[i + 1, (i + 1) * 1000, i]]));
  assert.equal(series.end - series.begin, 64);
  assert.equal(series.times.length, 64);
  for (let row = series.begin; row < series.end; row++) assert.equal(series.value(0, row), row);
  assert.equal(series.oldest, 937e3);
});

test("rows are found by time and by tick, as a slow search finds them", () => {
  const random = randomOf(7);
  const series = new Series(schemaOf(field("x")), 1000, 33 * 256);
  let tick = 0;
  let time = 0;
  for (let i = 0; i < 400; i++) {
    tick += random() < 0.9 ? 1 : 1 + Math.floor(random() * 5);
    time += Math.floor(random() * 3) * 500;
    series.append(batch(["x"], [[tick, time, i]]));
  }
  const rows = Array.from({ length: series.end - series.begin }, (_, i) => series.begin + i);
  for (let i = 0; i < 500; i++) {
    const wanted = Math.floor(random() * (time + 1000));
    const slow = rows.find((row) => series.time(row) >= wanted) ?? series.end;
    assert.equal(series.lowerBound(wanted), slow, `at ${wanted}`);
    const distance = Math.abs(series.time(series.nearest(wanted)) - wanted);
    assert.equal(distance, Math.min(...rows.map((row) => Math.abs(series.time(row) - wanted))));
    const one = Math.floor(random() * tick) + 1;
    assert.equal(series.find("a", one), rows.find((row) => series.tick(row) === one) ?? -1);
  }
  assert.equal(series.find("z", tick), -1);
});

test("least and greatest count from when the page was opened, and skip what is no number", () => {
  const series = seriesOf([1000, -1000]);
  series.live = series.end;
  const extremes = new Extremes(series);
  extremes.update();
  assert.equal(extremes.of(0, 1), null);
  series.append(batch(["x"], [[3, 3000, 5], [4, 4000, null], [5, 5000, -2]]));
  extremes.update();
  assert.deepEqual(extremes.of(0, 1), { low: -2, high: 5 });
});

test("least and greatest of long integers are told to the last digit", () => {
  const series = seriesOf(["9223372036854775805", "9223372036854775807", "9223372036854775806"], { type: "u64" });
  const extremes = new Extremes(series);
  extremes.update();
  assert.deepEqual(extremes.of(0, 1), { low: "9223372036854775805", high: "9223372036854775807" });
});

test("a time belongs to a tick, or to none: in a gap, before the oldest, after the newest", () => {
  const series = new Series(schemaOf(field("x")), 1000);
  series.append(batch(["x"], [[1, 10e3, 0], [2, 11e3, 1], [5, 14e3, 2], [6, 15e3, 3]]));
  series.append(batch(["x"], [[1, 40e3, 4]], "b"));
  const tickAt = (time) => (series.rowAt(time) < 0 ? null : series.value(0, series.rowAt(time)));
  const expected = [
    [9e3, null], [9.6e3, 0], [10e3, 0], [10.4e3, 0], [10.6e3, 1], [11.4e3, 1], [12.5e3, null], [13.4e3, null],
    [13.6e3, 2], [14.2e3, 2], [15.4e3, 3], [20e3, null], [39e3, null], [40e3, 4], [40.6e3, null],
  ];
  assert.deepEqual(expected.map(([time]) => [time, tickAt(time)]), expected);
  assert.equal(new Series(schemaOf(field("x")), 1000).rowAt(0), -1);
  const rare = new Series(schemaOf(field("x")), 0);
  rare.append(batch(["x"], [[1, 0, 7], [2, 60e6, 8]]));
  assert.equal(rare.rowAt(10e6), 0, "without a period nothing is a gap but what was lost");
});
