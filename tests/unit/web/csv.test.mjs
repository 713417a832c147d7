import assert from "node:assert/strict";
import { test } from "node:test";

import { csvOf, csvText, fileName, isoTime, shortestFloat } from "../../../web/csv.js";
import { Series } from "../../../web/series.js";
import { batch, field, randomOf, schemaOf, seriesOf } from "./support.mjs";

test("one line a tick, exactly the stretch that is shown", () => {
  const labels = ["idle", "a,b"];
  const schema = schemaOf(field("x", "f32", { unit: "m,s" }), field("mode", "enum", { labels }), field("on", "bool"));
  const series = new Series(schema, 1000);
  const rows = [[1, 1000, 0.1, 0, 0], [2, 2000, null, 1, 1], [3, 3000, -5, 7, 0], [4, 4000, 1, 0, 0]];
  series.append(batch(["x", "mode", "on"], rows));
  assert.deepEqual(csvOf(series, [1, 0, 2], 1000, 3000).join("").split("\r\n"), [
    'instance,tick,utc,time (us),monotonic (us),mode,"x (m,s)",on',
    "a,1,1970-01-01T00:00:05.001000Z,5001000,1000,idle,0.1,false",
    'a,2,1970-01-01T00:00:05.002000Z,5002000,2000,"a,b",,true',
    "a,3,1970-01-01T00:00:05.003000Z,5003000,3000,7,-5,false",
    "",
  ]);
});

test("every tick at full rate, in parts", () => {
  const series = seriesOf(Array.from({ length: 9000 }, (_, i) => i));
  const parts = csvOf(series, [0], 0, 1e9);
  assert.ok(parts.length > 1);
  const lines = parts.join("").trimEnd().split("\r\n");
  assert.equal(lines.length, 9001);
  assert.equal(lines[9000], "a,9000,1970-01-01T00:00:14.000000Z,14000000,9000000,8999");
});

test("64-bit integers are written to the last digit", () => {
  const series = new Series(schemaOf(field("u", "u64"), field("i", "i64")));
  const row = ["18446744073709551613", "-9223372036854775807"];
  series.append(batch(["u", "i"], [[1, 1000, ...row]]));
  assert.ok(csvOf(series, [0, 1], 0, 1e9).join("").endsWith(`,${row}\r\n`));
});

test("moments to the microsecond; a clock that tells nonsense stops nothing", () => {
  assert.equal(isoTime(1790000000000042), "2026-09-21T14:13:20.000042Z");
  assert.equal(isoTime(-1), "1969-12-31T23:59:59.999999Z");
  assert.equal(isoTime(2 ** 63), "");
  assert.equal(isoTime(NaN), "");
});

test("a file's name tells of whom and of when it is, whatever the source is called", () => {
  assert.equal(fileName({ source: "tank" }, 1790000000000042, "Plot 1.png"), "tank_2026-09-21T141320_Plot_1.png");
  assert.equal(fileName({ source: "Hühner/../<b>" }, 0, "x.csv"), "Hühner_.._b_1970-01-01T000000_x.csv");
});

test("names and labels cannot become formulas or more cells", () => {
  assert.equal(csvText("=1+1"), "'=1+1");
  assert.equal(csvText("@x"), "'@x");
  assert.equal(csvText('a"b'), '"a""b"');
  assert.equal(csvText("a\nb"), '"a\nb"');
  assert.equal(csvText("-cmd,x"), "\"'-cmd,x\"");
});

test("32-bit floats are written as their publisher wrote them", () => {
  const random = randomOf(3);
  for (const value of [0.1, 16777216, 3.4028234663852886e38, 1e-45, -0.3, 360])
    assert.equal(Math.fround(shortestFloat(Math.fround(value))), Math.fround(value));
  assert.equal(String(shortestFloat(Math.fround(0.1))), "0.1");
  for (let i = 0; i < 5000; i++) {
    const value = Math.fround((random() - 0.5) * 10 ** Math.floor(random() * 20 - 10));
    assert.equal(Math.fround(shortestFloat(value)), value);
  }
});
