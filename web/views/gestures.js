// Pointing at a plot: drag pans (so does a finger), two fingers and the wheel with Ctrl or Shift
// zoom, Shift and drag zooms to what was dragged over, a tap sets the cursor. Fractions count from
// the left edge, 0 to 1.

import { html } from "./dom.js";

/** What moves less than this was meant to stay. */
const STILL = 0.01;

/**
 * @typedef {object} Gestures
 * @property {(by: number) => void} pan by a fraction of the width; positive: into the past
 * @property {(factor: number, at: number) => void} zoom
 * @property {(from: number, to: number) => void} select
 * @property {(at: number | null) => void} point null: no longer
 * @property {() => void} home
 */

/**
 * @param {HTMLElement} area
 * @param {Gestures} gestures
 */
export function listen(area, gestures) {
  /** @type {Map<number, number>} where each pointer is */
  const down = new Map();
  /** @type {Map<number, number>} where those went down that may become a tap */
  const taps = new Map();
  /** @type {number | null} where a selection began */
  let selecting = null;
  const chosen = html("i", { class: "selection", hidden: "" });
  area.append(chosen);
  const select = (/** @type {number} */ one, /** @type {number} */ other) => {
    chosen.hidden = false;
    chosen.style.left = `${100 * Math.min(one, other)}%`;
    chosen.style.width = `${100 * Math.abs(one - other)}%`;
  };
  const place = (/** @type {MouseEvent} */ event) => {
    const { left, width } = area.getBoundingClientRect();
    return Math.min(1, Math.max(0, (event.clientX - left) / width));
  };

  area.onpointerdown = (event) => {
    if (event.button) return;
    area.setPointerCapture(event.pointerId);
    down.set(event.pointerId, place(event));
    if (down.size > 1) taps.clear();
    else if (event.pointerType !== "mouse") taps.set(event.pointerId, place(event));
    selecting = event.shiftKey ? place(event) : null;
  };
  area.onpointermove = (event) => {
    const now = place(event);
    const before = down.get(event.pointerId);
    if (event.pointerType === "mouse" || before === undefined) gestures.point(now);
    if (before === undefined) return;
    if (selecting !== null) return select(selecting, now);
    const other = [...down].find(([id]) => id !== event.pointerId)?.[1];
    if (other === undefined) gestures.pan(now - before);
    else if (Math.abs(now - other) > 0.02)
      gestures.zoom(Math.abs(before - other) / Math.abs(now - other), other);
    down.set(event.pointerId, now);
  };
  const release = (/** @type {PointerEvent} */ event) => {
    down.delete(event.pointerId);
    const now = place(event);
    const tap = taps.get(event.pointerId);
    taps.delete(event.pointerId);
    if (tap !== undefined && Math.abs(now - tap) < STILL) gestures.point(now);
    if (selecting === null) return;
    if (Math.abs(now - selecting) > STILL)
      gestures.select(Math.min(now, selecting), Math.max(now, selecting));
    selecting = null;
    chosen.hidden = true;
  };
  area.onpointerup = release;
  area.onpointercancel = release;
  // A finger that is lifted leaves its cursor behind.
  area.onpointerleave = ({ pointerType }) => pointerType === "mouse" && gestures.point(null);
  area.ondblclick = () => gestures.home();
  area.addEventListener(
    "wheel",
    (event) => {
      if (!event.ctrlKey && !event.shiftKey) return;
      event.preventDefault();
      gestures.zoom(Math.exp((event.deltaY || event.deltaX) / 400), place(event));
    },
    { passive: false },
  );
}
