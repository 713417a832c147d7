// The omni robot seen from above, where a source has the fields for it. The picture stands still
// as the world does: the robot turns in it. Angles count counter-clockwise, 0 is up; where the
// robot's front pointed at its start is up.

import { NOTHING, formatNumber, isNumeric } from "../format.js";
import { html, liveAttribute, liveClass, liveText, svg } from "./dom.js";

/** @import { Field, Schema, Value, Values } from "../protocol.js" */

const BEARINGS = [-90, -45, 0, 45, 90];
const WHEELS = [60, 180, 300];
/** In units of the picture, which is 400 wide and high with its centre in the middle. */
const BODY = 68;
const REACH = 150;
const RING = 177;
const WHEEL = BODY + 3;
const WHEEL_HALF = 17;

/** null: not known.
 * @typedef {{ direction: number | null, heading: number | null, powers: (number | null)[],
 *   sensors: (number | null)[], obstacle: boolean, left: boolean, right: boolean, mode: string
 *   }} Facts
 * A robot whose heading is not known is drawn with its front up.
 * @typedef {Facts & { turn: number }} Picture */

/**
 * @param {Schema} schema
 * @returns {boolean}
 */
export function isOmniRobot(schema) {
  const has = (/** @type {string} */ name, /** @type {number} */ count) => {
    const field = find(schema, name);
    return field?.count === count && isNumeric(field);
  };
  const obstacle = find(schema, "obstacle");
  const isTold = obstacle?.type === "bool" && obstacle.count === 1;
  return isTold && has("direction", 1) && has("motor_power", 3) && has("sensors", 5);
}

/** @param {Schema} schema @param {string} name @returns {Field | undefined} */
function find(schema, name) {
  return schema.fields.find((field) => field.name === name);
}

/**
 * A point of the picture.
 * @param {number} bearing degrees
 * @param {number} radius
 */
function at(bearing, radius) {
  const angle = (bearing * Math.PI) / 180;
  return { x: -Math.sin(angle) * radius, y: -Math.cos(angle) * radius };
}

/** @param {number} value */
function short(value) {
  return String(Math.round(value * 10) / 10);
}

/** @param {Value | undefined} value */
function number(value) {
  return typeof value === "number" ? value : null;
}

/**
 * @param {Values} values
 * @returns {Picture}
 */
function read(values) {
  const list = (/** @type {string} */ name) => {
    const value = values[name];
    return Array.isArray(value) ? value : [];
  };
  const heading = number(values["heading"]);
  return {
    direction: number(values["direction"]),
    heading,
    turn: heading ?? 0,
    powers: WHEELS.map((_, index) => number(list("motor_power")[index])),
    sensors: BEARINGS.map((_, index) => number(list("sensors")[index]) || null),
    obstacle: values["obstacle"] === true,
    left: values["go_left"] === true,
    right: values["go_right"] === true,
    mode: String(values["bot_mode"] ?? ""),
  };
}

/**
 * @param {Schema} schema
 * @returns {{ node: HTMLElement, update: (values: Values | null) => void }}
 */
export function robotView(schema) {
  const farthest = Number(find(schema, "sensors")?.maximum ?? 4000) || 4000;
  const unit = find(schema, "sensors")?.unit ?? "";
  const picture = svg("svg", {
    viewBox: "-208 -200 416 400",
    role: "img",
    "aria-label": "The robot seen from above; all of its values are in the list of values",
  });
  const parts = [
    ringsView(picture, farthest, unit),
    sensorsView(picture, farthest),
    bodyView(picture),
    wheelsView(picture),
    directionView(picture),
  ];
  const caption = captionView();
  return {
    node: html("figure", { class: "robot" }, picture, caption.node),
    update(values) {
      if (!values) return;
      const next = read(values);
      for (const update of parts) update(next);
      caption.update(next);
    },
  };
}

/** @typedef {(picture: Picture) => void} Update */

/**
 * How far a range reaches in the picture. What is near matters more: a quarter of the range gets
 * half of the way.
 * @param {number} range
 * @param {number} farthest
 */
function reach(range, farthest) {
  return BODY + (REACH - BODY) * Math.sqrt(Math.min(1, Math.max(0, range / farthest)));
}

/**
 * Distances from the robot's edge, told behind it, where no sensor looks; and the compass.
 * @param {SVGElement} picture
 * @param {number} farthest
 * @param {string} unit
 * @returns {Update}
 */
function ringsView(picture, farthest, unit) {
  const scales = [1 / 16, 1 / 4, 1].map((part, index) => {
    const radius = reach(farthest * part, farthest);
    const words = part === 1 ? `${farthest} ${unit}` : String(farthest * part);
    const label = svg("text", { class: "scale" }, words);
    picture.append(svg("circle", { class: "ring", r: radius }), label);
    const bearing = index % 2 ? 155 : 205;
    return { bearing, radius, x: liveAttribute(label, "x"), y: liveAttribute(label, "y") };
  });
  for (let bearing = 0; bearing < 360; bearing += 15) {
    const major = bearing % 90 === 0;
    const inner = at(bearing, RING - (major ? 7 : 3));
    const outer = at(bearing, RING);
    const line = { x1: inner.x, y1: inner.y, x2: outer.x, y2: outer.y };
    picture.append(svg("line", { class: major ? "compass major" : "compass", ...line }));
    if (!major) continue;
    const label = at(bearing, RING + (bearing % 180 ? 17 : 12));
    picture.append(svg("text", { class: "scale", x: label.x, y: label.y }, `${bearing}°`));
  }
  const needle = svg("path", { class: "needle", d: `M0 ${-RING + 2}l-6 10h12z` });
  const turn = liveAttribute(needle, "transform");
  const show = liveAttribute(needle, "visibility");
  picture.append(needle);
  return ({ heading, turn: front }) => {
    show(heading === null ? "hidden" : "visible");
    turn(`rotate(${short(-front)})`);
    for (const { bearing, radius, x, y } of scales) {
      const place = at(front + bearing, radius);
      x(short(place.x));
      y(short(place.y));
    }
  };
}

/**
 * @param {SVGElement} picture
 * @param {number} farthest
 * @returns {Update}
 */
function sensorsView(picture, farthest) {
  const fan = svg("polygon", { class: "fan" });
  const points = liveAttribute(fan, "points");
  picture.append(fan);
  const rays = BEARINGS.map((bearing) => rayView(picture, bearing, farthest));
  return (next) => {
    // An obstacle is in the way, not beside it.
    const near = Math.min(...next.sensors.slice(1, -1).map((range) => range ?? Infinity));
    const corners = BEARINGS.map((bearing, index) => {
      const corner = at(bearing + next.turn, reach(next.sensors[index] ?? 0, farthest));
      return `${short(corner.x)},${short(corner.y)}`;
    });
    points(`0,0 ${corners.join(" ")}`);
    rays.forEach((ray, index) => {
      const range = next.sensors[index] ?? null;
      const isAhead = index > 0 && index < BEARINGS.length - 1;
      ray(range, next.turn, next.obstacle && isAhead && range === near);
    });
  };
}

/**
 * @param {SVGElement} picture
 * @param {number} bearing
 * @param {number} farthest
 * @returns {(range: number | null, heading: number, isObstacle: boolean) => void}
 */
function rayView(picture, bearing, farthest) {
  const line = svg("line", {});
  const end = svg("circle", { r: 4 });
  const label = svg("text", { class: "reading" });
  const side = bearing ? `${Math.abs(bearing)}° to the ${bearing < 0 ? "right" : "left"}` : "ahead";
  const group = svg("g", { class: "ray" }, svg("title", {}, `Free way ${side}`), line, end, label);
  picture.append(group);
  const ends = ["x1", "y1", "x2", "y2"].map((name) => liveAttribute(line, name));
  const centre = ["cx", "cy"].map((name) => liveAttribute(end, name));
  const place = ["x", "y"].map((name) => liveAttribute(label, name));
  const text = liveText(label);
  const clear = liveClass(group, "clear");
  const mute = liveClass(group, "mute");
  const obstacle = liveClass(group, "obstacle");
  return (range, heading, isObstacle) => {
    const from = at(bearing + heading, BODY);
    const to = at(bearing + heading, range === null ? BODY + 12 : reach(range, farthest));
    // Beyond the ray's end; letters are wider than high.
    const room = 10 + 9 * Math.abs(at(bearing + heading, 1).x);
    const mark = at(bearing + heading, Math.hypot(to.x, to.y) + room);
    [from.x, from.y, to.x, to.y].forEach((value, index) => ends[index]?.(short(value)));
    [to.x, to.y].forEach((value, index) => centre[index]?.(short(value)));
    [mark.x, mark.y].forEach((value, index) => place[index]?.(short(value)));
    text(range === null ? NOTHING : formatNumber(range, 0));
    clear(range !== null && range >= farthest);
    mute(range === null);
    obstacle(isObstacle);
  };
}

/**
 * @param {SVGElement} picture
 * @returns {Update}
 */
function bodyView(picture) {
  const nose = svg("path", { class: "nose", d: `M0 ${-BODY + 4}l-7 11h14z` });
  const group = svg("g", {}, svg("circle", { class: "body", r: BODY }), nose);
  picture.append(group);
  const turn = liveAttribute(group, "transform");
  const alarm = liveClass(group, "obstacle");
  return ({ turn: front, obstacle }) => {
    turn(`rotate(${short(-front)})`);
    alarm(obstacle);
  };
}

/**
 * @param {SVGElement} picture
 * @returns {Update}
 */
function wheelsView(picture) {
  const wheels = WHEELS.map((bearing) => wheelView(picture, bearing));
  return ({ powers, turn }) => wheels.forEach((wheel, i) => wheel(powers[i] ?? null, turn));
}

/**
 * A wheel lies along the body's edge; positive power pushes counter-clockwise, which is to the
 * left where the wheel is in front.
 * @param {SVGElement} picture
 * @param {number} bearing
 * @returns {(power: number | null, heading: number) => void}
 */
function wheelView(picture, bearing) {
  const tyre = svg("rect", {
    class: "tyre",
    x: -WHEEL_HALF,
    y: -WHEEL - 7,
    width: WHEEL_HALF * 2,
    height: 14,
    rx: 4,
  });
  const push = svg("path", { class: "push" });
  const group = svg("g", {}, tyre, push);
  const label = svg("text", { class: "power" });
  picture.append(group, label);
  const turn = liveAttribute(group, "transform");
  const shape = liveAttribute(push, "d");
  const place = ["x", "y"].map((name) => liveAttribute(label, name));
  const text = liveText(label);
  return (power, heading) => {
    const mark = at(bearing + heading, BODY - 27);
    turn(`rotate(${short(-bearing - heading)})`);
    shape(arrow(power ?? 0));
    place[0]?.(short(mark.x));
    place[1]?.(short(mark.y));
    const sign = power !== null && power > 0 ? "+" : "";
    text(power === null ? NOTHING : `${sign}${formatNumber(power, 0)}\u202f%`);
  };
}

/** @param {number} power percent */
function arrow(power) {
  if (Math.abs(power) < 1) return "";
  const sign = -Math.sign(power);
  const length = (Math.min(100, Math.abs(power)) / 100) * (WHEEL_HALF + 8);
  const tip = short(sign * (length + 5));
  const neck = short(sign * length);
  const y = -WHEEL;
  return `M0 ${y - 3}H${neck}V${y - 6}L${tip} ${y}L${neck} ${y + 6}V${y + 3}H0z`;
}

/**
 * Where it drives to; nothing while all wheels stand.
 * @param {SVGElement} picture
 * @returns {Update}
 */
function directionView(picture) {
  const path = svg("path", { class: "course", d: "M-2.5 9V-7H-8L0 -19L8 -7H2.5V9z" });
  picture.append(path);
  const turn = liveAttribute(path, "transform");
  const show = liveAttribute(path, "visibility");
  return ({ direction, turn: front, powers }) => {
    const drives = direction !== null && powers.some((power) => Math.abs(power ?? 0) >= 1);
    turn(`rotate(${short(-(direction ?? 0) - front)})`);
    show(drives ? "visible" : "hidden");
  };
}

function captionView() {
  const mode = html("strong", { class: "mode" });
  const words = html("span");
  const modeText = liveText(mode);
  const wordsText = liveText(words);
  const node = html("figcaption", {}, mode, words);
  return {
    node,
    /** @param {Picture} picture */
    update({ mode: name, obstacle, left, right, heading, sensors }) {
      const side = left ? ", turning left" : right ? ", turning right" : "";
      const front = heading === null ? ", heading not known" : "";
      modeText(name);
      const sees = sensors.some((range) => range !== null);
      const ahead = obstacle ? "Obstacle in the way" : "No obstacle";
      wordsText((sees || obstacle ? ahead : "Sees nothing: no reading") + side + front);
    },
  };
}
