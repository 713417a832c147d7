// The tutorial: its publisher is short, is what the README shows, and its own struct is on the
// dashboard of an observer that runs already.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";

import { askJson } from "./raw.mjs";
import { connect, openPlace, until } from "./support.mjs";

const options = { timeout: 120_000 };
const file = (path) => readFile(new URL(`../../${path}`, import.meta.url), "utf8");

test("a publisher of its own struct has at most 30 lines", options, async () => {
  const lines = (await file("examples/minimal_publisher.c")).trimEnd().split("\n");
  assert.ok(lines.length <= 30, `${lines.length} lines`);
  assert.ok(lines.every((line) => line.length <= 100));
  const includes = lines.filter((line) => line.startsWith("#include <omni/"));
  assert.deepEqual(includes, ["#include <omni/publish.h>"]);
});

/** Code without comments, line continuations and spacing: what a compiler sees. */
function bare(code) {
  return code.replace(/\/\/.*$|\/\*[^]*?\*\//gm, "").replace(/\\$/gm, "");
}

test("the README shows the example as it is", options, async () => {
  const example = bare(await file("examples/minimal_publisher.c")).replace(/\s/g, "");
  const [, excerpt] = /```c\n([^]*?)```/.exec(await file("README.md"));
  const lines = bare(excerpt).split("\n").map((line) => line.replace(/\s/g, "")).filter((line) => line !== "");
  assert.ok(lines.length > 5);
  for (const line of lines) assert.ok(example.includes(line.replace(/;$/, "")), `the example has no ${line}`);
});

test("it is on the dashboard of an observer that knew nothing of it", options, async (t) => {
  const place = await openPlace(t);
  const observer = await place.startObserver();
  const client = await connect(t, observer);
  assert.deepEqual((await client.wait(({ op }) => op === "hello")).sources, []);

  const tank = place.start("examples/minimal_publisher", [], { env: { OMNI_DIRECTORY: place.directory } });
  const { change, source } = await client.wait(({ op }) => op === "source");
  assert.equal(change, "came");
  assert.deepEqual([source.name, source.process, source.period], ["tank", tank.pid, 10_000]);
  const scalar = { count: 1, unit: "", minimum: null, maximum: null };
  const fields = source.schema.fields.map(({ name, type, count, unit, minimum, maximum, description, labels }) => ({
    ...scalar, name, type, count, unit, minimum, maximum, description, ...(labels && { labels }),
  }));
  assert.deepEqual(fields, [
    { ...scalar, name: "level", type: "f64", unit: "%", minimum: 0, maximum: 100, description: "Water in the tank" },
    { ...scalar, name: "temperature", type: "f32", count: 2, unit: "°C", minimum: 0, maximum: 60, description: "At the bottom and at the top" },
    { ...scalar, name: "mode", type: "enum", minimum: 0, maximum: 1, description: "What the valve does", labels: ["filling", "draining"] },
  ]);
  const [listed] = (await askJson(observer, "/api/sources")).sources;
  assert.deepEqual(listed.schema, source.schema);

  const { values } = await client.wait(({ op }) => op === "status");
  assert.ok(values.level >= 0 && values.level <= 100);
  assert.deepEqual(values.temperature.length, 2);
  assert.ok(["filling", "draining"].includes(values.mode));
  // Its values are what its formulas say, seen at any two ticks.
  const samples = await until("it moves", () => {
    const all = client.all("status");
    return all.length > 20 && all;
  });
  for (const { tick, values: { level, mode } } of samples) {
    const time = (tick - 1) / 100;
    assert.ok(Math.abs(level - (50 - 45 * Math.cos(time))) < 1e-6, `tick ${tick}: ${level}`);
    if (Math.abs(Math.sin(time)) > 1e-6) assert.equal(mode, Math.sin(time) > 0 ? "filling" : "draining");
  }
  assert.equal(tank.isRunning, true);
  assert.equal(observer.isRunning, true);
});
