// Files for the visitor, made here: nothing is sent anywhere.

import { fileName } from "../csv.js";
import { html } from "./dom.js";

/** @import { PanelPlot } from "./plot.js" */

/**
 * @param {Blob} blob
 * @param {string} name
 */
export function save(blob, name) {
  const url = URL.createObjectURL(blob);
  const link = html("a", { href: url, download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10e3);
}

/**
 * A panel as it looks, on its ground, with its names above it.
 * @param {PanelPlot} plot
 * @param {string} title
 * @param {string[]} names
 */
export function savePicture(plot, title, names) {
  const from = plot.canvas;
  if (!from) return;
  const ratio = devicePixelRatio;
  const head = 24 * ratio;
  const canvas = html("canvas", { width: from.width, height: from.height + head });
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  const { colours, lines } = plot;
  context.fillStyle = colours.panel;
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.font = `${12 * ratio}px system-ui, sans-serif`;
  context.textBaseline = "middle";
  let x = 8 * ratio;
  names.forEach((name, place) => {
    const isLine = lines.some((line) => line.place === place);
    context.fillStyle = isLine ? colours.of(place) : colours.quiet;
    context.fillText(name, x, head / 2);
    x += context.measureText(name).width + 12 * ratio;
  });
  context.drawImage(from, 0, head);
  canvas.toBlob((blob) => blob && save(blob, fileName(plot.series, plot.until, `${title}.png`)));
}
