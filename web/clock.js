// Whose time is it? The page's clock, which never stands still, and its distance from the
// observer's. Pure: every reading of a clock is handed in.

/** A wall clock that runs ahead by more than this within one look was asleep, or was set. */
const LEAP_MS = 1000;
const SAMPLES = 8;

/**
 * Milliseconds that only grow. `performance.now()` may stand still while a laptop sleeps, and a
 * value from before the sleep must not look fresh after it: where the wall clock leapt ahead of the
 * steady one, the leap counts as time gone by.
 */
export class PageClock {
  /**
   * @param {() => number} steady like performance.now
   * @param {() => number} wall like Date.now
   */
  constructor(steady, wall) {
    this.steady = steady;
    this.wall = wall;
    this.slept = 0;
    this.distance = wall() - steady();
  }

  now() {
    return this.steady() + this.slept;
  }

  /** Call a few times a second. True where time leapt since the last call. */
  look() {
    const distance = this.wall() - this.steady();
    const leap = distance - this.distance;
    this.distance = distance;
    if (leap < LEAP_MS) return false;
    this.slept += leap;
    return true;
  }
}

/**
 * The observer's monotonic clock as seen from here. Each question and answer bounds the distance of
 * the clocks: the answer was written somewhere between sending and receiving. The quickest of the
 * last answers is the most exact. An answer that contradicts the older ones means that a clock was
 * disturbed: the older ones are forgotten.
 */
export class ClockOffset {
  constructor() {
    /** @type {{ offset: number, doubt: number }[]} milliseconds */
    this.samples = [];
  }

  reset() {
    this.samples = [];
  }

  /**
   * @param {number} sent page clock, ms
   * @param {number} received page clock, ms
   * @param {number} remote the observer's monotonic time, µs
   */
  add(sent, received, remote) {
    const doubt = (received - sent) / 2;
    const offset = remote / 1000 - (sent + received) / 2;
    if (!(doubt >= 0) || !Number.isFinite(offset)) return;
    this.samples = this.samples.filter((old) => Math.abs(old.offset - offset) <= old.doubt + doubt);
    this.samples.push({ offset, doubt });
    if (this.samples.length > SAMPLES) this.samples.shift();
  }

  /** @returns {{ offset: number, doubt: number } | null} the most exact of the last */
  best() {
    let best = null;
    for (const sample of this.samples) if (!best || sample.doubt <= best.doubt) best = sample;
    return best;
  }

  /**
   * The observer's monotonic time at a moment of the page clock.
   * @param {number} local ms
   * @returns {number | null} µs; null while nothing is known
   */
  remote(local) {
    const best = this.best();
    return best && Math.round((local + best.offset) * 1000);
  }
}
