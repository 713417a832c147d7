// Transitions of one source in their order, each exactly once, however often the connection was
// lost between. Pure.

/** @import { EventMessage } from "./protocol.js" */

const KEPT = 500;

/** skipped: so many just before it never came. @typedef {EventMessage & { skipped?: number }} Entry */

export class EventLog {
  constructor() {
    /** The oldest first. @type {Entry[]} */
    this.all = [];
    /** Ever added: tells a view what is new. */
    this.count = 0;
    this.observer = "";
    this.sequence = 0;
  }

  /**
   * Which events to ask for.
   * @param {string} observer the run of the observer; another one counts from 1 again
   * @returns {number} for `events_after`
   */
  after(observer) {
    if (observer !== this.observer) this.restart();
    this.observer = observer;
    return this.sequence;
  }

  /** The sequence begins at 1 again. */
  restart() {
    this.sequence = 0;
  }

  /**
   * @param {EventMessage} event
   * @returns {boolean} whether it was new
   */
  add(event) {
    if (event.sequence <= this.sequence) return false;
    // What was before the first one is no hole: this page was not there.
    const skipped = this.sequence ? event.sequence - this.sequence - 1 : 0;
    this.sequence = event.sequence;
    if (this.#isKnown(event)) return false;
    this.all.push(skipped ? { ...event, skipped } : event);
    this.count++;
    if (this.all.length > KEPT) this.all.shift();
    return true;
  }

  /**
   * A restarted observer may tell of ticks that the one before has told of.
   * @param {EventMessage} event
   */
  #isKnown({ instance, tick, field, element }) {
    for (let i = this.all.length - 1; i >= 0; i--) {
      const known = /** @type {EventMessage} */ (this.all[i]);
      if (known.instance !== instance) continue;
      if (known.tick < tick) return false;
      if (known.tick > tick) return true;
      if (known.field === field && known.element === element) return true;
    }
    return false;
  }
}
