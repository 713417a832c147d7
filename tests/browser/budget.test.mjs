// What the page may weigh and cost. Times are printed, not asserted: the machine may be busy. That
// memory does not grow is asserted, the more sharply the longer it is looked at: OMNI_MINUTES lengthens
// the run (default: one).

import assert from "node:assert/strict";
import { get } from "node:http";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import { Scene, claims, launchBrowser, lookAtTicks } from "./harness.mjs";

const MINUTES = Number(process.env.OMNI_MINUTES ?? 1);
const WEIGHT_MOST = 60 * 1024;
const MEBI = 2 ** 20;
/** Of what is left after a collection; once, and for each minute. */
const WOBBLE_MOST = 1 * MEBI;
const GROWTH_MOST = 0.2 * MEBI;
const SAMPLES = 7;

let browser;
before(async () => (browser = await launchBrowser()));
after(() => browser.close());

/** Bytes of an answer as they travel. */
function weigh(url) {
  return new Promise((resolve, reject) => {
    get(url, { headers: { "Accept-Encoding": "gzip" } }, (answer) => {
      let bytes = 0;
      assert.equal(answer.headers["content-encoding"], "gzip", url);
      answer.on("data", (part) => (bytes += part.length));
      answer.on("end", () => resolve(bytes));
    }).on("error", reject);
  });
}

test("all files together weigh at most 60 KiB", async (t) => {
  const scene = await Scene.open(t);
  const { url } = await scene.observer();
  const text = await (await fetch(url)).text();
  const named = [...text.matchAll(/(?:href|src)="([^"#]+)"/g)].map(([, path]) => `/${path}`);
  const weights = await Promise.all(["/", ...named].map(async (path) => [path, await weigh(url + path)]));
  const sum = weights.reduce((total, [, bytes]) => total + bytes, 0);
  for (const [path, bytes] of weights) t.diagnostic(`${path}: ${bytes} bytes`);
  t.diagnostic(`together: ${(sum / 1024).toFixed(1)} KiB of 60`);
  assert.ok(weights.length >= 6, JSON.stringify(weights));
  assert.ok(sum <= WEIGHT_MOST, `${sum} bytes`);
});

/** Of the straight line that fits the points best. */
function slopeOf(points) {
  const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const [x, y] = [0, 1].map((axis) => mean(points.map((point) => point[axis])));
  const over = points.reduce((sum, point) => sum + (point[0] - x) * (point[1] - y), 0);
  return over / points.reduce((sum, point) => sum + (point[0] - x) ** 2, 0);
}

test("a 1 kHz robot, three plots, a minute's window: memory does not grow", async (t) => {
  const scene = await Scene.open(t);
  await scene.publisher("tank", "--period", "1000");
  const { link } = await scene.observer();
  const panels = "level,counter;temperature%5B0%5D,temperature%5B1%5D;mode,leaking,hot";
  const page = await scene.page(browser, `${link}#tank&w=60&p=${panels}`, { viewport: { width: 1366, height: 1400 } });
  await claims(page, "live");
  assert.equal(await page.getByTestId("chart").count(), 3);
  const session = await page.context().newCDPSession(page);
  await session.send("Performance.enable", { timeDomain: "threadTicks" });
  const measure = async () => {
    const { metrics } = await session.send("Performance.getMetrics");
    return Object.fromEntries(metrics.map(({ name, value }) => [name, value]));
  };
  const weighHeap = async () => {
    await session.send("HeapProfiler.collectGarbage");
    await session.send("HeapProfiler.collectGarbage");
    const { usedSize, backingStorageSize } = await session.send("Runtime.getHeapUsage");
    return { objects: usedSize, arrays: backingStorageSize };
  };
  // Until all is compiled, and the lists are as long as they get.
  await page.getByTestId("events").locator("li").nth(299).waitFor({ timeout: 60_000 });
  await lookAtTicks(page, 100);

  const frames = await page.evaluate(() => {
    window.frames60 = 0;
    const count = () => (window.frames60++, requestAnimationFrame(count));
    count();
    return window.frames60;
  });
  const [started, first] = [Date.now(), await measure()];
  const weights = [];
  for (let sample = 0; sample < SAMPLES; sample++) {
    const due = started + (sample * MINUTES * 60_000) / (SAMPLES - 1);
    await sleep(Math.max(0, due - Date.now()));
    weights.push({ minute: (Date.now() - started) / 60e3, ...(await weighHeap()) });
  }
  const last = await measure();
  const seconds = (Date.now() - started) / 1000;
  const drawn = (await page.evaluate(() => window.frames60)) - frames;

  const share = (name) => ((100 * (last[name] - first[name])) / seconds).toFixed(1);
  t.diagnostic(`${seconds.toFixed(0)} s, ${(drawn / seconds).toFixed(1)} frames a second`);
  t.diagnostic(`main thread: scripting ${share("ScriptDuration")} %, layout ${share("LayoutDuration")} %, style ${share("RecalcStyleDuration")} %, all ${share("TaskDuration")} % of a core`);
  for (const kind of ["objects", "arrays"]) {
    const sizes = weights.map((each) => (each[kind] / MEBI).toFixed(2)).join(", ");
    const slope = slopeOf(weights.map((each) => [each.minute, each[kind]]));
    t.diagnostic(`${kind}: ${sizes} MiB; ${(slope / MEBI).toFixed(3)} MiB a minute`);
    const most = WOBBLE_MOST / MINUTES + GROWTH_MOST;
    assert.ok(slope < most, `${kind} grow by ${slope} bytes a minute, at most ${most}: ${sizes}`);
  }
  await claims(page, "live");
});
