// What the page shows of a healthy world, and that nothing of a source's becomes markup.

import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";

import { Scene, assertStale, claims, launchBrowser, look, lookAtTicks, saved, until } from "./harness.mjs";

let browser;
before(async () => (browser = await launchBrowser()));
after(() => browser.close());

/** The cells that the page must show for a row of /api/history. */
function cellsOf(schema, columns, row) {
  return schema.fields.map((field) => {
    const cells = columns.flatMap((column, index) =>
      column === field.name || column.startsWith(`${field.name}[`) ? [row[index]] : [],
    );
    if (field.type === "bool") return [field.name, cells.map((cell) => String(cell === 1))];
    if (field.type === "enum") return [field.name, cells.map((cell) => field.labels[cell])];
    return [field.name, cells.map(String)];
  });
}

test("live values: all that is shown is what the robot published at that tick", async (t) => {
  const scene = await Scene.open(t);
  await scene.robot();
  const { link, url } = await scene.observer();
  const page = await scene.page(browser, link);
  const shown = await lookAtTicks(page, 40);

  const history = await (await fetch(`${url}/api/history?source=robot&seconds=60`)).json();
  const { sources } = await (await fetch(`${url}/api/sources`)).json();
  const { schema } = sources[0];
  const tickAt = history.columns.indexOf("tick");
  const rows = new Map(history.rows.map((row) => [String(row[tickAt]), row]));
  for (const { tick, fields } of shown) {
    assert.ok(rows.has(tick), `tick ${tick} is in the history`);
    assert.deepEqual(fields, cellsOf(schema, history.columns, rows.get(tick)), `tick ${tick}`);
  }
  const sensors = new Set(shown.map(({ fields }) => JSON.stringify(fields)));
  assert.ok(sensors.size > 30, `${sensors.size} different statuses were shown`);
});

test("the robot's own view shows the same values as pictures", async (t) => {
  const scene = await Scene.open(t);
  const robot = await scene.robot();
  const { link } = await scene.observer();
  const page = await scene.page(browser, link);
  await lookAtTicks(page, 10);
  await robot.stop("SIGKILL");
  const shown = new Map((await claims(page, "stopped")).fields);

  const picture = page.getByRole("img", { name: "The robot seen from above" });
  assert.equal(await picture.isVisible(), true);
  const readings = await picture.locator(".reading").allTextContents();
  const sensors = shown.get("sensors");
  assert.deepEqual(
    readings,
    sensors.map((range) => (range === "0" ? "–" : range)),
  );
  const powers = (await picture.locator(".power").allTextContents()).map((text) =>
    String(Number(text.replace("\u2212", "-").replace(/\s*%$/, ""))),
  );
  assert.deepEqual(powers, shown.get("motor_power"));
  const body = await picture.locator("g:has(> .body)").getAttribute("transform");
  const heading = -Number(body.match(/rotate\((.+)\)/)[1]);
  const told = Number(shown.get("heading")[0]);
  assert.ok(Math.abs(heading - told) <= 0.05, `drawn ${heading}°, told ${told}°`);
  assert.equal(await page.locator(".robot .mode").textContent(), shown.get("bot_mode")[0]);
});

test("a source that is no robot gets every field, with unit, range and description", async (t) => {
  const scene = await Scene.open(t);
  await scene.publisher("tank");
  const { link } = await scene.observer();
  const page = await scene.page(browser, link);
  for (const { tick, fields } of await lookAtTicks(page, 20)) {
    const count = Number(tick);
    const values = new Map(fields);
    assert.equal(values.get("counter")[0], tick);
    assert.equal(values.get("countdown")[0], String(2n ** 64n - 1n - BigInt(tick)));
    assert.equal(values.get("level")[0], String((count % 1000) / 10));
    assert.deepEqual(values.get("temperature"), [String(count % 50), String(-(count % 50) / 2)]);
    assert.equal(values.get("broken")[0], "null");
    assert.equal(values.get("mode")[0], Math.floor(count / 50) % 2 ? "draining" : "filling");
    assert.equal(values.get("leaking")[0], String(Math.floor(count / 25) % 2 === 1));
    assert.equal(values.get("motto")[0], "grüezi");
    assert.equal(values.get("spectrum").length, 24);
    assert.equal(values.get("spectrum")[23], String((count + 23) % 1000));
  }
  assert.equal(await page.getByRole("img", { name: "The robot seen from above" }).count(), 0);

  const field = (name) => page.locator(`[data-field="${name}"]`);
  assert.match(await field("temperature").innerText(), /°C[^]*°C/);
  const description = page.getByText("Tick modulo 50, and its negative half");
  assert.equal(await description.isVisible(), false);
  await field("temperature").hover();
  assert.equal(await description.isVisible(), true);
  assert.match(await field("temperature").innerText(), /\u221240 to 60 °C/);
  assert.match(await field("broken").innerText(), /no reading(?!\s*V)/);
  assert.match(await field("hot").innerText(), /340\s*K\s*above range/);
  assert.match(await field("leaking").innerText(), /yes|no/);
  await field("spectrum").getByRole("button", { name: "Show all 40" }).click();
  await until("all 40 elements are shown", async () => {
    const { tick, fields } = await look(page);
    const spectrum = new Map(fields).get("spectrum");
    return spectrum.length === 40 && spectrum[39] === String((Number(tick) + 39) % 1000);
  });
});

test("the header: rate, lost ticks, age, and words for who cannot see", async (t) => {
  const scene = await Scene.open(t);
  await scene.publisher("tank", "--period", "20000");
  const { link, url } = await scene.observer();
  // Also where the visitor's clock is wrong by a year.
  const script = "const now = Date.now; Date.now = () => now() + 365 * 86400e3;";
  const page = await scene.page(browser, link, { script });
  const shown = await until(
    "a rate is shown",
    () => look(page),
    ({ rate }) => Number(rate) > 0,
  );
  assert.ok(Number(shown.rate) <= 50.5, `${shown.rate} Hz of at most 50`);
  assert.equal(shown.title, "live · tank");
  assert.match(shown.announced, /^tank: live\. A tick every 20 ms/);
  assert.equal(shown.name, "tank");
  const ages = await until("ages are shown", async () => (await look(page)).age);
  assert.match(ages, /^\d+ ms$|^[\d.]+ s$/);
  const { lost } = (await (await fetch(`${url}/api/sources`)).json()).sources[0];
  assert.equal((await look(page)).lost, String(lost));
  const role = page.getByRole("status");
  assert.equal(await role.count(), 1);
});

test("the age of what stands still is true, whatever the visitor's clock says", async (t) => {
  const scene = await Scene.open(t);
  await scene.publisher("tank", "--ticks", "20");
  const { link, url } = await scene.observer();
  const script = "const now = Date.now; Date.now = () => now() - 3 * 365 * 86400e3;";
  const page = await scene.page(browser, link, { script });
  await claims(page, "stopped");
  const ageNow = async () =>
    (await (await fetch(`${url}/api/sources`)).json()).sources[0].age / 1e6;
  await until("the age is above two seconds", async () => (await ageNow()) > 2);
  const before = await ageNow();
  await page.evaluate(() => new Promise((done) => setTimeout(done, 500)));
  const { age } = await look(page);
  const later = await ageNow();
  const seconds = Number(age.match(/^([\d.]+) s$/)?.[1]);
  assert.ok(seconds >= before - 0.1, `the page says ${age}, it was ${before} s before`);
  assert.ok(seconds <= later + 0.1, `the page says ${age}, it is ${later} s now`);
});

test("a robot whose wall clock is set while it runs stays live, as young as it is", async (t) => {
  const scene = await Scene.open(t);
  await scene.publisher("tank", "--period", "5000", "--wall-steps");
  const page = await scene.page(browser, (await scene.observer()).link);
  const seen = new Map();
  await until("an hour back, a year ahead, and right again", async () => {
    const shown = await look(page);
    if (shown.claim === "live" && Number(shown.tick) > 0) seen.set(Number(shown.tick), shown);
    return Math.max(...seen.keys()) - Math.min(...seen.keys()) > 160;
  });
  const ticks = [...seen.keys()];
  const sorted = [...ticks].sort((a, b) => a - b);
  assert.deepEqual(ticks, sorted, "never back");
  for (const [tick, { age, fresh }] of seen) {
    assert.match(age, /^\d+ ms$|^[\d.]+ s$/, `tick ${tick}`);
    assert.equal(fresh, "yes");
  }
});

test("numbers change, nothing moves", async (t) => {
  const scene = await Scene.open(t);
  await scene.robot();
  const { link } = await scene.observer();
  const page = await scene.page(browser, link, { viewport: { width: 1366, height: 768 } });
  await lookAtTicks(page, 40);
  await page.evaluate(() => {
    globalThis.shifts = 0;
    new PerformanceObserver((list) => {
      for (const entry of list.getEntries()) globalThis.shifts += entry.value;
    }).observe({ type: "layout-shift" });
  });
  await lookAtTicks(page, 120);
  const shifts = await page.evaluate(() => globalThis.shifts);
  assert.ok(shifts < 0.01, `layout shifted by ${shifts}`);
});

test("several sources: picked with the keyboard, remembered in the address", async (t) => {
  const scene = await Scene.open(t);
  await scene.publisher("alpha");
  await scene.publisher("beta", "--layout", "b");
  const { link } = await scene.observer();
  const page = await scene.page(browser, link);
  assert.equal((await claims(page, "live")).name, "alpha");
  const picker = page.getByLabel("Source");
  await picker.focus();
  await page.keyboard.press("b");
  const shown = await until(
    "beta is shown",
    () => look(page),
    ({ name, claim }) => name === "beta" && claim === "live",
  );
  assert.deepEqual(
    shown.fields.map(([name]) => name),
    ["depth", "pump"],
  );
  assert.equal(new URL(page.url()).hash, "#beta");
  await page.reload();
  assert.equal((await claims(page, "live")).name, "beta");
  assert.deepEqual(
    await picker.locator("option").evaluateAll((all) => all.map((each) => each.label)),
    ["alpha · live", "beta"],
  );
});

test("no source: what to type, what cannot be read, and on by itself", async (t) => {
  const scene = await Scene.open(t);
  const { link } = await scene.observer();
  const page = await scene.page(browser, link);
  await claims(page, "no source");
  const notice = page.getByTestId("notice");
  assert.match(await notice.innerText(), /No robot yet[^]*omni-robot/);
  await writeFile(join(scene.directory, "omni.wreck"), "this is no segment");
  const refused = await until("the wreck is named", async () => {
    const list = page.getByTestId("refused");
    return (await list.count()) ? list.innerText() : "";
  });
  assert.match(refused, /^wreck .{10,}/);
  await scene.publisher("tank");
  await claims(page, "live");
  assert.doesNotMatch(await notice.innerText(), /No robot yet/);
});

test("an observer with a token: a page without it says where to get it", async (t) => {
  const scene = await Scene.open(t);
  await scene.publisher("tank");
  const token = (name) => [
    "--require-token",
    "always",
    "--token-file",
    join(scene.directory, name),
  ];
  const first = await scene.observer({ args: token("first") });
  assert.match(first.link, /\?token=/);
  const page = await scene.page(browser, first.link);
  await claims(page, "live");
  assert.equal(new URL(page.url()).search, "", "the token does not stay in the address");

  await first.stop();
  const second = await scene.observer({ port: first.port, args: token("second") });
  const shown = await claims(page, "needs its link");
  assert.match(shown.explanation, /open the link that omni-observer printed/);
  assertStale(shown);

  const other = await page.context().newPage();
  await other.goto(second.link);
  await claims(other, "live");
  await claims(page, "live");
});

test("hostile names, units, labels and texts stay text", async (t) => {
  const scene = await Scene.open(t);
  await scene.publisher("tank", "--layout", "hostile");
  const { link } = await scene.observer();
  const page = await scene.page(browser, link);
  const shown = await lookAtTicks(page, 120);
  const labels = new Set(shown.map(({ fields }) => new Map(fields).get("evil")[0]));
  assert.deepEqual([...labels].sort(), [
    `<img src=x onerror="document.title='owned'">`,
    "<script>document.title='owned'</script>",
  ]);
  const words = await page.getByTestId("fields").evaluate((list) => list.textContent);
  for (const text of [
    "<b>m</b>",
    `"'&lt;`,
    "&lt;i&gt;",
    "<img src=x onerror=",
    "javascript:alert(1)",
  ])
    assert.ok(words.includes(text), `${text} is shown as it is`);
  assert.equal(await page.locator("main :is(img, script, b)").count(), 0);
  assert.equal((await look(page)).title, "live · tank");
});

test("the page asks nobody but its own observer, whatever is done with it", async (t) => {
  const scene = await Scene.open(t);
  await scene.publisher("tank", "--period", "2000");
  const { link, url } = await scene.observer();
  const page = await scene.page(browser, "about:blank");
  const asked = new Set();
  page.on("request", (request) => asked.add(new URL(request.url()).origin));
  page.on("websocket", (socket) => asked.add(new URL(socket.url()).origin));
  await page.goto(link);
  await lookAtTicks(page, 10);
  assert.match((await saved(page, page.getByTestId("csv"))).bytes.toString(), /^instance,tick,/);
  await page.locator(".plot.drawn").first().waitFor();
  assert.equal((await saved(page, page.getByRole("button", { name: "Plot 1: save as PNG" }))).bytes.subarray(1, 4).toString(), "PNG");
  await page.getByText("Trigger", { exact: false }).first().click();
  await page.getByLabel("When").selectOption({ label: "mode" });
  await page.locator("#trigger-span").fill("0.1");
  await page.getByRole("button", { name: "Arm", exact: true }).click();
  await until("it fired", () => page.getByTestId("trigger").textContent(), (words) => words.startsWith("Fired at"));
  await page.keyboard.press("?");
  await page.keyboard.press("Escape");
  await page.getByRole("button", { name: "Share" }).click();
  await page.keyboard.press("Escape");
  await until("the observer was asked for its costs", () => page.getByTestId("cost").innerText(), (words) => /MiB/.test(words));
  const own = [url, url.replace("http:", "ws:")];
  assert.deepEqual([...asked].filter((origin) => origin !== "null").sort(), own);
});
