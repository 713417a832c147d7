// Is the way to the observer whole, and if not, what is broken? Decisions only: connection.js acts.

/** Nothing heard for so long: what is shown may be old, do not call it live. */
export const QUIET_MS = 2000;
/** Then ask; the observer promises a message a second. */
export const ASK_MS = 3000;
/** No answer to the question for so long: the connection is lost. */
export const ANSWER_MS = 2000;
/** A machine without an observer refuses within this time. */
export const REFUSAL_MS = 1000;
/** How long a probe waits for an answer before it gives up. */
export const PROBE_MS = 3000;

const FIRST_WAIT_MS = 250;
const LONGEST_WAIT_MS = 5000;

/**
 * @typedef {"connecting" | "open" | "quiet" | "checking" | "observer-gone" | "network-gone"
 *   | "needs-link" | "refused"} Link
 *   connecting: for the first time; quiet: open, but nothing is heard; checking: lost, and nobody
 *   knows yet why; needs-link: the observer wants its token; refused: it answers, but will not talk
 */

/**
 * What to do about silence on an open connection.
 * @param {{ now: number, heard: number, asked: number | null }} times ms; `asked`: when the last
 *   question for a sign of life was sent
 * @returns {"fine" | "quiet" | "ask" | "lost"}
 */
export function judgeSilence({ now, heard, asked }) {
  const unanswered = asked !== null && asked > heard;
  if (unanswered && now - asked >= ANSWER_MS) return "lost";
  if (now - heard >= ASK_MS) return unanswered ? "quiet" : "ask";
  return now - heard >= QUIET_MS ? "quiet" : "fine";
}

/**
 * What the attempt to fetch /healthz tells. A machine that is reached but has no observer refuses
 * at once; where the way is cut, nothing comes back, or an error after a while. A proxy that
 * answers for the observer (502) is a machine that is reached.
 * @param {{ status: number | null, elapsed: number, online: boolean, loopback: boolean }} probe
 *   `status` of the HTTP answer, null where there was none; `elapsed` ms; `online`: whether the
 *   browser sees any network; `loopback`: the observer is on this machine, needing no network
 * @returns {"reachable" | "observer-gone" | "network-gone"}
 */
export function judgeProbe({ status, elapsed, online, loopback }) {
  if (status !== null) return status >= 200 && status < 300 ? "reachable" : "observer-gone";
  const refused = elapsed <= REFUSAL_MS && (online || loopback);
  return refused ? "observer-gone" : "network-gone";
}

/**
 * The observer answers HTTP, but the WebSocket did not come about.
 * @param {number | null} status of GET /api/sources
 * @param {number} failures in a row
 * @returns {"needs-link" | "refused" | "checking"}
 */
export function judgeRefusal(status, failures) {
  if (status === 401) return "needs-link";
  return failures >= 3 ? "refused" : "checking";
}

/**
 * Milliseconds until the next attempt: doubling, and never all pages of a room at the same moment.
 * @param {number} attempt 0, 1, 2, …
 * @param {number} random 0 to 1
 */
export function backOff(attempt, random) {
  const longest = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** Math.min(attempt, 10));
  return longest * (0.5 + random / 2);
}

/** @param {string} host name or address, IPv6 in brackets */
export function isLoopback(host) {
  return host === "[::1]" || /^127(\.\d+){3}$/.test(host) || /^([^.]+\.)*localhost$/.test(host);
}
