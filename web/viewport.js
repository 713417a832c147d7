// Which stretch of time all plots show, and where their cursor is. Pure; all times in µs of the
// ticks' monotonic clock.

/** @import { Series } from "./series.js" */

const SPAN_LEAST = 1e3;
const SPAN_MOST = 3600e6;

/** @typedef {{ from: number, to: number }} Stretch µs */

export class Viewport {
  /** @param {number} span µs */
  constructor(span) {
    this.span = span;
    /** The right edge; null: the newest tick. @type {number | null} */
    this.held = null;
    /** @type {number | null} */
    this.cursor = null;
    /** Copies of stretches that leave the ring. @type {(Stretch & { series: Series })[]} */
    this.kept = [];
  }

  get isFollowing() {
    return this.held === null;
  }

  /** @param {Series} series @returns {{ from: number, to: number }} */
  range(series) {
    const to = this.held ?? series.newest;
    return { from: to - this.span, to };
  }

  /**
   * Copies what is held out of the ring before it makes room for new rows. Call it whenever rows
   * came: also while nothing is drawn.
   * @param {Series} series
   * @param {Stretch[]} others that must be kept beside the window
   * @param {boolean} [all] whether all rows are about to go
   */
  guard(series, others, all = false) {
    const wanted = this.isFollowing ? others : [this.range(series), ...others];
    this.kept = this.kept.filter((each) => wanted.some((stretch) => covers(each, stretch)));
    for (const stretch of wanted) {
      const { from, to } = stretch;
      if (!all && !series.isLeaving(from)) continue;
      if (this.kept.some((each) => covers(each, stretch))) continue;
      this.kept.push({ from, to, series: series.excerpt(from, to) });
    }
  }

  /** Where the rows of the window are. @param {Series} series @returns {Series} itself, or a copy */
  seen(series) {
    if (this.isFollowing) return series;
    const window = this.range(series);
    return this.kept.find((each) => covers(each, window))?.series ?? series;
  }

  /** @param {Series} series */
  hold(series) {
    this.held ??= series.newest;
  }

  follow() {
    this.held = null;
    this.cursor = null;
  }

  /**
   * @param {number} by µs; negative: into the past. Past the newest tick it follows again.
   * @param {Series} series
   */
  pan(by, series) {
    const to = this.range(series).to + by;
    if (by > 0 && to >= series.newest) this.held = null;
    else this.held = Math.max(to, Math.min(series.newest, series.oldest + this.span / 10));
  }

  /**
   * @param {number} factor below 1: nearer
   * @param {number | null} anchor the time that keeps its place; null: the cursor, else the edge
   * @param {Series} series
   */
  zoom(factor, anchor, series) {
    const { from, to } = this.range(series);
    const span = clampSpan(this.span * factor);
    const isCursorSeen = this.cursor !== null && this.cursor >= from && this.cursor <= to;
    const still = anchor ?? (isCursorSeen ? this.cursor : null);
    if (still !== null && !this.isFollowing) this.held = still + ((to - still) * span) / this.span;
    this.span = span;
  }

  /** @param {number} from @param {number} to */
  show(from, to) {
    this.span = clampSpan(to - from);
    this.held = to;
  }

  /**
   * Puts the cursor there, and moves the window where it would not be seen.
   * @param {number} time
   * @param {Series} series
   */
  point(time, series) {
    const { from, to } = this.range(series);
    this.cursor = time;
    if (this.isFollowing || time < from || time > to)
      this.held = Math.min(series.newest, time + this.span / 2);
    if (this.held !== null && time > this.held) this.held = time;
  }
}

/** @param {Stretch} outer @param {Stretch} inner */
function covers(outer, inner) {
  return outer.from <= inner.from && inner.to <= outer.to;
}

/** @param {number} span */
function clampSpan(span) {
  return Math.min(SPAN_MOST, Math.max(SPAN_LEAST, span));
}
