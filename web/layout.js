// What people arrange: which values are plotted together, how long a stretch, which theme. Kept in
// the browser, shared by a link. Pure; whatever an old version, another page or a stranger's link
// left there, what comes out is a layout.
//
// In the page's address: `#SOURCE&t=dark&w=30&p=heading,direction;sensors[0]`, every word encoded
// by itself, so that no name can be taken for a part of the rest.

/** @import { Column } from "./series.js" */

/** @typedef {"auto" | "dark" | "light"} Theme */
/** @typedef {string[][]} Panels names of columns, one list a panel */

/**
 * @typedef {object} Layout
 * @property {Theme} theme
 * @property {number} span seconds that the plots show
 * @property {Map<string, Panels>} panels by source
 * @property {boolean} keys whether single keys do something
 */

const VERSION = 1;
export const SPANS = [1, 5, 10, 30, 60, 300, 900];
const SPAN_AT_FIRST = 30;
export const PANELS_MOST = 8;
export const FIELDS_MOST = 12;
/** A plot has two sides for axes. */
export const UNITS_MOST = 2;
const SOURCES_MOST = 32;
const NAME_MOST = 200;

/** @returns {Layout} */
export function emptyLayout() {
  return { theme: "auto", span: SPAN_AT_FIRST, panels: new Map(), keys: true };
}

/** @param {unknown} value @returns {Theme} */
function themeOf(value) {
  return value === "dark" || value === "light" ? value : "auto";
}

/** @param {unknown} value */
function spanOf(value) {
  return typeof value === "number" && value >= 0.001 && value <= 3600 ? value : SPAN_AT_FIRST;
}

/** @param {unknown} value @returns {Panels} */
function panelsOf(value) {
  if (!Array.isArray(value)) return [];
  return value.slice(0, PANELS_MOST).map((names) => {
    if (!Array.isArray(names)) return [];
    const words = names.filter((name) => typeof name === "string" && name.length <= NAME_MOST);
    return [...new Set(words)].slice(0, FIELDS_MOST);
  });
}

/** @param {string | null} text as `writeLayout` made it; anything else gives an empty layout */
export function readLayout(text) {
  const layout = emptyLayout();
  /** @type {any} */
  let kept = null;
  try {
    kept = JSON.parse(text ?? "null");
  } catch {
    return layout;
  }
  if (kept?.version !== VERSION) return layout;
  layout.theme = themeOf(kept.theme);
  layout.span = spanOf(kept.span);
  layout.keys = kept.keys !== false;
  if (!Array.isArray(kept.panels)) return layout;
  for (const entry of kept.panels.slice(-SOURCES_MOST)) {
    if (!Array.isArray(entry) || typeof entry[0] !== "string" || !Array.isArray(entry[1])) continue;
    layout.panels.set(entry[0], panelsOf(entry[1]));
  }
  return layout;
}

/** @param {Layout} layout @returns {string} */
export function writeLayout({ theme, span, panels, keys }) {
  const kept = [...panels].slice(-SOURCES_MOST);
  return JSON.stringify({ version: VERSION, theme, span, panels: kept, keys });
}

/** @param {string} word */
function decode(word) {
  try {
    return decodeURIComponent(word);
  } catch {
    return "";
  }
}

/**
 * The page's address from its `#` on.
 * @param {string} hash
 * @returns {{ source: string, layout: Partial<{ theme: Theme, span: number, panels: Panels }> }}
 */
export function readHash(hash) {
  const [source = "", ...parts] = hash.replace(/^#/, "").split("&");
  /** @type {Partial<{ theme: Theme, span: number, panels: Panels }>} */
  const layout = {};
  for (const part of parts) {
    const value = part.slice(2);
    if (part.startsWith("t=")) layout.theme = themeOf(decode(value));
    if (part.startsWith("w=")) layout.span = spanOf(Number(decode(value)));
    if (part.startsWith("p="))
      layout.panels = panelsOf(
        value.split(";").map((names) => names.split(",").map(decode).filter(Boolean)),
      );
  }
  return { source: decode(source), layout };
}

/**
 * @param {string} source
 * @param {Partial<{ theme: Theme, span: number, panels: Panels }>} [layout]
 */
export function writeHash(source, { theme, span, panels } = {}) {
  const parts = [encodeURIComponent(source)];
  if (theme) parts.push(`t=${theme}`);
  if (span) parts.push(`w=${span}`);
  if (panels)
    parts.push(`p=${panels.map((names) => names.map(encodeURIComponent).join(",")).join(";")}`);
  return `#${parts.join("&")}`;
}

const GROUPS_AT_FIRST = 3;
const COLUMNS_AT_FIRST = 5;

/**
 * What is plotted before somebody chose: what has a range, one panel per unit, and the states.
 * @param {Column[]} columns
 * @returns {Panels}
 */
export function firstPanels(columns) {
  const numbers = columns.filter(({ isState }) => !isState);
  const bounded = numbers.filter(({ field }) => field.minimum !== null && field.maximum !== null);
  /** @type {Map<string, string[]>} */
  const groups = new Map();
  for (const { name, field } of bounded.length ? bounded : numbers) {
    const group = groups.get(field.unit) ?? [];
    if (group.length < COLUMNS_AT_FIRST && field.count <= 2 * COLUMNS_AT_FIRST) group.push(name);
    if (group.length) groups.set(field.unit, group);
  }
  const enums = columns.filter(({ field }) => field.type === "enum");
  const states = enums.length ? enums : columns.filter(({ isState }) => isState);
  const bands = states.slice(0, COLUMNS_AT_FIRST).map(({ name }) => name);
  const panels = [...groups.values()].slice(0, GROUPS_AT_FIRST);
  if (bands.length) panels.push(bands);
  return panels.length ? panels : [[]];
}

/**
 * Those that have room in one plot, in their order, each once. What this source does not have
 * takes no room: another run of it may.
 * @param {string[]} names
 * @param {Map<string, Column>} byName
 */
export function fitting(names, byName) {
  const units = new Set();
  const kept = new Set();
  for (const name of names) {
    const column = byName.get(name);
    const unit = column && !column.isState ? column.field.unit : null;
    const hasAxis = unit === null || units.has(unit) || units.size < UNITS_MOST;
    if (!hasAxis || kept.size >= FIELDS_MOST) continue;
    kept.add(name);
    if (unit !== null) units.add(unit);
  }
  return [...kept];
}

/**
 * The panel where a value goes that somebody wants to see: one with its like, else an empty one,
 * else a new one.
 * @param {Panels} panels
 * @param {Column[]} wanted of one field
 * @param {Map<string, Column>} byName
 * @returns {number} its index; `panels.length`: a new one
 */
export function placeFor(panels, wanted, byName) {
  const [first] = wanted;
  const isLike = (/** @type {string} */ name) => {
    const other = byName.get(name);
    if (!other || !first || other.isState !== first.isState) return false;
    return first.isState || other.field.unit === first.field.unit;
  };
  const hasRoom = (/** @type {string[]} */ names) => names.length + wanted.length <= FIELDS_MOST;
  const like = panels.findIndex((names) => names.some(isLike) && hasRoom(names));
  if (like >= 0) return like;
  const empty = panels.findIndex((names) => names.length === 0);
  if (empty >= 0) return empty;
  return Math.min(panels.length, PANELS_MOST - 1);
}
