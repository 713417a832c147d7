import assert from "node:assert/strict";
import { test } from "node:test";

import { Envelope, gaps, runs, trace } from "../../../web/decimate.js";
import { GAP } from "../../../web/series.js";
import { batch, randomOf, seriesOf } from "./support.mjs";

/** The points of each unbroken line. */
function linesOf(envelope, from, to) {
  const lines = [];
  const move = (time, value) => lines.push([[time, value]]);
  trace(envelope, 0, from, to, move, (time, value) => lines.at(-1).push([time, value]));
  return lines;
}

function runsOf(envelope, from, to) {
  const all = [];
  runs(envelope, 0, from, to, (...run) => all.push(run));
  return all;
}

/** What every bucket must hold, found slowly. */
function slowly(series, from, to, width) {
  const buckets = new Map();
  for (let row = series.begin; row < series.end; row++) {
    const time = series.time(row);
    if (time < from || time > to) continue;
    const key = Math.floor(time / width);
    const value = series.value(0, row);
    const known = buckets.get(key) ?? { low: Infinity, high: -Infinity };
    if (!Number.isNaN(value))
      buckets.set(key, { low: Math.min(known.low, value), high: Math.max(known.high, value) });
  }
  return buckets;
}

function assertSame(envelope, series, from, to, width) {
  envelope.cover(from, to, width);
  for (const [key, { low, high }] of slowly(series, from, to, width)) {
    const bucket = key - envelope.base;
    // A bucket at an edge also holds what is known beside the window, or was known.
    if (key * width < Math.max(from, series.oldest)) continue;
    if ((key + 1) * width > to && to < series.newest) continue;
    assert.ok(envelope.has(bucket), `bucket ${key} is there`);
    const slot = envelope.slot(bucket);
    assert.deepEqual([envelope.low[0][slot], envelope.high[0][slot]], [low, high], `bucket ${key}`);
  }
}

test("each pixel column keeps its least and its greatest, however the window moves", () => {
  for (let seed = 1; seed <= 40; seed++) {
    const random = randomOf(seed * 7919);
    const series = seriesOf([], { budget: 33 * 4096 });
    const envelope = new Envelope(series, [0], 256);
    let tick = 0;
    let width = 1000 + Math.floor(random() * 20000);
    for (let step = 0; step < 60; step++) {
      const rows = [];
      for (let count = Math.floor(random() * 200); count > 0; count--) {
        tick += random() < 0.98 ? 1 : 7;
        const value = random() < 0.02 ? null : random() < 0.01 ? random() * 1e6 : random();
        rows.push([tick, tick * 1000, value]);
      }
      series.append(batch(["x"], rows));
      if (series.isEmpty) continue;
      if (random() < 0.1) width = 500 + Math.floor(random() * 20000);
      const isBack = random() < 0.3;
      const to = series.newest - (isBack ? Math.floor(random() * 1e6) : 0);
      assertSame(envelope, series, to - 100 * width, to, width);
    }
  }
});

test("without a period a value holds until the next tick", () => {
  const envelope = new Envelope(seriesOf([0, 0, 2, 1], { period: 0 }), [0]);
  envelope.cover(0, 5000, 100);
  const steps = [[1000, 0], [2000, 0], [3000, 0], [3000, 2], [4000, 2], [4000, 1]];
  assert.deepEqual(linesOf(envelope, 0, 5000), [steps]);
  assert.deepEqual(linesOf(envelope, 2500, 3500), [steps.slice(1)]);
  // Several in one pixel: the newest is what holds.
  const dense = new Envelope(seriesOf([1, 9, 3, 3, 3, 7], { period: 0 }), [0]);
  dense.cover(0, 7000, 4000);
  const [line] = linesOf(dense, 0, 7000);
  assert.deepEqual(line.filter(([time]) => time < 4000).at(-1), [3000, 3]);
  assert.ok(line.some(([, value]) => value === 9), "and the peak is drawn");
  assert.deepEqual(line.at(-1), [6000, 7]);
});

test("without a period, of several states in one pixel the newest holds", () => {
  const { series } = new Envelope(seriesOf([1, 0, 1, 2], { type: "u8", period: 0 }), [0]);
  series.append(batch(["x"], [[5, 30000, 1]]));
  const envelope = new Envelope(series, [0]);
  envelope.cover(0, 40000, 5000);
  assert.deepEqual(runsOf(envelope, 0, 40000), [[1000, 6000, 0, 2], [6000, 30000, 2, 2], [30000, 30000, 1, 1]]);
});

test("one tick's peak in a minute at 1 kHz is drawn", () => {
  const values = new Array(60000).fill(0);
  values[34567] = 99;
  const series = seriesOf(values, { budget: 2 ** 22 });
  const envelope = new Envelope(series, [0]);
  envelope.cover(0, 60e6, 60e6 / 700);
  const points = linesOf(envelope, 0, 60e6).flat();
  assert.ok(points.length < 3 * 700, `${points.length} points`);
  assert.deepEqual(points.filter(([, value]) => value === 99).length, 1);
  assert.deepEqual(envelope.extent(0, 0, 60e6), { low: 0, high: 99 });
});

test("where there are fewer ticks than pixels, every tick is a point at its own time", () => {
  const series = seriesOf([3, 1, 4, 1, 5]);
  const envelope = new Envelope(series, [0]);
  envelope.cover(0, 10000, 10);
  assert.deepEqual(linesOf(envelope, 0, 10000), [
    [[1000, 3], [2000, 1], [3000, 4], [4000, 1], [5000, 5]],
  ]);
});

test("least and greatest come in the order in which they were", () => {
  const series = seriesOf([0, 9, 9, 0]);
  const envelope = new Envelope(series, [0]);
  envelope.cover(0, 4000, 2500);
  assert.deepEqual(linesOf(envelope, 0, 4000), [[[1000, 0], [2000, 9], [3000, 9], [4000, 0]]]);
});

test("a line is broken where ticks were lost, and where there was no number", () => {
  const series = seriesOf([]);
  series.append(batch(["x"], [[1, 1000, 1], [2, 2000, 2], [5, 5000, 5], [6, 6000, 6], [7, 7000, null], [8, 8000, 8], [9, 9000, 9]]));
  const envelope = new Envelope(series, [0]);
  envelope.cover(0, 10000, 100);
  const ends = linesOf(envelope, 0, 10000).map((line) => [line[0][1], line.at(-1)[1]]);
  assert.deepEqual(ends, [[1, 2], [5, 6], [8, 9]]);
});

test("one that is no number breaks the line however far it is zoomed out", () => {
  const values = Array.from({ length: 1000 }, (_, i) => i % 7);
  values[503] = null;
  const series = seriesOf(values);
  const envelope = new Envelope(series, [0]);
  envelope.cover(0, 1e6, 10e3);
  const spans = linesOf(envelope, 0, 1e6).map((line) => [line[0][0], line.at(-1)[0]]);
  const part = (time) => (time < 500e3 ? "before" : time < 510e3 ? "in its pixel" : "after");
  assert.deepEqual(spans.map(([begin, end]) => [part(begin), part(end)]), [
    ["before", "before"],
    ["in its pixel", "in its pixel"],
    ["after", "after"],
  ]);
});

test("gaps are told wherever they begin and end: in the window, beside it, around it", () => {
  const series = seriesOf([]);
  series.append(batch(["x"], [[1, 1000, 1], [2, 2000, 1], [9, 9000, 1], [10, 10000, 1]]));
  const told = (from, to) => {
    const envelope = new Envelope(series, [0]);
    envelope.cover(from, to, 100);
    const all = [];
    gaps(envelope, from, to, (...gap) => all.push(gap));
    return all;
  };
  const lost = [[2000, 9000, GAP.lost]];
  assert.deepEqual(told(0, 20000), lost);
  assert.deepEqual(told(5000, 20000), lost, "it began before the window");
  assert.deepEqual(told(0, 5000), lost, "it ends after the window");
  assert.deepEqual(told(4000, 5000), lost, "the window lies in it");
  assert.deepEqual(told(0, 2000), lost, "it begins with the window's end");
  assert.deepEqual(told(9500, 20000), []);
  assert.deepEqual(told(0, 1500), []);
});

test("a tick between two gaps is seen", () => {
  const series = seriesOf([]);
  series.append(batch(["x"], [[1, 1000, 1], [5, 5000, 5], [9, 9000, 9]]));
  const envelope = new Envelope(series, [0]);
  envelope.cover(0, 10000, 100);
  for (const line of linesOf(envelope, 0, 10000)) assert.ok(line.length > 1, JSON.stringify(line));
  assert.equal(linesOf(envelope, 0, 10000).length, 3);
});

test("lines go on to the neighbours outside of the window, but not over a gap", () => {
  const series = seriesOf([0, 10, 20, 30]);
  const envelope = new Envelope(series, [0]);
  envelope.cover(1500, 3500, 10);
  assert.deepEqual(linesOf(envelope, 1500, 3500), [[[1000, 0], [2000, 10], [3000, 20], [4000, 30]]]);
});

test("states are bands from change to change; the shortest is still told", () => {
  const states = new Array(1000).fill(0).fill(1, 300, 600);
  states[800] = 2;
  const series = seriesOf(states, { type: "enum", labels: ["a", "b", "c"] });
  const envelope = new Envelope(series, [0]);
  envelope.cover(0, 1e6, 1000);
  assert.deepEqual(runsOf(envelope, 0, 1e6), [
    [1000, 301000, 0, 0],
    [301000, 601000, 1, 1],
    [601000, 801000, 0, 0],
    [801000, 802000, 2, 2],
    [802000, 1000000, 0, 0],
  ]);
  envelope.cover(0, 1e6, 50000);
  assert.ok(runsOf(envelope, 0, 1e6).some(([, , , high]) => high === 2), "the short one is there");
});

test("bands do not reach over lost ticks", () => {
  const series = seriesOf([], { type: "enum" });
  series.append(batch(["x"], [[1, 1000, 1], [2, 2000, 1], [9, 9000, 1], [10, 10000, 1]]));
  const envelope = new Envelope(series, [0]);
  envelope.cover(0, 20000, 100);
  assert.deepEqual(runsOf(envelope, 0, 20000), [[1000, 2000, 1, 1], [9000, 10000, 1, 1]]);
});

test("nothing is drawn, and nothing hangs, before there is anything", () => {
  const envelope = new Envelope(seriesOf([]), [0]);
  assert.deepEqual(linesOf(envelope, -30e6, 0), []);
  assert.equal(envelope.extent(0, -30e6, 0), null);
  envelope.cover(-30e6, 0, 30000);
  assert.deepEqual(runsOf(envelope, -30e6, 0), []);
});
