// The trigger's controls: what it waits for, and what it has caught.

import { GAP, at } from "../series.js";
import { Trigger, firstLevel, hysteresisOf, levelOf } from "../trigger.js";
import { byId, html, liveText, spokenText } from "./dom.js";

/** @import { Series } from "../series.js" */
/** @import { Kind, Mode, Settings, Shot } from "../trigger.js" */

/** A list of all elements of a huge array would stop the page. */
const FIELDS_MOST = 2000;

export class TriggerView {
  #next = 0;
  #generation = 0;
  /** @type {Series | null} */
  #series = null;

  /**
   * @param {Record<"fired" | "released" | "armed" | "show", () => void>} listener show: somebody
   *   wants to see what is caught
   */
  constructor(listener) {
    this.listener = listener;
    /** @type {Trigger | null} */
    this.trigger = null;
    this.column = -1;
    this.field = select("trigger-field");
    this.kind = select("trigger-kind");
    this.mode = select("trigger-mode");
    this.state = select("trigger-state");
    this.level = input("trigger-level");
    this.share = input("trigger-share");
    this.span = input("trigger-span");
    const words = liveText(byId("trigger-words"));
    const speak = spokenText(byId("trigger-said"));
    this.words = (/** @type {string} */ text) => (words(text), speak(text));
    this.field.onchange = () => this.#choose();
    this.kind.onchange = () => this.#suit();
    for (const part of [this.mode, this.state, this.level, this.share, this.span])
      part.onchange = () => this.#heed();
    byId("arm").onclick = () => this.arm();
    this.button = /** @type {HTMLButtonElement} */ (byId("show-shot"));
    this.button.onclick = () => listener.show();
  }

  /** @param {Series | null} series */
  show(series) {
    if (series === this.#series) return;
    this.#series = series;
    this.mode.value = "off";
    const columns = series?.columns ?? [];
    const shown = columns.slice(0, FIELDS_MOST);
    this.field.replaceChildren(...shown.map(({ name }, i) => html("option", { value: i }, name)));
    const left = columns.length - shown.length;
    if (left > 0) this.field.append(html("option", { disabled: "" }, `… and ${left} more`));
    this.#choose();
  }

  get #column() {
    return this.#series?.columns[Number(this.field.value)] ?? null;
  }

  /** Another field has another range. */
  #choose() {
    const column = this.#column;
    this.level.value = String(column ? firstLevel(column.field) : 0);
    if (!column?.isState && this.kind.value === "becomes") this.kind.value = "above";
    this.#suit();
  }

  /** The controls follow the kind of field. */
  #suit() {
    const column = this.#column;
    if (!column) return this.#set();
    const { labels, type } = column.field;
    const words = type === "bool" ? ["no", "yes"] : (labels ?? []);
    if (column.isState) this.kind.value = "becomes";
    const hasWords = words.length > 0 && this.kind.value === "becomes";
    this.state.replaceChildren(...words.map((each, i) => html("option", { value: i }, each)));
    if (type === "bool") this.state.value = "1";
    this.state.hidden = !hasWords;
    this.level.hidden = hasWords;
    this.#set();
  }

  /** @returns {Settings} */
  #settings() {
    const field = this.#column?.field;
    const kind = /** @type {Kind} */ (this.kind.value);
    const text = (this.state.hidden ? this.level : this.state).value;
    const level = field ? levelOf(field, text) : 0;
    return {
      kind,
      mode: /** @type {Mode} */ (this.mode.value),
      level,
      hysteresis: field ? hysteresisOf(field, kind, level) : 0,
      share: Math.min(100, Math.max(0, Number(this.share.value))) / 100,
      span: Math.min(600, Math.max(0.01, Number(this.span.value) || 1)) * 1e6,
    };
  }

  /** A field that is left without another value is no new wish. */
  #heed() {
    const now = Object.entries(this.#settings());
    /** @type {Record<string, unknown>} */
    const before = { ...this.trigger?.settings };
    if (now.some(([name, value]) => before[name] !== value)) this.#set();
  }

  #set() {
    const held = this.shot !== null;
    const settings = this.#settings();
    this.column = Number(this.field.value);
    this.trigger = this.#series && settings.mode !== "off" ? new Trigger(settings) : null;
    this.#next = this.#series?.end ?? 0;
    this.#generation = this.#series?.generation ?? 0;
    if (held) this.listener.released();
    this.#tell();
  }

  arm() {
    if (this.mode.value === "off") this.mode.value = "single";
    this.listener.armed();
    this.#set();
  }

  /** What is caught and shown; null: nothing. */
  get shot() {
    return this.trigger?.shot ?? null;
  }

  /** Whether a window of so many µs is that of what is caught. @param {number} span */
  isShown(span) {
    const { shot } = this;
    return shot !== null && Math.abs(shot.to - shot.from - span) < 1;
  }

  /** The stretch of what is caught; and where no more will come, of what is being caught. */
  stretches(isEnd = false) {
    const pending = isEnd ? this.trigger?.pending : null;
    return [this.shot, pending].flatMap((shot) => shot ?? []);
  }

  /** Looks at every tick that came since the last call. */
  feed() {
    const { trigger } = this;
    const series = this.#series;
    if (!series || !trigger) return;
    const before = trigger.shot;
    let changed = false;
    for (let row = Math.max(this.#next, series.begin); row < series.end; row++) {
      const value = series.exact(this.column, row);
      if (trigger.feed(value, series.time(row), series.tick(row), this.#gap(series, row)))
        changed = true;
    }
    this.#next = series.end;
    if (changed) this.#changed(before);
  }

  /** @param {Series} series @param {number} row */
  #gap(series, row) {
    if (series.generation === this.#generation) return series.gap(row);
    this.#generation = series.generation;
    return GAP.restart;
  }

  /** The source ticks no more: what was caught so far is all that there will be. */
  finish() {
    const before = this.shot;
    if (this.trigger?.finish()) this.#changed(before);
  }

  /** @param {Shot | null} before what was shown */
  #changed(before) {
    const { shot } = this;
    this.#tell();
    if (shot && shot !== before) this.listener.fired();
    else if (before && !shot) this.listener.released();
  }

  #tell() {
    const { trigger, shot } = this;
    this.button.disabled = !shot;
    if (!trigger) return this.words("Off");
    const name = this.#series ? at(this.#series.columns, this.column).name : "";
    const missed = shot?.missed ? ` or up to ${shot.missed} ticks earlier, which were lost` : "";
    const caught = shot ? `Fired at tick ${shot.tick}${missed}` : "";
    const isLast = trigger.settings.mode === "single";
    const again = isLast ? "" : `; waits for the next, ${trigger.count} so far`;
    const words = {
      off: "Off",
      armed: `Armed: waiting for ${name}${noiseWords(trigger)}`,
      filling: "Fired, recording what follows",
      held: caught + again,
    };
    this.words(words[trigger.phase]);
  }
}

/** What it takes for noise; "": nothing. @param {Trigger} trigger */
function noiseWords({ back, settings: { hysteresis, kind } }) {
  const side = kind === "above" ? "below" : "above";
  return hysteresis ? `; counts again after ${Number(Number(back).toPrecision(6))} or ${side}` : "";
}

/** @param {string} id */
function select(id) {
  return /** @type {HTMLSelectElement} */ (byId(id));
}

/** @param {string} id */
function input(id) {
  return /** @type {HTMLInputElement} */ (byId(id));
}
