// The path driven, from above: x is up, as in the picture of the robot, y to the left.

import { Track } from "../track.js";
import { html, liveAttribute, liveText, svg } from "./dom.js";

/** @import { Values } from "../protocol.js" */
/** @import { Series } from "../series.js" */

const PACE_MS = 100;
const EDGE = 0.08;
/** In the unit of the position; a robot that stands still gets a picture too. */
const LEAST = 100;
/** The robot: with its front, and where nobody knows where that is. */
const ARROW = "M0 -1L.7 .8L0 .45L-.7 .8z";
const DOT = "M-.6 0a.6 .6 0 1 0 1.2 0a.6 .6 0 1 0 -1.2 0z";

/**
 * @param {Series} series
 * @returns {{ node: HTMLElement, update: (values: Values | null) => void } | null}
 */
export function trackView(series) {
  const field = series.schema.fields.find(({ name, count }) => name === "position" && count === 2);
  const x = series.byName.get("position[0]");
  const y = series.byName.get("position[1]");
  if (!field || x === undefined || y === undefined) return null;
  const track = new Track(series, x, y);
  const line = svg("polyline", { class: "track", "vector-effect": "non-scaling-stroke" });
  const start = svg("circle", { class: "start" });
  const robot = svg("path", { class: "here" });
  const picture = svg("svg", { role: "img", "aria-label": "The path driven" }, line, start, robot);
  const size = html("figcaption");
  const words = liveText(size, "Path driven");
  const [points, box, place, shape] = [
    liveAttribute(line, "points"),
    liveAttribute(picture, "viewBox"),
    liveAttribute(robot, "transform"),
    liveAttribute(robot, "d"),
  ];
  const first = ["cx", "cy", "r"].map((name) => liveAttribute(start, name));
  let next = 0;
  return {
    node: html("figure", { class: "path" }, picture, size),
    update(values) {
      if (performance.now() < next || !track.update()) return;
      next = performance.now() + PACE_MS;
      const here = track.points.at(-1);
      const origin = track.points[0];
      if (!here || !origin) return;
      const { low, high } = track.bounds();
      const extent = Math.max(LEAST, high[0] - low[0], (high[1] - low[1]) / 2);
      const unit = extent * 0.07;
      const edge = extent * EDGE + unit;
      const width = Math.max(high[1] - low[1], extent) + 2 * edge;
      const height = Math.max(high[0] - low[0], extent / 2) + 2 * edge;
      const left = -(low[1] + high[1]) / 2 - width / 2;
      const top = -(low[0] + high[0]) / 2 - height / 2;
      const text = (/** @type {number} */ each) => each.toFixed(1);
      box([left, top, width, height].map(text).join(" "));
      points(track.points.map((each) => `${text(-each[1])},${text(-each[0])}`).join(" "));
      [text(-origin[1]), text(-origin[0]), text(unit / 3)].forEach((each, i) => first[i]?.(each));
      const heading = values?.["heading"];
      const isKnown = typeof heading === "number";
      shape(isKnown ? ARROW : DOT);
      const turn = `rotate(${text(isKnown ? -heading : 0)}) scale(${text(unit)})`;
      place(`translate(${text(-here[1])} ${text(-here[0])}) ${turn}`);
      const across = Math.hypot(high[0] - low[0], high[1] - low[1]);
      words(`Path driven: ${across.toFixed(0)} ${field.unit} across`);
    },
  };
}
