// Wiring: the connection feeds the model, the model is drawn once a frame.

import { PageClock } from "./clock.js";
import { Connection } from "./connection.js";
import { Dashboard } from "./dashboard.js";
import { readHash, writeHash } from "./layout.js";
import { Model, judge } from "./state.js";
import { byId } from "./views/dom.js";
import { headerView } from "./views/header.js";
import { noticeView } from "./views/notice.js";

/** @import { ServerMessage } from "./protocol.js" */

/** Ages grow also while nothing arrives, ms. */
const AGE_STEP = 200;
/** While there is no source, ask for what was refused, ms. */
const REFUSED_STEP = 3000;
/** Statuses a second: what a screen shows. */
const RATE = 60;
/** Figures are for reading: nobody reads more of them, and each costs a layout, ms. */
const FIGURES_STEP = 45;

const model = new Model();
const clock = new PageClock(
  () => performance.now(),
  () => Date.now(),
);
const connection = new Connection(clock, { message: receive, link: draw });
const header = headerView(pick);
const notice = noticeView(byId("notice"));
let subscribed = "";
let scheduled = false;
/** When the figures were last written, ms, and under which claim. */
let written = -Infinity;
let claimed = "";
let failed = false;
const dashboard = new Dashboard(model, { draw, send: (message) => connection.send(message) });

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
  const wanted = readHash(location.hash).source;
  if (wanted !== model.selected && model.sources.has(wanted)) model.select(wanted);
  const { selected } = model;
  const source = model.current();
  if (selected === subscribed || !source || source.reason === "removed") return;
  if (subscribed) connection.send({ op: "unsubscribe", source: subscribed });
  const events_after = source.events.after(model.observer);
  const subscription = { op: "subscribe", source: selected, mode: "latest", rate: RATE };
  subscribed = connection.send({ ...subscription, events_after }) ? selected : "";
}

/** @param {string} name */
function pick(name) {
  history.replaceState(null, "", writeHash(name));
  follow();
  draw();
}

function draw() {
  if (scheduled || failed) return;
  scheduled = true;
  requestAnimationFrame(() => {
    scheduled = false;
    const verdict = judge(connection.link, model.current(), observerNow());
    dashboard.load.frame();
    // Figures and what is claimed of them change in the same frame.
    const isOther = verdict.claim !== claimed || !verdict.fresh;
    const hasFigures = isOther || clock.now() - written >= FIGURES_STEP;
    if (hasFigures) written = clock.now();
    claimed = verdict.claim;
    dashboard.load.measure(() => {
      header(model, verdict, hasFigures);
      notice(model, verdict.claim);
      dashboard.follow(connection.link === "open");
      dashboard.draw(verdict, hasFigures);
    });
  });
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
  dashboard.visit();
  draw();
});
setInterval(draw, AGE_STEP);
setInterval(askForRefused, REFUSED_STEP);
connection.start();
draw();
