// The least and the greatest value of each column since the page was opened. Pure.

import { at } from "./series.js";

/** @import { Series } from "./series.js" */

/** @param {number | bigint} value */
function told(value) {
  return typeof value === "bigint" ? String(value) : value;
}

export class Extremes {
  /** @param {Series} series */
  constructor(series) {
    this.series = series;
    /** @type {(number | bigint)[]} */
    this.low = series.columns.map(() => Infinity);
    /** @type {(number | bigint)[]} */
    this.high = series.columns.map(() => -Infinity);
    this.next = series.live;
  }

  /** Looks at the rows that came since the last call. */
  update() {
    const { series, low, high } = this;
    const from = Math.max(this.next, series.begin, series.live);
    this.next = series.end;
    for (let column = 0; column < low.length; column++) {
      /** @type {ArrayLike<number | bigint>} */
      const values = at(series.values, column);
      for (let row = from; row < series.end; row++) {
        const value = at(values, row & series.mask);
        if (value < at(low, column)) low[column] = value;
        if (value > at(high, column)) high[column] = value;
      }
    }
  }

  /**
   * Of some neighbouring columns together.
   * @param {number} first
   * @param {number} count
   * @returns {{ low: number | string, high: number | string } | null} as messages bring them;
   *   null: no number yet
   */
  of(first, count) {
    const lows = this.low.slice(first, first + count);
    const low = lows.reduce((least, each) => (each < least ? each : least), Infinity);
    const highs = this.high.slice(first, first + count);
    const high = highs.reduce((most, each) => (each > most ? each : most), -Infinity);
    return low <= high ? { low: told(low), high: told(high) } : null;
  }
}
