// Values as people read them. Pure. Widths change as little as possible while numbers change:
// decimals are fixed by the field (its range, else its unit), not by the value.

/** @import { Field, Scalar } from "./protocol.js" */
/** @import { Claim, Source } from "./state.js" */

const MINUS = "\u2212";
/** What stands where there is no value. */
export const NOTHING = "\u2013";
/** What stands for a number that its publisher has none of (NaN). */
export const ABSENT = "no reading";

/** @param {Field} field */
export function isNumeric(field) {
  return field.type !== "bool" && field.type !== "enum" && field.type !== "text";
}

/** @param {number | string | null} value */
function bound(value) {
  return value === null ? null : Number(value);
}

/**
 * A field's range as numbers; null for a side without bound.
 * @param {Field} field
 */
export function rangeOf(field) {
  return { minimum: bound(field.minimum), maximum: bound(field.maximum) };
}

/** How much of a unit is worth seeing where a field has no range: tenths of a millimetre,
 * thousandths of a metre. */
const DECIMALS_OF_UNIT = new Map(
  Object.entries({
    ...{ ns: 0, us: 1, "µs": 1, ms: 1, s: 3, Hz: 1, "1/s": 1 },
    ...{ mm: 1, cm: 1, m: 3, km: 3, "mm/s": 1, "m/s": 3, "m/s²": 3, "m/s2": 3 },
    ...{ deg: 1, "°": 1, "deg/s": 1, "°/s": 1, rad: 3, "rad/s": 3 },
    ...{ "%": 1, "°C": 1, degC: 1, K: 1, mV: 1, V: 3, mA: 1, A: 3, W: 1, N: 1, Nm: 3, dBm: 0 },
  }),
);
const DECIMALS_ELSE = 3;

/** @param {Field} field */
function isFloat(field) {
  return field.type === "f32" || field.type === "f64";
}

/**
 * The width of a field's range; null: it has none.
 * @param {Field} field
 */
function spanOf(field) {
  const { minimum, maximum } = rangeOf(field);
  return minimum === null || maximum === null || maximum <= minimum ? null : maximum - minimum;
}

/**
 * Decimals for all elements of a field: they show its range in about four digits.
 * @param {Field} field
 */
export function decimalsOf(field) {
  if (!isFloat(field)) return 0;
  const span = spanOf(field);
  if (span === null) return DECIMALS_OF_UNIT.get(field.unit) ?? DECIMALS_ELSE;
  return Math.min(6, Math.max(0, 3 - Math.floor(Math.log10(span))));
}

/**
 * Whether a value is so far from what its field lets expect that only powers of ten show it.
 * @param {Field} field
 * @param {number} value
 */
function isExtreme(field, value) {
  if (!isFloat(field) || spanOf(field) !== null) return false;
  const size = Math.abs(value);
  return size >= 1e9 || (size !== 0 && size < 1e-4 && !DECIMALS_OF_UNIT.has(field.unit));
}

/** @param {string} digits */
function withMinus(digits) {
  if (!digits.startsWith("-")) return digits;
  return /[1-9]/.test(digits) ? MINUS + digits.slice(1) : digits.slice(1);
}

/**
 * @param {number} value
 * @param {number} decimals
 */
export function formatNumber(value, decimals) {
  const fits = Math.abs(value) < 1e21;
  return withMinus(fits ? value.toFixed(decimals) : value.toExponential(4));
}

/**
 * One element of a field in words.
 * @param {Field} field
 * @param {Scalar | undefined} value undefined: none yet
 * @returns {string}
 */
export function formatValue(field, value) {
  if (value === undefined) return NOTHING;
  if (value === null) return ABSENT;
  if (typeof value === "boolean") return value ? "yes" : "no";
  if (field.type === "enum" && typeof value === "number") return `${value} (no label)`;
  if (typeof value === "number")
    return isExtreme(field, value)
      ? withMinus(value.toExponential(4))
      : formatNumber(value, decimalsOf(field));
  return isNumeric(field) ? withMinus(value) : value;
}

/**
 * In words whether a number is out of its valid range; "" where it is not.
 * @param {Field} field
 * @param {Scalar | undefined} value
 */
export function formatExcess(field, value) {
  if (!isNumeric(field) || value === null || value === undefined) return "";
  const { minimum, maximum } = rangeOf(field);
  if (minimum !== null && Number(value) < minimum) return "below range";
  if (maximum !== null && Number(value) > maximum) return "above range";
  return "";
}

/** @param {number | string} value */
function plain(value) {
  return withMinus(String(value));
}

/**
 * The valid range in words; "" where there is none to tell.
 * @param {Field} field
 */
export function formatRange(field) {
  if (!isNumeric(field)) return "";
  const { minimum, maximum } = field;
  const unit = field.unit && ` ${field.unit}`;
  if (minimum !== null && maximum !== null) return `${plain(minimum)} to ${plain(maximum)}${unit}`;
  // Of what cannot be less it says nothing.
  if (minimum === 0 && field.type.startsWith("u")) return "";
  if (minimum !== null) return `at least ${plain(minimum)}${unit}`;
  return maximum === null ? "" : `at most ${plain(maximum)}${unit}`;
}

/** @typedef {[below: number, unit: number, decimals: number, word: string]} AgeWords in ms */
/** @type {AgeWords} */
const OLDEST = [Infinity, 86400e3, 0, "days"];
/** @type {AgeWords[]} */
const AGES = [
  [1000, 1, 0, "ms"],
  [10e3, 1e3, 1, "s"],
  [120e3, 1e3, 0, "s"],
  [7200e3, 60e3, 0, "min"],
  [172800e3, 3600e3, 0, "h"],
];

/** @param {number | null} age µs */
export function formatAge(age) {
  if (age === null) return "";
  const ms = age / 1000;
  const [, unit, decimals, word] = AGES.find(([below]) => ms < below) ?? OLDEST;
  const tens = 10 ** decimals;
  return `${(Math.floor((ms / unit) * tens) / tens).toFixed(decimals)} ${word}`;
}

/** @type {Record<Claim, string>} */
export const CLAIM_WORDS = {
  live: "live",
  stopped: "stopped",
  "observer-gone": "observer gone",
  "network-gone": "network gone",
  connecting: "connecting",
  checking: "checking",
  late: "late",
  "needs-link": "needs its link",
  refused: "refused",
  empty: "no source",
};

/** @type {Record<string, string>} */
const REASON_WORDS = {
  silent: "its program is there, but no longer ticks",
  closed: "its program ended and said goodbye",
  died: "its program ended without a word: it crashed or was killed",
  removed: "its segment was removed",
  replaced: "another program begins in its place",
};

/** @param {string} reason of a stop */
export function formatReason(reason) {
  return REASON_WORDS[reason] ?? reason;
}

/** @type {Record<Claim, (name: string, source: Source | null) => string>} */
const EXPLANATIONS = {
  live: (_name, source) => (source ? formatPace(source) : ""),
  stopped: (name, source) => `${name} stopped: ${formatReason(source?.reason ?? "")}.`,
  "observer-gone": () =>
    "Its machine answers, but the observer does not run there. Reconnecting by itself.",
  "network-gone": () =>
    "The observer's machine cannot be reached from here. Reconnecting by itself.",
  connecting: () => "Connecting to the observer.",
  checking: () => "Nothing new came for a moment: finding out why.",
  late: (name) => `${name} ticks, but its values reach this page late.`,
  "needs-link": () =>
    "Its robots are shown only to who has its link: open the link that omni-observer printed.",
  refused: () =>
    "The observer answers, but takes no connection: too many clients, or a proxy in between.",
  empty: () => "The observer runs, but nothing publishes.",
};

/** @param {Source} source */
function formatPace({ period, process }) {
  const pace = period ? `A tick every ${period / 1000} ms` : "A tick whenever something happens";
  return `${pace}, published by process ${process}.`;
}

/**
 * One sentence for people.
 * @param {Claim} claim
 * @param {Source | null} source
 */
export function explain(claim, source) {
  return EXPLANATIONS[claim](source?.name ?? "The source", source);
}

/**
 * A moment of the wall clock, as exact as the distance of an axis' labels needs.
 * @param {number} time µs since 1970
 * @param {number} step µs
 */
export function timeLabel(time, step) {
  const date = new Date(time / 1000);
  const two = (/** @type {number} */ part) => String(part).padStart(2, "0");
  const minutes = `${two(date.getHours())}:${two(date.getMinutes())}`;
  if (step >= 60e6) return minutes;
  const seconds = `${minutes}:${two(date.getSeconds())}`;
  if (step >= 1e6) return seconds;
  const digits = step >= 1e5 ? 1 : step >= 1e4 ? 2 : step >= 1e3 ? 3 : 6;
  const part = String(Math.floor(time % 1e6)).padStart(6, "0");
  return `${seconds}.${part.slice(0, digits)}`;
}
