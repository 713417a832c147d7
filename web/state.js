// What the page knows, and what may be claimed of it. Pure: messages in, facts out; times are
// handed in. Times of ticks are µs of the observer's monotonic clock.

import { EventLog } from "./events.js";
import { isSameSchema } from "./protocol.js";

/** @import { Link } from "./link.js" */
/** @import { Refusal, Schema, ServerMessage, SoundMessage, SourceReport, StatusMessage, Values }
 *   from "./protocol.js" */

/** The tick rate is measured over so much of the robot's time, µs. */
const RATE_WINDOW = 2e6;

/**
 * How many ticks a second, from the ticks' own numbers and times: exact however few of them
 * arrive here.
 */
export class RateMeter {
  constructor() {
    /** @type {{ tick: number, time: number }[]} */
    this.seen = [];
  }

  reset() {
    this.seen = [];
  }

  /**
   * @param {number} tick
   * @param {number} time µs
   */
  add(tick, time) {
    const last = this.seen.at(-1);
    if (last && (tick < last.tick || time < last.time)) this.reset();
    else if (last && tick === last.tick) return;
    this.seen.push({ tick, time });
    while (this.seen.length > 2 && time - /** @type {any} */ (this.seen[1]).time >= RATE_WINDOW)
      this.seen.shift();
  }

  /** @returns {number | null} Hz; null while it cannot be told */
  hertz() {
    const first = this.seen[0];
    const last = this.seen.at(-1);
    if (!first || !last || last.time <= first.time) return null;
    return ((last.tick - first.tick) * 1e6) / (last.time - first.time);
  }
}

/** One source, as far as this page knows it. Survives reconnects and restarts of the source. */
export class Source {
  /** @param {string} name */
  constructor(name) {
    this.name = name;
    this.live = false;
    /** The conditions of a machine, not a robot. */
    this.isHost = false;
    /** Its ticks come where something happens: between them nothing changed. */
    this.isOccasional = false;
    this.reason = "";
    this.instance = "";
    this.period = 0;
    this.process = 0;
    this.lost = 0;
    /** Messages that this page did not get because it was too slow. */
    this.dropped = 0;
    /** The same object as long as the schema is the same. @type {Schema | null} */
    this.schema = null;
    /** Of the newest tick that arrived here; null: none yet. @type {Values | null} */
    this.values = null;
    this.tick = 0;
    /** The newest tick's own stamp, µs; 0: none yet. */
    this.monotonic = 0;
    /** When the newest tick was there, µs; null: never. @type {number | null} */
    this.stamped = null;
    /** When the tick of `values` was there, µs; null: `values` are of another connection or
     * another run, nothing newer came yet. @type {number | null} */
    this.shown = null;
    this.rate = new RateMeter();
    this.events = new EventLog();
  }

  /**
   * @param {Partial<SourceReport>} report
   * @param {number | null} now the observer's monotonic time, µs
   */
  report(report, now) {
    if (report.instance !== undefined && report.instance !== this.instance) {
      this.instance = report.instance;
      this.unsettle();
    }
    this.live = report.state === "live";
    this.isHost = report.host ?? this.isHost;
    this.isOccasional = report.occasional ?? this.isOccasional;
    this.reason = report.reason ?? "";
    this.period = report.period ?? this.period;
    this.process = report.process ?? this.process;
    this.lost = report.lost ?? this.lost;
    if (report.schema) this.#adopt(report.schema);
    if (typeof report.age !== "number" || now === null) return;
    this.stamped = now - report.age;
    if (report.tick === this.tick && this.shown !== null)
      this.shown = Math.min(this.shown, this.stamped);
  }

  /** @param {Schema} schema */
  #adopt(schema) {
    if (isSameSchema(this.schema, schema)) return;
    this.schema = schema;
    this.values = null;
    this.tick = 0;
    this.unsettle();
  }

  /** Who chose none looks at the least: a robot before events, these before a machine. */
  get rank() {
    return this.isHost ? 2 : Number(this.isOccasional);
  }

  /** What is known may be old: it is not called live before something newer came. */
  unsettle() {
    this.shown = null;
    this.rate.reset();
  }

  remove() {
    this.live = false;
    this.reason = "removed";
  }
}

/**
 * When a tick was there, µs: when it was stamped, but not later than the observer's own word for
 * its age allows. So a stamp from the future does not look young for ever, and a message that was
 * long on its way still looks late.
 * @param {StatusMessage} message
 * @param {number | null} now the observer's monotonic time, µs; null: unknown
 */
function whenStamped({ monotonic, age }, now) {
  return typeof age === "number" && now !== null ? Math.min(monotonic, now - age) : monotonic;
}

/** Everything that the observer told. */
export class Model {
  constructor() {
    /** @type {Map<string, Source>} sorted by name */
    this.sources = new Map();
    /** @type {Refusal[]} */
    this.refused = [];
    this.version = "";
    /** Another one for every run of the observer. */
    this.observer = "";
    /** What the observer said of its sounds; null: nothing. @type {SoundMessage | null} */
    this.sound = null;
    /** Whose events were asked for: those that came before the answer come again. */
    this.heard = "";
    /** Which source is looked at; "": none yet. */
    this.selected = "";
    /** Whether somebody chose it. */
    this.isChosen = false;
  }

  current() {
    return this.sources.get(this.selected) ?? null;
  }

  /**
   * @param {ServerMessage} message
   * @param {number | null} now the observer's monotonic time, µs; null: unknown
   */
  apply(message, now) {
    // Ops that this page does not know are none of its business.
    if (!Object.hasOwn(handlers, message.op)) return;
    /** @type {(model: Model, message: any, now: number | null) => void} */
    const handle = handlers[message.op];
    handle(this, message, now);
  }

  /** @param {string} name */
  select(name) {
    this.isChosen = true;
    this.selected = name;
    this.current()?.unsettle();
    for (const source of [...this.sources.values()])
      if (source.reason === "removed") this.forget(source);
  }

  /** @param {Source} source no longer there; what is being looked at stays, with its last values */
  forget(source) {
    if (source.name === this.selected) source.remove();
    else this.sources.delete(source.name);
  }

  /**
   * @param {string} name
   * @returns {Source}
   */
  place(name) {
    const known = this.sources.get(name);
    if (known) return known;
    const source = new Source(name);
    const all = [...this.sources.values(), source];
    all.sort((a, b) => (a.name < b.name ? -1 : 1));
    this.sources = new Map(all.map((each) => [each.name, each]));
    if (!this.selected) this.selected = name;
    return source;
  }
}

/**
 * @type {{ [Op in ServerMessage["op"]]:
 *   (model: Model, message: Extract<ServerMessage, { op: Op }>, now: number | null) => void }}
 */
const handlers = {
  hello(model, message, now) {
    model.version = message.version;
    model.observer = message.instance ?? "";
    model.refused = message.refused;
    model.sound = null;
    model.heard = "";
    const chosen = model.selected !== "";
    const names = new Set(message.sources.map(({ name }) => name));
    for (const source of [...model.sources.values()])
      if (!names.has(source.name)) model.forget(source);
    for (const report of message.sources) {
      model.place(report.name).unsettle();
      model.place(report.name).report(report, now);
    }
    const live = message.sources.find(({ state }) => state === "live");
    if (!chosen && live) model.selected = live.name;
  },

  source(model, message, now) {
    const { name } = message.source;
    const known = model.sources.get(name);
    if (message.change === "came") known?.events.restart();
    if (message.change !== "went") model.place(name).report(message.source, now);
    else if (known) model.forget(known);
    // A machine is looked at for want of a robot only, unless somebody chose it.
    const source = model.sources.get(name);
    const current = model.current();
    if (source?.live && current && source.rank < current.rank && !model.isChosen)
      model.selected = name;
  },

  status(model, message, now) {
    const source = model.sources.get(message.source);
    if (!source) return;
    source.values = message.values;
    source.tick = message.tick;
    source.monotonic = message.monotonic;
    source.lost = message.lost;
    source.stamped = source.shown = whenStamped(message, now);
    source.rate.add(message.tick, message.monotonic);
  },

  /** From here on its events follow those that are here without a hole. */
  subscribed(model, message) {
    model.heard = message.source;
  },

  event(model, message) {
    if (message.source === model.heard) model.sources.get(message.source)?.events.add(message);
  },

  sound(model, message) {
    model.sound = message;
  },

  batch() {},

  dropped(model, message) {
    const source = model.sources.get(message.source);
    if (source) source.dropped += message.frames;
  },

  pong() {},

  error(_model, message) {
    console.warn(`the observer says: ${message.message} (${message.code})`);
  },
};

/**
 * @typedef {"live" | "stopped" | "observer-gone" | "network-gone"} State of a source, the four
 * @typedef {State | "connecting" | "checking" | "late" | "needs-link" | "refused" | "empty"} Claim
 *   what the page says: one of the four, or that it is finding out. late: the source lives, but its
 *   values reach this page late
 * @typedef {object} Verdict
 * @property {Claim} claim
 * @property {boolean} fresh whether values may look like values of now
 * @property {number | null} age of the newest values, µs; null: there are none
 */

/** @type {Partial<Record<Link, Claim>>} */
const CLAIM_OF_LINK = {
  connecting: "connecting",
  quiet: "checking",
  checking: "checking",
  "observer-gone": "observer-gone",
  "network-gone": "network-gone",
  "needs-link": "needs-link",
  refused: "refused",
};

/**
 * What may be claimed of a source. Never "live" on hearsay: the link must be open, the observer
 * must call it live, and the values must be as young as its period lets expect.
 * @param {Link} link
 * @param {Source | null} source
 * @param {number | null} now the observer's monotonic time, µs; null: unknown
 * @returns {Verdict}
 */
export function judge(link, source, now) {
  const age = source ? ageOf(source, now) : null;
  const claim = CLAIM_OF_LINK[link] ?? claimOfSource(source, age);
  return { claim, fresh: claim === "live", age };
}

/**
 * @param {Source | null} source
 * @param {number | null} age
 * @returns {Claim}
 */
function claimOfSource(source, age) {
  if (!source) return "empty";
  if (!source.live) return "stopped";
  if (source.shown === null || age === null) return "checking";
  const patience = Math.max(2e6, 6 * source.period + 1e6);
  return source.period > 0 && age > patience ? "late" : "live";
}

/**
 * The age of what is shown where something is shown, else of the newest tick.
 * @param {Source} source
 * @param {number | null} now
 */
function ageOf(source, now) {
  const stamp = source.shown ?? source.stamped;
  return stamp === null || now === null ? null : Math.max(0, now - stamp);
}
