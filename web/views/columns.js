// A list in as many columns as have room, each a list of its own: a browser lays out one again
// ten times as fast as a part of CSS columns.

import { html } from "./dom.js";

/** Of a column, in the size of letters. */
const LEAST_WIDTH = 21;
/** Elements of an array that stand side by side. */
const ABREAST = 3;

/** @param {HTMLElement} node @returns {number} its height, about, in lines */
function heightOf(node) {
  return 2 + 1.4 * Math.ceil(node.querySelectorAll(".element").length / ABREAST);
}

/**
 * @param {HTMLElement} host
 * @returns {(nodes: HTMLElement[]) => void} shows these
 */
export function columnsView(host) {
  /** @type {HTMLElement[]} */
  let nodes = [];
  let shown = 0;
  const place = () => {
    const letter = parseFloat(getComputedStyle(host).fontSize);
    const count = Math.max(1, Math.floor(host.clientWidth / (letter * LEAST_WIDTH)));
    if (count === shown) return;
    shown = count;
    const total = nodes.reduce((sum, node) => sum + heightOf(node), 0);
    const lists = Array.from({ length: count }, () => html("dl"));
    let sum = 0;
    for (const node of nodes) {
      const height = heightOf(node);
      const middle = sum + height / 2;
      lists[Math.min(count - 1, Math.floor((middle / total) * count))]?.append(node);
      sum += height;
    }
    host.replaceChildren(...lists);
  };
  new ResizeObserver(() => requestAnimationFrame(place)).observe(host);
  return (next) => {
    nodes = next;
    shown = 0;
    place();
  };
}
