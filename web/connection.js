// The socket to the observer: opens it, notices when it dies, finds out why, opens it again.
//
// While nothing is known to be wrong, the page trusts the socket. Once it is lost, every round is:
// probe /healthz (which tells observer gone from network gone), and only where that answers open a
// WebSocket: browsers slow down pages whose WebSockets fail again and again.

import { ClockOffset } from "./clock.js";
import { PROBE_MS, backOff, isLoopback, judgeProbe, judgeRefusal, judgeSilence } from "./link.js";
import { GOING_AWAY, openSocket, parseMessage } from "./protocol.js";

/** @import { PageClock } from "./clock.js" */
/** @import { Link } from "./link.js" */
/** @import { ServerMessage } from "./protocol.js" */

const WATCH_MS = 250;
const PING_MS = 2000;
const HELLO_MS = 10000;
/** A connection that held for so long was a good one: the next wait is short again. */
const GOOD_MS = 2000;

/**
 * @typedef {object} Listener
 * @property {(message: ServerMessage) => void} message
 * @property {(link: Link) => void} link called when it changes
 */

export class Connection {
  /** @type {WebSocket | null} */
  #socket = null;
  /** @type {number | undefined} */
  #timer;
  #round = 0;
  #attempt = 0;
  #failures = 0;
  #opened = 0;
  #heard = 0;
  /** @type {number | null} */
  #asked = null;
  #pinged = 0;
  #pingId = 0;
  /** @type {Map<number, number>} */
  #pings = new Map();

  /**
   * @param {PageClock} clock
   * @param {Listener} listener
   */
  constructor(clock, listener) {
    this.clock = clock;
    this.listener = listener;
    /** The observer's clock, measured over the socket. */
    this.offset = new ClockOffset();
    /** @type {Link} */
    this.link = "connecting";
  }

  start() {
    addEventListener("online", () => this.#hurry());
    addEventListener("offline", () => this.#suspect());
    document.addEventListener("visibilitychange", () => {
      if (document.visibilityState === "visible") this.#hurry();
    });
    setInterval(() => this.#watch(), WATCH_MS);
    this.#open();
  }

  /**
   * @param {object} message
   * @returns {boolean} whether it was handed to an open socket
   */
  send(message) {
    if (this.#socket?.readyState !== WebSocket.OPEN) return false;
    this.#socket.send(JSON.stringify(message));
    return true;
  }

  #open() {
    const round = ++this.#round;
    const socket = openSocket();
    this.#socket = socket;
    this.#pings.clear();
    let asked = this.clock.now();
    socket.onopen = () => (asked = this.clock.now());
    socket.onmessage = ({ data }) => this.#receive(data, asked);
    socket.onclose = ({ code }) => this.#lose(code);
    this.#later(HELLO_MS, () => round === this.#round && this.#lose(0));
  }

  /**
   * @param {unknown} data
   * @param {number} asked since when a hello could have been written
   */
  #receive(data, asked) {
    this.#heard = this.clock.now();
    const message = parseMessage(data);
    if (!message) return;
    if (message.op === "hello") this.#welcome(message.monotonic, asked);
    if (message.op === "pong") this.#pong(message.id, message.monotonic);
    this.listener.message(message);
    if (this.#opened) this.#become("open");
  }

  /**
   * @param {number} monotonic
   * @param {number} asked
   */
  #welcome(monotonic, asked) {
    clearTimeout(this.#timer);
    this.#opened = this.#heard;
    this.#failures = 0;
    this.#asked = null;
    this.offset.reset();
    this.offset.add(asked, this.#heard, monotonic);
    this.#ping();
  }

  #ping() {
    this.#pinged = this.clock.now();
    this.#pings.set(++this.#pingId, this.#pinged);
    this.#pings.delete(this.#pingId - 16);
    this.send({ op: "ping", id: this.#pingId });
  }

  /**
   * @param {number | undefined} id
   * @param {number} monotonic
   */
  #pong(id, monotonic) {
    const sent = id === undefined ? undefined : this.#pings.get(id);
    if (id === undefined || sent === undefined) return;
    this.#pings.delete(id);
    this.offset.add(sent, this.#heard, monotonic);
  }

  #watch() {
    if (this.clock.look()) this.#suspect();
    if (!this.#opened) return;
    const now = this.clock.now();
    const verdict = judgeSilence({ now, heard: this.#heard, asked: this.#asked });
    if (verdict === "lost") return this.#lose(0);
    if (verdict !== "fine") this.#become("quiet");
    if (verdict === "ask") this.#ask();
    else if (now - this.#pinged >= PING_MS) this.#ping();
  }

  /** Asks for a sign of life. */
  #ask() {
    this.#ping();
    this.#asked = this.#pinged;
  }

  /** Something happened after which an open connection may be a dead one. */
  #suspect() {
    if (!this.#opened) return;
    this.#become("quiet");
    this.#ask();
  }

  /** The network came back, or somebody looks at the page again: do not wait any longer. */
  #hurry() {
    if (this.#opened) return this.#ask();
    if (this.link === "connecting") return;
    this.#attempt = 0;
    this.#forget();
    this.#recover();
  }

  /** @param {number} code of the close frame; 0: none, and nobody is expected to answer */
  #lose(code) {
    const now = this.clock.now();
    if (!this.#opened) this.#failures++;
    else if (now - this.#opened >= GOOD_MS) this.#attempt = 0;
    this.#forget();
    if (code === GOING_AWAY) this.#become("observer-gone");
    else if (this.link === "open" || this.link === "quiet") this.#become("checking");
    this.#recover();
  }

  /** Lets go of the socket, whatever it is doing. */
  #forget() {
    const socket = this.#socket;
    this.#socket = null;
    this.#opened = 0;
    this.#round++;
    clearTimeout(this.#timer);
    if (!socket) return;
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.close();
  }

  async #recover() {
    const round = ++this.#round;
    const verdict = await this.#probe();
    if (round !== this.#round) return;
    if (verdict !== "reachable") {
      this.#failures = 0;
      this.#become(verdict);
      return this.#later(backOff(this.#attempt++, Math.random()), () => this.#recover());
    }
    if (this.#failures > 0) {
      const answer = await this.#get("api/sources");
      if (round !== this.#round) return;
      this.#become(judgeRefusal(answer.status, this.#failures));
    }
    this.#later(backOff(this.#attempt++, Math.random()), () => this.#open());
  }

  async #probe() {
    const { status, elapsed } = await this.#get("healthz");
    const loopback = isLoopback(location.hostname);
    return judgeProbe({ status, elapsed, online: navigator.onLine, loopback });
  }

  /**
   * @param {string} path
   * @returns {Promise<{ status: number | null, elapsed: number }>}
   */
  async #get(path) {
    const started = this.clock.now();
    const signal = AbortSignal.timeout(PROBE_MS);
    const answer = await fetch(path, { cache: "no-store", signal }).catch(() => null);
    answer?.body?.cancel().catch(() => {});
    return { status: answer && answer.status, elapsed: this.clock.now() - started };
  }

  /**
   * @param {number} delay ms
   * @param {() => void} action
   */
  #later(delay, action) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(action, delay);
  }

  /** @param {Link} link */
  #become(link) {
    if (this.link === link) return;
    this.link = link;
    this.listener.link(link);
  }
}
