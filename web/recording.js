// Every tick of the source that is looked at, over a connection of its own: plots, trigger and
// export read it. It claims nothing: what the header says of a source comes over the other
// connection, which no backlog of ticks can delay.

import { backOff } from "./link.js";
import { isSameSchema, openSocket, parseMessage } from "./protocol.js";
import { Series } from "./series.js";

/** @import { BatchMessage, DroppedMessage, Schema, ServerMessage } from "./protocol.js" */

/** How far back a page that is opened now looks, s; as far as the observer keeps it. */
const HISTORY = 900;
const RATE = 60;
const WATCH_MS = 1000;
/** The observer promises a message a second. */
const SILENT_MS = 5000;
/** A connection that held for so long was a good one: the next wait is short again. */
const GOOD_MS = 2000;
/** Batches may have been so long on their way, s. */
const LATE = 4;

/** ms. The one stands still while a laptop sleeps, the other may be set back. */
const CLOCKS = [() => performance.now(), () => Date.now()];

/** @typedef {{ instance: string, tick: number }} Tick */

export class Recording {
  /** @type {WebSocket | null} */
  #socket = null;
  #source = "";
  #opened = 0;
  #heard = 0;
  #again = 0;
  #attempt = 0;
  /** When the newest batch came, by each clock. @type {number[]} */
  #taken = [];
  /** Up to here ticks were published before this page was there. @type {Tick | null} */
  #past = null;

  /**
   * @param {() => void} changed called when there is something new to show
   * @param {(message: DroppedMessage) => void} dropped called when this client was too slow
   */
  constructor(changed, dropped) {
    this.changed = changed;
    this.dropped = dropped;
    /** @type {Series | null} */
    this.series = null;
    setInterval(() => this.#watch(), WATCH_MS);
  }

  /**
   * What shall be recorded; call it whenever that may have changed.
   * @param {string} source
   * @param {Schema | null} schema null: nothing, now
   * @param {number} period µs
   * @param {boolean} isOpen whether the observer can be reached
   */
  follow(source, schema, period, isOpen) {
    if (source !== this.#source) {
      this.#close();
      this.series = null;
      this.#source = source;
      this.#again = this.#attempt = 0;
    }
    if (schema && !this.#fits(schema)) {
      this.#close();
      this.series = new Series(schema, period);
      this.changed();
    }
    if (this.series && period) this.series.period = period;
    if (!schema || !isOpen) this.#close();
    else if (!this.#socket && performance.now() >= this.#again) this.#open();
  }

  /** Whether the observer takes the connection. */
  get isOpen() {
    return this.#socket?.readyState === WebSocket.OPEN;
  }

  /** @param {Schema} schema */
  #fits(schema) {
    return isSameSchema(this.series?.schema, schema);
  }

  #open() {
    const socket = openSocket();
    this.#socket = socket;
    this.#opened = this.#heard = performance.now();
    socket.onmessage = ({ data }) => this.#receive(data);
    socket.onclose = () => this.#close();
  }

  #close() {
    const socket = this.#socket;
    if (!socket) return;
    this.#socket = null;
    const now = performance.now();
    if (now - this.#opened >= GOOD_MS) this.#attempt = 0;
    this.#again = now + backOff(this.#attempt++, Math.random());
    socket.onmessage = socket.onclose = null;
    socket.close();
  }

  #watch() {
    if (this.#socket && performance.now() - this.#heard > SILENT_MS) this.#close();
  }

  /** @param {unknown} data */
  #receive(data) {
    this.#heard = performance.now();
    const message = parseMessage(data);
    if (message?.op === "hello") this.#subscribe(message);
    if (message?.op === "source") this.#heed(message);
    if (message?.op === "dropped") this.dropped(message);
    if (message?.op === "batch") this.#take(message);
  }

  /** @param {Extract<ServerMessage, { op: "hello" }>} hello */
  #subscribe({ sources }) {
    const { series } = this;
    const report = sources.find(({ name }) => name === this.#source);
    // The other connection hears of it too, and calls follow().
    if (!series || !report?.schema || !this.#fits(report.schema)) return this.#close();
    if (series.isEmpty) this.#past = report;
    const history = series.isEmpty ? HISTORY : Math.min(HISTORY, this.#missed());
    const subscription = { op: "subscribe", source: this.#source, mode: "every", rate: RATE };
    this.#socket?.send(JSON.stringify({ ...subscription, history }));
  }

  /** How much was not heard, s; by this page's clocks: stamps may be of any other. */
  #missed() {
    const passed = CLOCKS.map((clock, i) => clock() - (this.#taken[i] ?? 0));
    return Math.ceil(Math.max(...passed) / 1000) + LATE;
  }

  /** @param {Extract<ServerMessage, { op: "source" }>} message */
  #heed({ change, source }) {
    if (source.name !== this.#source) return;
    if (change === "came" && source.schema && !this.#fits(source.schema)) this.#close();
    // Whatever comes of the next run is of this page's own time.
    const { instance = this.#past?.instance } = source;
    if (instance !== this.#past?.instance) this.#past = null;
  }

  /** @param {BatchMessage} batch */
  #take(batch) {
    const { series } = this;
    if (!series || batch.source !== this.#source) return;
    this.#taken = CLOCKS.map((clock) => clock());
    const first = series.end;
    if (!series.append(batch)) return;
    if (this.#past) this.#date(series, batch.instance, first, this.#past);
    this.changed();
  }

  /**
   * Tells what was published before this page was there from what came since.
   * @param {Series} series
   * @param {string} instance of the rows that were added
   * @param {number} first of them
   * @param {Tick} past
   */
  #date(series, instance, first, past) {
    let row = series.end;
    const isOf = instance === past.instance;
    while (isOf && row > first && series.tick(row - 1) > past.tick) row--;
    series.live = row;
    if (row < series.end) this.#past = null;
  }
}
