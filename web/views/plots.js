// All plots of a source: their panels, and the stretch of time that they share.

import { csvOf, fileName } from "../csv.js";
import { FIELDS_MOST, PANELS_MOST, SPANS, firstPanels, fitting, placeFor } from "../layout.js";
import { at } from "../series.js";
import { byId, html, liveText } from "./dom.js";
import { panelView } from "./panel.js";
import { save } from "./save.js";

/** @import { Panels } from "../layout.js" */
/** @import { Series } from "../series.js" */
/** @import { Viewport } from "../viewport.js" */
/** @import { Colours } from "./colours.js" */
/** @import { PanelView } from "./panel.js" */

const COARSE = 0.25;
const NEARER = 0.5;

/** @param {number} seconds */
function spanWord(seconds) {
  return seconds < 60 ? `${seconds} s` : `${seconds / 60} min`;
}

export class Plots {
  /** @type {Series | null} */
  #series = null;
  /** @type {PanelView[]} */
  #views = [];
  /** @type {Panels} */
  #panels = [];
  #drawn = { series: /** @type {Series | null} */ (null), end: -1, to: NaN, span: 0 };
  #cursor = /** @type {number | null} */ (null);
  /** When the trigger fired. @type {number | null} */
  #fired = null;
  #isStale = true;

  /**
   * @param {Viewport} viewport
   * @param {Colours} colours
   * @param {{ draw: () => void, chosen: (panels: Panels) => void, spanned: (s: number) => void,
   *   steered: () => void }} listener
   *   steered: somebody moved the window by hand
   */
  constructor(viewport, colours, listener) {
    this.viewport = viewport;
    this.colours = colours;
    this.listener = listener;
    this.host = byId("panels");
    this.where = liveText(byId("where"));
    this.say = liveText(byId("plots-said"));
    this.span = /** @type {HTMLSelectElement} */ (byId("span"));
    /** For a stretch that is none of these. */
    this.other = html("option", { value: "", hidden: "" });
    const spans = SPANS.map((each) => html("option", { value: each }, spanWord(each)));
    this.span.append(...spans, this.other);
    this.#wire();
  }

  #wire() {
    const clicks = {
      earlier: () => this.pan(-COARSE),
      later: () => this.pan(COARSE),
      nearer: () => this.zoom(NEARER),
      farther: () => this.zoom(1 / NEARER),
      live: () => this.follow(),
      "add-plot": () => this.#choose([...this.#panels, []]),
      csv: () => this.saveCsv(),
    };
    for (const [id, action] of Object.entries(clicks)) byId(id).onclick = action;
    this.span.onchange = () => {
      const seconds = Number(this.span.value);
      const { viewport } = this;
      if (this.#series) viewport.zoom((seconds * 1e6) / viewport.span, null, this.#series);
      this.listener.spanned(seconds);
      this.#steered();
    };
  }

  /**
   * @param {Series | null} series
   * @param {Panels | null} panels null: nobody chose any
   */
  show(series, panels) {
    this.#series = series;
    this.#panels = this.#fitted(panels ?? (series ? firstPanels(series.columns) : []));
    this.rebuild();
  }

  /** Makes all panels anew: other fields, other colours. */
  rebuild() {
    const series = this.#series;
    const focus = this.#focus();
    for (const view of this.#views) view.destroy();
    this.#views = !series
      ? []
      : this.#panels.map((names, index) => {
          const known = names.flatMap((name) => series.byName.get(name) ?? []);
          return panelView(series, index + 1, known, this.colours, {
            add: (name) => this.#replace(index, [...names, name]),
            drop: (name) => this.#replace(index, names.filter((each) => each !== name)),
            remove: () => this.#choose(this.#panels.filter((_, each) => each !== index)),
            sized: () => this.refresh(),
            gestures: this.#gestures(series),
          });
        });
    this.host.replaceChildren(...this.#views.map(({ node }) => node));
    if (focus) this.#focusOn(focus);
    const add = /** @type {HTMLButtonElement} */ (byId("add-plot"));
    add.disabled = this.#panels.length >= PANELS_MOST;
    this.refresh();
  }

  /** Which control of which panel has the focus; null: none of them. */
  #focus() {
    const panel = this.#views.findIndex(({ node }) => node.contains(document.activeElement));
    if (panel < 0) return null;
    const control = controlsOf(this.#views[panel]).findIndex((one) => one === document.activeElement);
    return { panel, control };
  }

  /** The control in the same place, or else the last: nobody shall have to begin at the top. */
  #focusOn({ panel = 0, control = 0 }) {
    const controls = controlsOf(this.#views[panel] ?? this.#views.at(-1));
    (controls[control] ?? controls.at(-1))?.focus();
  }

  /** @param {Series} series @returns {import("./gestures.js").Gestures} */
  #gestures(series) {
    const { viewport } = this;
    const timeAt = (/** @type {number} */ place) => {
      const { from, to } = viewport.range(series);
      return from + (to - from) * place;
    };
    return {
      pan: (by) => this.pan(-by),
      zoom: (factor, place) => {
        if (place < 0.98) viewport.hold(series);
        viewport.zoom(factor, timeAt(place), series);
        this.#steered();
      },
      select: (from, to) => {
        viewport.show(timeAt(from), timeAt(to));
        this.#steered();
      },
      point: (place) => {
        viewport.cursor = place === null ? null : timeAt(place);
        this.listener.draw();
      },
      home: () => this.follow(),
    };
  }

  /** @param {number} index @param {string[]} names */
  #replace(index, names) {
    this.#choose(this.#panels.map((each, i) => (i === index ? names : each)));
  }

  /** @param {Panels} panels */
  #choose(panels) {
    this.#panels = this.#fitted(panels.length ? panels : [[]]);
    this.rebuild();
    this.listener.chosen(this.#panels);
  }

  /** As much as has room; says what has none. @param {Panels} panels @returns {Panels} */
  #fitted(panels) {
    const columns = this.#series?.columns ?? [];
    const byName = new Map(columns.map((column) => [column.name, column]));
    const fitted = panels.map((names) => fitting(names, byName));
    const left = panels.flatMap((names, i) => names.filter((name) => !fitted[i]?.includes(name)));
    const more = left.length > 1 ? ` and ${left.length - 1} more` : "";
    const words = `No room for ${left[0]}${more}: a plot takes ${FIELDS_MOST} values of two units.`;
    this.say(left.length ? words : "");
    return fitted;
  }

  get panels() {
    return this.#panels;
  }

  /** @param {string[]} names of one field's columns: all in, or all out */
  toggle(names) {
    const series = this.#series;
    if (!series) return;
    if (names.some((name) => this.has(name))) return this.#choose(without(this.#panels, names));
    const wanted = names.slice(0, FIELDS_MOST);
    const columns = wanted.map((name) => at(series.columns, series.byName.get(name) ?? 0));
    const byName = new Map(series.columns.map((column) => [column.name, column]));
    const place = placeFor(this.#panels, columns, byName);
    const panels = this.#panels.map((each) => [...each]);
    panels[place] = [...(panels[place] ?? []), ...names];
    this.#choose(panels);
  }

  /** @param {string} name */
  has(name) {
    return this.#panels.some((names) => names.includes(name));
  }

  /** @param {number} by a fraction of the window */
  pan(by) {
    if (!this.#series) return;
    this.viewport.pan(by * this.viewport.span, this.#series);
    this.#steered();
  }

  /** @param {number} factor */
  zoom(factor) {
    if (!this.#series) return;
    this.viewport.zoom(factor, null, this.#series);
    this.#steered();
  }

  /** Moves the cursor to the next tick, or with -1 to the one before. @param {-1 | 1} by */
  step(by) {
    const series = this.#series;
    if (!series || series.isEmpty) return;
    const { viewport } = this;
    const { from, to } = viewport.range(series);
    const fired = this.#fired;
    const time = viewport.cursor ?? (fired !== null && fired >= from && fired <= to ? fired : to);
    const seen = viewport.seen(series);
    const row = by > 0 ? seen.upperBound(time) : seen.lowerBound(time) - 1;
    const nearest = Math.min(seen.end - 1, Math.max(seen.begin, row));
    viewport.point(seen.time(nearest), series);
    this.#steered();
  }

  follow() {
    this.viewport.follow();
    this.#steered();
  }

  #steered() {
    this.listener.steered();
    this.refresh();
  }

  /** Something other than a new tick changed what must be seen. */
  refresh() {
    this.#isStale = true;
    this.listener.draw();
  }

  saveCsv() {
    const series = this.#series;
    if (!series) return;
    const { from, to } = this.viewport.range(series);
    const names = [...new Set(this.#panels.flat())];
    const columns = names.flatMap((name) => series.byName.get(name) ?? []);
    const seen = this.viewport.seen(series);
    const parts = csvOf(seen, columns, from, to);
    const name = fileName(seen, to + seen.wallOffset, "plots.csv");
    save(new Blob(parts, { type: "text/csv" }), name);
  }

  /**
   * @param {number | null} fired when the trigger fired
   * @param {boolean} hasFigures whether it is time for new figures
   * @param {boolean} moves whether it is time to move by itself
   */
  draw(fired, hasFigures, moves) {
    const series = this.#series;
    if (!series) return;
    this.#fired = fired;
    const { to } = this.viewport.range(series);
    const { span, cursor } = this.viewport;
    const drawn = this.#drawn;
    const isOld = drawn.series !== series || drawn.to !== to || drawn.span !== span;
    // A window that is not full yet fills while its edges stay.
    const fills = drawn.end !== series.end && series.time(Math.max(drawn.end, series.begin)) <= to;
    const isMoving = moves && (isOld || fills);
    if (!isMoving && !this.#isStale && cursor === this.#cursor) return;
    this.#drawn = { series, end: series.end, to, span };
    const hasWords = hasFigures || this.#isStale || cursor !== this.#cursor;
    this.#isStale = false;
    const usual = SPANS.find((each) => Math.abs(each * 1e6 - span) < 1);
    if (usual === undefined) this.other.text = spanWord(Number((span / 1e6).toPrecision(3)));
    const chosen = String(usual ?? "");
    if (this.span.value !== chosen || usual === undefined) this.span.value = chosen;
    for (const view of this.#views) view.draw(this.viewport, fired, hasWords);
    this.#cursor = cursor;
  }
}

/** A plot that is emptied by it goes. @param {Panels} panels @param {string[]} names */
function without(panels, names) {
  return panels.flatMap((each) => {
    const left = each.filter((name) => !names.includes(name));
    return left.length || !each.length ? [left] : [];
  });
}

/** @param {PanelView | undefined} view @returns {HTMLElement[]} what can be focused in it */
function controlsOf(view) {
  return [...(view?.node.querySelectorAll("button, select, input") ?? [])].map(
    (node) => /** @type {HTMLElement} */ (node),
  );
}
