// The buttons of the header and the keys that press them.

import { isLoopback } from "../link.js";
import { byId, html, liveAttribute, liveText } from "./dom.js";

/** @import { Theme } from "../layout.js" */
/** @import { SoundMessage } from "../protocol.js" */

/** @type {Theme[]} */
const THEMES = ["auto", "dark", "light"];

/**
 * @param {string} id
 * @param {() => void} action
 * @returns {{ words: (text: string) => void, pressed: (on: boolean) => void, button: HTMLElement }}
 */
function tool(id, action) {
  const button = byId(id);
  const text = button.textContent?.trim() ?? "";
  button.textContent = "";
  const words = liveText(button, text);
  const pressed = liveAttribute(button, "aria-pressed");
  button.onclick = action;
  return { words, pressed: (on) => pressed(String(on)), button };
}

/** Pressed or not: its word stays. @param {() => void} action */
export function pauseTool(action) {
  return tool("pause", action).pressed;
}

/** @param {(theme: Theme) => void} choose */
export function themeTool(choose) {
  /** @type {Theme} */
  let theme = "auto";
  const next = () => THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length] ?? "auto";
  const { words } = tool("theme", () => choose(next()));
  return (/** @type {Theme} */ chosen) => {
    theme = chosen;
    document.documentElement.dataset["theme"] = theme;
    words(`Theme: ${theme}`);
  };
}

/** @param {(on: boolean) => void} ask */
export function soundTool(ask) {
  let isOn = false;
  const { words, pressed, button } = tool("sound", () => ask(!isOn));
  const title = liveAttribute(button, "title");
  const said = liveText(byId("sound-said"));
  return (/** @type {SoundMessage | null} */ sound) => {
    button.hidden = sound === null;
    if (!sound) return;
    isOn = sound.on === true;
    pressed(isOn);
    words(sound.state === "no-device" ? "Sound: no device" : "Sound");
    title(String(sound.reason ?? ""));
    // Where nothing hovers, a title tells nobody.
    said(sound.reason ? `On the observer’s machine: ${sound.reason}` : "");
  };
}

const HERE_ONLY =
  "It opens on this machine only. For others, start the observer with --listen 0.0.0.0:8080.";

/** @param {() => string} link makes the address that shows the same */
export function shareTool(link) {
  const dialog = /** @type {HTMLDialogElement} */ (byId("share-dialog"));
  const field = /** @type {HTMLInputElement} */ (byId("share-link"));
  const said = liveText(byId("share-said"));
  tool("share", () => {
    field.value = link();
    said(isLoopback(location.hostname) ? HERE_ONLY : "");
    dialog.showModal();
    field.select();
  });
  byId("copy").onclick = async () => {
    field.select();
    // Only a page that came safely may write to the clipboard by itself.
    const copied = await navigator.clipboard?.writeText(field.value).then(
      () => true,
      () => false,
    );
    said(copied ? "Copied." : "Selected: press Ctrl C.");
  };
}

/**
 * What a key does, and in which words the dialog tells it.
 * @typedef {[keys: string[], words: string, action: () => void]} Shortcut
 */

/**
 * @param {Shortcut[]} shortcuts
 * @param {(isOn: boolean) => void} switched keys on or off
 * @returns {(isOn: boolean) => void} switches them
 */
export function helpTool(shortcuts, switched) {
  const dialog = /** @type {HTMLDialogElement} */ (byId("help-dialog"));
  const keys = /** @type {HTMLInputElement} */ (byId("keys-on"));
  /** @type {Shortcut[]} */
  const all = [...shortcuts, [["?"], "This help", () => dialog.showModal()]];
  byId("shortcuts").append(
    ...all.map(([names, words]) => {
      const caps = names.flatMap((name) => [html("kbd", {}, name), " "]);
      return html("div", {}, html("dt", {}, ...caps), html("dd", {}, words));
    }),
  );
  tool("help", () => dialog.showModal());
  keys.onchange = () => switched(keys.checked);
  addEventListener("keydown", (event) => {
    if (!keys.checked || event.ctrlKey || event.metaKey || event.altKey) return;
    if (document.querySelector("dialog[open]") || isTyping(event.target)) return;
    const shortcut = all.find(([names]) => names.includes(keyName(event.key)));
    if (!shortcut) return;
    event.preventDefault();
    shortcut[2]();
  });
  return (isOn) => (keys.checked = isOn);
}

/** @param {string} key */
function keyName(key) {
  return key.length === 1 ? key.toUpperCase() : (ARROWS[key] ?? key);
}

/** @type {Record<string, string>} */
const ARROWS = { ArrowLeft: "←", ArrowRight: "→" };

/** @param {EventTarget | null} target */
function isTyping(target) {
  return target instanceof Element && target.closest("input, select, textarea") !== null;
}
