// Making nodes, and changing only what changed. Text is text: nothing here parses markup.

const SVG = "http://www.w3.org/2000/svg";

/** @typedef {Record<string, string | number>} Attributes */

/**
 * @template {Element} E
 * @param {E} element
 * @param {Attributes} attributes
 * @param {(Node | string)[]} children
 * @returns {E}
 */
function furnish(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value));
  element.append(...children);
  return element;
}

/**
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Attributes} [attributes]
 * @param {...(Node | string)} children
 */
export function html(tag, attributes = {}, ...children) {
  return furnish(document.createElement(tag), attributes, children);
}

/**
 * @template {keyof SVGElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Attributes} [attributes]
 * @param {...(Node | string)} children
 */
export function svg(tag, attributes = {}, ...children) {
  return furnish(document.createElementNS(SVG, tag), attributes, children);
}

/**
 * An element that index.html promises.
 * @param {string} id
 * @returns {HTMLElement}
 */
export function byId(id) {
  const element = document.getElementById(id);
  if (!element) throw new Error(`index.html has no #${id}`);
  return element;
}

/**
 * A text node that is written only when its text changes.
 * @param {Element} parent
 * @param {string} [text]
 * @returns {(text: string) => void}
 */
export function liveText(parent, text = "") {
  const node = document.createTextNode(text);
  parent.append(node);
  return (next) => {
    if (next !== text) node.data = text = next;
  };
}

/**
 * Text for who listens: the newest, but not more of it than can be listened to.
 * @param {Element} parent
 * @param {number} [pace] ms
 * @returns {(text: string) => void}
 */
export function spokenText(parent, pace = 5000) {
  const write = liveText(parent);
  let next = 0;
  let timer = 0;
  return (text) => {
    clearTimeout(timer);
    const speak = () => {
      next = performance.now() + pace;
      write(text);
    };
    timer = setTimeout(speak, Math.max(0, next - performance.now()));
  };
}

/**
 * An attribute that is written only when it changes.
 * @param {Element} element
 * @param {string} name
 * @returns {(value: string | number) => void}
 */
export function liveAttribute(element, name) {
  let last = element.getAttribute(name);
  return (value) => {
    const next = String(value);
    if (next !== last) element.setAttribute(name, (last = next));
  };
}

/**
 * A class that is toggled only when it changes.
 * @param {Element} element
 * @param {string} name
 * @returns {(on: boolean) => void}
 */
export function liveClass(element, name) {
  let last = element.classList.contains(name);
  return (on) => {
    if (on !== last) element.classList.toggle(name, (last = on));
  };
}
