// The ticks of one source as columns of numbers: what the plots, the trigger and the export read.
// Pure. A ring of fixed size in typed arrays, so that a page left open all day needs no more memory
// than at its start. Rows are named by ordinals that only grow; a row's slot is its ordinal modulo
// the capacity, a power of two.
//
//     const series = new Series(schema, period);
//     series.append(batch);
//     for (let row = series.lowerBound(from); row < series.end; row++) series.value(column, row);

/** @import { BatchMessage, Field, FieldType, Schema, Scalar } from "./protocol.js" */

const BUDGET_BYTES = 48 * 2 ** 20;
const CAPACITY_MAX = 2 ** 20;
/** `tick`, `time` and `monotonic` stand in front of a batch's columns. */
const STAMPS = 3;
const STAMP_BYTES = 3 * Float64Array.BYTES_PER_ELEMENT + 1;

/** A stamp that is no farther back than this is a clock that was put right, not another one, µs. */
const STEP_BACK = 1e6;

/** Why a line must not be drawn from the row before to this one. */
export const GAP = { none: 0, lost: 1, restart: 2, silence: 3 };

/**
 * @typedef {object} Column one number of a tick: a scalar field, or one element of an array
 * @property {string} name as in a batch's columns: "heading", "sensors[2]"
 * @property {Field} field
 * @property {number} element
 * @property {boolean} isState an enum or a bool: drawn as bands
 *
 * @typedef {Float64Array | Float32Array | Int32Array | Uint32Array | Int16Array | Uint16Array
 *   | Int8Array | Uint8Array | BigInt64Array | BigUint64Array} Numbers
 */

/** @type {Record<FieldType, ((length: number) => Numbers) | null>} */
const KEPT_AS = {
  bool: (length) => new Uint8Array(length),
  i8: (length) => new Int8Array(length),
  u8: (length) => new Uint8Array(length),
  i16: (length) => new Int16Array(length),
  u16: (length) => new Uint16Array(length),
  i32: (length) => new Int32Array(length),
  u32: (length) => new Uint32Array(length),
  i64: (length) => new BigInt64Array(length),
  u64: (length) => new BigUint64Array(length),
  f32: (length) => new Float32Array(length),
  f64: (length) => new Float64Array(length),
  enum: (length) => new Int32Array(length),
  text: null,
};

/**
 * An element that is known to be there.
 * @template T
 * @param {ArrayLike<T>} array
 * @param {number} index
 */
export function at(array, index) {
  return /** @type {T} */ (array[index]);
}

/** How a batch names an element of an array. @param {string} name @param {number} index */
export function elementName(name, index) {
  return `${name}[${index}]`;
}

/** @param {Field} field @returns {string[]} its columns' names in a batch */
function columnNames({ name, type, count }) {
  if (count <= 1 || type === "text") return [name];
  return Array.from({ length: count }, (_, index) => elementName(name, index));
}

/**
 * All that can be plotted, in the schema's order.
 * @param {Schema} schema
 * @returns {Column[]}
 */
export function columnsOf(schema) {
  return schema.fields.flatMap((field) => {
    if (!KEPT_AS[field.type]) return [];
    const isState = field.type === "enum" || field.type === "bool";
    return columnNames(field).map((name, element) => ({ name, field, element, isState }));
  });
}

/** Whether doubles are too short for its numbers. @param {Field} field */
export function isLong({ type }) {
  return type === "i64" || type === "u64";
}

/** @param {Scalar | undefined} cell */
function asNumber(cell) {
  if (typeof cell === "number") return cell;
  return cell === null || cell === undefined ? NaN : Number(cell);
}

/** @param {Scalar | undefined} cell */
function asBigInt(cell) {
  return BigInt(cell ?? 0);
}

export class Series {
  /**
   * @param {Schema} schema
   * @param {number} [period] nominal µs between ticks; 0: none
   * @param {number} [budget] bytes that may be used
   * @param {number} [most] rows that are kept at most, a power of two
   */
  constructor(schema, period = 0, budget = BUDGET_BYTES, most = CAPACITY_MAX) {
    this.schema = schema;
    /** Whose ticks these are; "": nobody's yet. */
    this.source = "";
    this.period = period;
    this.columns = columnsOf(schema);
    const makers = this.columns.map(({ field }) => /** @type {any} */ (KEPT_AS[field.type]));
    const width = makers.reduce((sum, make) => sum + make(0).BYTES_PER_ELEMENT, STAMP_BYTES);
    this.capacity = Math.min(most, 2 ** Math.floor(Math.log2(budget / width)));
    this.mask = this.capacity - 1;
    /** @type {Numbers[]} */
    this.values = makers.map((make) => make(this.capacity));
    this.parsers = this.columns.map(({ field }) => (isLong(field) ? asBigInt : asNumber));
    this.ticks = new Float64Array(this.capacity);
    /** Wall clock, µs since 1970. */
    this.wall = new Float64Array(this.capacity);
    /** Monotonic, µs: never decreases from row to row. */
    this.times = new Float64Array(this.capacity);
    this.gaps = new Uint8Array(this.capacity);
    this.begin = 0;
    /** One past the newest row. */
    this.end = 0;
    /** Changes where rows became invalid other than by age. */
    this.generation = 0;
    /** Called before that. */
    this.leaving = () => {};
    /** Rows of this page's own time, after what it was told of the past. */
    this.live = 0;
    /** @type {{ name: string, first: number }[]} of the publisher, the newest last */
    this.instances = [];
    /** The place of each column in a batch's rows. @type {number[]} */
    this.places = [];
    /** @type {string[]} */
    this.told = [];
    this.byName = new Map(this.columns.map(({ name }, index) => [name, index]));
  }

  clear() {
    this.leaving();
    this.begin = this.end;
    this.instances = [];
    this.generation++;
  }

  /**
   * Takes what is new in a batch; rows that are here already are left out.
   * @param {BatchMessage} batch
   * @returns {number} rows added
   */
  append({ source, instance, columns, rows }) {
    this.source = source;
    this.#settle(columns);
    const first = this.end;
    if (!this.#enter(instance)) return 0;
    for (const row of rows) this.#add(row);
    return this.end - first;
  }

  /** @param {string[]} columns */
  #settle(columns) {
    const { told } = this;
    if (columns.length === told.length && columns.every((name, i) => name === told[i])) return;
    this.told = columns;
    this.places = this.columns.map(({ name }) => columns.indexOf(name, STAMPS));
  }

  /**
   * @param {string} name of the publisher's instance
   * @returns {boolean} whether its rows may be new
   */
  #enter(name) {
    if (this.instances.at(-1)?.name === name) return true;
    if (this.instances.some((known) => known.name === name)) return false;
    this.instances.push({ name, first: this.end });
    while (this.instances.length > 1 && at(this.instances, 1).first <= this.begin)
      this.instances.shift();
    return true;
  }

  /** @param {Scalar[]} row */
  #add(row) {
    const tick = Number(row[0]);
    let time = Number(row[2]);
    const newest = this.end - 1;
    const isFirst = this.end === this.begin;
    const isRestart = !isFirst && this.instances.at(-1)?.first === this.end;
    if (!isFirst && !isRestart && tick <= at(this.ticks, newest & this.mask)) return;
    if (!isFirst && time < this.newest) {
      if (isRestart || time < this.newest - STEP_BACK) this.#startOver();
      else time = this.newest;
    }
    const slot = this.end & this.mask;
    this.gaps[slot] = this.#gapBefore(tick, time);
    this.ticks[slot] = tick;
    this.wall[slot] = Number(row[1]);
    this.times[slot] = time;
    const { values, places, parsers } = this;
    for (let i = 0; i < values.length; i++) {
      const cell = row[at(places, i)];
      at(values, i)[slot] = at(parsers, i)(cell);
    }
    this.end++;
    if (this.end - this.begin > this.capacity) this.begin = this.end - this.capacity;
  }

  /** The clock of the stamps is another one: what was before cannot be put in order with it. */
  #startOver() {
    const instance = this.instances.at(-1);
    this.clear();
    if (instance) this.instances = [{ name: instance.name, first: this.end }];
  }

  /** @param {number} tick @param {number} time */
  #gapBefore(tick, time) {
    if (this.end === this.begin) return GAP.none;
    const newest = (this.end - 1) & this.mask;
    if (this.instances.at(-1)?.first === this.end) return GAP.restart;
    if (tick !== at(this.ticks, newest) + 1) return GAP.lost;
    const silent = this.period > 0 && time - at(this.times, newest) > 10 * this.period + 250e3;
    return silent ? GAP.silence : GAP.none;
  }

  /**
   * Whether rows at and after a time are about to make room for new ones, or have begun to.
   * @param {number} time µs
   */
  isLeaving(time) {
    const isFull = this.end - this.begin === this.capacity;
    return isFull && this.lowerBound(time) - this.begin < this.capacity / 8;
  }

  /**
   * A copy of a stretch, with the neighbours to which its lines go on. Rows keep their ordinals.
   * @param {number} from µs
   * @param {number} to µs
   * @returns {Series}
   */
  excerpt(from, to) {
    const begin = Math.max(this.begin, this.lowerBound(from) - 1);
    const end = Math.min(this.end, this.upperBound(to) + 1);
    const most = 2 ** Math.ceil(Math.log2(Math.max(1, end - begin)));
    const copy = new Series(this.schema, this.period, Infinity, most);
    const { source, instances, live, generation } = this;
    Object.assign(copy, { source, begin, end, instances: [...instances], live, generation });
    const pairs = [...copy.values.keys()].map((i) => [at(copy.values, i), at(this.values, i)]);
    for (const name of /** @type {const} */ (["ticks", "wall", "times", "gaps"]))
      pairs.push([copy[name], this[name]]);
    for (const [target, source] of /** @type {any[][]} */ (pairs))
      for (let row = begin; row < end; row++) target[row & copy.mask] = source[row & this.mask];
    return copy;
  }

  get isEmpty() {
    return this.end === this.begin;
  }

  /** @param {number} row */
  time(row) {
    return at(this.times, row & this.mask);
  }

  /** @param {number} row */
  tick(row) {
    return at(this.ticks, row & this.mask);
  }

  /** @param {number} row */
  gap(row) {
    return row === this.begin ? GAP.none : at(this.gaps, row & this.mask);
  }

  /** As a plot needs it. @param {number} column @param {number} row @returns {number} */
  value(column, row) {
    return Number(this.exact(column, row));
  }

  /** To the last digit. @param {number} column @param {number} row @returns {number | bigint} */
  exact(column, row) {
    /** @type {ArrayLike<number | bigint>} */
    const values = at(this.values, column);
    return at(values, row & this.mask);
  }

  /** Of the oldest row, µs; 0: there is none. */
  get oldest() {
    return this.isEmpty ? 0 : this.time(this.begin);
  }

  /** Of the newest row, µs; 0: there is none. */
  get newest() {
    return this.isEmpty ? 0 : this.time(this.end - 1);
  }

  /** What turns a monotonic time into one of the wall clock: as the newest row has it, µs. */
  get wallOffset() {
    if (this.isEmpty) return 0;
    return at(this.wall, (this.end - 1) & this.mask) - this.newest;
  }

  /** @param {number} row @returns {string} of the publisher that made it */
  instance(row) {
    return this.instances.findLast(({ first }) => first <= row)?.name ?? "";
  }

  /**
   * @param {number} time µs
   * @returns {number} the first row at or after it; `end` where there is none
   */
  lowerBound(time) {
    let low = this.begin;
    let high = this.end;
    while (low < high) {
      const middle = low + ((high - low) >> 1);
      if (this.time(middle) < time) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** @param {number} time µs @returns {number} the first row after it */
  upperBound(time) {
    let row = this.lowerBound(time);
    while (row < this.end && this.time(row) <= time) row++;
    return row;
  }

  /** @param {number} time µs @returns {number} the nearest row; -1: there is none */
  nearest(time) {
    if (this.isEmpty) return -1;
    const after = this.lowerBound(time);
    if (after === this.begin) return after;
    if (after === this.end) return after - 1;
    return this.time(after) - time < time - this.time(after - 1) ? after : after - 1;
  }

  /**
   * The tick that was at a time: between two of a gap, before the oldest and after the newest there
   * was none.
   * @param {number} time µs
   * @returns {number} its row; -1: none
   */
  rowAt(time) {
    const row = this.nearest(time);
    if (row < 0 || Math.abs(time - this.time(row)) <= this.period / 2) return row;
    const after = this.lowerBound(time);
    const isBetween = after > this.begin && after < this.end && this.gap(after) === GAP.none;
    return isBetween || this.time(row) === time ? row : -1;
  }

  /**
   * @param {string} instance
   * @param {number} tick
   * @returns {number} its row; -1: it is not here (lost, or too old)
   */
  find(instance, tick) {
    const index = this.instances.findIndex(({ name }) => name === instance);
    if (index < 0) return -1;
    const last = this.instances[index + 1]?.first ?? this.end;
    let low = Math.max(this.begin, at(this.instances, index).first);
    let high = last;
    while (low < high) {
      const middle = low + ((high - low) >> 1);
      if (this.tick(middle) < tick) low = middle + 1;
      else high = middle;
    }
    return low < last && this.tick(low) === tick ? low : -1;
  }
}
