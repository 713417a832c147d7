// What all this costs: the robot's loop, where it tells, the observer, and this page itself.

import { NOTHING, formatValue } from "../format.js";
import { byId, html, liveText } from "./dom.js";

/** @import { Field, Schema, Values } from "../protocol.js" */

const PACE_MS = 3000;
/** Fields of the robot's own that belong here, where a source has them. */
const OWN = [
  ["publish_cost", "Publishing a tick"],
  ["jitter", "Loop jitter"],
  ["overruns", "Overruns"],
];
const REST = {
  observer: "Observer",
  memory: "Observer’s memory",
  clients: "Observer’s clients",
  all: "Frames dropped for all",
  work: "This page’s script",
  frames: "Frames drawn",
  dropped: "Frames dropped for this page",
};

/** How much of the page's time its own work takes. */
export class Load {
  #since = performance.now();
  #busy = 0;
  #frames = 0;
  /** Percent of one core. */
  share = 0;
  /** Frames a second. */
  rate = 0;

  /** @param {() => void} work */
  measure(work) {
    const started = performance.now();
    work();
    this.#busy += performance.now() - started;
  }

  frame() {
    this.#frames++;
    const passed = performance.now() - this.#since;
    if (passed < PACE_MS) return;
    this.share = (100 * this.#busy) / passed;
    this.rate = (1000 * this.#frames) / passed;
    this.#since += passed;
    this.#busy = this.#frames = 0;
  }
}

/** @param {unknown} value */
function count(value) {
  return typeof value === "number" ? String(value) : NOTHING;
}

/**
 * @typedef {object} Figures
 * @property {Schema | null} schema
 * @property {Values | null} values null: those that are shown stay
 * @property {string} stale what is to be said of values that are not of now
 * @property {boolean} isOpen whether the observer can be asked
 * @property {number} dropped frames
 */

/** @param {Load} load @returns {(figures: Figures) => void} */
export function costView(load) {
  const list = byId("cost-list");
  const note = byId("cost").querySelector(".stale-note");
  const warn = liveText(/** @type {Element} */ (note));
  /** @type {Map<string, (text: string) => void>} */
  const cells = new Map();
  const begin = (/** @type {string[]} */ names) => {
    list.replaceChildren();
    for (const name of names) {
      const value = html("dd");
      cells.set(name, liveText(value, NOTHING));
      list.append(html("div", {}, html("dt", {}, name), value));
    }
  };
  const tell = (/** @type {string} */ name, /** @type {string} */ text) => cells.get(name)?.(text);
  const ask = observerFigures(tell);
  let next = 0;
  /** @type {Schema | null | undefined} */
  let drawn;
  /** @type {(readonly [field: Field, words: string])[]} */
  let own = [];
  return ({ schema, values, stale, isOpen, dropped }) => {
    if (schema !== drawn) {
      drawn = schema;
      own = OWN.flatMap(([name = "", words = ""]) => {
        const field = schema?.fields.find((each) => each.name === name && each.count === 1);
        return field ? [/** @type {const} */ ([field, words])] : [];
      });
      begin([...own.map(([, words]) => words), ...Object.values(REST)]);
    }
    // The observer's own figures are of now even where the robot's are not.
    warn(isOpen ? (own.length ? stale : "") : "Observer not reached: last known figures");
    if (performance.now() < next) return;
    next = performance.now() + 500;
    for (const [field, words] of own) {
      const value = values?.[field.name];
      if (values && !Array.isArray(value)) tell(words, `${formatValue(field, value)} ${field.unit}`);
    }
    tell(REST.work, `${load.share.toFixed(1)} % of a core`);
    tell(REST.frames, `${load.rate.toFixed(0)} a second`);
    tell(REST.dropped, String(dropped));
    if (isOpen) ask();
  };
}

/** @param {(name: string, text: string) => void} tell */
function observerFigures(tell) {
  let asked = -Infinity;
  let before = { at: 0, cpu: 0, process: 0 };
  return async () => {
    if (performance.now() - asked < PACE_MS || document.visibilityState !== "visible") return;
    asked = performance.now();
    const answer = await fetch("api/observer", { cache: "no-store" }).catch(() => null);
    const report = answer?.ok ? await answer.json().catch(() => null) : null;
    if (!report) return;
    const now = performance.now();
    const { cpu, process } = report;
    const share = ((cpu - before.cpu) / 1000 / (now - before.at)) * 100;
    // Another run of the observer counts from zero.
    const isSame = process === before.process && cpu >= before.cpu;
    tell(REST.observer, isSame ? `${share.toFixed(1)} % of a core` : NOTHING);
    before = { at: now, cpu, process };
    tell(REST.memory, `${(report.memory / 2 ** 20).toFixed(1)} MiB`);
    tell(REST.clients, count(report.clients));
    tell(REST.all, count(report.frames_dropped));
  };
}
