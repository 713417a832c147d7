// What somebody does with the page: plots, values, events, trigger, export, layout. The publisher's
// values follow from the tick's number, so what is shown can be checked to the digit.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { Scene, claims, historyOf, launchBrowser, look, lookAtTicks, rowsOf, saved, until } from "./harness.mjs";

let browser;
before(async () => (browser = await launchBrowser()));
after(() => browser.close());

const legend = (page) => page.getByTestId("chart").locator(".legend li > span").allTextContents();
const where = (page) => page.getByTestId("where").textContent();

async function tankPage(t, { period = 2000, options, ...more } = {}) {
  const scene = await Scene.open(t);
  await scene.publisher("tank", "--period", String(period));
  const observer = await scene.observer();
  const page = await scene.page(browser, observer.link + (more.hash ?? ""), options);
  await claims(page, "live");
  return { scene, page, ...observer };
}

/** Whether there is anything but the ground and the grid in a canvas, by its colours. */
function coloursIn(canvas) {
  return canvas.evaluate((each) => {
    const { data } = each.getContext("2d").getImageData(0, 0, each.width, each.height);
    const colours = new Map();
    for (let i = 0; i < data.length; i += 4) {
      if (data[i + 3] < 250) continue;
      const colour = `${data[i]},${data[i + 1]},${data[i + 2]}`;
      colours.set(colour, (colours.get(colour) ?? 0) + 1);
    }
    return colours.size;
  });
}

test("a page that is opened late shows the past, every tick of it, and exports it", async (t) => {
  const scene = await Scene.open(t);
  await scene.publisher("tank", "--period", "2000");
  const { link, url } = await scene.observer();
  const newest = async () => (await (await fetch(`${url}/api/sources`)).json()).sources[0].tick;
  await until("1,500 ticks are past", newest, (tick) => tick > 1500);
  const opened = await newest();
  const page = await scene.page(browser, link);
  await until("the newest ticks are plotted", () => where(page), (words) => words === "The newest ticks");
  await until("something is drawn", () => coloursIn(page.locator(".plot canvas").first()), (count) => count > 10);

  await page.getByTestId("pause").click();
  const { name, bytes } = await saved(page, page.getByTestId("csv"));
  assert.match(name, /^tank_\d{4}-\d\d-\d\dT\d{6}_plots\.csv$/);
  const rows = rowsOf(bytes.toString());
  const ticks = rows.map(({ tick }) => Number(tick));
  const known = (await historyOf(url, "tank")).map(({ tick }) => tick);
  const expected = known.filter((tick) => tick >= ticks[0] && tick <= ticks.at(-1));
  assert.deepEqual(ticks, expected, "every tick that the observer has, once");
  assert.ok(ticks[0] < opened - 1000, `from tick ${ticks[0]}; the page was opened at ${opened}`);
  assert.ok(ticks.at(-1) > opened, `to tick ${ticks.at(-1)}`);
  ticks.forEach((tick, i) => {
    assert.equal(Date.parse(rows[i].utc), Math.floor(rows[i].time / 1000), `${rows[i].utc} is ${rows[i].time}`);
    assert.equal(rows[i].level, String((tick % 1000) / 10), `level at ${tick}`);
    assert.equal(rows[i]["temperature[1]"], String(-(tick % 50) / 2), `temperature at ${tick}`);
    assert.equal(rows[i].mode, Math.floor(tick / 50) % 2 ? "draining" : "filling", `mode at ${tick}`);
  });
});

test("panning goes into the past, and back to the newest tick", async (t) => {
  const { page } = await tankPage(t);
  await lookAtTicks(page, 10);
  await page.keyboard.press("ArrowLeft");
  assert.match(await until("it is held", () => where(page), (words) => words !== "The newest ticks"), /^Until \d\d:/);
  await page.keyboard.press("l");
  await until("it follows", () => where(page), (words) => words === "The newest ticks");
  const area = page.locator(".plot .u-over").first();
  await area.scrollIntoViewIfNeeded();
  const box = await area.boundingBox();
  await page.mouse.move(box.x + 50, box.y + 50);
  await until("a cursor where nothing is known", () => where(page), (words) => /^Cursor at [\d:.]+: no tick there$/.test(words));
  assert.deepEqual(new Set(await page.locator(".legend data").allTextContents()), new Set(["–"]));
  await page.mouse.move(box.x + box.width - 3, box.y + 50);
  await until("a cursor at a tick", () => where(page), (words) => /^Cursor .*tick \d+$/.test(words));
  await page.mouse.move(box.x + 50, box.y + 50);
  const cursors = await page.locator(".cursor:not(.fired):visible").evaluateAll((all) => all.map((each) => each.style.transform));
  assert.ok(cursors.length > 1, "plots share the cursor");
  assert.equal(new Set(cursors).size, 1, cursors.join());
  await page.mouse.down();
  await page.mouse.move(box.x + 250, box.y + 50, { steps: 5 });
  await page.mouse.up();
  await page.mouse.move(5, 5);
  await until("it is held where it was dragged to", () => where(page), (words) => words.startsWith("Until"));
  await area.dblclick();
  await page.mouse.move(5, 5);
  await until("it follows", () => where(page), (words) => words === "The newest ticks");
});

test("a value is plotted by a click on its name, and taken out again", async (t) => {
  const { page } = await tankPage(t);
  const name = page.getByRole("button", { name: "counter", exact: true });
  assert.equal(await name.getAttribute("aria-pressed"), "false");
  assert.equal((await legend(page)).includes("counter"), false);
  await name.focus();
  await page.keyboard.press("Enter");
  assert.equal(await name.getAttribute("aria-pressed"), "true");
  assert.equal((await legend(page)).includes("counter"), true);
  await page.getByRole("button", { name: "Do not plot counter" }).click();
  assert.equal(await name.getAttribute("aria-pressed"), "false");
  const first = page.getByTestId("chart").first();
  await first.getByRole("combobox").selectOption("hot");
  await first.getByRole("button", { name: "Add to Plot 1" }).click();
  assert.ok((await first.locator(".legend").innerText()).includes("hot"));
  const count = await page.getByTestId("chart").count();
  await page.getByRole("button", { name: "Add plot" }).click();
  assert.equal(await page.getByTestId("chart").count(), count + 1);
  await page.getByRole("button", { name: `Remove Plot ${count + 1}` }).click();
  assert.equal(await page.getByTestId("chart").count(), count);
});

test("values: found by typing, least and greatest since the page is open", async (t) => {
  const { page } = await tankPage(t);
  await page.keyboard.press("/");
  await page.keyboard.type("negative half");
  const shown = page.locator("[data-field]:visible");
  assert.deepEqual(await shown.evaluateAll((all) => all.map((each) => each.dataset.field)), ["temperature"]);
  const seen = page.locator('[data-field="temperature"] .seen');
  await until("all of it was seen", () => seen.textContent(), (text) => text === "seen −24.5 to 49.0");
  await page.keyboard.type("xyz");
  assert.equal(await page.getByText("No field has that").isVisible(), true);
});

test("events: each once, in order, with its tick; a click moves the plots' cursor", async (t) => {
  const { page, url } = await tankPage(t);
  const list = page.getByTestId("events").locator("li");
  await until("there are 30", () => list.count(), (count) => count >= 30);
  await page.getByTestId("pause").click();
  const rows = await list.evaluateAll((all) =>
    all.map((each) => ({
      sequence: Number(each.dataset.sequence),
      tick: Number(each.querySelector(".tick").textContent.slice(1)),
      field: each.querySelector("strong").textContent,
      words: each.querySelector("button > span:last-child").textContent.trim(),
    })),
  );
  assert.equal(new Set(rows.map(({ sequence }) => sequence)).size, rows.length);
  rows.forEach(({ sequence, tick, field, words }, i) => {
    if (i) assert.equal(sequence, rows[i - 1].sequence + 1);
    assert.equal(tick % (field === "mode" ? 50 : 25), 0, `${field} at ${tick}`);
    const after = field === "mode" ? (Math.floor(tick / 50) % 2 ? "draining" : "filling") : Math.floor(tick / 25) % 2 ? "yes" : "no";
    assert.ok(words.endsWith(`→ ${after}`), `${field} at ${tick}: ${words}`);
  });
  const { rows: history, columns } = await (await fetch(`${url}/api/history?source=tank&seconds=600`)).json();
  const ticks = history.map((row) => row[columns.indexOf("tick")]);
  const expected = ticks.filter((tick) => tick % 25 === 0 && tick >= rows[0].tick && tick <= rows.at(-1).tick);
  assert.deepEqual([...new Set(rows.map(({ tick }) => tick))], expected);

  const chosen = rows[5];
  await list.nth(5).getByRole("button").click();
  assert.match(await until("the cursor is there", () => where(page), (words) => words.startsWith("Cursor")), new RegExp(`tick ${chosen.tick}$`));
  await page.getByLabel("Filter events").fill("leaking");
  const fields = await until("only some are left", () => list.locator("strong").allTextContents(), (all) => all.length > 3);
  assert.deepEqual([...new Set(fields)], ["leaking"]);
});

/** What a page says arrives late: a slow network. */
const LATE = `
  window.sockets = [];
  window.WebSocket = class extends WebSocket {
    constructor(...words) { super(...words); window.sockets.push(this); }
    send(data) { setTimeout(() => this.readyState === 1 && super.send(data), 150); }
  };`;

test("events: none is lost though live ones come before what was asked for", async (t) => {
  const scene = await Scene.open(t);
  await scene.publisher("tank", "--period", "2000");
  const { link } = await scene.observer();
  const page = await scene.page(browser, link, { script: LATE });
  const shown = () => page.getByTestId("events").locator("li").evaluateAll((all) => all.map((each) => Number(each.dataset.sequence)));
  for (let round = 1; round <= 3; round++) {
    await claims(page, "live");
    const newest = (await shown()).at(-1) ?? 0;
    await until("new events", shown, (all) => all.at(-1) > newest + 20);
    await page.evaluate(() => window.sockets.forEach((socket) => socket.close()));
    await until("newer events", shown, (all) => all.at(-1) > newest + 40);
  }
  const all = await shown();
  assert.deepEqual(all, all.map((_, i) => all[0] + i), "each once");
  assert.ok(all.length === 300 || all[0] === 1, `from ${all[0]}`);
});

test("trigger: stops the plots around the very tick, with what was before it", async (t) => {
  const { page, url } = await tankPage(t, { period: 1000 });
  await page.getByText("Trigger", { exact: false }).first().click();
  await page.getByLabel("When").selectOption({ label: "level" });
  await page.getByLabel("does what").selectOption("above");
  await page.getByLabel("what", { exact: true }).fill("50");
  await page.locator("#trigger-span").fill("0.2");
  await page.getByLabel("before it").fill("25");
  await page.locator("#trigger-mode").selectOption("single");
  const said = await until("it fired", () => page.getByTestId("trigger").textContent(), (words) => words.startsWith("Fired at"));
  const tick = Number(said.match(/tick (\d+)$/)[1]);
  assert.equal(tick % 1000, 501, "the first tick above 50 l");
  assert.match(await until("the plots tell", () => where(page), (words) => words.startsWith("Trigger")), new RegExp(`tick ${tick}$`));
  const rows = rowsOf((await saved(page, page.getByTestId("csv"))).bytes.toString());
  const at = rows.findIndex((row) => Number(row.tick) === tick);
  const fired = Number(rows[at].monotonic);
  const around = (await historyOf(url, "tank")).filter((row) => row.monotonic >= fired - 50e3 && row.monotonic <= fired + 150e3);
  assert.deepEqual(rows.map((row) => Number(row.tick)), around.map((row) => row.tick), "a quarter before, the rest after");
  rows.forEach((row, i) => assert.equal(Number(row.tick), Number(rows[0].tick) + i, "full rate"));
  await lookAtTicks(page, 5);
  assert.match(await where(page), /^Trigger/, "it stays");

  await page.getByLabel("When").selectOption({ label: "mode" });
  await page.getByLabel("which state").selectOption({ label: "draining" });
  await page.locator("#trigger-mode").selectOption("normal");
  await until("it fired twice", () => page.getByTestId("trigger").textContent(), (words) => /, [2-9]\d* so far/.test(words));
  await page.locator("#trigger-mode").selectOption("off");
  await until("the plots run on", () => where(page), (words) => words === "The newest ticks");
});

/** In the page: its sockets in the order of their opening, and what to do with what comes. */
const WIRE = `
  globalThis.sockets = [];
  globalThis.passes = () => true;
  const { set } = Object.getOwnPropertyDescriptor(WebSocket.prototype, "onmessage");
  Object.defineProperty(WebSocket.prototype, "onmessage", { set(take) {
    if (take) sockets.push(this);
    set.call(this, take && ((event) => passes(this, event.data) && take(event)));
  } });
  const { send } = WebSocket.prototype;
  WebSocket.prototype.send = function (text) {
    this.isEvery ||= text.includes('"every"');
    send.call(this, text);
  };`;
/** In the page: other words than the publisher's. @param {Record<string, string>} words */
const SAYING = (words) => `
  const { parse } = JSON;
  const words = ${JSON.stringify(Object.entries(words))};
  JSON.parse = (text) => parse(words.reduce((all, [from, to]) => all.replaceAll('"' + from + '"', JSON.stringify(to)), text));`;

/** What the plots say of themselves. */
const plotsNote = (page) => page.getByTestId("stale-plots").textContent();

test("plots that get less than the header say so, and do not call it the newest", async (t) => {
  const scene = await Scene.open(t);
  await scene.publisher("tank", "--period", "2000");
  const { link } = await scene.observer();
  const page = await scene.page(browser, link, { script: WIRE });
  await claims(page, "live");
  await until("the plots keep up", () => where(page), (words) => words === "The newest ticks");
  assert.equal(await plotsNote(page), "");
  await page.evaluate(() => {
    globalThis.passes = ({ isEvery }, text) => !isEvery || !text.includes('"batch"');
  });
  assert.match(await until("they say that they do not", () => plotsNote(page)), /^Behind by [\d.]+ s$/);
  assert.match(await until("not the newest", () => where(page), (words) => words !== "The newest ticks"), /^Until \d\d:/);
  const shown = await look(page);
  assert.deepEqual([shown.claim, shown.stale], ["live", ""], "the rest is live");
  await lookAtTicks(page, 5);
  await page.evaluate(() => (globalThis.passes = () => true));
  await until("they caught up", () => plotsNote(page), (words) => words === "");
  await until("the newest again", () => where(page), (words) => words === "The newest ticks");
});

test("an observer that takes one connection only: values live, plots say that they have none", async (t) => {
  const scene = await Scene.open(t);
  await scene.publisher("tank");
  const { link } = await scene.observer({ args: ["--max-clients", "1"] });
  const page = await scene.page(browser, link);
  await claims(page, "live");
  await until("it says so", () => plotsNote(page), (words) => words === "No connection for every tick: trying again");
  assert.equal(await where(page), "No ticks yet");
  const { claim, stale } = await look(page);
  assert.deepEqual([claim, stale], ["live", ""]);
});

test("pause: what stands still says so, the state goes on, and resume resumes", async (t) => {
  const { page } = await tankPage(t);
  await lookAtTicks(page, 5);
  for (let i = 0; i < 6; i++) {
    await page.keyboard.press("p");
    const { fields, stale } = await until("it says so", () => look(page), ({ stale }) => stale !== "");
    assert.equal(stale, `Paused at tick ${new Map(fields).get("counter")[0]}`, "the tick is that of the values");
    await page.keyboard.press("p");
    await until("it goes on", () => look(page), ({ stale }) => stale === "");
    await lookAtTicks(page, 2);
  }
  await page.keyboard.press("p");
  const paused = await until("it says so", () => look(page), ({ stale }) => /^Paused at tick \d+$/.test(stale));
  await lookAtTicks(page, 5);
  const later = await look(page);
  assert.deepEqual(later.fields, paused.fields);
  assert.equal(later.claim, "live");
  await page.getByTestId("pause").click();
  await until("values go on", () => look(page), ({ stale, fields }) => stale === "" && JSON.stringify(fields) !== JSON.stringify(paused.fields));
});

test("paused, then another source: that one lives", async (t) => {
  const scene = await Scene.open(t);
  await scene.publisher("alpha");
  await scene.publisher("beta", "--layout", "b");
  const { link } = await scene.observer();
  const page = await scene.page(browser, link);
  await lookAtTicks(page, 3);
  await page.keyboard.press("p");
  await until("it is paused", () => look(page), ({ stale }) => stale.startsWith("Paused"));
  await page.getByLabel("Source").selectOption("beta");
  const isLive = ({ name, stale, tick, fields }) => name === "beta" && stale === "" && new Map(fields).get("depth")?.[0] === tick;
  await until("beta has values", () => look(page), isLive);
  assert.equal(await page.getByTestId("pause").getAttribute("aria-pressed"), "false");
  await lookAtTicks(page, 5);
});

test("events: of the source that is looked at, and how many of how many", async (t) => {
  const scene = await Scene.open(t);
  await scene.publisher("busy", "--period", "2000");
  await scene.publisher("calm", "--ticks", "1");
  const { link } = await scene.observer();
  const page = await scene.page(browser, link);
  const count = () => page.locator("#events-count").textContent();
  const list = page.getByTestId("events").locator("li");
  await until("more than are listed", count, (words) => /^the newest 300 of \d+$/.test(words));
  assert.equal(await list.count(), 300);
  await page.getByLabel("Filter events").fill("leaking");
  assert.match(await until("only some", count, (words) => !words.startsWith("the")), /^\d+ of the newest \d+$/);
  await page.getByLabel("Filter events").fill("");
  await page.getByLabel("Source").selectOption("calm");
  await until("none of the other", count, (words) => words === "none yet");
  assert.equal(await list.count(), 0);
});

test("a link that is opened in the same tab is heeded, and changes nothing that is kept here", async (t) => {
  const { page } = await tankPage(t);
  await page.getByRole("button", { name: "counter", exact: true }).click();
  const own = await legend(page);
  const kept = () => page.evaluate(() => JSON.parse(localStorage.getItem("omniscient")));
  const before = await kept();
  await page.evaluate(() => (location.hash = "#tank&t=light&w=5&p=hot;mode"));
  await until("it is shown", () => legend(page), (names) => names.join() === "hot,mode");
  assert.equal(await page.locator("html").getAttribute("data-theme"), "light");
  assert.equal(await page.getByLabel("Stretch of time shown").inputValue(), "5");
  await page.getByTestId("theme").click();
  const after = await kept();
  assert.deepEqual(after.panels, before.panels, "another theme is no wish for the link's panels");
  assert.deepEqual([after.theme, after.span], ["auto", 30]);
  assert.deepEqual(await legend(page), ["hot", "mode"], "which are still shown");
  assert.equal(new URL(page.url()).hash, "#tank&w=5&p=hot;mode");
  await page.goto(new URL("#tank", page.url()).href);
  await until("one's own again", () => legend(page), (names) => names.join() === own.join());
});

test("layout: remembered, shared by a link, reset by one click", async (t) => {
  const { page, scene, link } = await tankPage(t);
  const atFirst = await legend(page);
  await page.getByRole("button", { name: "counter", exact: true }).click();
  await page.getByTestId("theme").click();
  assert.equal(await page.locator("html").getAttribute("data-theme"), "dark");
  await page.getByLabel("Stretch of time shown").selectOption("5");
  const chosen = await legend(page);
  await page.reload();
  await claims(page, "live");
  assert.deepEqual(await legend(page), chosen);
  assert.equal(await page.locator("html").getAttribute("data-theme"), "dark");
  assert.equal(await page.getByLabel("Stretch of time shown").inputValue(), "5");

  await page.getByRole("button", { name: "Share" }).click();
  const shared = await page.getByLabel("Who may open this page").inputValue();
  assert.ok(await page.getByText("It opens on this machine only.").isVisible(), "nobody is sent a link in vain");
  await page.getByRole("button", { name: "Close" }).click();
  assert.equal(new URL(shared).origin, new URL(link).origin);
  const other = await scene.page(browser, shared);
  assert.equal((await claims(other, "live")).name, "tank");
  assert.deepEqual(await legend(other), chosen);
  assert.equal(await other.locator("html").getAttribute("data-theme"), "dark");

  await page.getByRole("button", { name: "Reset" }).click();
  assert.deepEqual(await legend(page), atFirst);
  assert.equal(await page.locator("html").getAttribute("data-theme"), "auto");
  await page.reload();
  await claims(page, "live");
  assert.deepEqual(await legend(page), atFirst);
});

test("what an old page or a stranger left in the browser does no harm", async (t) => {
  const { scene, link } = await tankPage(t);
  const left = ["{", "null", '{"version":1,"theme":{"x":1},"span":"x","panels":[["tank",[["gone","level",7]]]]}'];
  for (const text of left) {
    const script = `localStorage.setItem("omniscient", ${JSON.stringify(text)})`;
    const page = await scene.page(browser, `${link}#%&w=NaN&t=<b>&p=;;%,<img src=x>`, { script });
    assert.equal((await claims(page, "live")).name, "tank");
    await lookAtTicks(page, 3);
  }
});

test("hostile names and labels stay text in plots, events, trigger and files", async (t) => {
  const scene = await Scene.open(t);
  await scene.publisher("tank", "--layout", "hostile", "--period", "2000");
  const { link } = await scene.observer();
  const page = await scene.page(browser, link);
  await claims(page, "live");
  await page.getByRole("button", { name: "Remove Plot 1" }).click();
  for (const name of await page.locator('button.name[aria-pressed="false"]').all()) await name.click();
  assert.deepEqual((await legend(page)).sort(), ["__proto__", "constructor", "evil"]);
  await page.getByTestId("events").locator("li").nth(3).waitFor();
  await page.getByText("Trigger", { exact: false }).first().click();
  const names = await page.getByLabel("When").locator("option").allTextContents();
  assert.deepEqual(names, ["constructor", "__proto__", "evil"]);
  await page.getByLabel("When").selectOption({ label: "evil" });
  await page.getByRole("button", { name: "Arm" }).click();
  await until("it fired", () => page.getByTestId("trigger").textContent(), (words) => words.startsWith("Fired"));
  assert.equal(await page.locator("main :is(img, script, b)").count(), 0);
  assert.equal((await look(page)).title, "live · tank");
  const { bytes } = await saved(page, page.getByTestId("csv"));
  const [head, first] = bytes.toString().split("\r\n");
  assert.match(head, /^instance,tick,utc,time \(us\),monotonic \(us\),.*"__proto__ \(""'&lt;\)"/);
  assert.match(first, /"<img src=x onerror=""document\.title='owned'"">"|<script>/);
});

test("a panel as PNG", async (t) => {
  const { page } = await tankPage(t);
  await until("something is drawn", () => coloursIn(page.locator(".plot canvas").first()), (count) => count > 10);
  const { name, bytes } = await saved(page, page.getByRole("button", { name: "Plot 1: save as PNG" }));
  assert.match(name, /^tank_\d{4}-\d\d-\d\dT\d{6}_Plot_1\.png$/);
  const { width, height, found } = await page.evaluate(coloursOfPicture, bytes.toString("base64"));
  const canvas = await page.locator(".plot canvas").first().evaluate((each) => [each.width, each.height]);
  assert.deepEqual([width, height > canvas[1]], [canvas[0], true], "the plot, and its names above it");
  const lines = await page.getByTestId("chart").first().locator(".legend li").count();
  const missing = found.slice(0, lines).map((count, i) => (count > 20 ? "" : i)).join("");
  assert.equal(missing, "", `each line is there in its colour: ${found}`);
});

/** In the page: what a PNG holds, and how many of its pixels have the colour of each line. */
async function coloursOfPicture(base64) {
  const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
  const bitmap = await createImageBitmap(new Blob([bytes], { type: "image/png" }));
  const context = Object.assign(document.createElement("canvas"), { width: bitmap.width, height: bitmap.height }).getContext("2d");
  const style = getComputedStyle(document.documentElement);
  const wanted = Array.from({ length: 8 }, (_, i) => {
    context.fillStyle = style.getPropertyValue(`--series-${i}`);
    context.fillRect(0, 0, 1, 1);
    return [...context.getImageData(0, 0, 1, 1).data];
  });
  context.drawImage(bitmap, 0, 0);
  const head = Math.round(24 * devicePixelRatio);
  const { data } = context.getImageData(0, head, bitmap.width, bitmap.height - head);
  const isNear = (i, colour) => [0, 1, 2].every((part) => Math.abs(data[i + part] - colour[part]) < 12);
  const found = wanted.map(() => 0);
  for (let i = 0; i < data.length; i += 4) wanted.forEach((colour, k) => (found[k] += isNear(i, colour)));
  return { width: bitmap.width, height: bitmap.height, found };
}

test("what it costs: the robot's own figures, the observer's, the page's", async (t) => {
  const scene = await Scene.open(t);
  await scene.robot();
  const { link } = await scene.observer();
  const page = await scene.page(browser, link);
  const words = await until("all of it is told", () => page.getByTestId("cost").innerText(), (text) => /Observer\n+[\d.]+ % of a core/.test(text));
  for (const figure of [/Publishing a tick\n+\d+ ns/, /Loop jitter\n+\d+ µs/, /Overruns\n+\d+/, /memory\n+[\d.]+ MiB/, /clients\n+2/, /dropped for this page\n+0/])
    assert.match(words, figure);
});

test("what it costs while robot or observer are away: said, asked on, never negative", async (t) => {
  const scene = await Scene.open(t);
  const robot = await scene.robot();
  const first = await scene.observer();
  const page = await scene.page(browser, first.link);
  let asked = 0;
  page.on("request", (request) => (asked += request.url().endsWith("/api/observer") ? 1 : 0));
  const cost = page.getByTestId("cost");
  const note = () => page.getByTestId("stale-cost").textContent();
  const told = () => until("all of it is told", () => cost.innerText(), (text) => /Observer\n+[\d.]+ % of a core/.test(text));
  await told();
  assert.equal(await note(), "");
  await page.evaluate(() => {
    window.shares = [];
    const list = document.getElementById("cost-list");
    new MutationObserver((all) => window.shares.push(...all.map(({ target }) => target.data))).observe(list, { characterData: true, subtree: true });
  });
  await page.keyboard.press("p");
  assert.match(await until("it is paused", note), /^Paused at tick/);
  const before = asked;
  await until("it is asked on", () => asked, (count) => count > before);
  assert.match(await cost.innerText(), /Publishing a tick\n+\d+ ns/, "what stands still is still there");
  await page.keyboard.press("p");

  await robot.stop("SIGKILL");
  await claims(page, "stopped");
  assert.match(await until("the robot's are old", note), /^Not live: last known values/);
  const then = asked;
  await until("the observer's are not", () => asked, (count) => count > then + 1);
  await first.stop("SIGKILL");
  await until("it cannot be asked", note, (words) => words === "Observer not reached: last known figures");
  await scene.observer({ port: first.port });
  await claims(page, "stopped");
  await page.evaluate(() => (window.shares.length = 0));
  const again = asked;
  await until("it is asked again", () => asked, (count) => count >= again + 3);
  await told();
  const negative = (await page.evaluate(() => window.shares)).filter((text) => /^[-−]\d/.test(text));
  assert.deepEqual(negative, []);
});

test("dropped frames: one figure, whichever connection they were meant for", async (t) => {
  const { page } = await tankPage(t, { options: { script: WIRE } });
  await until("the plots have their connection", () => where(page), (words) => words === "The newest ticks");
  const isEvery = await page.evaluate(() =>
    window.sockets.map((socket, i) => {
      const data = JSON.stringify({ op: "dropped", source: "tank", frames: 3 + i, total: 3 + i });
      socket.dispatchEvent(new MessageEvent("message", { data }));
      return Boolean(socket.isEvery);
    }),
  );
  assert.deepEqual(isEvery, [false, true]);
  await until("seven in the header", () => page.getByTestId("dropped").textContent(), (words) => words === "7");
  await until("and in the costs", () => page.getByTestId("cost").innerText(), (words) => /for this page\n+7$/.test(words.trim()));
});

test("sounds: a button only where the observer speaks of them, and it asks for what is pressed", async (t) => {
  const { scene, link } = await tankPage(t);
  const page = await scene.page(browser, "about:blank");
  const asked = [];
  let send;
  await page.routeWebSocket(/\/ws$/, (socket) => {
    const server = socket.connectToServer();
    socket.onMessage((text) => (text.includes('"sound"') ? asked.push(JSON.parse(text)) : server.send(text)));
    server.onMessage((text) => !text.includes('"op":"sound"') && socket.send(text));
    send ??= (message) => socket.send(JSON.stringify({ op: "sound", ...message }));
  });
  await page.goto(link);
  await claims(page, "live");
  const button = page.getByTestId("sound");
  assert.equal(await button.isVisible(), false);
  send({ on: false, state: "off", reason: "" });
  await button.click();
  assert.deepEqual(asked, [{ op: "sound", on: true }]);
  assert.equal(await button.getAttribute("aria-pressed"), "false", "only the observer's word counts");
  send({ on: true, state: "on", reason: "" });
  await until("it is on", () => button.getAttribute("aria-pressed"), (pressed) => pressed === "true");
  send({ on: true, state: "no-device", reason: "<b>no card</b>" });
  await until("it says so", () => button.textContent(), (text) => text === "Sound: no device");
  assert.equal(await button.getAttribute("title"), "<b>no card</b>");
});

test("sounds: switched in one page, shown in all, and why there are none", async (t) => {
  const scene = await Scene.open(t);
  await scene.publisher("tank");
  const { link } = await scene.observer({ args: ["--sound-device", "absent"] });
  const pages = [await scene.page(browser, link), await scene.page(browser, link)];
  const shown = (page) => page.getByTestId("sound").textContent();
  for (const page of pages) await until("a switch", () => shown(page), (text) => text === "Sound");
  await pages[0].getByTestId("sound").click();
  for (const page of pages) {
    await until("there is no device", () => shown(page), (text) => text === "Sound: no device");
    assert.equal(await page.getByTestId("sound").getAttribute("aria-pressed"), "true");
    const reason = await page.getByTestId("sound-said").textContent();
    assert.equal(reason, 'On the observer’s machine: no sound device "absent": there is none of that name');
  }
  await pages[1].getByTestId("sound").click();
  for (const page of pages) await until("it is off", () => page.getByTestId("sound-said").textContent(), (text) => text === "");
});

test("the keys are told under ?, and can be switched off", async (t) => {
  const { page } = await tankPage(t);
  await page.keyboard.press("?");
  const dialog = page.getByRole("dialog", { name: "Keys" });
  assert.match(await dialog.innerText(), /Pause and resume/);
  await dialog.getByRole("checkbox").uncheck();
  await page.keyboard.press("Escape");
  assert.equal(await dialog.isVisible(), false);
  await page.keyboard.press("p");
  await lookAtTicks(page, 5);
  assert.equal((await look(page)).stale, "");
});

test("all can be reached with the keyboard, and is seen when it is", async (t) => {
  const { scene, page } = await tankPage(t);
  await lookAtTicks(page, 10);
  // Nothing comes and goes while it is counted.
  await scene.programs[0].stop();
  await claims(page, "stopped");
  await page.getByTestId("pause").click();
  const count = await page.locator(":is(button, select, input, summary, [tabindex='0']):visible").count();
  const reached = new Set();
  for (let i = 0; i < count + 20; i++) {
    await page.keyboard.press("Tab");
    const one = await page.evaluate(() => {
      const focused = document.activeElement;
      if (!focused || focused === document.body) return null;
      window.order ??= new Map();
      if (!window.order.has(focused)) window.order.set(focused, window.order.size);
      const { outlineStyle, outlineWidth } = getComputedStyle(focused);
      return { id: window.order.get(focused), what: focused.outerHTML.slice(0, 80), outline: outlineStyle !== "none" && parseFloat(outlineWidth) > 0 };
    });
    if (!one) continue;
    assert.ok(one.outline, `focus is seen: ${one.what}`);
    reached.add(one.id);
  }
  assert.equal(reached.size, count, "every one of them was reached");
});

test("a link's stretch and panels hold for its source, another keeps its own", async (t) => {
  const scene = await Scene.open(t);
  await scene.publisher("alpha");
  await scene.publisher("beta", "--layout", "b");
  const { link } = await scene.observer();
  const page = await scene.page(browser, `${link}#beta&w=2.5&p=pump`);
  await until("beta is live", () => look(page), ({ name, claim }) => name === "beta" && claim === "live");
  assert.deepEqual(await legend(page), ["pump"]);
  const shown = () => page.getByLabel("Stretch of time shown").evaluate((each) => each.selectedOptions[0].text);
  await until("its stretch", shown, (text) => text === "2.5 s");
  await page.getByLabel("Source").selectOption("alpha");
  await until("alpha's own panels", () => legend(page), (names) => names.includes("level") && !names.includes("pump"));
  await page.getByLabel("Source").selectOption("beta");
  await until("the link's again", () => legend(page), (names) => names.join() === "pump");
});

test("a name that a spreadsheet would take for a formula is none in the file", async (t) => {
  const script = SAYING({ counter: "=1+1", filling: "@SUM(A1)" });
  const { page } = await tankPage(t, { hash: `#tank&p=${encodeURIComponent("=1+1")},mode`, options: { script } });
  await until("it is plotted", () => where(page), (words) => words === "The newest ticks");
  assert.deepEqual(await legend(page), ["=1+1", "mode"]);
  await until("it was in both states", () => page.getByTestId("events").locator("li").count(), (count) => count > 8);
  const { bytes } = await saved(page, page.getByTestId("csv"));
  const all = bytes.toString().split(/[,\r\n]+/);
  assert.ok(all.includes("'=1+1") && all.includes("'@SUM(A1)"));
  assert.deepEqual(all.filter((cell) => /^["]?[=+@]/.test(cell)), []);
});

const LONG = "a_very_long_name_of_a_field_that_nobody_would_write_but_somebody_may_generate";
const NARROW = {
  "the omni robot": async (scene) => scene.robot(),
  "the omni robot, stopped": async (scene) => (await scene.robot()).stop("SIGKILL"),
  "hostile names": async (scene) => scene.publisher("tank", "--layout", "hostile"),
  "a long name, two sources": async (scene) => {
    await scene.publisher("robot-with-a-name-as-long-as-they-may-get");
    await scene.publisher("other");
  },
};
for (const [what, begin] of Object.entries(NARROW))
  test(`nothing is cut off at 360 px: ${what}`, async (t) => {
    const scene = await Scene.open(t);
    await begin(scene);
    const { link } = await scene.observer();
    const options = { viewport: { width: 360, height: 740 }, script: SAYING({ counter: LONG }) };
    const page = await scene.page(browser, link, options);
    await until("values are there", () => look(page), ({ tick, claim }) => Number(tick) > 0 && /^(live|stopped)$/.test(claim));
    await until("ticks are plotted", () => where(page), (words) => words === "The newest ticks");
    await page.getByText("Trigger", { exact: false }).first().click();
    await page.getByRole("button", { name: "Add plot" }).click();
    for (const name of (await page.locator('button.name[aria-pressed="false"]').all()).slice(0, 3)) await name.click();
    const { wide, cut } = await page.evaluate(() => {
      const own = (each) => [...each.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
      const all = [...document.querySelectorAll("header *, main *")].filter((each) => own(each) && each.checkVisibility() && !each.closest(".unseen, .u-wrap"));
      const cut = all.filter((each) => each.getBoundingClientRect().right > innerWidth + 1);
      const of = ({ tagName, className, textContent }) => `${tagName}.${className}: ${textContent}`;
      return { wide: document.documentElement.scrollWidth, cut: cut.map(of) };
    });
    assert.deepEqual(cut, []);
    assert.ok(wide <= 360, `${wide} px wide`);
  });

for (const width of [360, 768, 1366, 2560])
  test(`nothing is cut off at ${width} px`, async (t) => {
    const { page } = await tankPage(t, { options: { viewport: { width, height: 800 } } });
    await lookAtTicks(page, 3);
    const wide = await page.evaluate(() => document.documentElement.scrollWidth);
    assert.ok(wide <= width, `${wide} px wide`);
  });
