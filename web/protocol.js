// The messages of `omniscient.v1` as types, after docs/websocket.md.

const PROTOCOL = "omniscient.v1";

/** The close code of an observer that shuts down. */
export const GOING_AWAY = 1001;

/**
 * @typedef {"bool" | "i8" | "i16" | "i32" | "i64" | "u8" | "u16" | "u32" | "u64" | "f32" | "f64"
 *   | "enum" | "text"} FieldType
 *
 * @typedef {object} Field
 * @property {string} name
 * @property {FieldType} type
 * @property {number} count 1: a scalar; for text its size in bytes
 * @property {string} unit
 * @property {number | string | null} minimum null: no bound
 * @property {number | string | null} maximum
 * @property {string} description
 * @property {string[]} [labels] of an enum
 *
 * @typedef {object} Schema
 * @property {string} hash
 * @property {Field[]} fields
 *
 * @typedef {boolean | number | string | null} Scalar
 * @typedef {Scalar | Scalar[]} Value
 * @typedef {Record<string, Value>} Values
 *
 * @typedef {object} SourceReport a SOURCE as it travels
 * @property {string} name
 * @property {"live" | "stopped"} state
 * @property {string} reason
 * @property {number | null} age µs
 * @property {string} instance
 * @property {number} period µs, 0: none
 * @property {number} process
 * @property {number} version
 * @property {number} tick
 * @property {number} ticks
 * @property {number} lost
 * @property {boolean} [occasional] true: its ticks come where something happens
 * @property {boolean} [host] true: the conditions of a machine, not a robot
 * @property {Schema} [schema]
 *
 * @typedef {{ name: string, problem: string }} Refusal
 *
 * @typedef {{ op: "hello", protocol: string, version: string, instance?: string, time: number,
 *   monotonic: number, sources: SourceReport[], refused: Refusal[] }} HelloMessage
 * @typedef {{ op: "status", source: string, version: number, tick: number, time: number,
 *   monotonic: number, age?: number, lost: number, values: Values }} StatusMessage
 * @typedef {{ op: "batch", source: string, instance: string, lost: number, columns: string[],
 *   rows: Scalar[][] }} BatchMessage
 * @typedef {{ op: "sound", on: boolean, state: "off" | "on" | "no-device", reason: string
 *   }} SoundMessage
 * @typedef {{ op: "event", source: string, sequence: number, instance: string, tick: number,
 *   time: number, monotonic: number, field: string, element: number, from: Scalar, to: Scalar,
 *   missed?: number }} EventMessage
 * @typedef {{ op: "source", change: "came" | "changed" | "went",
 *   source: { name: string } & Partial<SourceReport> }} SourceMessage
 * @typedef {{ op: "subscribed", source: string }} SubscribedMessage
 * @typedef {{ op: "dropped", source: string, frames: number, total: number }} DroppedMessage
 * @typedef {{ op: "pong", id?: number, time: number, monotonic: number }} PongMessage
 * @typedef {{ op: "error", code: string, message: string }} ErrorMessage
 * @typedef {HelloMessage | StatusMessage | BatchMessage | EventMessage | SourceMessage
 *   | SubscribedMessage
 *   | DroppedMessage | SoundMessage | PongMessage | ErrorMessage} ServerMessage
 */

/** A connection to the observer that this page came from. */
export function openSocket() {
  const url = new URL("ws", location.href);
  url.protocol = location.protocol === "https:" ? "wss:" : "ws:";
  url.search = url.hash = "";
  return new WebSocket(url, PROTOCOL);
}

/** @param {Schema | null | undefined} one @param {Schema} other */
export function isSameSchema(one, other) {
  return one === other || JSON.stringify(one) === JSON.stringify(other);
}

/**
 * The object in a text frame; null where it is none. Ops and members that nobody knows are for the
 * reader to ignore.
 * @param {unknown} data
 * @returns {ServerMessage | null}
 */
export function parseMessage(data) {
  if (typeof data !== "string") return null;
  try {
    const message = JSON.parse(data);
    return typeof message?.op === "string" ? message : null;
  } catch {
    return null;
  }
}
