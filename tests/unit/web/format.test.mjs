import assert from "node:assert/strict";
import { test } from "node:test";

import {
  CLAIM_WORDS,
  decimalsOf,
  explain,
  formatAge,
  formatExcess,
  formatNumber,
  formatRange,
  formatReason,
  formatValue,
} from "../../../web/format.js";

function field(type, minimum = null, maximum = null, more = {}) {
  return { name: "x", type, count: 1, unit: "", minimum, maximum, description: "", ...more };
}

test("decimals follow the range, not the value", () => {
  assert.equal(decimalsOf(field("f32", 0, 360)), 1);
  assert.equal(decimalsOf(field("f64", -1, 1)), 3);
  assert.equal(decimalsOf(field("f64", 0, 8000)), 0);
  assert.equal(decimalsOf(field("f64", 0, 1e-9)), 6);
  assert.equal(decimalsOf(field("u16", 0, 360)), 0);
});

test("without a range decimals follow the unit", () => {
  for (const [minimum, maximum] of [[null, null], [0, null], [null, 9], [5, 5]]) {
    assert.equal(decimalsOf(field("f32", minimum, maximum, { unit: "mm" })), 1);
    assert.equal(decimalsOf(field("f64", minimum, maximum, { unit: "m" })), 3);
    assert.equal(decimalsOf(field("f32", minimum, maximum, { unit: "dBm" })), 0);
    assert.equal(decimalsOf(field("f32", minimum, maximum)), 3);
    assert.equal(decimalsOf(field("f32", minimum, maximum, { unit: "toString" })), 3);
    assert.equal(decimalsOf(field("i32", minimum, maximum, { unit: "m" })), 0);
  }
});

test("all elements of a field have the same decimals, whatever their size", () => {
  const position = field("f32", null, null, { unit: "mm", count: 2 });
  const places = [36.0537, 791.27, -0.02, 0, 100000.5, 5e-9];
  const shown = places.map((value) => formatValue(position, value));
  assert.deepEqual(shown, ["36.1", "791.3", "0.0", "0.0", "100000.5", "0.0"]);
  const gain = field("f64");
  const gains = [0.5, 12, 0, -3.14159].map((value) => formatValue(gain, value));
  assert.deepEqual(gains, ["0.500", "12.000", "0.000", "\u22123.142"]);
});

test("what no decimals can show is shown in powers of ten", () => {
  assert.equal(formatValue(field("f64"), 2.5e-7), "2.5000e-7");
  assert.equal(formatValue(field("f64"), -4e9), "\u22124.0000e+9");
  assert.equal(formatValue(field("f32", null, null, { unit: "mm" }), 4e9), "4.0000e+9");
  assert.equal(formatValue(field("f64", 0, 1e12), 4e9), "4000000000");
  assert.equal(formatValue(field("u64"), 4e9), "4000000000");
});

test("numbers", () => {
  assert.equal(formatNumber(12.34, 1), "12.3");
  assert.equal(formatNumber(-12.34, 1), "\u221212.3");
  assert.equal(formatNumber(-0.04, 1), "0.0");
  assert.equal(formatNumber(1e22, 1), "1.0000e+22");
  assert.equal(formatNumber(9007199254740991, 0), "9007199254740991");
});

test("values in words", () => {
  assert.equal(formatValue(field("bool"), true), "yes");
  assert.equal(formatValue(field("bool"), false), "no");
  assert.equal(formatValue(field("enum"), "wander"), "wander");
  assert.equal(formatValue(field("enum"), 9), "9 (no label)");
  assert.equal(formatValue(field("f32"), null), "no reading");
  assert.equal(formatValue(field("f32"), undefined), "\u2013");
  assert.equal(formatValue(field("u64"), "18446744073709551615"), "18446744073709551615");
  assert.equal(formatValue(field("i64"), "-9223372036854775808"), "\u22129223372036854775808");
  assert.equal(formatValue(field("text"), "-0 <b>"), "-0 <b>");
  assert.equal(formatValue(field("text"), ""), "");
});

test("out of range is said in words", () => {
  const narrow = field("i16", -5, 5);
  assert.equal(formatExcess(narrow, 5), "");
  assert.equal(formatExcess(narrow, 6), "above range");
  assert.equal(formatExcess(narrow, -6), "below range");
  assert.equal(formatExcess(field("u64", 0, 10), "18446744073709551615"), "above range");
  assert.equal(formatExcess(field("f32"), 1e30), "");
  assert.equal(formatExcess(narrow, null), "");
  assert.equal(formatExcess(field("text", 0, 1), "5"), "");
});

test("ranges in words", () => {
  assert.equal(formatRange(field("i8", -100, 100, { unit: "%" })), "\u2212100 to 100 %");
  assert.equal(formatRange(field("i32", 0, null)), "at least 0");
  assert.equal(formatRange(field("u32", 0, null)), "", "which it cannot be");
  assert.equal(formatRange(field("u32", 1, null)), "at least 1");
  assert.equal(formatRange(field("f32", null, 3.5, { unit: "V" })), "at most 3.5 V");
  assert.equal(formatRange(field("f32")), "");
  assert.equal(formatRange(field("bool", 0, 1)), "");
});

test("ages never round up", () => {
  const seconds = 1e6;
  assert.equal(formatAge(null), "");
  assert.equal(formatAge(0), "0 ms");
  assert.equal(formatAge(999_999), "999 ms");
  assert.equal(formatAge(1 * seconds), "1.0 s");
  assert.equal(formatAge(9.99 * seconds), "9.9 s");
  assert.equal(formatAge(119 * seconds), "119 s");
  assert.equal(formatAge(120 * seconds), "2 min");
  assert.equal(formatAge(7200 * seconds), "2 h");
  assert.equal(formatAge(50 * 86400 * seconds), "50 days");
});

test("every claim has its word and its sentence, every reason too", () => {
  const source = { name: "tank", period: 20000, process: 7, reason: "died" };
  for (const claim of Object.keys(CLAIM_WORDS))
    assert.match(explain(claim, source), /^.{10,}\.$/, claim);
  assert.equal(explain("live", source), "A tick every 20 ms, published by process 7.");
  assert.match(explain("stopped", source), /^tank stopped: .*crashed or was killed\.$/);
  const words = ["silent", "closed", "died", "removed", "replaced"].map(formatReason);
  assert.equal(new Set(words).size, 5);
  assert.equal(formatReason("on strike"), "on strike");
});
