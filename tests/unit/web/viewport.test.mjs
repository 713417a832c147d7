import assert from "node:assert/strict";
import { test } from "node:test";

import { Track } from "../../../web/track.js";
import { Series } from "../../../web/series.js";
import { Viewport } from "../../../web/viewport.js";
import { batch, field, schemaOf, seriesOf } from "./support.mjs";

const series = seriesOf(Array.from({ length: 10000 }, (_, i) => i)); // 1 ms to 10 s

test("it follows the newest tick until somebody moves it", () => {
  const viewport = new Viewport(2e6);
  assert.deepEqual(viewport.range(series), { from: 8e6, to: 10e6 });
  viewport.pan(-1e6, series);
  assert.deepEqual(viewport.range(series), { from: 7e6, to: 9e6 });
  viewport.pan(0.5e6, series);
  assert.equal(viewport.isFollowing, false);
  viewport.pan(0.5e6, series);
  assert.equal(viewport.isFollowing, true);
});

test("panning ends where the history does", () => {
  const viewport = new Viewport(2e6);
  for (let i = 0; i < 50; i++) viewport.pan(-1e6, series);
  const { to } = viewport.range(series);
  assert.ok(to >= series.oldest && to <= series.oldest + 2e6, `${to}`);
});

test("zooming keeps what is pointed at in its place", () => {
  const viewport = new Viewport(4e6);
  viewport.hold(series);
  viewport.zoom(0.5, 7e6, series);
  assert.deepEqual(viewport.range(series), { from: 6.5e6, to: 8.5e6 });
  viewport.zoom(2, 7e6, series);
  assert.deepEqual(viewport.range(series), { from: 6e6, to: 10e6 });
  for (let i = 0; i < 100; i++) viewport.zoom(0.5, 7e6, series);
  assert.ok(viewport.span >= 1000);
});

test("an event outside of the window brings the window there", () => {
  const viewport = new Viewport(1e6);
  viewport.point(3e6, series);
  const { from, to } = viewport.range(series);
  assert.ok(from <= 3e6 && 3e6 <= to, `${from} to ${to}`);
  assert.equal(viewport.cursor, 3e6);
  viewport.point(3.2e6, series);
  assert.deepEqual(viewport.range(series), { from, to }, "what is seen already does not move");
});

test("the way driven keeps its form in few points, and begins anew with another run", () => {
  const driven = new Series(schemaOf(field("p", "f32", { count: 2 })), 1000);
  const track = new Track(driven, 0, 1);
  for (let start = 0; start < 20000; start += 500) {
    const rows = Array.from({ length: 500 }, (_, i) => {
      const angle = ((start + i) / 20000) * 2 * Math.PI;
      return [start + i + 1, (start + i + 1) * 1000, 1000 * Math.cos(angle), 1000 * Math.sin(angle)];
    });
    driven.append(batch(["p[0]", "p[1]"], rows));
    track.update();
  }
  assert.ok(track.points.length <= 600, `${track.points.length} points`);
  const { low, high } = track.bounds();
  for (const axis of [0, 1]) {
    assert.ok(low[axis] < -990 && high[axis] > 990, `${low} to ${high}`);
  }
  for (let i = 1; i < track.points.length; i++) {
    const [a, b] = [track.points[i - 1], track.points[i]];
    assert.ok(Math.hypot(a[0] - b[0], a[1] - b[1]) < 100, "no hole");
  }
  driven.append(batch(["p[0]", "p[1]"], [[1, 1e9, 5, 5]], "b"));
  track.update();
  assert.deepEqual(track.points, [[5, 5]]);
});

/** A ring of 64 rows and of what it held, a tick each millisecond. */
function ring() {
  const small = new Series(schemaOf(field("x")), 1000, 2 ** 20, 64);
  let tick = 0;
  const grow = (count, then = () => {}) => {
    for (; count > 0; count--) {
      tick++;
      small.append(batch(["x"], [[tick, tick * 1000, tick]]));
      then();
    }
  };
  return { small, grow };
}

const ticksIn = (seen, from, to) => {
  const all = [];
  for (let row = seen.lowerBound(from); row < seen.upperBound(to); row++) all.push(seen.tick(row));
  return all;
};

test("what is held stays, though the ring moves on; nothing is copied before", () => {
  const { small, grow } = ring();
  const viewport = new Viewport(10e3);
  const guard = () => viewport.guard(small, []);
  grow(100, guard);
  assert.equal(viewport.seen(small), small);
  viewport.hold(small);
  grow(40, guard);
  assert.equal(viewport.seen(small), small, "it is there still");
  grow(500, guard);
  const seen = viewport.seen(small);
  assert.notEqual(seen, small);
  assert.deepEqual(ticksIn(seen, 90e3, 100e3), [90, 91, 92, 93, 94, 95, 96, 97, 98, 99, 100]);
  viewport.zoom(0.5, null, small);
  assert.equal(viewport.seen(small), seen, "a part of it too");
  viewport.follow();
  guard();
  assert.equal(viewport.seen(small), small);
  assert.deepEqual(viewport.kept, [], "nobody needs it any more");
});

test("what the trigger caught stays, also while something else is looked at", () => {
  const { small, grow } = ring();
  const viewport = new Viewport(10e3);
  const shot = { from: 20e3, to: 25e3 };
  grow(500, () => viewport.guard(small, small.newest > shot.to ? [shot] : []));
  assert.equal(viewport.seen(small), small, "it follows");
  viewport.show(shot.from, shot.to);
  assert.deepEqual(ticksIn(viewport.seen(small), shot.from, shot.to), [20, 21, 22, 23, 24, 25]);
});

test("where the clock begins anew, what is held is copied before all is forgotten", () => {
  const { small, grow } = ring();
  const viewport = new Viewport(10e3);
  small.leaving = () => viewport.guard(small, [], true);
  grow(30);
  viewport.hold(small);
  small.append(batch(["x"], [[1, 500, 1]], "after the reboot"));
  assert.deepEqual(ticksIn(viewport.seen(small), 20e3, 30e3), [20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30]);
});

test("after a restart the track is as fine as at first", () => {
  const tracked = new Series(schemaOf(field("position", "f32", { count: 2 })), 1000);
  const rows = (count, step) => Array.from({ length: count }, (_, i) => [i + 1, 0, i * step, 0]);
  const stamped = (all, base) => all.map(([tick, , ...rest]) => [tick, base + tick * 1000, ...rest]);
  const track = new Track(tracked, 0, 1);
  const columns = ["position[0]", "position[1]"];
  tracked.append(batch(columns, stamped(rows(5000, 100), 0), "far"));
  track.update();
  assert.ok(track.grain > 100, `grain ${track.grain}`);
  tracked.append(batch(columns, stamped(rows(100, 10), 10e6), "near"));
  track.update();
  assert.equal(track.points.length, 100);
});
