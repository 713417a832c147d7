// Wiring: the connection feeds the model, the model is drawn once a frame.

import { PageClock } from "./clock.js";
import { Connection } from "./connection.js";
import { formatAge } from "./format.js";
import { Model, judge } from "./state.js";
import { byId, liveText } from "./views/dom.js";
import { fieldsView } from "./views/fields.js";
import { headerView } from "./views/header.js";
import { noticeView } from "./views/notice.js";
import { isOmniRobot, robotView } from "./views/robot.js";

/** @import { Schema, ServerMessage, Values } from "./protocol.js" */
/** @import { Verdict } from "./state.js" */

/** Ages grow also while nothing arrives, ms. */
const AGE_STEP = 200;
/** While there is no source, ask for what was refused, ms. */
const REFUSED_STEP = 3000;
/** Statuses a second: what a screen shows. */
const RATE = 60;

const model = new Model();
const clock = new PageClock(
  () => performance.now(),
  () => Date.now(),
);
const connection = new Connection(clock, { message: receive, link: draw });
const header = headerView(pick);
const notice = noticeView(byId("notice"));
const panels = panelsView();
let subscribed = "";
let scheduled = false;
let failed = false;

/** @returns {number | null} the observer's monotonic time, µs */
function observerNow() {
  return connection.offset.remote(clock.now());
}

/** @param {ServerMessage} message */
function receive(message) {
  model.apply(message, observerNow());
  if (message.op === "hello") subscribed = "";
  if (message.op === "source" && message.source.name === subscribed) {
    if (message.change !== "changed") subscribed = "";
  }
  if (message.op === "hello" || message.op === "source") follow();
  draw();
}

/** Subscribes to the source that is looked at, and to no other. */
function follow() {
  const wanted = hashName();
  if (wanted !== model.selected && model.sources.has(wanted)) model.select(wanted);
  const { selected } = model;
  const source = model.current();
  if (selected === subscribed || !source || source.reason === "removed") return;
  if (subscribed) connection.send({ op: "unsubscribe", source: subscribed });
  const sent = connection.send({ op: "subscribe", source: selected, mode: "latest", rate: RATE });
  subscribed = sent ? selected : "";
}

/** The source that the page's address names; "" where it names none. */
function hashName() {
  try {
    return decodeURIComponent(location.hash.slice(1));
  } catch {
    return "";
  }
}

/** @param {string} name */
function pick(name) {
  history.replaceState(null, "", `#${encodeURIComponent(name)}`);
  follow();
  draw();
}

function draw() {
  if (scheduled || failed) return;
  scheduled = true;
  requestAnimationFrame(() => {
    scheduled = false;
    const verdict = judge(connection.link, model.current(), observerNow());
    header(model, verdict);
    notice(model, verdict.claim);
    panels(verdict);
  });
}

/**
 * The picture and the list of values; made anew when the schema is another.
 * @returns {(verdict: Verdict) => void}
 */
function panelsView() {
  const view = byId("view");
  const values = byId("values");
  const fields = byId("fields");
  const notes = [...document.querySelectorAll(".stale-note")].map((note) => liveText(note));
  /** @type {((values: Values | null) => void)[]} */
  let updates = [];
  /** @type {Schema | null} */
  let drawn = null;

  /** @param {Schema | null} schema */
  const rebuild = (schema) => {
    const list = schema && fieldsView(schema);
    const robot = schema && isOmniRobot(schema) ? robotView(schema) : null;
    fields.replaceChildren(...(list ? list.nodes : []));
    view.querySelector("figure")?.remove();
    if (robot) view.append(robot.node);
    values.hidden = !list;
    view.hidden = !robot;
    updates = [list, robot].flatMap((part) => (part ? [part.update] : []));
  };

  return (verdict) => {
    const source = model.current();
    const schema = source?.schema ?? null;
    if (schema !== drawn) rebuild((drawn = schema));
    for (const update of updates) update(source?.values ?? null);
    const age = verdict.age === null ? "" : `, ${formatAge(verdict.age)} old`;
    const known = source?.values ? `Not live: last known values${age}` : "No values yet";
    for (const note of notes) note(verdict.fresh ? "" : known);
  };
}

async function askForRefused() {
  if (connection.link !== "open" || model.sources.size) return;
  const answer = await fetch("api/sources", { cache: "no-store" }).catch(() => null);
  const report = await answer?.json().catch(() => null);
  if (!Array.isArray(report?.refused)) return;
  model.refused = report.refused;
  draw();
}

/** A page that failed must not look as if its numbers lived. */
function fail() {
  failed = true;
  document.body.dataset["fresh"] = "no";
  document.body.dataset["claim"] = "refused";
  byId("claim").textContent = "page failed";
  byId("explanation").textContent = "This page has failed and shows nothing new: reload it.";
}

addEventListener("error", fail);
addEventListener("unhandledrejection", fail);
addEventListener("hashchange", () => {
  follow();
  draw();
});
setInterval(draw, AGE_STEP);
setInterval(askForRefused, REFUSED_STEP);
connection.start();
draw();
