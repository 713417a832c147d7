// The top of the page: which source, in which state, how old, how fast, what was lost.

import { CLAIM_WORDS, NOTHING, explain, formatAge } from "../format.js";
import { byId, html, liveAttribute, liveText } from "./dom.js";

/** @import { Model, Verdict } from "../state.js" */

/** @param {string} id @returns {(text: string) => void} */
function textOf(id) {
  const element = byId(id);
  element.textContent = "";
  return liveText(element);
}

/**
 * @param {(name: string) => void} pick called when somebody picks a source
 * @returns {(model: Model, verdict: Verdict, hasFigures: boolean) => void} `hasFigures`: whether
 *   it is time for new figures; the state is always shown at once
 */
export function headerView(pick) {
  const claim = textOf("claim");
  const age = textOf("age");
  const explanation = textOf("explanation");
  const announce = textOf("announcer");
  const claimAttribute = liveAttribute(document.body, "data-claim");
  const fresh = liveAttribute(document.body, "data-fresh");
  const meters = metersView();
  tellHeight();
  const picker = pickerView(pick);
  let title = "";
  return (model, verdict, hasFigures) => {
    const source = model.current();
    const word = CLAIM_WORDS[verdict.claim];
    const name = source?.name ?? "Omniscient";
    const sentence = explain(verdict.claim, source);
    claim(word);
    if (hasFigures) age(formatAge(verdict.age));
    explanation(sentence);
    claimAttribute(verdict.claim);
    fresh(verdict.fresh ? "yes" : "no");
    if (hasFigures) meters(model, verdict);
    picker(model, verdict);
    if (verdict.claim !== "checking") announce(`${name}: ${word}. ${sentence}`);
    if (title !== `${word} · ${name}`) document.title = title = `${word} · ${name}`;
  };
}

/** @returns {(model: Model, verdict: Verdict) => void} */
function metersView() {
  const rate = textOf("rate");
  const tick = textOf("tick");
  const lost = textOf("lost");
  const dropped = textOf("dropped");
  return (model, verdict) => {
    const source = model.current();
    const hertz = verdict.fresh ? source?.rate.hertz() : null;
    rate(hertz === null || hertz === undefined ? NOTHING : hertz.toFixed(1));
    tick(source?.values ? String(source.tick) : NOTHING);
    lost(source ? String(source.lost) : NOTHING);
    dropped(source ? String(source.dropped) : NOTHING);
  };
}

/**
 * One source is a title, several are a choice.
 * @param {(name: string) => void} pick
 * @returns {(model: Model, verdict: Verdict) => void}
 */
function pickerView(pick) {
  const title = byId("name");
  const name = textOf("name");
  const label = byId("picker");
  const select = /** @type {HTMLSelectElement} */ (byId("sources"));
  select.onchange = () => pick(select.value);
  /** @type {string[]} */
  let shown = [];
  return (model, verdict) => {
    name(model.selected || NOTHING);
    const many = model.sources.size > 1;
    if (label.hidden === many) {
      label.hidden = !many;
      title.classList.toggle("unseen", many);
    }
    const known =
      verdict.claim === "live" || verdict.claim === "stopped" || verdict.claim === "late";
    const names = [...model.sources.keys()];
    if (names.length !== shown.length || names.some((each, index) => each !== shown[index])) {
      select.replaceChildren(...names.map((each) => html("option", { value: each })));
      shown = names;
    }
    let index = 0;
    for (const source of model.sources.values()) {
      // The chip beside it tells the state of the one that is looked at.
      const isOther = known && source.name !== model.selected;
      const state = isOther ? ` · ${source.live ? "live" : "stopped"}` : "";
      const option = select.options[index++];
      if (option && option.label !== source.name + state) option.label = source.name + state;
    }
    if (select.value !== model.selected) select.value = model.selected;
  };
}

/** What gets the focus is not to lie under the header, which stays in sight. */
function tellHeight() {
  const header = /** @type {HTMLElement} */ (document.querySelector("header"));
  const { style } = document.documentElement;
  new ResizeObserver(() => style.setProperty("--header", `${header.offsetHeight}px`)).observe(header);
}
