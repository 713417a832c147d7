// Programs end and come back; the page tells the truth about it and goes on by itself.

import assert from "node:assert/strict";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";

import { Scene, assertStale, claims, historyOf, launchBrowser, look, lookAtTicks, rowsOf, saved, until } from "./harness.mjs";

let browser;
before(async () => (browser = await launchBrowser()));
after(() => browser.close());

for (const signal of ["SIGTERM", "SIGKILL"])
  test(`the observer ends (${signal}) and comes back`, async (t) => {
    const scene = await Scene.open(t);
    await scene.publisher("tank");
    const first = await scene.observer();
    const page = await scene.page(browser, first.link);
    await lookAtTicks(page, 5);
    await first.stop(signal);
    const gone = await claims(page, "observer gone");
    assertStale(gone);
    assert.match(gone.explanation, /the observer does not run there/);
    assert.match(gone.announced, /^tank: observer gone\./);
    const later = await until(
      "the age grows",
      () => look(page),
      ({ age }) => age !== gone.age,
    );
    assert.deepEqual(later.fields, gone.fields, "the last values stand");

    await scene.observer({ port: first.port });
    const back = await claims(page, "live");
    assert.ok(Number(back.tick) > Number(gone.tick), `tick ${back.tick} after ${gone.tick}`);
    await lookAtTicks(page, 5);
  });

test("the observer is gone when the page has not even seen a source", async (t) => {
  const scene = await Scene.open(t);
  const first = await scene.observer();
  const page = await scene.page(browser, first.link);
  await claims(page, "no source");
  await first.stop();
  await claims(page, "observer gone");
  await scene.observer({ port: first.port });
  await claims(page, "no source");
});

const STOPS = [
  { reason: "closed", how: (program) => program.stop(), words: /ended and said goodbye/ },
  { reason: "died", how: (program) => program.stop("SIGKILL"), words: /crashed or was killed/ },
  { reason: "silent", how: (program) => program.child.kill("SIGSTOP"), words: /no longer ticks/ },
];

for (const { reason, how, words } of STOPS)
  test(`a source stops (${reason}): in words, with the last values`, async (t) => {
    const scene = await Scene.open(t);
    const program = await scene.publisher("tank");
    const { link, url } = await scene.observer();
    const page = await scene.page(browser, link);
    await lookAtTicks(page, 5);
    await how(program);
    const shown = await claims(page, "stopped");
    assertStale(shown);
    assert.match(shown.explanation, words);
    const status = await (await fetch(`${url}/api/status?source=tank`)).json();
    await until(
      "the last tick is shown",
      () => look(page),
      ({ tick }) => tick === String(status.tick),
    );
    const last = await look(page);
    for (const [name, cells] of last.fields) {
      const value = [status.values[name]].flat().slice(0, cells.length);
      assert.deepEqual(cells, value.map(String), name);
    }
  });

test("a page that is opened on a stopped source shows its last values, as old", async (t) => {
  const scene = await Scene.open(t);
  await (await scene.publisher("tank")).stop();
  const { link } = await scene.observer();
  const page = await scene.page(browser, link);
  await until(
    "its values are shown",
    () => look(page),
    ({ tick }) => Number(tick) > 0,
  );
  const shown = await claims(page, "stopped");
  assertStale(shown);
  assert.equal(new Map(shown.fields).get("counter")[0], shown.tick);
});

test("a silent source that ticks again is live again", async (t) => {
  const scene = await Scene.open(t);
  const { child } = await scene.publisher("tank");
  const { link } = await scene.observer();
  const page = await scene.page(browser, link);
  await lookAtTicks(page, 3);
  child.kill("SIGSTOP");
  await claims(page, "stopped");
  child.kill("SIGCONT");
  await claims(page, "live");
  await lookAtTicks(page, 3);
});

test("a source that is removed stays readable, as removed, and may come back", async (t) => {
  const scene = await Scene.open(t);
  await (await scene.publisher("tank")).stop();
  const { link } = await scene.observer();
  const page = await scene.page(browser, link);
  await until(
    "its values are shown",
    () => look(page),
    ({ tick }) => Number(tick) > 0,
  );
  await rm(join(scene.directory, "omni.tank"));
  const shown = await until(
    "it is removed",
    () => look(page),
    ({ explanation }) => /removed/.test(explanation),
  );
  assert.equal(shown.claim, "stopped");
  assertStale(shown);
  await scene.publisher("tank");
  await claims(page, "live");
  await lookAtTicks(page, 3);
});

test("the robot restarts: stopped, then live again", async (t) => {
  const scene = await Scene.open(t);
  const first = await scene.robot();
  const { link } = await scene.observer();
  const page = await scene.page(browser, link);
  await until(
    "it ticked for a while",
    () => look(page),
    ({ tick }) => Number(tick) > 500,
  );
  await first.stop("SIGKILL");
  const stopped = await claims(page, "stopped");
  await scene.robot("--seed", "7");
  const live = await claims(page, "live");
  assert.ok(Number(live.tick) < Number(stopped.tick), `tick ${live.tick} counts from 1 again`);
  await lookAtTicks(page, 5);
});

test("a source restarts with another layout: other fields, no reload", async (t) => {
  const scene = await Scene.open(t);
  const first = await scene.publisher("robot");
  const { link } = await scene.observer();
  const page = await scene.page(browser, link);
  const [before] = await lookAtTicks(page, 1);
  assert.ok(before.fields.some(([name]) => name === "counter"));
  await page.evaluate(() => (document.body.dataset.same = "page"));
  await first.stop("SIGKILL");
  await claims(page, "stopped");

  const second = await scene.publisher("robot", "--layout", "b");
  const other = await until(
    "the other fields are live",
    () => look(page),
    ({ claim, fields }) => claim === "live" && fields.length === 2 && fields[0][1][0] !== "",
  );
  assert.deepEqual(other.fields, [
    ["depth", [other.tick]],
    ["pump", [String(Number(other.tick) % 2 === 1)]],
  ]);
  assert.equal(await page.getByRole("img", { name: "The robot seen from above" }).count(), 0);

  await second.stop();
  await claims(page, "stopped");
  await scene.robot();
  await page.getByRole("img", { name: "The robot seen from above" }).waitFor();
  const [robot] = await lookAtTicks(page, 1);
  assert.ok(robot.fields.some(([name]) => name === "motor_power"));
  assert.equal(
    await page.evaluate(() => document.body.dataset.same),
    "page",
    "it was not reloaded",
  );
});

/** What the plots hold, as their file tells: [instance, tick] of each row. */
async function ticksOf(page) {
  const { bytes } = await saved(page, page.getByTestId("csv"));
  return rowsOf(bytes.toString()).map(({ instance, tick }) => [instance, Number(tick)]);
}

function assertInOrder(ticks) {
  assert.equal(new Set(ticks.map(String)).size, ticks.length, "each tick once");
  ticks.forEach(([instance, tick], i) => {
    if (i && ticks[i - 1][0] === instance) assert.ok(tick > ticks[i - 1][1], `${tick} after ${ticks[i - 1][1]}`);
  });
}

test("observer and robot come back: the plots hold each tick once, in order, as the observer has it", async (t) => {
  const scene = await Scene.open(t);
  const first = await scene.publisher("tank", "--period", "4000");
  const observer = await scene.observer();
  const page = await scene.page(browser, `${observer.link}#tank&w=300&p=level`);
  await lookAtTicks(page, 40);
  const before = await ticksOf(page);
  assertInOrder(before);
  assert.ok(before.length > 40, `${before.length} ticks`);

  await observer.stop("SIGKILL");
  await claims(page, "observer gone");
  const kept = await ticksOf(page);
  assert.deepEqual(kept.slice(0, before.length), before, "what was plotted stays");
  const next = await scene.observer({ port: observer.port });
  await claims(page, "live");
  await until("the plots keep up", () => page.getByTestId("where").textContent(), (words) => words === "The newest ticks");
  await until("new ticks are plotted", () => ticksOf(page), (ticks) => ticks.at(-1)[1] > kept.at(-1)[1] + 50);
  await first.stop("SIGKILL");
  await claims(page, "stopped");
  await scene.publisher("tank", "--period", "4000");
  await claims(page, "live");
  const after = await until("ticks of both runs", () => ticksOf(page), (ticks) => new Set(ticks.map(([instance]) => instance)).size === 2 && ticks.at(-1)[1] > 50);
  assertInOrder(after);
  assert.deepEqual(after.slice(0, kept.length), kept, "what was plotted still stays");
  const known = (await historyOf(next.url, "tank")).map(({ instance, tick }) => [instance, tick]);
  const from = after.findIndex((tick) => String(tick) === String(known[0]));
  assert.ok(from >= 0, `the observer's first is plotted: ${known[0]}`);
  assert.deepEqual(after.slice(from), known.slice(0, after.length - from), "every tick that the observer has, once");
});

test("paused while the robot comes back as another: its values are shown", async (t) => {
  const scene = await Scene.open(t);
  const first = await scene.publisher("robot");
  const { link } = await scene.observer();
  const page = await scene.page(browser, link);
  await lookAtTicks(page, 3);
  await page.keyboard.press("p");
  await until("it is paused", () => look(page), ({ stale }) => stale.startsWith("Paused"));
  await first.stop("SIGKILL");
  await claims(page, "stopped");
  await scene.publisher("robot", "--layout", "b");
  await until("the other one lives", () => look(page), ({ claim, stale, tick, fields }) => claim === "live" && stale === "" && new Map(fields).get("depth")?.[0] === tick);
});
