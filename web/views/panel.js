// One panel: its plot, what is in it with the value under the cursor, and its buttons.

import { exact } from "../csv.js";
import { ABSENT, NOTHING, formatValue } from "../format.js";
import { at } from "../series.js";
import { html, liveClass, liveText } from "./dom.js";
import { listen } from "./gestures.js";
import { PanelPlot, stateWord } from "./plot.js";
import { savePicture } from "./save.js";

/** @import { Series } from "../series.js" */
/** @import { Viewport } from "../viewport.js" */
/** @import { Colours } from "./colours.js" */
/** @import { Gestures } from "./gestures.js" */

/**
 * @typedef {object} PanelActions
 * @property {(name: string) => void} add
 * @property {(name: string) => void} drop
 * @property {() => void} remove
 * @property {() => void} sized the plot must be drawn again
 * @property {Gestures} gestures
 *
 * @typedef {object} PanelView
 * @property {HTMLElement} node
 * @property {(viewport: Viewport, fired: number | null, hasFigures: boolean) => void} draw
 * @property {() => void} destroy
 */

/** @param {Series} series @param {number} index @param {number} row */
function words(series, index, row) {
  if (row < 0) return NOTHING;
  const column = at(series.columns, index);
  const value = series.exact(index, row);
  if (column.isState) return stateWord(column, Number(value));
  return formatValue(column.field, exact(column, value));
}

/**
 * @param {Series} series
 * @param {number} number of the panel, from 1
 * @param {number[]} columns
 * @param {Colours} colours
 * @param {PanelActions} actions
 * @returns {PanelView}
 */
export function panelView(series, number, columns, colours, actions) {
  const title = `Plot ${number}`;
  const plot = new PanelPlot(series, columns, colours);
  const names = columns.map((index) => at(series.columns, index).name);
  plot.node.setAttribute("aria-label", `${title}: ${names.join(", ") || "empty"}`);
  const legend = columns.map((index, place) => legendItem(index, place, plot, actions.drop));
  const picture = html("button", { type: "button", "aria-label": `${title}: save as PNG` }, "PNG");
  picture.disabled = columns.length === 0;
  picture.onclick = () => savePicture(plot, title, names);
  const remove = html("button", { type: "button", "aria-label": `Remove ${title}` }, "✕");
  remove.onclick = actions.remove;
  const node = html(
    "section",
    { class: "chart fresh", "aria-label": title, "data-testid": "chart" },
    html("div", { class: "chart-head" }, ...adder(series, title, names, actions.add), picture, remove),
    plot.node,
    html("ul", { class: "legend" }, ...legend.map((item) => item.node)),
  );
  if (!columns.length) plot.node.append(html("p", { class: "hint" }, "Click a value to plot it."));
  // It is drawn two frames later: without its room the page would shrink and grow again meanwhile.
  else plot.node.style.minHeight = `${plot.height}px`;

  requestAnimationFrame(() => requestAnimationFrame(() => node.classList.remove("fresh")));

  let isSeen = true;
  // What is out of sight costs nothing, and is there before it comes into sight.
  const seen = new IntersectionObserver(
    (entries) => {
      isSeen = entries.at(-1)?.isIntersecting ?? true;
      if (isSeen) actions.sized();
    },
    { rootMargin: "200px" },
  );
  seen.observe(node);
  const size = () => {
    if (!columns.length || !plot.node.isConnected) return;
    plot.resize(Math.floor(plot.node.clientWidth));
    if (plot.area && !plot.area.onpointerdown) listen(plot.area, actions.gestures);
    actions.sized();
  };
  // Not within the observer's own turn, where the new height would have to be told again.
  const sized = new ResizeObserver(() => requestAnimationFrame(size));
  sized.observe(plot.node);

  return {
    node,
    draw(viewport, fired, hasFigures) {
      if (!isSeen || !plot.area) return;
      plot.draw(viewport, fired);
      plot.node.classList.add("drawn");
      if (!hasFigures) return;
      // Of what is seen, not of now: under the cursor, where it fired, at the right edge.
      const seen = viewport.seen(series);
      const { from, to } = viewport.range(seen);
      const shot = fired !== null && fired >= from && fired <= to ? fired : to;
      const row = seen.rowAt(viewport.cursor ?? shot);
      legend.forEach((item, place) => item.value(words(seen, at(columns, place), row)));
    },
    destroy() {
      seen.disconnect();
      sized.disconnect();
      plot.destroy();
    },
  };
}

/**
 * @param {number} index
 * @param {number} place
 * @param {PanelPlot} plot
 * @param {(name: string) => void} drop
 */
function legendItem(index, place, plot, drop) {
  const { name, field, isState } = at(plot.series.columns, index);
  const swatch = html("i", { class: isState ? "swatch band" : "swatch", "aria-hidden": "true" });
  if (!isState) swatch.style.background = `var(--series-${place % 8})`;
  const data = html("data");
  const unit = field.unit && !isState ? [html("small", {}, field.unit)] : [];
  const button = html("button", { type: "button", "aria-label": `Do not plot ${name}` }, "✕");
  button.onclick = () => drop(name);
  const node = html("li", {}, swatch, html("span", {}, name), data, ...unit, button);
  const text = liveText(data, NOTHING);
  const absent = liveClass(node, "absent");
  return {
    node,
    /** @param {string} words */
    value(words) {
      text(words);
      absent(words === ABSENT);
    },
  };
}

/**
 * A choice of fields, for an array a number of the element, and a button: a select alone would act
 * on each field that an arrow key passes.
 * @param {Series} series
 * @param {string} title
 * @param {string[]} names that are there already
 * @param {(name: string) => void} add
 */
function adder(series, title, names, add) {
  const firsts = [...series.columns.keys()].filter((i) => at(series.columns, i).element === 0);
  const left = firsts.filter((index) => {
    const { name, field } = at(series.columns, index);
    return field.count > 1 || !names.includes(name);
  });
  const select = html(
    "select",
    { "aria-label": `Add a value to ${title}` },
    html("option", { value: "" }, `${title}: value…`),
    ...left.map((index) => html("option", { value: index }, at(series.columns, index).field.name)),
  );
  const words = { "aria-label": `Which element for ${title}`, hidden: "" };
  const element = html("input", { type: "number", min: 0, value: 0, ...words });
  const button = html("button", { type: "button", "aria-label": `Add to ${title}` }, "Add");
  const count = () => (select.value ? at(series.columns, Number(select.value)).field.count : 0);
  select.onchange = () => {
    element.hidden = count() < 2;
    element.max = String(count() - 1);
  };
  button.onclick = () => {
    if (!select.value) return select.focus();
    const which = Math.min(count() - 1, Math.max(0, Math.trunc(Number(element.value))));
    add(at(series.columns, Number(select.value) + which).name);
  };
  return [select, element, button];
}
