// What changed when: every transition once, in order, the newest last.

import { timeLabel } from "../format.js";
import { elementName } from "../series.js";
import { byId, html, liveText } from "./dom.js";

/** @import { Entry, EventLog } from "../events.js" */
/** @import { EventMessage, Scalar } from "../protocol.js" */

const SHOWN = 300;
const PACE_MS = 150;

/** @param {Scalar} value */
function word(value) {
  if (typeof value === "boolean") return value ? "yes" : "no";
  return value === null ? "nothing" : String(value);
}

/** @param {EventMessage} event */
function nameOf({ field, element }) {
  return element > 0 ? elementName(field, element) : field;
}

/** @param {EventMessage} event */
function wordsOf(event) {
  return `${nameOf(event)} ${word(event.from)} ${word(event.to)}`.toLowerCase();
}

/**
 * @param {(event: EventMessage) => void} point called when somebody picks one
 * @returns {(log: EventLog | null) => void}
 */
export function eventsView(point) {
  const list = byId("events-list");
  const filter = /** @type {HTMLInputElement} */ (byId("events-filter"));
  const count = liveText(byId("events-count"));
  /** @type {EventLog | null} */
  let shown = null;
  let seen = -1;
  let next = 0;

  const matches = (/** @type {EventMessage} */ event) =>
    wordsOf(event).includes(filter.value.trim().toLowerCase());
  const again = () => {
    list.replaceChildren();
    seen = -1;
    next = 0;
  };
  filter.oninput = again;
  stand(list);

  return (log) => {
    if (log !== shown) again();
    shown = log;
    if (!log || performance.now() < next || seen === log.count) return;
    next = performance.now() + PACE_MS;
    const fresh = log.all.slice(-Math.min(log.all.length, log.count - seen)).filter(matches);
    seen = log.count;
    list.append(...fresh.slice(-SHOWN).map((event) => row(event, point)));
    for (let excess = list.childElementCount - SHOWN; excess > 0; excess--)
      list.firstElementChild?.remove();
    count(howMany(list.childElementCount, log, filter.value.trim() !== ""));
  };
}

const SCROLLING = new Set(["PageUp", "PageDown", "Home", "End", "ArrowUp", "ArrowDown"]);

/**
 * The newest row stays in sight until somebody scrolls back, or is at a row: then those in sight
 * stand still. At the very end nothing would hold them, so a row with the focus is a pixel from it;
 * when the focus leaves, and nobody has scrolled by hand, the newest is in sight again.
 * @param {HTMLElement} list
 */
function stand(list) {
  const host = /** @type {HTMLElement} */ (list.parentElement);
  let isHeld = false;
  const release = () => (isHeld = false);
  host.addEventListener("scroll", () => host.classList.toggle("back", host.scrollTop < 0));
  host.addEventListener("wheel", release, { passive: true });
  host.addEventListener("touchmove", release, { passive: true });
  host.addEventListener("pointerdown", ({ target }) => target === host && release()); // its scrollbar
  host.addEventListener("keydown", ({ key }) => SCROLLING.has(key) && release());
  host.addEventListener("focusin", ({ target }) => {
    if (target === host || host.scrollTop < 0) return;
    isHeld = true;
    host.classList.add("back");
    host.scrollTop = -1;
  });
  host.addEventListener("focusout", ({ relatedTarget }) => {
    if (!isHeld || (relatedTarget instanceof Node && host.contains(relatedTarget))) return;
    isHeld = false;
    host.scrollTop = 0;
  });
}

/** @param {number} rows @param {EventLog} log @param {boolean} isSifted */
function howMany(rows, { all, count }, isSifted) {
  if (!count) return "none yet";
  if (isSifted) return `${rows} of the newest ${all.length}`;
  return rows < count ? `the newest ${rows} of ${count}` : String(count);
}

/**
 * @param {Entry} event
 * @param {(event: EventMessage) => void} point
 */
function row(event, point) {
  const late = event.missed ? html("em", {}, `up to ${event.missed} ticks earlier `) : "";
  const skipped = event.skipped ? html("em", {}, `${event.skipped} events before it missed`) : "";
  const button = html(
    "button",
    { type: "button" },
    html("time", {}, timeLabel(event.time, 1e3)),
    html("span", { class: "tick" }, `#${event.tick}`),
    html("strong", {}, nameOf(event)),
    html("span", {}, `${word(event.from)} → ${word(event.to)} `, late, skipped),
  );
  button.onclick = () => point(event);
  return html("li", { "data-sequence": event.sequence }, button);
}
