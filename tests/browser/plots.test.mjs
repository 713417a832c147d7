// What the plots, the trigger and the export tell while programs end, come back, and people reach in.
// The publisher's values follow from the tick's number: `level` is a tenth of it modulo 100.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { Scene, claims, historyOf, launchBrowser, look, lookAtTicks, rowsOf, saved, until } from "./harness.mjs";

let browser;
before(async () => (browser = await launchBrowser()));
after(() => browser.close());

const where = (page) => page.getByTestId("where").textContent();
const said = (page) => page.getByTestId("trigger").textContent();
const exported = async (page) => rowsOf((await saved(page, page.getByTestId("csv"))).bytes.toString());
const wherever = (page, pattern) => until(`the plots show ${pattern}`, () => where(page), (words) => pattern.test(words));
const tells = (page, pattern) => until(`the trigger says ${pattern}`, () => said(page), (words) => pattern.test(words));

async function tank(t, { period = 2000, hash = "" } = {}) {
  const scene = await Scene.open(t);
  const publisher = await scene.publisher("tank", "--period", String(period));
  const observer = await scene.observer();
  const page = await scene.page(browser, observer.link + hash);
  await claims(page, "live");
  await wherever(page, /^The newest ticks$/);
  return { scene, publisher, observer, page };
}

/** Lets the trigger wait for a level. */
async function arm(page, { kind = "above", level, span = 0.2, share = 50, mode = "single" }) {
  if (!(await page.getByLabel("When").isVisible())) await page.locator("#trigger summary").click();
  await page.getByLabel("When").selectOption({ label: "level" });
  await page.getByLabel("does what").selectOption(kind);
  if (level !== undefined) await page.getByLabel("what", { exact: true }).fill(String(level));
  await page.locator("#trigger-span").fill(String(span));
  await page.getByLabel("before it").fill(String(share));
  await page.locator("#trigger-mode").selectOption(mode);
}

const tickOf = (words) => Number(words.match(/tick (\d+)/)[1]);

test("numbers of twenty digits are plotted: their last ones are beyond what a scale can tell apart", async (t) => {
  // countdown begins at 2^64 - 2; as a double it steps by 2048, once after 1024 ticks.
  const { page } = await tank(t, { period: 1000, hash: "#tank&w=1&p=countdown" });
  await until("the step is in sight", () => look(page), ({ tick }) => Number(tick.replace(/\D/g, "")) > 1100);
  await lookAtTicks(page, 5);
});

test("the legend has a unit behind a number, and none behind what is no reading", async (t) => {
  const { page } = await tank(t, { hash: "#tank&w=1&p=level,broken" });
  const item = (name) => page.locator(".legend li", { hasText: name }).innerText();
  await until("both are told", () => item("broken"), (words) => /no reading/.test(words));
  assert.doesNotMatch(await item("broken"), /no reading\s*V/);
  assert.match(await item("level"), /\d\s*l\b/);
});

test("trigger: falls below, auto: the plots run on by themselves, and stop again", async (t) => {
  const { page } = await tank(t, { period: 3000 });
  await arm(page, { kind: "below", mode: "auto" });
  assert.equal(await page.getByLabel("what", { exact: true }).inputValue(), "50", "the middle of the range, to begin with");
  const first = tickOf(await wherever(page, /^Trigger at/));
  assert.equal(first % 1000, 0, "the first tick below 50 l");
  await wherever(page, /^The newest ticks$/);
  const second = tickOf(await wherever(page, /^Trigger at/));
  assert.ok(second > first && second % 1000 === 0, `tick ${second} after ${first}`);
});

test("trigger: what is noise, and so does not count, is told in words", async (t) => {
  const { page } = await tank(t);
  await arm(page, { level: 99.95 });
  assert.equal(await said(page), "Armed: waiting for level; counts again after 99.45 or below");
  await page.getByLabel("When").selectOption({ label: "counter" });
  assert.equal(await said(page), "Armed: waiting for counter");
});

test("trigger: a level at the end of the range, where the value rests", async (t) => {
  const { page } = await tank(t, { period: 1000 });
  await arm(page, { level: 0 });
  assert.equal(tickOf(await tells(page, /^Fired at/)) % 1000, 1, "the first tick above 0 l");
});

test("trigger: a robot that dies right after it fired: what was caught is shown", async (t) => {
  const { page, publisher } = await tank(t, { period: 1000 });
  await arm(page, { level: 50, span: 500, share: 1 });
  await tells(page, /^Fired, recording what follows$/);
  await publisher.stop("SIGKILL");
  const tick = tickOf(await tells(page, /^Fired at tick/));
  assert.equal(tick % 1000, 501);
  await wherever(page, new RegExp(`^Trigger at .*tick ${tick}$`));
  await claims(page, "stopped");
  const rows = await exported(page);
  assert.ok(rows.some((row) => Number(row.tick) === tick), "its tick is there");
  assert.ok(Number(rows.at(-1).tick) > tick, "and what followed");
});

test("trigger: who looks at one shot is not pulled to the next; Show goes there", async (t) => {
  const { page } = await tank(t, { period: 1000 });
  const show = page.getByRole("button", { name: "Show", exact: true });
  await arm(page, { level: 50, mode: "normal" });
  assert.equal(await show.isDisabled(), true, "nothing is caught yet");
  await wherever(page, /^Trigger at/);
  await page.getByRole("button", { name: "Earlier" }).click();
  const chosen = await wherever(page, /^Until/);
  const count = async () => Number((await said(page)).match(/(\d+) so far/)?.[1] ?? 0);
  const shots = await count();
  await until("two more were caught", count, (now) => now >= shots + 2);
  assert.equal(await where(page), chosen, "the window stays");
  await show.click();
  const shown = tickOf(await wherever(page, /^Trigger at/));
  assert.equal(shown % 1000, 501);
  await wherever(page, new RegExp(`^Trigger at .*tick (?!${shown}$)`));
  await page.locator("#trigger-mode").selectOption("off");
  await wherever(page, /^The newest ticks$/);
});

test("trigger: what is caught while all stands still is shown on resume", async (t) => {
  const { page } = await tank(t, { period: 1000 });
  await arm(page, { level: 50, span: 0.1 });
  await page.getByTestId("pause").click();
  const paused = await wherever(page, /^(Until|Trigger)/);
  const tick = tickOf(await tells(page, /^Fired at/));
  if (!paused.startsWith("Trigger")) assert.equal(await where(page), paused, "it stands still");
  await page.getByTestId("pause").click();
  await wherever(page, new RegExp(`^Trigger at .*tick ${tick}$`));
  await page.getByTestId("pause").click();
  await page.getByTestId("pause").click();
  await wherever(page, new RegExp(`^Trigger at .*tick ${tick}$`));
  await page.getByTestId("follow").click();
  await wherever(page, /^The newest ticks$/);
});

test("64-bit integers are shown, caught and exported to the last digit", async (t) => {
  const { page } = await tank(t, { hash: "#tank&p=countdown,counter" });
  const exact = (tick) => String(2n ** 64n - 1n - BigInt(tick));
  const seen = page.locator('[data-field="countdown"] .seen');
  await until("least and greatest", () => seen.textContent(), (text) => /^seen 1844674407370\d{7} to 1844674407370\d{7}$/.test(text));
  assert.match(await seen.textContent(), /^seen (\d+) to (?!\1)\d+$/);
  await page.getByTestId("pause").click();
  const [countdown, counter] = await page.getByTestId("chart").first().locator(".legend data").allTextContents();
  assert.equal(countdown, exact(counter));
  const rows = await exported(page);
  assert.ok(rows.length > 10);
  for (const row of rows) assert.equal(row.countdown, exact(row.tick));

  await page.getByTestId("pause").click();
  await page.locator("#trigger summary").click();
  await page.getByLabel("When").selectOption({ label: "countdown" });
  await page.getByLabel("does what").selectOption("becomes");
  const wanted = Number((await look(page)).tick) + 2000;
  await page.getByLabel("what", { exact: true }).fill(exact(wanted));
  await page.locator("#trigger-mode").selectOption("single");
  assert.equal(tickOf(await tells(page, /^Fired at/)), wanted);
});

test("restarts of observer and robot: each tick once, in order, and none that the observer knows is missing", async (t) => {
  const { page, scene, observer, publisher } = await tank(t, { hash: "#tank&w=60" });
  await lookAtTicks(page, 20);
  await observer.stop("SIGKILL");
  await claims(page, "observer gone");
  const next = await scene.observer({ port: observer.port });
  await claims(page, "live");
  await lookAtTicks(page, 20);
  await publisher.stop("SIGKILL");
  await claims(page, "stopped");
  await scene.publisher("tank", "--period", "2000");
  await claims(page, "live");
  await lookAtTicks(page, 20);
  await wherever(page, /^The newest ticks$/);
  await page.getByTestId("pause").click();

  const rows = await exported(page);
  const instances = [...new Set(rows.map(({ instance }) => instance))];
  assert.equal(instances.length, 2);
  rows.forEach(({ instance, tick, monotonic }, i) => {
    if (i === 0) return;
    const before = rows[i - 1];
    assert.ok(Number(monotonic) > Number(before.monotonic), `in order at tick ${tick}`);
    if (instance === before.instance) assert.ok(Number(tick) > Number(before.tick), `tick ${tick} after ${before.tick}`);
  });
  const times = new Set(rows.map(({ monotonic }) => Number(monotonic)));
  const last = Number(rows.at(-1).monotonic);
  const known = (await historyOf(next.url, "tank")).filter(({ monotonic }) => monotonic <= last);
  assert.ok(known.length > 100, `${known.length} ticks`);
  assert.deepEqual(known.filter(({ monotonic }) => !times.has(monotonic)), []);
});

test("the stretch of which nothing is known has another ground; where all is known there is none", async (t) => {
  const { page } = await tank(t, { hash: "#tank&w=600&p=level" });
  /** How much of the height is painted at so much of the width. */
  const painted = (place) =>
    page.locator(".plot canvas").first().evaluate((canvas, place) => {
      const x = Math.floor(canvas.width * place);
      const { data } = canvas.getContext("2d").getImageData(x, 0, 1, canvas.height);
      return data.filter((value, i) => i % 4 === 3 && value > 0).length / canvas.height;
    }, place);
  const columns = async () => (await Promise.all([0.3, 0.4, 0.5].map(painted))).sort();
  await until("there is a ground", columns, ([least]) => least > 0.6);
  await lookAtTicks(page, 100);
  await page.getByLabel("Stretch of time shown").selectOption("1");
  await until("there is none", columns, ([least]) => least < 0.4);
});

test("a robot that does not know its heading or a wheel's power is not drawn as if it did", async (t) => {
  const scene = await Scene.open(t);
  await scene.robot();
  const { link } = await scene.observer();
  const page = await scene.page(browser, "about:blank");
  await page.routeWebSocket(/\/ws$/, (socket) => {
    const server = socket.connectToServer();
    server.onMessage((text) => {
      const message = JSON.parse(text);
      if (message.values) Object.assign(message.values, { heading: null, motor_power: [null, 40, null] });
      socket.send(JSON.stringify(message));
    });
  });
  await page.goto(link);
  const figure = page.locator("figure.robot");
  await until("it says so", () => figure.locator("figcaption").textContent(), (words) => words.endsWith("heading not known"));
  assert.equal(await figure.locator(".needle").getAttribute("visibility"), "hidden");
  assert.deepEqual(await figure.locator(".power").allTextContents(), ["–", "+40\u202f%", "–"]);
});

/** A made-up source with so many columns that the page has room for no more than 1,024 of its ticks. */
class Wide {
  sockets = new Set();
  tick = 0;
  time = 0;
  instance = "first";

  get report() {
    const field = (name, type, count) => ({ name, type, count, unit: "", minimum: null, maximum: null, description: "" });
    const schema = { hash: "1", fields: [field("x", "u32", 1), field("wide", "f64", 4096)] };
    const { instance, tick } = this;
    return { name: "wide", state: "live", reason: "", age: 0, instance, period: 1000, process: 1, version: 1, tick, ticks: tick, lost: 0, schema };
  }

  /** @param {import("playwright-core").WebSocketRoute} socket */
  take(socket) {
    const send = (message) => socket.send(JSON.stringify(message));
    const clocks = () => ({ time: Date.now() * 1000, monotonic: Math.round(performance.now() * 1000) });
    send({ op: "hello", protocol: "omniscient.v1", version: "0", instance: "o", ...clocks(), sources: [this.report], refused: [] });
    socket.onMessage((text) => {
      const { op, id, mode } = JSON.parse(text);
      if (op === "ping") send({ op: "pong", id, ...clocks() });
      if (op === "subscribe" && mode === "every") this.sockets.add(send);
    });
    const alive = setInterval(() => send({ op: "alive" }), 500);
    socket.onClose(() => clearInterval(alive));
    alive.unref();
  }

  grow(count) {
    const rows = Array.from({ length: count }, () => {
      this.time += 1000;
      return [++this.tick, 1790000000000000 + this.time, this.time, this.tick];
    });
    const columns = ["tick", "time", "monotonic", "x"];
    for (const send of this.sockets) send({ op: "batch", source: "wide", instance: this.instance, lost: 0, columns, rows });
  }

  reboot() {
    Object.assign(this, { instance: "second", tick: 0, time: 0 });
  }
}

test("what is held or caught stays, picture and file, though the page has long thrown out those ticks", async (t) => {
  const scene = await Scene.open(t);
  const { link } = await scene.observer();
  const page = await scene.page(browser, "about:blank");
  const wide = new Wide();
  await page.routeWebSocket(/\/ws$/, (socket) => wide.take(socket));
  await page.goto(`${link}#wide&w=0.2&p=x`);
  await until("it wants every tick", () => wide.sockets.size);
  const ticks = async () => (await exported(page)).map(({ tick }) => Number(tick));
  const picture = () => page.locator(".plot canvas").first().evaluate((canvas) => canvas.toDataURL());
  const range = (from, to) => Array.from({ length: to - from + 1 }, (_, i) => from + i);

  wide.grow(600);
  await wherever(page, /^The newest ticks$/);
  await page.getByTestId("pause").click();
  const drawn = await picture();
  assert.deepEqual(await ticks(), range(400, 600));
  await page.locator("#trigger summary").click();
  await page.getByLabel("does what").selectOption("becomes");
  await page.getByLabel("what", { exact: true }).fill("2000");
  await page.locator("#trigger-span").fill("0.1");
  await page.locator("#trigger-mode").selectOption("single");
  for (let i = 0; i < 15; i++) wide.grow(100);
  await tells(page, /^Fired at tick 2000$/);
  await page.getByTestId("chart").first().hover({ position: { x: 100, y: 5 } });
  assert.deepEqual(await ticks(), range(400, 600));
  assert.equal(await picture(), drawn);

  await page.getByTestId("pause").click();
  await page.getByLabel("what", { exact: true }).fill("2500");
  await page.keyboard.press("Enter");
  await tells(page, /^Armed/);
  for (let i = 0; i < 16; i++) wide.grow(100);
  await wherever(page, /^Trigger at .*tick 2500$/);
  await page.getByTestId("follow").click();
  await until("all came", ticks, (all) => all.at(-1) === 3700);
  await page.getByRole("button", { name: "Show", exact: true }).click();
  assert.deepEqual(await ticks(), range(2450, 2550));
  wide.reboot();
  wide.grow(300);
  await page.getByTestId("follow").click();
  await until("the new run came", ticks, (all) => all.join() === range(100, 300).join());
  await page.getByRole("button", { name: "Show", exact: true }).click();
  await wherever(page, /^Trigger at .*tick 2500$/);
  assert.deepEqual(await ticks(), range(2450, 2550), "also over a reboot of its machine");
});
