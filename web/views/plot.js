// One plot: uPlot does axes and scales, the lines and bands are drawn from what decimate.js keeps.

import { Envelope, gaps, runs, trace } from "../decimate.js";
import { GAP, at } from "../series.js";
import { timeLabel } from "../format.js";
import { scaleRange } from "../scale.js";
import { html } from "./dom.js";

/** @import uPlot from "uplot" */
/** @import { Column, Series } from "../series.js" */
/** @import { Viewport } from "../viewport.js" */
/** @import { Colours } from "./colours.js" */

/** From a script of its own: see index.html. @type {typeof import("uplot")} */
const Plot = /** @type {any} */ (globalThis)["uPlot"];

const HEIGHT = 190;
const BAND = 20;
const BAND_GAP = 4;
const AXIS_HEIGHT = 26;
/** Room for numbers, and where there is more of it for the names of bands. */
const AXIS_WIDTH = 56;
const AXIS_WIDE = 84;
const WIDE = 560;
/** Half of a time's label. */
const EDGE = 28;
/** A scale stays as it is while what it shows fills so much of it. */

/** Distances of the time axis' labels, µs. */
const STEPS = [1, 10, 100, 1e3, 1e4, 1e5, 1e6, 1e7]
  .flatMap((step) => [step, 2 * step, 5 * step])
  .filter((step) => step < 1e7)
  .concat([10e6, 15e6, 30e6, 60e6, 120e6, 300e6, 600e6, 900e6, 1800e6, 3600e6]);

export class PanelPlot {
  /** @type {uPlot | null} */
  #plot = null;
  #shift = 0;
  #from = 0;
  #to = 1;
  #width = 0;

  /**
   * @param {Series} series
   * @param {number[]} columns
   * @param {Colours} colours
   */
  constructor(series, columns, colours) {
    this.series = series;
    this.columns = columns;
    this.colours = colours;
    this.envelope = new Envelope(series, columns);
    const places = columns.map((index, place) => ({ place, column: at(series.columns, index) }));
    this.lines = places.filter(({ column }) => !column.isState);
    this.bands = places.filter(({ column }) => column.isState);
    this.units = [...new Set(this.lines.map(({ column }) => column.field.unit))];
    /** @type {Map<string, [number, number]>} */
    this.ranges = new Map();
    this.cursor = html("i", { class: "cursor" });
    this.mark = html("i", { class: "cursor fired" });
    this.cursor.hidden = this.mark.hidden = true;
    this.node = html("div", { class: "plot", role: "img" });
  }

  get height() {
    const lines = this.lines.length || !this.bands.length ? HEIGHT : 0;
    return this.#scaled(lines + AXIS_HEIGHT) + this.#strip + 8;
  }

  /** @param {number} pixels of a usual screen */
  #scaled(pixels) {
    return Math.round(pixels * this.colours.scale);
  }

  get #gutter() {
    return this.#scaled(this.#width > WIDE * this.colours.scale ? AXIS_WIDE : AXIS_WIDTH);
  }

  get #strip() {
    return this.bands.length ? this.#scaled(this.bands.length * (BAND + BAND_GAP) + BAND_GAP) : 0;
  }

  /** @param {number} width CSS pixels */
  resize(width) {
    if (width <= 0 || width === this.#width) return;
    this.#width = width;
    if (this.#plot) this.#plot.setSize({ width, height: this.height });
    else this.#make();
  }

  #make() {
    const plot = new Plot(this.#options(), [[0, 1], ...this.lines.map(() => [0, 0])], this.node);
    this.#plot = plot;
    plot.over.append(this.cursor, this.mark);
  }

  /** The part that people point at; null while nothing is drawn. */
  get area() {
    return this.#plot?.over ?? null;
  }

  /** The right edge, µs since 1970. */
  get until() {
    return this.#to;
  }

  get canvas() {
    return this.#plot?.ctx.canvas ?? null;
  }

  destroy() {
    this.#plot?.destroy();
    this.#plot = null;
  }

  /** @returns {uPlot.Options} */
  #options() {
    /** @type {uPlot.Scales} */
    const scales = { x: { time: false, range: () => [this.#from, this.#to] } };
    for (const unit of this.units) scales[`y${unit}`] = { range: () => this.#rangeOf(unit) };
    return {
      width: this.#width,
      height: this.height,
      pxAlign: 0,
      padding: [
        8,
        this.units.length > 1 ? 0 : this.#scaled(EDGE),
        0,
        this.units.length ? 0 : this.#gutter,
      ],
      legend: { show: false },
      cursor: { show: false },
      select: { show: false, left: 0, top: 0, width: 0, height: 0 },
      scales,
      series: [{}, ...this.lines.map((line) => this.#line(line))],
      axes: [this.#timeAxis(), ...this.units.slice(0, 2).map((unit, i) => this.#axis(unit, i))],
      hooks: {
        drawClear: [() => this.#drawGaps()],
        draw: [() => this.#drawBands()],
      },
    };
  }

  /** @param {{ place: number, column: Column }} line @returns {uPlot.Series} */
  #line({ place, column }) {
    return {
      scale: `y${column.field.unit}`,
      width: 1.5,
      points: { show: false },
      stroke: () => this.colours.of(place),
      paths: (plot) => {
        const stroke = new Path2D();
        this.#trace(plot, place, `y${column.field.unit}`, stroke);
        return { stroke, fill: null, clip: null, band: null, flags: 0 };
      },
    };
  }

  /** @param {uPlot} plot @param {number} place @param {string} key @param {Path2D} path */
  #trace({ bbox, scales }, place, key, path) {
    const scale = scales[key];
    const low = scale?.min ?? 0;
    const high = scale?.max ?? 1;
    const perTime = bbox.width / (this.#to - this.#from);
    const left = bbox.left + (this.#shift - this.#from) * perTime;
    const perValue = bbox.height / (high - low);
    const bottom = bbox.top + bbox.height + low * perValue;
    trace(
      this.envelope,
      place,
      this.#from - this.#shift,
      this.#to - this.#shift,
      (time, value) => path.moveTo(left + time * perTime, bottom - value * perValue),
      (time, value) => path.lineTo(left + time * perTime, bottom - value * perValue),
    );
  }

  /** @returns {uPlot.Axis} */
  #timeAxis() {
    const strip = this.#strip;
    return {
      incrs: STEPS,
      space: this.#scaled(80),
      size: this.#scaled(AXIS_HEIGHT) + strip,
      gap: 4 + strip,
      ticks: { show: false },
      stroke: () => this.colours.quiet,
      grid: { stroke: () => this.colours.line, width: 1 },
      font: this.colours.font,
      values: (_plot, splits, _axis, _space, step) => splits.map((time) => timeLabel(time, step)),
    };
  }

  /** @param {string} unit @param {number} index @returns {uPlot.Axis} */
  #axis(unit, index) {
    const label = this.#scaled(14);
    return {
      scale: `y${unit}`,
      side: index ? 1 : 3,
      size: () => (index ? this.#scaled(AXIS_WIDTH) : this.#gutter) - (unit ? label : 0),
      space: this.#scaled(34),
      gap: 4,
      ticks: { show: false },
      stroke: () => this.colours.quiet,
      grid: { show: index === 0, stroke: () => this.colours.line, width: 1 },
      font: this.colours.font,
      ...(unit ? { label: unit, labelSize: label, labelGap: 0, labelFont: this.colours.font } : {}),
    };
  }

  /**
   * What a scale spans. It holds still while it suits, so that lines do not dance.
   * @param {string} unit
   * @returns {[number, number]}
   */
  #rangeOf(unit) {
    let low = Infinity;
    let high = -Infinity;
    for (const { place, column } of this.lines) {
      if (column.field.unit !== unit) continue;
      const from = this.#from - this.#shift;
      const extent = this.envelope.extent(place, from, this.#to - this.#shift);
      low = Math.min(low, extent?.low ?? Infinity);
      high = Math.max(high, extent?.high ?? -Infinity);
    }
    const range = scaleRange(low, high, this.ranges.get(unit));
    this.ranges.set(unit, range);
    return range;
  }

  /** The ground under the lines: where no tick is known, and why. */
  #drawGaps() {
    const plot = this.#plot;
    if (!plot) return;
    const { ctx, bbox } = plot;
    const { series } = this.envelope;
    const [from, to] = [this.#from - this.#shift, this.#to - this.#shift];
    const perTime = bbox.width / (to - from);
    const height = bbox.height + this.#strip * Plot.pxRatio;
    const shade = (/** @type {number} */ begin, /** @type {number} */ end) => {
      const x = (Math.max(begin, from) - from) * perTime;
      const width = Math.max(2, (Math.min(end, to) - from) * perTime - x);
      if (x <= bbox.width) ctx.fillRect(bbox.left + x, bbox.top, width, height);
    };
    gaps(this.envelope, from, to, (begin, end, gap) => {
      ctx.fillStyle = gap === GAP.lost ? this.colours.lost : this.colours.line;
      shade(begin, end);
    });
    if (series.isEmpty || series.oldest <= from) return;
    ctx.fillStyle = this.colours.line;
    ctx.globalAlpha = 0.4;
    shade(from, series.oldest);
    ctx.globalAlpha = 1;
    this.#tellOldest(Math.min(bbox.width, (series.oldest - from) * perTime), height);
  }

  /** @param {number} width @param {number} height of the stretch of which nothing is known */
  #tellOldest(width, height) {
    const { ctx, bbox } = /** @type {uPlot} */ (this.#plot);
    const { oldest } = this.envelope.series;
    const ratio = Plot.pxRatio * this.colours.scale;
    ctx.save();
    ctx.font = `${11 * ratio}px system-ui, sans-serif`;
    ctx.textBaseline = "middle";
    ctx.textAlign = "left";
    ctx.fillStyle = this.colours.quiet;
    const words = `Nothing from before ${timeLabel(oldest + this.#shift, 1e6)}`;
    if (widthOf(ctx, words) + 12 * ratio <= width)
      ctx.fillText(words, bbox.left + 6 * ratio, bbox.top + Math.min(height / 2, 12 * ratio));
    ctx.restore();
  }

  #drawBands() {
    const plot = this.#plot;
    if (!plot) return;
    const { ctx, bbox } = plot;
    const ratio = Plot.pxRatio * this.colours.scale;
    ctx.save();
    ctx.font = `${11 * ratio}px system-ui, sans-serif`;
    ctx.textBaseline = "middle";
    this.bands.forEach(({ place, column }, index) => {
      const top = bbox.top + bbox.height + (BAND_GAP + index * (BAND + BAND_GAP)) * ratio;
      ctx.fillStyle = this.colours.quiet;
      ctx.textAlign = "right";
      const name = fit(ctx, column.name, bbox.left - 6 * ratio);
      ctx.fillText(name, bbox.left - 4 * ratio, top + (BAND / 2) * ratio);
      ctx.textAlign = "left";
      this.#drawBand(ctx, bbox, place, column, top, BAND * ratio);
    });
    ctx.restore();
  }

  /**
   * @param {CanvasRenderingContext2D} ctx
   * @param {{ left: number, width: number }} bbox
   * @param {number} place
   * @param {Column} column
   * @param {number} top
   * @param {number} height
   */
  #drawBand(ctx, { left, width }, place, column, top, height) {
    const perTime = width / (this.#to - this.#from);
    const right = left + width;
    const base = left + (this.#shift - this.#from) * perTime;
    /** @type {Parameters<typeof runs>[4]} */
    const tell = (from, to, low, high) => {
      const x = Math.max(left, base + from * perTime);
      const length = Math.min(right, base + to * perTime) - x;
      const drawn = Math.max(1, length);
      if (x >= right || length < 0) return;
      ctx.fillStyle = this.colours.state(low);
      ctx.fillRect(x, top, drawn, height);
      if (high !== low) {
        ctx.fillStyle = this.colours.state(high);
        ctx.fillRect(x, top, drawn, height / 2);
        return;
      }
      if (length < height) return;
      ctx.fillStyle = this.colours.ink;
      const word = fit(ctx, stateWord(column, low), length - height / 3);
      ctx.fillText(word, x + height / 5, top + height / 2);
    };
    runs(this.envelope, place, this.#from - this.#shift, this.#to - this.#shift, tell);
  }

  /**
   * @param {Viewport} viewport
   * @param {number | null} fired when the trigger fired, µs
   */
  draw(viewport, fired) {
    const plot = this.#plot;
    if (!plot) return;
    const series = viewport.seen(this.series);
    if (this.envelope.series !== series) this.envelope = new Envelope(series, this.columns);
    const { from, to } = viewport.range(series);
    this.#shift = series.wallOffset;
    this.#from = from + this.#shift;
    this.#to = to + this.#shift;
    this.envelope.cover(from, to, Math.max(1, (to - from) / Math.max(100, plot.bbox.width)));
    plot.setData([[this.#from, this.#to], ...this.lines.map(() => [0, 0])]);
    this.point(this.cursor, viewport.cursor, from, to);
    this.point(this.mark, fired, from, to);
  }

  /**
   * @param {HTMLElement} line
   * @param {number | null} time
   * @param {number} from
   * @param {number} to
   */
  point(line, time, from, to) {
    const isSeen = time !== null && time >= from && time <= to;
    line.hidden = !isSeen;
    // Not asked of the element: that would lay out the whole page, once a frame and plot.
    const width = (this.#plot?.bbox.width ?? 0) / Plot.pxRatio;
    if (isSeen) line.style.transform = `translateX(${((time - from) / (to - from)) * width}px)`;
  }
}

/** @param {Column} column @param {number} value */
export function stateWord({ field }, value) {
  if (value !== value) return "";
  if (field.type === "bool") return value ? "yes" : "no";
  return field.labels?.[value] ?? String(value);
}

/** Widths of texts in the font in which they were measured last. Asking costs as much as drawing.
 * @type {{ font: string, widths: Map<string, number> }} */
const measured = { font: "", widths: new Map() };
const MEASURED_MOST = 2000;

/** @param {CanvasRenderingContext2D} ctx @param {string} text */
function widthOf(ctx, text) {
  const { widths } = measured;
  if (ctx.font !== measured.font || widths.size > MEASURED_MOST) widths.clear();
  measured.font = ctx.font;
  let width = widths.get(text);
  if (width === undefined) widths.set(text, (width = ctx.measureText(text).width));
  return width;
}

/**
 * As much of a text as has room.
 * @param {CanvasRenderingContext2D} ctx
 * @param {string} text
 * @param {number} room
 */
function fit(ctx, text, room) {
  if (widthOf(ctx, text) <= room) return text;
  let length = Math.floor((text.length * room) / widthOf(ctx, text));
  while (length > 0 && widthOf(ctx, `${text.slice(0, length)}…`) > room) length--;
  return length > 0 ? `${text.slice(0, length)}…` : "";
}
