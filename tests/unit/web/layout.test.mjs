import assert from "node:assert/strict";
import { test } from "node:test";

import {
  FIELDS_MOST,
  PANELS_MOST,
  emptyLayout,
  firstPanels,
  fitting,
  placeFor,
  readHash,
  readLayout,
  writeHash,
  writeLayout,
} from "../../../web/layout.js";
import { columnsOf } from "../../../web/series.js";
import { field, randomOf, schemaOf } from "./support.mjs";

const HOSTILE = ["a&p=b", "#x", "a,b;c", "<img src=x>", "__proto__", "constructor", "%", "ü €", "a=b", "", "a+b c"];

test("what was kept comes back", () => {
  const panels = new Map(HOSTILE.map((name) => [name, [[name || "x"], []]]));
  for (const keys of [true, false]) {
    const layout = { theme: "dark", span: 300, panels, keys };
    assert.deepEqual(readLayout(writeLayout(layout)), layout);
  }
});

test("whatever is found in the browser, a layout comes out", () => {
  const kept = [
    null, "", "{", "null", "7", "[]", "\"x\"", "{}",
    '{"version":99,"theme":"dark"}',
    '{"version":1,"theme":"<script>","span":-1,"panels":7}',
    '{"version":1,"span":"60","panels":[null,7,["a"],["b",7],["c",[null,7,[7,{},"x","x"]]],[{},[]]]}',
    '{"version":1,"panels":{"__proto__":{"x":1}}}',
  ];
  for (const text of kept) {
    const { theme, span, panels } = readLayout(text);
    assert.ok(["auto", "dark", "light"].includes(theme), `${text}: ${theme}`);
    assert.ok(span > 0 && span <= 3600, `${text}: ${span}`);
    for (const lists of panels.values())
      for (const names of lists) assert.ok(names.every((name) => typeof name === "string"));
  }
  assert.deepEqual(readLayout(kept[10]).panels.get("c"), [[], [], ["x"]]);
});

test("too much is cut", () => {
  const names = Array.from({ length: 100 }, (_, i) => `n${i}`);
  const many = { ...emptyLayout(), panels: new Map(names.map((name) => [name, names.map(() => names)])) };
  const { panels } = readLayout(writeLayout(many));
  assert.equal(panels.size, 32);
  assert.equal(panels.get("n99").length, PANELS_MOST);
  assert.equal(panels.get("n99")[0].length, FIELDS_MOST);
});

test("a link tells the same to who opens it; names stay names", () => {
  for (const source of HOSTILE)
    for (const other of HOSTILE.filter(Boolean)) {
      const layout = { theme: "light", span: 5, panels: [[other, "x"], []] };
      assert.deepEqual(readHash(writeHash(source, layout)), { source, layout });
    }
});

test("the address of before still names its source", () => {
  assert.deepEqual(readHash("#beta"), { source: "beta", layout: {} });
  assert.deepEqual(readHash(`#${encodeURIComponent("a&b")}`), { source: "a&b", layout: {} });
  assert.deepEqual(readHash(""), { source: "", layout: {} });
});

test("a stranger's link cannot break the page", () => {
  const random = randomOf(99);
  const signs = "&=,;%#pwt0ü\u0000<[{\"";
  for (let i = 0; i < 2000; i++) {
    let hash = "#";
    while (random() < 0.95) hash += signs[Math.floor(random() * signs.length)];
    const { source, layout } = readHash(hash);
    assert.equal(typeof source, "string");
    if (layout.panels) assert.ok(layout.panels.length <= PANELS_MOST);
    if (layout.span !== undefined) assert.ok(layout.span > 0 && layout.span <= 3600);
  }
});

const bounded = { minimum: 0, maximum: 9 };
const COLUMNS = columnsOf(
  schemaOf(
    field("free"),
    field("heading", "f32", { unit: "deg", ...bounded }),
    field("direction", "f32", { unit: "deg", ...bounded }),
    field("sensors", "u16", { unit: "mm", count: 5, ...bounded }),
    field("spectrum", "u16", { unit: "dB", count: 40, ...bounded }),
    field("mode", "enum", { labels: ["x"] }),
    field("flag", "bool"),
  ),
);

test("at first: what has a range, by unit, and the states", () => {
  const sensors = [0, 1, 2, 3, 4].map((i) => `sensors[${i}]`);
  assert.deepEqual(firstPanels(COLUMNS), [["heading", "direction"], sensors, ["mode"]]);
  assert.deepEqual(firstPanels(columnsOf(schemaOf(field("x"), field("on", "bool")))), [["x"], ["on"]]);
  assert.deepEqual(firstPanels([]), [[]]);
});

test("a value goes to its like, else into an empty panel, else into a new one", () => {
  const byName = new Map(COLUMNS.map((column) => [column.name, column]));
  const of = (...names) => names.map((name) => byName.get(name));
  const panels = [["heading"], ["sensors[0]"]];
  assert.equal(placeFor(panels, of("direction"), byName), 0);
  assert.equal(placeFor(panels, of("sensors[1]", "sensors[2]"), byName), 1);
  assert.equal(placeFor(panels, of("mode"), byName), 2);
  assert.equal(placeFor([["heading"], []], of("free"), byName), 1);
  assert.equal(placeFor([["gone"], ["mode"]], of("flag"), byName), 1);
});

test("what has room in a plot: twelve values of two units, states beside", () => {
  const units = ["m", "m", "s", "V", "s"].map((unit, i) => field(`n${i}`, "f64", { unit }));
  const states = Array.from({ length: 12 }, (_, i) => field(`b${i}`, "bool", { unit: "x" }));
  const byName = new Map(columnsOf(schemaOf(...units, ...states)).map((column) => [column.name, column]));
  assert.deepEqual(fitting(["n0", "n2", "n3", "n4", "b0", "gone", "n0"], byName), ["n0", "n2", "n4", "b0", "gone"]);
  const many = [...states.map(({ name }) => name), "n0"];
  assert.deepEqual(fitting(many, byName), many.slice(0, 12));
});
