// What belongs to the source that is looked at, drawn from its schema: picture, plots, values,
// events, trigger, cost. What the header says of it is not decided here.

import { Extremes } from "./extremes.js";
import { formatAge, timeLabel } from "./format.js";
import { emptyLayout, readHash, readLayout, writeHash, writeLayout } from "./layout.js";
import { Recording } from "./recording.js";
import { at } from "./series.js";
import { Viewport } from "./viewport.js";
import { Colours } from "./views/colours.js";
import { columnsView } from "./views/columns.js";
import { Load, costView } from "./views/cost.js";
import { byId, liveText } from "./views/dom.js";
import { eventsView } from "./views/events.js";
import { Plots } from "./views/plots.js";
import { isOmniRobot, robotView } from "./views/robot.js";
import { helpTool, pauseTool, shareTool, soundTool, themeTool } from "./views/tools.js";
import { trackView } from "./views/track.js";
import { TriggerView } from "./views/trigger.js";
import { dismissible, valuesView } from "./views/values.js";

/** @import { Theme } from "./layout.js" */
/** @import { EventMessage, Schema, Values } from "./protocol.js" */
/** @import { Series } from "./series.js" */
/** @import { Model, Verdict } from "./state.js" */

const KEY = "omniscient";
/** Claims under which no tick is to be expected. @type {Set<string>} */
const NO_MORE = new Set(["stopped", "observer-gone", "network-gone"]);
/** So long the plots may lag behind the header before it is said, ms. */
const GRACE_MS = 1000;
/** Who asked for little motion gets a picture so often, ms. */
const CALM_MS = 1000;
/** A wall clock that was set by more than this since a tick is worth a word, µs. */
const CLOCK_STEP = 1e6;

/** @typedef {(values: Values | null) => void} Update */

export class Dashboard {
  /** @type {Schema | null} */
  #schema = null;
  /** @type {Series | null} */
  #series = null;
  /** @type {Extremes | null} */
  #extremes = null;
  /** Drawn each frame. @type {Update[]} */
  #pictures = [];
  /** @type {ReturnType<typeof valuesView> | null} */
  #values = null;
  /** Whether somebody chose the plots' window by hand. */
  #isSteered = false;
  /** Whether a shot is to be shown when all goes on. */
  #hasCaught = false;
  /** The tick whose values stand still. @type {number | null} */
  #paused = null;
  /** What a link brought, for this visit only: what is kept here stays as it is. */
  #visit = readHash(location.hash);
  /** Whether the observer can be reached. */
  #isOpen = false;
  /** When the plots last kept up with the header, ms. */
  #caughtUp = -Infinity;
  #calm = matchMedia("(prefers-reduced-motion: reduce)");
  /** When pictures last moved, ms. */
  #moved = -Infinity;

  /**
   * @param {Model} model
   * @param {{ draw: () => void, send: (message: object) => boolean }} outside
   */
  constructor(model, outside) {
    this.model = model;
    this.outside = outside;
    this.layout = remembered();
    this.viewport = new Viewport(this.#span);
    this.load = new Load();
    this.recording = new Recording(
      () => this.#recorded(),
      (message) => model.apply(message, null),
    );
    this.colours = new Colours();
    this.plots = new Plots(this.viewport, this.colours, {
      draw: () => outside.draw(),
      chosen: (panels) => this.#chosen(panels),
      spanned: (span) => this.#settle({ span }),
      steered: () => this.#steered(),
    });
    this.trigger = new TriggerView({
      fired: () => this.#fired(),
      released: () => this.#release(),
      armed: () => (this.#isSteered = false),
      show: () => this.#showShot(),
    });
    this.events = eventsView((event) => this.#pointAt(event));
    this.cost = costView(this.load);
    this.columns = columnsView(byId("fields"));
    dismissible(byId("fields"));
    this.notes = ["view", "plots", "values"].map((id) => {
      const note = byId(id).querySelector(".stale-note");
      return { id, tell: liveText(/** @type {Element} */ (note)) };
    });
    this.theme = themeTool((theme) => this.#dress(theme));
    this.pause = pauseTool(() => this.togglePause());
    this.sound = soundTool((on) => outside.send({ op: "sound", on }));
    this.#wire();
    this.theme(this.#theme);
    this.colours.read();
  }

  get #theme() {
    return this.#visit.layout.theme ?? this.layout.theme;
  }

  /** µs. */
  get #span() {
    return (this.#visit.layout.span ?? this.layout.span) * 1e6;
  }

  get #panels() {
    const { selected } = this.model;
    const { source, layout } = this.#visit;
    const shared = source === selected ? layout.panels : undefined;
    return shared ?? this.layout.panels.get(selected) ?? null;
  }

  /**
   * Keeps what the visitor chose: there his own choice counts from now on, not the link's.
   * @param {Partial<import("./layout.js").Layout>} change
   */
  #settle(change) {
    Object.assign(this.layout, change);
    keep(this.layout);
    const { source, layout } = this.#visit;
    for (const part of Object.keys(change)) delete layout[/** @type {keyof typeof layout} */ (part)];
    const isThere = Object.keys(readHash(location.hash).layout).length > 0;
    if (isThere) history.replaceState(null, "", writeHash(source, layout));
  }

  /** Another link was opened where the page is already. */
  visit() {
    this.#visit = readHash(location.hash);
    this.#arrange();
  }

  /** Shows what is chosen, whoever chose it. */
  #arrange() {
    this.theme(this.#theme);
    this.keys?.(this.layout.keys);
    this.#recolour();
    this.viewport.span = this.#span;
    if (this.#paused !== null) this.togglePause();
    else this.viewport.follow();
    this.plots.show(this.#series, this.#panels);
    this.#values?.mark();
  }

  #wire() {
    const { plots } = this;
    byId("reset").onclick = () => this.#reset();
    shareTool(() => this.#link());
    const shortcuts = /** @type {import("./views/tools.js").Shortcut[]} */ ([
      [["P"], "Pause and resume", () => this.togglePause()],
      [["L"], "Back to the newest tick", () => plots.follow()],
      [["←"], "Into the past", () => plots.pan(-0.25)],
      [["→"], "Towards now", () => plots.pan(0.25)],
      [[","], "Cursor one tick back", () => plots.step(-1)],
      [["."], "Cursor one tick on", () => plots.step(1)],
      [["+"], "Zoom in", () => plots.zoom(0.5)],
      [["-"], "Zoom out", () => plots.zoom(2)],
      [["A"], "Arm the trigger again", () => this.trigger.arm()],
      [["/"], "Search the values", () => byId("search").focus()],
      [["T"], "Theme", () => byId("theme").click()],
    ]);
    this.keys = helpTool(shortcuts, (keys) => this.#settle({ keys }));
    this.keys(this.layout.keys);
    const dark = matchMedia("(prefers-color-scheme: dark)");
    dark.onchange = () => this.#recolour();
    let font = getComputedStyle(document.documentElement).fontSize;
    addEventListener("resize", () => {
      const now = getComputedStyle(document.documentElement).fontSize;
      if (now !== font) this.#recolour();
      font = now;
    });
  }

  #link() {
    const url = new URL(location.href);
    url.search = "";
    const theme = this.#theme;
    const span = Number((this.viewport.span / 1e6).toPrecision(6));
    url.hash = writeHash(this.model.selected, { theme, span, panels: this.plots.panels });
    return url.href;
  }

  #reset() {
    this.#settle(emptyLayout());
    this.#arrange();
  }

  /** @param {Theme} theme */
  #dress(theme) {
    this.#settle({ theme });
    this.theme(theme);
    this.#recolour();
  }

  #recolour() {
    this.colours.read();
    this.plots.rebuild();
  }

  /** @param {import("./layout.js").Panels} panels */
  #chosen(panels) {
    const all = this.layout.panels;
    all.delete(this.model.selected);
    all.set(this.model.selected, panels);
    this.#settle({ panels: all });
    this.#values?.mark();
  }

  togglePause() {
    if (this.#paused !== null) {
      this.#paused = null;
      this.viewport.follow();
      this.#isSteered = false;
      if (this.#hasCaught) this.#showShot();
    } else {
      this.#hasCaught = this.viewport.held !== null && this.viewport.held === this.trigger.shot?.to;
      const source = this.model.current();
      // Figures are written less often than ticks come: what stands still is this very tick.
      this.#show(source?.values ?? null, true, true);
      this.#paused = source?.tick ?? 0;
      if (this.#series) this.viewport.hold(this.#series);
    }
    this.pause(this.#paused !== null);
    this.plots.refresh();
  }

  /** Somebody moved the plots' window: the trigger must not move it back. */
  #steered() {
    this.#isSteered = !this.viewport.isFollowing;
    // The newest, but not in the stretch that only the trigger wanted.
    if (!this.#isSteered && this.trigger.isShown(this.viewport.span))
      this.viewport.span = this.#span;
    if (!this.viewport.isFollowing || this.#paused === null) return;
    this.#hasCaught = false;
    this.togglePause();
  }

  #fired() {
    if (this.#paused !== null) this.#hasCaught = true;
    else if (!this.#isSteered) this.#showShot();
  }

  #showShot() {
    const { shot } = this.trigger;
    if (!shot) return;
    this.#isSteered = false;
    this.viewport.show(shot.from, shot.to);
    this.plots.refresh();
  }

  #release() {
    if (this.#paused !== null || this.#isSteered) return;
    this.viewport.span = this.#span;
    this.viewport.follow();
    this.plots.refresh();
  }

  /** @param {EventMessage} event */
  #pointAt(event) {
    const series = this.#series;
    if (!series) return;
    const row = series.find(event.instance, event.tick);
    this.#isSteered = true;
    this.viewport.point(row < 0 ? event.monotonic : series.time(row), series);
    this.plots.refresh();
  }

  #recorded() {
    this.load.measure(() => this.trigger.feed());
    // Also while nothing is drawn: rows are thrown out all the same.
    if (this.#series) this.viewport.guard(this.#series, this.trigger.stretches());
    this.#extremes?.update();
    this.outside.draw();
  }

  /**
   * @param {boolean} isOpen whether the observer can be reached
   */
  follow(isOpen) {
    this.#isOpen = isOpen;
    const source = this.model.current();
    const isThere = isOpen && source !== null && source.reason !== "removed";
    this.recording.follow(source?.name ?? "", source?.schema ?? null, source?.period ?? 0, isThere);
  }

  /** Makes everything anew for another source, or another schema. */
  #rebuild() {
    if (this.#paused !== null) this.togglePause();
    const schema = this.#schema;
    const series = this.#series;
    const view = byId("view");
    this.viewport.follow();
    this.#values = schema && valuesView(schema, this.plots);
    this.columns(this.#values ? this.#values.nodes : []);
    for (const figure of view.querySelectorAll("figure")) figure.remove();
    const robot = schema && isOmniRobot(schema) ? robotView(schema) : null;
    const track = robot && series ? trackView(series) : null;
    if (robot) view.append(robot.node);
    if (track) view.append(track.node);
    view.hidden = !robot;
    for (const id of ["plots", "events", "values", "cost"]) byId(id).hidden = !schema;
    this.#pictures = [robot, track].flatMap((part) => (part ? [part.update] : []));
    this.#extremes = series && new Extremes(series);
    this.viewport.kept = [];
    if (series)
      series.leaving = () => this.viewport.guard(series, this.trigger.stretches(true), true);
    this.trigger.show(series);
    this.plots.show(series, this.#panels);
    this.#values?.mark();
    this.#caughtUp = performance.now();
  }

  /** @param {Values | null} values @param {boolean} hasFigures @param {boolean} moves */
  #show(values, hasFigures, moves) {
    if (moves) for (const update of this.#pictures) update(values);
    if (!hasFigures) return;
    this.#values?.update(values);
    this.#values?.remember(this.#extremes);
  }

  /**
   * @param {Verdict} verdict
   * @param {boolean} hasFigures whether it is time for new figures
   */
  draw(verdict, hasFigures) {
    const source = this.model.current();
    const schema = source?.schema ?? null;
    const { series } = this.recording;
    if (schema !== this.#schema || series !== this.#series) {
      this.#schema = schema;
      this.#series = series;
      this.#rebuild();
    }
    if (NO_MORE.has(verdict.claim)) this.trigger.finish();
    const values = source?.values ?? null;
    const now = performance.now();
    const moves = !this.#calm.matches || !verdict.fresh || now - this.#moved >= CALM_MS;
    if (moves) this.#moved = now;
    if (this.#paused === null) this.#show(values, hasFigures, moves);
    const behind = this.#behind(verdict);
    const stale = this.#annotate(verdict, behind);
    this.plots.draw(this.trigger.shot?.time ?? null, hasFigures || this.#calm.matches, moves);
    if (!hasFigures) return;
    this.plots.where(this.#where(behind !== ""));
    this.events(source?.events ?? null);
    const own = this.#paused === null ? values : null;
    this.cost({ schema, values: own, stale, isOpen: this.#isOpen, dropped: source?.dropped ?? 0 });
    this.sound(this.model.sound);
  }

  /**
   * In words how far the plots are behind the header, which hears of the robot another way; "":
   * they keep up.
   * @param {Verdict} verdict
   */
  #behind({ fresh }) {
    const source = this.model.current();
    const { series, isOpen } = this.recording;
    const now = performance.now();
    const lag = !source || !series || series.isEmpty ? Infinity : source.monotonic - series.newest;
    const keepsUp = isOpen && lag <= Math.max(1e6, 6 * (source?.period ?? 0));
    if (!fresh || keepsUp) this.#caughtUp = now;
    if (now - this.#caughtUp <= GRACE_MS) return "";
    if (!isOpen) return "No connection for every tick: trying again";
    return lag === Infinity ? "Waiting for the first ticks" : `Behind by ${formatAge(lag)}`;
  }

  /**
   * Panels whose numbers are not of now say so.
   * @param {Verdict} verdict
   * @param {string} behind what is to be said of the plots alone
   * @returns {string} what is said of values
   */
  #annotate(verdict, behind) {
    const source = this.model.current();
    const age = verdict.age === null ? "" : `, ${formatAge(verdict.age)} old`;
    const known = source?.values ? `Not live: last known values${age}` : "No values yet";
    const paused = this.#paused === null ? null : `Paused at tick ${this.#paused}`;
    document.body.dataset["paused"] = paused ? "yes" : "no";
    const stale = paused ?? (verdict.fresh ? "" : known);
    for (const { id, tell } of this.notes) tell(id === "plots" ? stale || behind : stale);
    return stale;
  }

  /** What stretch of time the plots show, in words. @param {boolean} isBehind */
  #where(isBehind) {
    const series = this.#series && this.viewport.seen(this.#series);
    if (!series || series.isEmpty) return "No ticks yet";
    const { shot } = this.trigger;
    const { held, cursor } = this.viewport;
    const stamp = (/** @type {number} */ time) => timeLabel(time + series.wallOffset, 1e3);
    if (cursor !== null) return pointedAt(series, cursor);
    if (held === null) return isBehind ? `Until ${stamp(series.newest)}` : "The newest ticks";
    if (shot && held === shot.to) return `Trigger at ${stamp(shot.time)}, tick ${shot.tick}`;
    return `Until ${stamp(held)}`;
  }
}

/** The arrangement that is kept in this browser. */
function remembered() {
  try {
    return readLayout(localStorage.getItem(KEY));
  } catch {
    // A browser that keeps nothing shows the page all the same.
    return emptyLayout();
  }
}

/** @param {import("./layout.js").Layout} layout */
function keep(layout) {
  try {
    localStorage.setItem(KEY, writeLayout(layout));
  } catch {
    // See above.
  }
}

/**
 * Which tick is under the cursor, with its own stamp; where the wall clock was set since, the axis
 * has another time for it.
 * @param {Series} series
 * @param {number} cursor µs
 */
function pointedAt(series, cursor) {
  const row = series.rowAt(cursor);
  if (row < 0) return `Cursor at ${timeLabel(cursor + series.wallOffset, 1e3)}: no tick there`;
  const wall = at(series.wall, row & series.mask);
  const axis = series.time(row) + series.wallOffset;
  const isSet = Math.abs(axis - wall) >= CLOCK_STEP;
  const other = isSet ? ` (${timeLabel(axis, 1e3)} on the axis: the clock was set since)` : "";
  return `Cursor at ${timeLabel(wall, 1e3)}, tick ${series.tick(row)}${other}`;
}
