// Made-up sources for the page's pure modules.

import { Series } from "../../../web/series.js";

/** Numbers that look random and are the same every time: between 0 and 1. */
export function randomOf(seed) {
  let state = seed;
  return () => (state = (state * 48271) % 2147483647) / 2147483647;
}

export function field(name, type = "f64", more = {}) {
  return { name, type, count: 1, unit: "", minimum: null, maximum: null, description: "", ...more };
}

export function schemaOf(...fields) {
  return { hash: "1", fields };
}

/** A batch of these rows; each row is [tick, monotonic, ...values]. */
export function batch(columns, rows, instance = "a") {
  return {
    op: "batch",
    source: "robot",
    instance,
    lost: 0,
    columns: ["tick", "time", "monotonic", ...columns],
    rows: rows.map(([tick, time, ...values]) => [tick, time + 5e6, time, ...values]),
  };
}

/** One field "x" with these values, a tick each millisecond. */
export function seriesOf(values, { type = "f64", budget = 2 ** 20, labels, period = 1000 } = {}) {
  const series = new Series(schemaOf(field("x", type, labels ? { labels } : {})), period, budget);
  series.append(batch(["x"], values.map((value, i) => [i + 1, (i + 1) * 1000, value])));
  return series;
}
