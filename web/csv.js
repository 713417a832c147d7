// What the plots show, for a spreadsheet: RFC 4180, one line a tick. Pure.

import { at } from "./series.js";

/** @import { Column, Series } from "./series.js" */

const LINES_A_PART = 2000;

/** @param {string} text a name or a label, which a spreadsheet must not take for a formula */
export function csvText(text) {
  const safe = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

/**
 * The shortest decimal that reads back as the same 32-bit float: what the robot said.
 * @param {number} value
 */
export function shortestFloat(value) {
  for (let digits = 6; digits < 9; digits++) {
    const shorter = Number(value.toPrecision(digits));
    if (Math.fround(shorter) === value) return shorter;
  }
  return Number(value.toPrecision(9));
}

/**
 * A number of a series as its publisher wrote it, and as messages bring it.
 * @param {Column} column
 * @param {number | bigint} value
 * @returns {number | string | null}
 */
export function exact({ field }, value) {
  if (typeof value === "bigint") return String(value);
  if (value !== value) return null;
  return field.type === "f32" ? shortestFloat(value) : value;
}

/** @param {Column} column @param {number | bigint} value */
function cell(column, value) {
  const { type, labels } = column.field;
  if (type === "bool") return value ? "true" : "false";
  if (type === "enum") return csvText(labels?.[Number(value)] ?? String(value));
  return String(exact(column, value) ?? "");
}

/**
 * A moment of the wall clock, to the microsecond; "" where a publisher's clock tells nonsense.
 * @param {number} wall µs since 1970
 */
export function isoTime(wall) {
  const date = new Date(Math.floor(wall / 1000));
  if (Number.isNaN(date.getTime())) return "";
  const micros = String(wall - date.getTime() * 1000).padStart(3, "0");
  return date.toISOString().replace("Z", `${micros}Z`);
}

/**
 * The name of a file that tells of whom and of when it is.
 * @param {Series} series
 * @param {number} wall µs since 1970
 * @param {string} what
 */
export function fileName({ source }, wall, what) {
  const when = isoTime(wall).slice(0, 19).replaceAll(":", "");
  return [source, when, what].join(" ").replace(/[^\p{L}\p{N}.-]+/gu, "_");
}

/** @param {Column} column */
function heading({ name, field: { unit } }) {
  return unit ? `${name} (${unit})` : name;
}

/**
 * @param {Series} series
 * @param {number[]} columns
 * @param {number} from µs
 * @param {number} to µs
 * @returns {string[]} parts of the text, in order
 */
export function csvOf(series, columns, from, to) {
  const chosen = columns.map((index) => at(series.columns, index));
  const names = ["instance", "tick", "utc", "time (us)", "monotonic (us)", ...chosen.map(heading)];
  const parts = [];
  let lines = [names.map(csvText).join(",")];
  for (let row = series.lowerBound(from); row < series.end && series.time(row) <= to; row++) {
    const wall = at(series.wall, row & series.mask);
    const stamps = [isoTime(wall), wall, series.time(row)];
    const cells = [csvText(series.instance(row)), series.tick(row), ...stamps];
    for (const index of columns)
      cells.push(cell(at(series.columns, index), series.exact(index, row)));
    lines.push(cells.join(","));
    if (lines.length < LINES_A_PART) continue;
    parts.push(`${lines.join("\r\n")}\r\n`);
    lines = [];
  }
  if (lines.length) parts.push(`${lines.join("\r\n")}\r\n`);
  return parts;
}
