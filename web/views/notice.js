// What stands in the middle of the page while there is nothing to draw, and what to do about it.

import { html } from "./dom.js";

/** @import { Refusal } from "../protocol.js" */
/** @import { Claim, Model } from "../state.js" */

/**
 * @param {HTMLElement} section
 * @returns {(model: Model, claim: Claim) => void}
 */
export function noticeView(section) {
  let last = "";
  return (model, claim) => {
    const content = contentFor(model, claim);
    section.hidden = content === null;
    const next = content === null ? "" : JSON.stringify([content, model.refused]);
    if (next === last) return;
    last = next;
    section.replaceChildren(
      ...(content === "empty" ? waiting() : []),
      ...(content === "needs-link" ? locked() : []),
      ...(model.refused.length && content !== "needs-link" ? refusals(model.refused) : []),
    );
  };
}

/**
 * @param {Model} model
 * @param {Claim} claim
 * @returns {"empty" | "needs-link" | "refusals" | null}
 */
function contentFor(model, claim) {
  if (claim === "empty" || claim === "needs-link") return claim;
  return model.refused.length ? "refusals" : null;
}

function waiting() {
  return [
    html("h2", {}, "No robot yet"),
    html("p", {}, "The observer is running and waits for something to watch. Start a robot:"),
    html("pre", {}, html("code", {}, "omni-robot")),
    html("p", {}, "It appears here by itself."),
  ];
}

function locked() {
  return [
    html("h2", {}, "This page needs its link"),
    html("p", {}, "This observer shows its robots only to who has its token."),
    html("p", {}, "Open the link that omni-observer printed when it started; it looks like this:"),
    html("pre", {}, html("code", {}, `${location.origin}/?token=…`)),
  ];
}

/** @param {Refusal[]} refused */
function refusals(refused) {
  const items = refused.map(({ name, problem }) =>
    html("li", {}, html("strong", {}, name), " ", problem),
  );
  return [
    html("h3", {}, "Found, but not readable"),
    html("ul", { class: "refused", "data-testid": "refused" }, ...items),
  ];
}
