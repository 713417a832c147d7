// A minute of a 1 kHz robot on a thousand pixels: each pixel column keeps its least and its
// greatest value, so no peak is ever dropped. Pure.
//
// Columns of pixels ("buckets") lie on a grid of absolute time, so they do not change while the
// window moves, and only what is new is looked at: drawing live costs as much as the new ticks.
//
//     const envelope = new Envelope(series, [column, …]);
//     envelope.cover(from, to, width);
//     for (let b = envelope.bucket(from); b <= envelope.bucket(to); b++) if (envelope.has(b)) …

import { GAP, at } from "./series.js";

/** @import { Series } from "./series.js" */

/** More than any screen has pixels in a row. A power of two. */
const BUCKETS = 8192;

export class Envelope {
  /**
   * @param {Series} series
   * @param {number[]} columns
   * @param {number} [buckets] how many are kept, a power of two
   */
  constructor(series, columns, buckets = BUCKETS) {
    this.series = series;
    this.columns = columns;
    this.mask = buckets - 1;
    /** Which bucket a slot holds; -1: none. */
    this.held = new Float64Array(buckets).fill(-1);
    /** Times of a bucket's first and last row, µs. */
    this.first = new Float64Array(buckets);
    this.last = new Float64Array(buckets);
    /** Why the line is broken in front of, or inside, the bucket (GAP). */
    this.broken = new Uint8Array(buckets);
    this.low = columns.map(() => new Float64Array(buckets));
    this.high = columns.map(() => new Float64Array(buckets));
    /** 1: the least value came before the greatest. */
    this.rising = columns.map(() => new Uint8Array(buckets));
    /** 1: beside numbers there was what is none. */
    this.holed = columns.map(() => new Uint8Array(buckets));
    /** From here on the buckets are right, µs. */
    this.from = 0;
    /** Of a bucket, µs; infinite: nothing is covered yet. */
    this.width = Infinity;
    this.base = 0;
    /** The row that is looked at next. */
    this.next = 0;
    this.generation = -1;
  }

  /** @param {number} from @param {number} width */
  #forget(from, width) {
    this.held.fill(-1);
    this.from = from;
    this.width = width;
    this.base = Math.floor(from / width);
    this.generation = this.series.generation;
    this.next = this.series.lowerBound(from);
  }

  /** @param {number} time µs @returns {number} */
  bucket(time) {
    return Math.floor(time / this.width) - this.base;
  }

  /** @param {number} bucket */
  slot(bucket) {
    return bucket & this.mask;
  }

  /** @param {number} bucket */
  has(bucket) {
    return bucket >= 0 && this.held[bucket & this.mask] === bucket;
  }

  /**
   * Makes the buckets from `from` to `to` right, all µs.
   * @param {number} from
   * @param {number} to
   * @param {number} width of a bucket
   */
  cover(from, to, width) {
    const { series } = this;
    const isOther = width !== this.width || this.generation !== series.generation;
    const isLate = this.next < series.begin;
    if (isOther || isLate || from < this.from) this.#forget(from, width);
    // What lies so far back that its slots are used again is no longer promised.
    const farthest = this.bucket(to) - this.mask;
    if (farthest > 0) this.from = Math.max(this.from, (farthest + this.base) * width);
    const skip = series.lowerBound(this.from);
    if (skip > this.next) this.next = skip;
    while (this.next < series.end && series.time(this.next) <= to) this.#take(this.next++);
  }

  /** @param {number} row */
  #take(row) {
    const { series } = this;
    const time = series.time(row);
    const bucket = this.bucket(time);
    const slot = bucket & this.mask;
    const isNew = this.held[slot] !== bucket;
    if (isNew) {
      this.held[slot] = bucket;
      this.first[slot] = time;
      this.broken[slot] = 0;
    }
    this.last[slot] = time;
    const gap = series.gap(row);
    if (gap !== GAP.none) this.broken[slot] = gap;
    for (let i = 0; i < this.columns.length; i++)
      this.#widen(i, slot, isNew, series.value(at(this.columns, i), row));
  }

  /** @param {number} i @param {number} slot @param {boolean} isNew @param {number} value */
  #widen(i, slot, isNew, value) {
    const low = at(this.low, i);
    const high = at(this.high, i);
    const least = at(low, slot);
    const holed = at(this.holed, i);
    if (isNew) holed[slot] = 0;
    if (value !== value) holed[slot] = 1;
    // Also where the bucket held only what is no number.
    if (isNew || least !== least) {
      low[slot] = high[slot] = value;
      at(this.rising, i)[slot] = 0;
    } else if (value < least) {
      low[slot] = value;
      at(this.rising, i)[slot] = 0;
    } else if (value > at(high, slot)) {
      high[slot] = value;
      at(this.rising, i)[slot] = 1;
    }
  }

  /**
   * The least and greatest of one column from `from` to `to`; null: no number there.
   * @param {number} i place in `columns`
   * @param {number} from
   * @param {number} to
   * @returns {{ low: number, high: number } | null}
   */
  extent(i, from, to) {
    const lows = at(this.low, i);
    const highs = at(this.high, i);
    let low = Infinity;
    let high = -Infinity;
    for (let bucket = this.bucket(from); bucket <= this.bucket(to); bucket++) {
      if (!this.has(bucket)) continue;
      const slot = bucket & this.mask;
      if (at(lows, slot) < low) low = at(lows, slot);
      if (at(highs, slot) > high) high = at(highs, slot);
    }
    return low <= high ? { low, high } : null;
  }
}

/**
 * Draws one column as a line. Between two points stands a line only where no tick was lost. Without
 * a period a tick comes where something happens: until then the value held, and the line is a step.
 * @param {Envelope} envelope
 * @param {number} i place in its `columns`
 * @param {number} from µs
 * @param {number} to µs
 * @param {(time: number, value: number) => void} move begins a line
 * @param {(time: number, value: number) => void} line goes on
 */
export function trace(envelope, i, from, to, move, line) {
  const { series } = envelope;
  const column = at(envelope.columns, i);
  const low = at(envelope.low, i);
  const high = at(envelope.high, i);
  const rising = at(envelope.rising, i);
  const holed = at(envelope.holed, i);
  // The line from the last row before the window, and to the first one after it.
  const inside = series.lowerBound(from);
  let isDown = false;
  // A point between two gaps is seen too: half a pixel of a line.
  let lone = NaN;
  let loneValue = NaN;
  const isOccasional = series.period === 0;
  let held = NaN;
  const begin = (/** @type {number} */ time, /** @type {number} */ value) => {
    if (lone === lone) line(lone + envelope.width / 2, loneValue);
    lone = time;
    loneValue = held = value;
    move(time, value);
  };
  const go = (/** @type {number} */ time, /** @type {number} */ value) => {
    if (isOccasional && value !== held) line(time, held);
    held = value;
    line(time, value);
  };
  const before = inside - 1;
  if (before >= series.begin && inside < series.end) {
    const value = series.value(column, before);
    if (value === value) {
      begin(series.time(before), value);
      isDown = true;
    }
  }
  const end = envelope.bucket(to);
  for (let bucket = envelope.bucket(from); bucket <= end; bucket++) {
    if (!envelope.has(bucket)) continue;
    const slot = envelope.slot(bucket);
    const least = at(low, slot);
    const isHoled = at(holed, slot) === 1;
    if (at(envelope.broken, slot) || isHoled) isDown = false;
    if (least !== least) {
      isDown = false;
      continue;
    }
    const most = at(high, slot);
    const isRising = at(rising, slot) === 1;
    const start = isRising ? least : most;
    const first = at(envelope.first, slot);
    const last = at(envelope.last, slot);
    if (!isDown) begin(first, start);
    else {
      go(first, start);
      lone = NaN;
    }
    isDown = !isHoled;
    if (least === most && last === first) continue;
    go(last, isRising ? most : least);
    // What holds from here on is neither the least nor the greatest, but the newest.
    if (isOccasional && isDown) go(last, series.value(column, series.upperBound(last) - 1));
    lone = NaN;
  }
  const after = series.upperBound(to);
  if (isDown && after < series.end && series.gap(after) === GAP.none)
    go(series.time(after), series.value(column, after));
  else if (lone === lone) line(lone + envelope.width / 2, loneValue);
}

/**
 * Tells the stretches in which no tick is known, also those that reach beyond the window.
 * @param {Envelope} envelope
 * @param {number} from µs
 * @param {number} to µs
 * @param {(from: number, to: number, gap: number) => void} tell
 */
export function gaps(envelope, from, to, tell) {
  const { series } = envelope;
  const before = series.lowerBound(from) - 1;
  let last = before >= series.begin ? series.time(before) : NaN;
  const end = envelope.bucket(to);
  for (let bucket = envelope.bucket(from); bucket <= end; bucket++) {
    if (!envelope.has(bucket)) continue;
    const slot = envelope.slot(bucket);
    const first = at(envelope.first, slot);
    const gap = at(envelope.broken, slot);
    if (gap !== GAP.none) tell(last < first ? last : first, first, gap);
    last = at(envelope.last, slot);
  }
  const after = series.upperBound(to);
  if (last !== last || after >= series.end) return;
  const gap = series.gap(after);
  if (gap !== GAP.none) tell(last, series.time(after), gap);
}

/**
 * Tells the runs of one state: neighbouring buckets that held nothing else. Where a bucket held
 * several states, `low` and `high` differ, so that the shortest state is still seen.
 * @param {Envelope} envelope
 * @param {number} i place in its `columns`
 * @param {number} from µs
 * @param {number} to µs
 * @param {(from: number, to: number, low: number, high: number) => void} tell
 */
export function runs(envelope, i, from, to, tell) {
  const { series } = envelope;
  const lows = at(envelope.low, i);
  const highs = at(envelope.high, i);
  const inside = series.lowerBound(from);
  const isOccasional = series.period === 0;
  let start = NaN;
  let until = NaN;
  let low = NaN;
  let high = NaN;
  if (inside > series.begin) {
    start = series.time(inside - 1);
    until = start;
    low = high = series.value(at(envelope.columns, i), inside - 1);
  }
  const end = envelope.bucket(to);
  for (let bucket = envelope.bucket(from); bucket <= end; bucket++) {
    if (!envelope.has(bucket)) continue;
    const slot = envelope.slot(bucket);
    const first = at(envelope.first, slot);
    const isBroken = at(envelope.broken, slot) !== GAP.none;
    const isSame = !isBroken && at(lows, slot) === low && at(highs, slot) === high;
    if (!isSame) {
      // A state lasts until the next one is seen; across a gap nobody knows.
      if (start === start) tell(start, Math.max(start, isBroken ? until : first), low, high);
      start = first;
      low = at(lows, slot);
      high = at(highs, slot);
    }
    until = at(envelope.last, slot);
    if (!isOccasional || low === high) continue;
    // It may be long until the next tick: of several states the newest holds, a pixel later.
    const next = first + envelope.width;
    tell(start, next, low, high);
    start = next;
    low = high = series.value(at(envelope.columns, i), series.upperBound(until) - 1);
  }
  const after = series.upperBound(to);
  if (after < series.end && series.gap(after) === GAP.none) until = series.time(after);
  if (start === start) tell(start, Math.max(start, until), low, high);
}
