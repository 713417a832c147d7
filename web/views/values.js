// The list of values: every field with what it was since the page is open, found by typing,
// plotted by a click.

import { formatValue, isNumeric } from "../format.js";
import { columnsOf } from "../series.js";
import { byId, html, liveAttribute, liveText } from "./dom.js";
import { fieldsView } from "./fields.js";

/** @import { Extremes } from "../extremes.js" */
/** @import { Field, Schema, Values } from "../protocol.js" */
/** @import { Column } from "../series.js" */

/** By then the plots are drawn. */
const SETTLED_MS = 500;
/** Texts that people read need not change sixty times a second. */
const PACE_MS = 100;

/**
 * @param {Schema} schema
 * @param {{ toggle: (names: string[]) => void, has: (name: string) => boolean }} plots
 */
export function valuesView(schema, plots) {
  const fields = fieldsView(schema);
  const columns = columnsOf(schema);
  const rows = fields.nodes.map((node, index) => {
    const field = /** @type {Field} */ (schema.fields[index]);
    return furnish(node, index, field, columns.filter((each) => each.field === field), plots);
  });
  const search = /** @type {HTMLInputElement} */ (byId("search"));
  const nothing = byId("nothing-found");
  const sift = () => {
    const wanted = search.value.trim().toLowerCase();
    for (const row of rows) row.node.hidden = !row.words.includes(wanted);
    nothing.hidden = rows.some((row) => !row.node.hidden);
  };
  search.oninput = sift;
  sift();
  let next = 0;
  return {
    nodes: fields.nodes,
    /** @param {Values | null} values */
    update: (values) => fields.update(values),
    /** @param {Extremes | null} extremes */
    remember(extremes) {
      if (!extremes || performance.now() < next) return;
      next = performance.now() + PACE_MS;
      let first = 0;
      for (const row of rows) {
        row.remember(extremes.of(first, row.count));
        first += row.count;
      }
    },
    /** The panels changed: which buttons are pressed. */
    mark() {
      for (const row of rows) row.mark();
    },
  };
}

/**
 * @param {HTMLElement} node as fieldsView made it
 * @param {number} index
 * @param {Field} field
 * @param {Column[]} columns
 * @param {{ toggle: (names: string[]) => void, has: (name: string) => boolean }} plots
 */
function furnish(node, index, field, columns, plots) {
  const names = columns.map(({ name }) => name);
  const term = node.querySelector("dt");
  const note = node.querySelector(".note");
  const seen = html("span", { class: "seen" });
  const tell = liveText(seen);
  const button = html("button", { type: "button", class: "name" });
  if (columns.length && term) {
    button.append(...term.childNodes);
    button.onclick = () => staying(button, () => plots.toggle(names));
    term.append(button);
  }
  // What describes a field is to be reached also where there is nothing to press.
  const named = columns.length || !term ? button : term;
  if (named === term && field.description) term.tabIndex = 0;
  if (note && field.description) {
    const description = note.firstElementChild;
    description?.classList.add("description");
    description?.setAttribute("id", `description-${index}`);
    named.setAttribute("aria-describedby", `description-${index}`);
  }
  if (isNumeric(field)) (note ?? node.appendChild(html("dd", { class: "note" }))).append(seen);
  const pressed = liveAttribute(button, "aria-pressed");
  return {
    node,
    count: columns.length,
    words: `${field.name} ${field.description} ${field.unit}`.toLowerCase(),
    /** @param {ReturnType<Extremes["of"]>} extremes */
    remember(extremes) {
      if (!extremes || !isNumeric(field)) return;
      const low = formatValue(field, extremes.low);
      tell(`seen ${low} to ${formatValue(field, extremes.high)}`);
    },
    mark: () => pressed(String(names.some((name) => plots.has(name)))),
  };
}

/**
 * What was pressed stays under the finger, though plots come and go above it.
 * @param {HTMLElement} button
 * @param {() => void} action
 */
function staying(button, action) {
  const { style } = document.documentElement;
  const before = button.getBoundingClientRect().top;
  // The browser has an anchor of its own choice, and would move the page for that.
  style.setProperty("overflow-anchor", "none");
  action();
  scrollBy({ top: button.getBoundingClientRect().top - before, behavior: "instant" });
  setTimeout(() => style.removeProperty("overflow-anchor"), SETTLED_MS);
}

/**
 * Esc hides descriptions, which lie above other fields, until another field is looked at.
 * @param {HTMLElement} host
 */
export function dismissible(host) {
  /** @type {Element | null} */
  let last = null;
  const look = (/** @type {Event} */ { target }) => {
    const field = target instanceof Element ? target.closest("[data-field]") : null;
    if (field !== last) host.classList.remove("bare");
    last = field;
  };
  host.addEventListener("pointerover", look);
  host.addEventListener("focusin", look);
  addEventListener("keydown", ({ key }) => {
    if (key === "Escape") host.classList.add("bare");
  });
}
