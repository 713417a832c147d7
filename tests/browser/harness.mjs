// A scene for each test: real programs in a folder of their own, a real Chromium, and an end that
// leaves nothing behind. Nothing here asserts how long something takes: `until` waits for what must
// become true, and gives up after a minute.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtemp, readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

import { chromium } from "playwright-core";

import { BUILD, Place, Program } from "../integration/support.mjs";

const PATIENCE_MS = 60_000;
const BROWSER_ARGUMENTS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/**
 * Waits until `probe` gives something that `accept` likes, and returns that.
 * @template T
 * @param {string} what
 * @param {() => T | Promise<T>} probe
 * @param {(value: T) => unknown} [accept]
 * @returns {Promise<T>}
 */
export async function until(what, probe, accept = Boolean) {
  const end = Date.now() + PATIENCE_MS;
  for (;;) {
    const value = await probe();
    if (accept(value)) return value;
    if (Date.now() > end) assert.fail(`waited in vain: ${what}; last: ${JSON.stringify(value)}`);
    await sleep(20);
  }
}

/** @param {string} [executablePath] */
export function launchBrowser(executablePath = "/usr/bin/chromium") {
  return chromium.launch({ executablePath, args: BROWSER_ARGUMENTS });
}

export class Scene extends Place {
  /** A command that runs another, such as `ip netns exec NAME`. @type {string[]} */
  within = [];
  contexts = [];
  complaints = [];

  /** @param {import("node:test").TestContext} t */
  static async open(t) {
    const scene = new Scene(await mkdtemp(join(tmpdir(), "omni-browser-")));
    t.after(() => scene.close());
    return scene;
  }

  async close() {
    for (const context of this.contexts) await context.close();
    await super.close();
    assert.deepEqual(this.complaints, [], "the page complained");
  }

  start(file, args, options) {
    if (!this.within.length) return super.start(file, args, options);
    const [command, ...words] = [...this.within, join(BUILD, file), ...args];
    const child = spawn(command, words, { stdio: ["ignore", "pipe", "pipe"] });
    const program = new Program(child, file);
    this.programs.push(program);
    return program;
  }

  /** An observer of this scene's folder; has `link` (with the token) and `port` too. */
  async observer({ port = 0, address = "127.0.0.1", args = [] } = {}) {
    const observer = await this.startObserver({ listen: `${address}:${port}`, args });
    observer.link = observer.url + (observer.token ? `/?token=${observer.token}` : "/");
    observer.port = Number(new URL(observer.url).port);
    return observer;
  }

  /** @param {string} name @param {...string} args */
  publisher(name, ...args) {
    return this.startPublisher({ name, args });
  }

  /** @param {...string} args */
  robot(...args) {
    return this.startRobot({ args });
  }

  /**
   * A page of its own. What it throws, and what its security policy forbids, fails the test.
   * @param {import("playwright-core").Browser} browser
   * @param {string} link
   * @param {import("playwright-core").BrowserContextOptions & { script?: string }} [options]
   */
  async page(browser, link, { script = "", ...options } = {}) {
    const context = await browser.newContext(options);
    this.contexts.push(context);
    const page = await context.newPage();
    page.on("pageerror", (error) => this.complaints.push(String(error)));
    page.on("console", (message) => {
      if (/Content Security Policy/.test(message.text())) this.complaints.push(message.text());
    });
    if (script) await page.addInitScript(script);
    await page.goto(link);
    return page;
  }
}

/**
 * All that the page shows, at one moment: what is in one frame belongs together.
 * @param {import("playwright-core").Page} page
 */
export function look(page) {
  return page.evaluate(() => {
    const text = (/** @type {string} */ id) =>
      document.querySelector(`[data-testid="${id}"]`)?.textContent.trim() ?? null;
    const fields = [...document.querySelectorAll("[data-field]")].map((field) => [
      field.getAttribute("data-field"),
      [...field.querySelectorAll("data")].map((data) => data.value),
    ]);
    return {
      claim: text("claim"),
      age: text("age"),
      tick: text("tick"),
      rate: text("rate"),
      lost: text("lost"),
      name: text("name"),
      explanation: text("explanation"),
      announced: text("announcer"),
      stale: text("stale-values"),
      fresh: document.body.dataset.fresh,
      title: document.title,
      fields,
    };
  });
}

/** Waits until the page claims this, and returns all that it shows then. */
export function claims(page, claim) {
  return until(
    `the page says "${claim}"`,
    () => look(page),
    (shown) => shown.claim === claim,
  );
}

/** Waits for `count` looks at different ticks of a live source. */
export async function lookAtTicks(page, count) {
  const seen = new Map();
  await until(
    `${count} ticks were shown`,
    () => look(page),
    (shown) => {
      if (shown.claim === "live" && shown.tick !== "\u2013") seen.set(shown.tick, shown);
      return seen.size >= count;
    },
  );
  return [...seen.values()];
}

/** Asserts that what is shown looks old and says so. */
export function assertStale(shown) {
  assert.equal(shown.fresh, "no");
  assert.match(shown.stale, /^Not live: last known values, [\d.]+ (ms|s|min) old$/);
  assert.equal(shown.rate, "\u2013");
}

/** Presses a button that saves a file, and reads that file. */
export async function saved(page, button) {
  const [download] = await Promise.all([page.waitForEvent("download"), button.click()]);
  return { name: download.suggestedFilename(), bytes: await readFile(await download.path()) };
}

/** The rows of a CSV that has no quotes, by column; without their units. */
export function rowsOf(text) {
  const [head, ...lines] = text.trimEnd().split("\r\n");
  const names = head.split(",").map((name) => name.replace(/ \(.*\)$/, ""));
  return lines.map((line) => Object.fromEntries(line.split(",").map((cell, i) => [names[i], cell])));
}

/** What the observer itself has of a source's past, by column. */
export async function historyOf(url, source) {
  const { rows, columns } = await (await fetch(`${url}/api/history?source=${source}&seconds=600`)).json();
  return rows.map((row) => Object.fromEntries(row.map((cell, i) => [columns[i], cell])));
}
