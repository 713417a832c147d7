// An oscilloscope's trigger: what must happen, and what is caught around it. Pure: fed tick by
// tick, tells what to show.
//
//     off ─ arm ─▶ armed ─ fires ─▶ filling ─ enough after it, or no more comes ─▶ held
//                    ▲                                                             │
//                    └──────────────── normal, auto: by itself ◀───────────────────┘

import { rangeOf } from "./format.js";
import { GAP, isLong } from "./series.js";

/** @import { Field } from "./protocol.js" */

/** @typedef {"above" | "below" | "becomes"} Kind */
/** @typedef {"off" | "single" | "normal" | "auto"} Mode */
/** @typedef {"off" | "armed" | "filling" | "held"} Phase */

/**
 * @typedef {object} Settings
 * @property {Kind} kind "above": rises above; "below": falls below; "becomes": was another before
 * @property {number | bigint} level as exact as the field's values
 * @property {number} hysteresis so far beyond the level a value must go back before it counts again
 * @property {number} share of the span that lies before the trigger, 0 to 1
 * @property {number} span µs that are shown
 * @property {Mode} mode single: once, until armed again; normal: each time; auto: each time, and
 *   without one for a while the plots run on
 *
 * @typedef {object} Shot
 * @property {number} time of the tick, µs
 * @property {number} tick
 * @property {number} missed ticks lost just before it: it may have happened in one of them
 * @property {number} from of the window, µs
 * @property {number} to
 */

/** In auto mode the plots run on after so many spans without a trigger, but not below a second. */
const AUTO_SPANS = 2;
const AUTO_LEAST = 1e6;
/** Of a field's range: so much of a crossing and coming back is taken for noise. */
const NOISE = 0.005;

/**
 * What somebody typed, as exact as the field's values are.
 * @param {Field} field
 * @param {string} text
 * @returns {number | bigint}
 */
export function levelOf(field, text) {
  if (isLong(field) && /^-?\d+$/.test(text)) return BigInt(text);
  const level = Number(text);
  return field.type === "f32" ? Math.fround(level) : level;
}

/**
 * A level to begin with: the middle of the range.
 * @param {Field} field
 */
export function firstLevel(field) {
  const { minimum, maximum } = rangeOf(field);
  if (minimum === null || maximum === null) return 0;
  const middle = minimum + (maximum - minimum) / 2;
  return field.type.startsWith("f") ? middle : Math.floor(middle);
}

/**
 * How far back a value must go before it counts again. Integers do not tremble; and where the
 * level is near the range's end, there must be room to go back to.
 * @param {Field} field
 * @param {Kind} kind
 * @param {number | bigint} level
 */
export function hysteresisOf(field, kind, level) {
  const { minimum, maximum } = rangeOf(field);
  if (!field.type.startsWith("f") || kind === "becomes") return 0;
  if (minimum === null || maximum === null) return 0;
  const room = kind === "above" ? Number(level) - minimum : maximum - Number(level);
  return Math.max(0, Math.min((maximum - minimum) * NOISE, room));
}

export class Trigger {
  /** @param {Settings} settings */
  constructor(settings) {
    this.settings = settings;
    const { kind, level, hysteresis } = settings;
    const back = Number(level) + (kind === "above" ? -hysteresis : hysteresis);
    /** Where a value must be before crossing the level counts again. */
    this.back = hysteresis ? back : level;
    /** @type {Phase} */
    this.phase = "off";
    /** What is shown: the newest that is complete. @type {Shot | null} */
    this.shot = null;
    /** Fired, but its end is still to come. @type {Shot | null} */
    this.pending = null;
    /** Complete shots since it was armed. */
    this.count = 0;
    if (settings.mode !== "off") this.arm();
  }

  /** Whether the value was on the other side, so that crossing counts. */
  #ready = false;
  /** NaN: none. @type {number | bigint} */
  #previous = NaN;
  #tick = 0;
  /** When the newest shot was full, µs. */
  #heldSince = 0;

  arm() {
    this.phase = this.settings.mode === "off" ? "off" : "armed";
    this.shot = this.pending = null;
    this.count = 0;
    this.#previous = NaN;
  }

  /**
   * One tick.
   * @param {number | bigint} value NaN: nothing is known, nothing changes
   * @param {number} time µs
   * @param {number} tick
   * @param {number} [gap] what lies before it (GAP)
   * @returns {boolean} whether the phase changed
   */
  feed(value, time, tick, gap = GAP.none) {
    if (this.phase === "off") return false;
    const before = this.phase;
    if (gap === GAP.restart) this.#beginAnew(time);
    const fires = this.#crosses(value);
    const missed = gap === GAP.lost ? tick - this.#tick - 1 : 0;
    this.#tick = tick;
    if (this.phase === "filling") this.#fill(time);
    else if (fires && this.#isWaiting()) this.#fire(time, tick, missed);
    else if (this.phase === "held") this.#rest(time);
    return this.phase !== before;
  }

  /**
   * No more comes: what was caught so far is all.
   * @returns {boolean} whether the phase changed
   */
  finish() {
    if (!this.pending) return false;
    this.phase = "held";
    this.shot = this.pending;
    this.#heldSince = this.pending.to;
    this.pending = null;
    this.count++;
    return true;
  }

  /**
   * Another run: its first value crosses nothing.
   * @param {number} time µs, perhaps of another clock
   */
  #beginAnew(time) {
    this.finish();
    this.#previous = NaN;
    this.#heldSince = time;
  }

  #isWaiting() {
    return this.phase === "armed" || (this.phase === "held" && this.settings.mode !== "single");
  }

  /** @param {number | bigint} value */
  #crosses(value) {
    if (value !== value) return false;
    const previous = this.#previous;
    const isFirst = previous !== previous;
    this.#previous = value;
    const { kind, level } = this.settings;
    // Loosely: a long integer may be compared with a level that is none.
    if (kind === "becomes") return value == level && !isFirst && previous != level;
    const isBeyond = kind === "above" ? value > level : value < level;
    const isBack = kind === "above" ? value <= this.back : value >= this.back;
    const crosses = isBeyond && this.#ready && !isFirst;
    if (isFirst) this.#ready = !isBeyond;
    else if (isBeyond) this.#ready = false;
    else if (isBack) this.#ready = true;
    return crosses;
  }

  /** @param {number} time @param {number} tick @param {number} missed */
  #fire(time, tick, missed) {
    const { share, span } = this.settings;
    const from = time - span * share;
    this.pending = { time, tick, missed, from, to: from + span };
    this.phase = "filling";
    this.#fill(time);
  }

  /** @param {number} time */
  #fill(time) {
    if (this.pending && time >= this.pending.to) this.finish();
  }

  /** @param {number} time */
  #rest(time) {
    const { mode, span } = this.settings;
    if (mode !== "auto") return;
    if (time - this.#heldSince < Math.max(AUTO_LEAST, AUTO_SPANS * span)) return;
    this.phase = "armed";
    this.shot = null;
  }
}
