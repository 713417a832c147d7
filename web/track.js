// The way that a robot drove, thinned out: as many points as a picture can show. Pure.

import { GAP, at } from "./series.js";

/** @import { Series } from "./series.js" */

const POINTS = 600;

export class Track {
  /**
   * @param {Series} series
   * @param {number} x column
   * @param {number} y column
   */
  constructor(series, x, y) {
    this.series = series;
    this.x = x;
    this.y = y;
    /** @type {[x: number, y: number][]} */
    this.points = [];
    this.next = series.begin;
    this.generation = series.generation;
    /** Points nearer together than this are one. */
    this.grain = 0;
  }

  /** Looks at the ticks that came. @returns {boolean} whether the track changed */
  update() {
    const { series } = this;
    if (series.generation !== this.generation) this.#clear();
    const from = Math.max(this.next, series.begin);
    this.next = series.end;
    const count = this.points.length;
    for (let row = from; row < series.end; row++) {
      // Another run counts from another place.
      if (series.gap(row) === GAP.restart) this.#clear();
      this.#add(series.value(this.x, row), series.value(this.y, row));
    }
    return from < series.end || count !== this.points.length;
  }

  #clear() {
    this.points = [];
    this.grain = 0;
    this.generation = this.series.generation;
  }

  /** @param {number} x @param {number} y */
  #add(x, y) {
    if (!Number.isFinite(x) || !Number.isFinite(y)) return;
    const last = this.points.at(-1);
    if (last && Math.hypot(x - last[0], y - last[1]) <= this.grain) return;
    this.points.push([x, y]);
    if (this.points.length > POINTS) this.#thin();
  }

  /** Twice as coarse; the newest point stays. */
  #thin() {
    const { low, high } = this.bounds();
    this.grain = Math.max(this.grain * 2, Math.hypot(high[0] - low[0], high[1] - low[1]) / POINTS);
    const all = this.points;
    this.points = all.filter((_, index) => (all.length - 1 - index) % 2 === 0);
  }

  /** @returns {{ low: [number, number], high: [number, number] }} */
  bounds() {
    /** @type {[number, number]} */
    const low = [Infinity, Infinity];
    /** @type {[number, number]} */
    const high = [-Infinity, -Infinity];
    for (const point of this.points)
      for (const axis of [0, 1]) {
        low[axis] = Math.min(at(low, axis), at(point, axis));
        high[axis] = Math.max(at(high, axis), at(point, axis));
      }
    return { low, high };
  }
}
