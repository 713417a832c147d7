// Every field of a source: name, value, unit, range, description, drawn from the schema alone.

import { formatExcess, formatRange, formatValue, isNumeric, rangeOf } from "../format.js";
import { html, liveAttribute, liveClass, liveText } from "./dom.js";

/** @import { Field, Scalar, Schema, Value, Values } from "../protocol.js" */

/** Elements of an array that are shown before somebody asks for all. */
const ELEMENTS_AT_FIRST = 24;
/** Elements that one more press shows: a page with all of a huge array would stand still. */
const ELEMENTS_MORE = 1000;

/** @typedef {(value: Scalar | undefined) => void} UpdateScalar */
/** @typedef {(value: Value | undefined) => void} UpdateValue */
/** @typedef {{ node: HTMLElement, update: UpdateValue }} FieldView */

/**
 * @param {Schema} schema
 * @returns {{ nodes: HTMLElement[], update: (values: Values | null) => void }}
 */
export function fieldsView(schema) {
  const rows = schema.fields.map((field) => ({ name: field.name, ...rowView(field) }));
  return {
    nodes: rows.map(({ node }) => node),
    update(values) {
      for (const row of rows) row.update(valueOf(values, row.name));
    },
  };
}

/**
 * Names are the publisher's: "constructor" is one like any other.
 * @param {Values | null} values
 * @param {string} name
 */
function valueOf(values, name) {
  return values && Object.hasOwn(values, name) ? values[name] : undefined;
}

/** @param {Field} field @returns {FieldView} */
function rowView(field) {
  const isArray = field.count > 1 && field.type !== "text";
  const body = isArray ? arrayView(field) : scalarView(field);
  const { minimum, maximum } = rangeOf(field);
  const isOpen = isNumeric(field) && (minimum === null || maximum === null);
  const isLong = isArray && field.count > ELEMENTS_AT_FIRST;
  const classes = `field kind-${field.type}${isOpen ? " unbounded" : ""}${isLong ? " long" : ""}`;
  const node = html(
    "div",
    { class: classes, "data-field": field.name },
    html("dt", {}, ...breakable(field.name)),
    body.node,
    ...note(field),
  );
  return { node, update: body.update };
}

/**
 * A name that may break after its underscores.
 * @param {string} name
 */
function breakable(name) {
  return name.split(/(?<=_)/).flatMap((part, index) => (index ? [html("wbr"), part] : [part]));
}

/** @param {Field} field */
function note(field) {
  const range = formatRange(field);
  const parts = [];
  if (field.description) parts.push(html("span", {}, field.description));
  if (range) parts.push(html("span", { class: "range" }, range));
  return parts.length ? [html("dd", { class: "note" }, ...parts)] : [];
}

/** @param {Field} field @returns {FieldView} */
function scalarView(field) {
  const node = html("dd", { class: "value" });
  const update = elementView(field, node);
  return {
    node,
    update: (value) => update(Array.isArray(value) ? value[0] : value),
  };
}

/** @param {Field} field @returns {FieldView} */
function arrayView(field) {
  const node = html("dd", { class: "elements" });
  /** @type {UpdateScalar[]} */
  const updates = [];
  /** @type {Value | undefined} */
  let last;
  const update = (/** @type {Value | undefined} */ value) => {
    last = value;
    const values = Array.isArray(value) ? value : [];
    updates.forEach((each, index) => each(values[index]));
  };
  const grow = (/** @type {number} */ end) => {
    while (updates.length < end) {
      const cell = html("span", { class: "element" });
      cell.append(html("span", { class: "index" }, String(updates.length)));
      updates.push(elementView(field, cell));
      node.append(cell);
    }
    update(last);
  };
  grow(Math.min(field.count, ELEMENTS_AT_FIRST));
  if (field.count > ELEMENTS_AT_FIRST) node.append(moreButton(ELEMENTS_AT_FIRST, field.count, grow));
  return { node, update };
}

/**
 * @param {number} shown
 * @param {number} count
 * @param {(end: number) => void} grow
 */
function moreButton(shown, count, grow) {
  const end = Math.min(count, shown + ELEMENTS_MORE);
  const words = end === count ? `Show all ${count}` : `Show ${ELEMENTS_MORE} more of ${count}`;
  const button = html("button", { type: "button" }, words);
  button.onclick = () => {
    const host = button.parentNode;
    button.remove();
    grow(end);
    if (end < count) host?.append(moreButton(end, count, grow));
  };
  return button;
}

/**
 * One value with its unit, and where it has a range a bar beneath.
 * @param {Field} field
 * @param {HTMLElement} parent
 * @returns {UpdateScalar}
 */
function elementView(field, parent) {
  const data = html("data", { value: "" });
  const text = liveText(data, formatValue(field, undefined));
  const exact = liveAttribute(data, "value");
  const figure = html("span", { class: "figure" }, data);
  if (field.unit) figure.append(html("span", { class: "unit" }, field.unit));
  parent.append(figure);
  const yes = liveClass(parent, "yes");
  const absent = liveClass(parent, "absent");
  const excess = isNumeric(field) ? excessView(field, parent) : null;
  const bar = isNumeric(field) ? barView(field, parent) : null;
  return (value) => {
    text(formatValue(field, value));
    exact(value === undefined ? "" : String(value));
    yes(value === true);
    absent(value === null);
    excess?.(value);
    bar?.(value);
  };
}

/**
 * @param {Field} field
 * @param {HTMLElement} parent
 * @returns {UpdateScalar}
 */
function excessView(field, parent) {
  const word = html("span", { class: "excess" });
  const text = liveText(word);
  const mark = liveClass(parent, "out");
  parent.append(word);
  return (value) => {
    const excess = formatExcess(field, value);
    text(excess);
    mark(excess !== "");
  };
}

/**
 * Where in its range a value lies, counted from zero where the range holds zero.
 * @param {Field} field
 * @param {HTMLElement} parent
 * @returns {UpdateScalar | null}
 */
function barView(field, parent) {
  const { minimum, maximum } = rangeOf(field);
  if (minimum === null || maximum === null || maximum <= minimum) return null;
  const fill = html("i");
  parent.append(html("span", { class: "bar", "aria-hidden": "true" }, fill));
  const place = (/** @type {number} */ value) =>
    Math.min(1, Math.max(0, (value - minimum) / (maximum - minimum)));
  const origin = place(0);
  let last = "";
  return (value) => {
    const end = value === undefined || value === null ? origin : place(Number(value));
    const from = Math.min(origin, end);
    const length = Math.abs(end - origin);
    const next = `translateX(${(from * 100).toFixed(2)}%) scaleX(${length.toFixed(4)})`;
    if (next !== last) fill.style.transform = last = next;
  };
}
