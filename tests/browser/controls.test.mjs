// Hands on the page: keyboard, pointer and finger. What is pressed says what it is, the focus stays
// where somebody works, and what is refused is refused in words.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { Scene, claims, launchBrowser, look, lookAtTicks, until } from "./harness.mjs";

let browser;
before(async () => (browser = await launchBrowser()));
after(() => browser.close());

const legend = (page) => page.getByTestId("chart").locator(".legend li > span").allTextContents();
const where = (page) => page.getByTestId("where").textContent();
const focused = (page) => page.evaluate(() => document.activeElement?.getAttribute("aria-label") ?? document.activeElement?.textContent);
const cursorTick = async (page) => Number((await until("a cursor at a tick", () => where(page), (words) => /^Cursor .*tick \d+/.test(words))).match(/tick (\d+)/)[1]);

async function tankPage(t, { hash = "#tank&w=1&p=level;temperature%5B0%5D", ...options } = {}) {
  const scene = await Scene.open(t);
  await scene.publisher("tank", "--period", "2000");
  const observer = await scene.observer();
  const page = await scene.page(browser, observer.link + hash, options);
  await claims(page, "live");
  await lookAtTicks(page, 10);
  return { scene, page, ...observer };
}

test("a value is added with the keyboard: choosing is not yet adding", async (t) => {
  const { page } = await tankPage(t, { hash: "#tank&p=level" });
  const select = page.getByLabel("Add a value to Plot 1");
  assert.deepEqual(
    (await select.locator("option").allTextContents()).slice(1),
    ["counter", "countdown", "temperature", "broken", "hot", "spectrum", "mode", "leaking"],
    "a field is one choice, however many elements it has",
  );
  await select.focus();
  for (let i = 0; i < 5; i++) await page.keyboard.press("ArrowDown");
  assert.deepEqual(await legend(page), ["level"]);
  await page.keyboard.press("Tab");
  assert.equal(await focused(page), "Add to Plot 1");
  await page.keyboard.press("Enter");
  assert.deepEqual(await legend(page), ["level", "hot"]);
  assert.equal(await focused(page), "Add to Plot 1");

  await select.selectOption("spectrum");
  await page.getByLabel("Which element for Plot 1").fill("7");
  await page.getByLabel("Which element for Plot 1").fill("99");
  await page.getByRole("button", { name: "Add to Plot 1" }).click();
  assert.deepEqual(await legend(page), ["level", "hot"], "decibels would be a third unit");
});

test("a third unit, a thirteenth value: refused in words", async (t) => {
  const { page } = await tankPage(t, { hash: "#tank&p=level,hot" });
  const said = page.locator("#plots-said");
  await page.getByLabel("Add a value to Plot 1").selectOption("broken");
  await page.getByRole("button", { name: "Add to Plot 1" }).click();
  assert.deepEqual(await legend(page), ["level", "hot"]);
  assert.equal(await said.textContent(), "No room for broken: a plot takes 12 values of two units.");
  assert.deepEqual(await page.locator(".legend small").allTextContents(), ["l", "K"], "whose axis is whose");
  await page.getByRole("button", { name: "spectrum", exact: true }).click();
  assert.deepEqual(await legend(page), ["level", "hot", ...Array.from({ length: 12 }, (_, i) => `spectrum[${i}]`)]);
  assert.equal(await said.textContent(), "No room for spectrum[12] and 27 more: a plot takes 12 values of two units.");
  await page.getByLabel("Add a value to Plot 2").selectOption("spectrum");
  await page.getByLabel("Which element for Plot 2").fill("39");
  await page.getByRole("button", { name: "Add to Plot 2" }).click();
  assert.match(await said.textContent(), /^No room for spectrum\[39\]:/);
  await page.getByRole("button", { name: "Do not plot spectrum[0]", exact: true }).click();
  assert.equal(await said.textContent(), "");
  await page.getByLabel("Add a value to Plot 2").selectOption("spectrum");
  await page.getByLabel("Which element for Plot 2").fill("39");
  await page.getByRole("button", { name: "Add to Plot 2" }).click();
  assert.equal((await legend(page)).at(-1), "spectrum[39]");
  await page.getByRole("button", { name: "Add plot" }).click();
  assert.equal(await page.getByRole("button", { name: "Plot 3: save as PNG" }).isDisabled(), true);
});

test("the focus stays where somebody works", async (t) => {
  const { page } = await tankPage(t, { hash: "#tank&p=level,counter,countdown;mode;leaking" });
  await page.getByRole("button", { name: "Do not plot counter" }).focus();
  await page.keyboard.press("Enter");
  assert.equal(await focused(page), "Do not plot countdown");
  await page.keyboard.press("Enter");
  assert.equal(await focused(page), "Do not plot level");
  await page.getByRole("button", { name: "Remove Plot 3" }).focus();
  await page.keyboard.press("Enter");
  assert.equal(await focused(page), "Remove Plot 2");
  await page.keyboard.press("t");
  assert.equal(await focused(page), "Remove Plot 2", "other colours are no reason either");
});

test("the cursor goes from tick to tick with the keyboard, and follows a tap", async (t) => {
  const { page } = await tankPage(t, { hasTouch: true });
  await page.keyboard.press(",");
  const first = await cursorTick(page);
  await page.keyboard.press(",");
  await until("one tick back", () => cursorTick(page), (tick) => tick === first - 1);
  await page.keyboard.press(".");
  await page.keyboard.press(".");
  await until("and on", () => cursorTick(page), (tick) => tick === first + 1);
  const values = await page.locator(".legend data").allTextContents();
  assert.equal(Number(values[0]), ((first + 1) % 1000) / 10);
  const { x, y, width, height } = await page.locator(".plot .u-over").first().boundingBox();
  await page.touchscreen.tap(x + width * 0.5, y + height / 2);
  const tapped = await until("the cursor is where it was tapped", () => cursorTick(page), (tick) => Math.abs(first - tick) > 10);
  await lookAtTicks(page, 5);
  assert.equal(await cursorTick(page), tapped, "it stays there");
});

/** The stretch that is shown, as a link would tell it: seconds. */
async function spanOf(page) {
  await page.getByRole("button", { name: "Share" }).click();
  const link = await page.getByLabel("Who may open this page").inputValue();
  await page.keyboard.press("Escape");
  return Number(link.match(/&w=([\d.]+)/)[1]);
}

test("zoom: by keys, by the wheel, by dragging with Shift, by the list", async (t) => {
  const { page } = await tankPage(t);
  assert.equal(await spanOf(page), 1);
  await page.keyboard.press("+");
  assert.equal(await spanOf(page), 0.5);
  await page.keyboard.press("-");
  await page.keyboard.press("-");
  assert.equal(await spanOf(page), 2);
  await page.getByLabel("Stretch of time shown").selectOption("1");
  assert.equal(await spanOf(page), 1);

  const area = page.locator(".plot .u-over").first();
  await area.scrollIntoViewIfNeeded();
  const { x, y, width, height } = await area.boundingBox();
  await page.mouse.move(x + width / 2, y + height / 2);
  await page.mouse.wheel(0, 10);
  assert.equal(await spanOf(page), 1, "the wheel alone scrolls the page");
  await area.scrollIntoViewIfNeeded();
  const now = await area.boundingBox();
  await page.mouse.move(now.x + now.width / 2, now.y + now.height / 2);
  await page.keyboard.down("Control");
  await page.mouse.wheel(0, -400);
  await page.keyboard.up("Control");
  await until("nearer by the wheel", () => spanOf(page), (span) => Math.abs(span - Math.exp(-1)) < 0.01);

  await page.getByLabel("Stretch of time shown").selectOption("1");
  const box = await area.boundingBox();
  await page.keyboard.down("Shift");
  await page.mouse.move(box.x + box.width * 0.25, box.y + 20);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width * 0.75, box.y + 20, { steps: 4 });
  const chosen = await page.locator(".selection").first().boundingBox();
  assert.ok(Math.abs(chosen.width - box.width / 2) < 4, `${chosen.width} px of ${box.width} are marked`);
  await page.mouse.up();
  await page.keyboard.up("Shift");
  assert.equal(await page.locator(".selection").first().isVisible(), false);
  assert.ok(Math.abs((await spanOf(page)) - 0.5) < 0.01);
  await page.mouse.move(5, 5);
  assert.match(await until("held", () => where(page), (words) => !words.startsWith("Cursor")), /^Until/);
});

test("a toggle has one name and says whether it is pressed; the switch of the keys is remembered", async (t) => {
  const { page } = await tankPage(t);
  const pause = page.getByTestId("pause");
  await pause.click();
  assert.deepEqual([await pause.textContent(), await pause.getAttribute("aria-pressed")], ["Pause", "true"]);
  await pause.click();
  assert.deepEqual([await pause.textContent(), await pause.getAttribute("aria-pressed")], ["Pause", "false"]);
  assert.equal(await page.getByTestId("theme").textContent(), "Theme: auto");
  await page.keyboard.press("?");
  await page.getByLabel("Use these keys").uncheck();
  await page.reload();
  await claims(page, "live");
  await page.keyboard.press("p");
  await lookAtTicks(page, 3);
  assert.equal((await look(page)).stale, "");
  await page.getByRole("button", { name: "Reset" }).click();
  await page.keyboard.press("p");
  await until("keys work again", () => look(page), ({ stale }) => stale.startsWith("Paused"));
});

test("a trigger that fires again and again does not talk without a break", async (t) => {
  const { page } = await tankPage(t);
  await page.getByText("Trigger", { exact: false }).first().click();
  await page.getByLabel("When").selectOption({ label: "mode" });
  await page.getByLabel("which state").selectOption({ label: "draining" });
  await page.locator("#trigger-span").fill("0.02");
  await page.evaluate(() => {
    window.spoken = [];
    const said = document.getElementById("trigger-said");
    new MutationObserver(() => window.spoken.push(performance.now())).observe(said, { characterData: true, subtree: true });
  });
  await page.locator("#trigger-mode").selectOption("normal");
  await until("it fired 40 times", () => page.getByTestId("trigger").textContent(), (words) => Number(words.match(/(\d+) so far/)?.[1]) >= 40);
  const spoken = await until("it was told twice", () => page.evaluate(() => window.spoken), (times) => times.length >= 2);
  spoken.forEach((time, i) => i && assert.ok(time - spoken[i - 1] >= 4900, `${spoken}`));
  assert.equal(await page.locator("details [aria-live], summary [aria-live]").count(), 0);
});

test("what gets the focus is not under the header", async (t) => {
  const { page } = await tankPage(t, { viewport: { width: 360, height: 640 } });
  await page.getByTestId("pause").click();
  const count = await page.locator("main :is(button, select, input, summary, [tabindex='0']):visible").count();
  assert.ok(count > 30);
  await page.evaluate(() => scrollTo(0, document.body.scrollHeight));
  await page.locator("main :is(button, select, input)").last().focus();
  for (let i = 0; i < count; i++) {
    await page.keyboard.press("Shift+Tab");
    const { what, top, edge } = await page.evaluate(() => {
      const one = document.activeElement;
      const { bottom } = document.querySelector("header").getBoundingClientRect();
      const inside = one.closest("main") !== null;
      return { what: one.outerHTML.slice(0, 80), top: inside ? one.getBoundingClientRect().top : Infinity, edge: bottom };
    });
    assert.ok(top >= edge - 1, `${what} at ${top}, under the header, which ends at ${edge}`);
  }
});

test("descriptions: for texts too, and gone with Esc", async (t) => {
  const { page } = await tankPage(t);
  const description = page.getByText("Who speaks");
  await page.locator('[data-field="motto"] dt').focus();
  assert.equal(await description.isVisible(), true);
  const id = await page.locator('[data-field="motto"] dt').getAttribute("aria-describedby");
  assert.equal(await page.locator(`#${id}`).textContent(), "Who speaks");
  await page.keyboard.press("Escape");
  assert.equal(await description.isVisible(), false);
  await page.getByRole("button", { name: "level", exact: true }).focus();
  assert.equal(await page.getByText("The tick's number in tenths").isVisible(), true);
});

test("a plot that is out of sight has no axes of a time that never was", async (t) => {
  const script = `
    globalThis.watchers = [];
    globalThis.IntersectionObserver = class {
      constructor(tell) { this.tell = (isIntersecting) => tell([{ isIntersecting }]); watchers.push(this); }
      observe() { this.tell(false); }
      disconnect() {}
    };`;
  const { page } = await tankPage(t, { script });
  const seen = () => page.locator(".plot canvas").evaluateAll((all) => all.map((each) => getComputedStyle(each).visibility));
  assert.deepEqual(await until("there are two", seen, (all) => all.length === 2), ["hidden", "hidden"]);
  await lookAtTicks(page, 5);
  assert.deepEqual(await seen(), ["hidden", "hidden"]);
  await page.evaluate(() => window.watchers.forEach((one) => one.tell(true)));
  await until("they are drawn when they come into sight", seen, (all) => all.every((each) => each === "visible"));
});

/** Keeps where the page and its first plot are, in each frame, from now on. */
function watchPlaces(page, selector = ".chart") {
  return page.evaluate((selector) => {
    window.places = new Set();
    const step = () => {
      const { top } = document.querySelector(selector).getBoundingClientRect();
      window.places.add(`${Math.round(scrollY)} ${Math.round(top)}`);
      requestAnimationFrame(step);
    };
    step();
  }, selector);
}

/** Puts the edge of something that far below the header. */
function place(page, selector, edge, below) {
  return page.evaluate(([selector, edge, below]) => {
    const header = document.querySelector("header").getBoundingClientRect().bottom;
    scrollBy({ top: document.querySelector(selector).getBoundingClientRect()[edge] - header - below, behavior: "instant" });
  }, [selector, edge, below]);
}

const newest = (page) => page.locator("#events-list li").last().getAttribute("data-sequence").then(Number);

for (const viewport of [{ width: 1366, height: 768 }, { width: 390, height: 844 }]) {
  const size = `${viewport.width}x${viewport.height}`;
  // On a wide screen the list begins below the plots' head, and no row of it is the first thing in sight.
  for (const source of viewport.width > 1000 ? ["robot"] : ["robot", "tank"])
    test(`the page stands still while events come, ${source}, ${size}`, async (t) => {
      const scene = await Scene.open(t);
      // A tank has many events, a robot has a picture that moves.
      await (source === "robot" ? scene.robot("--tick-hz", "500") : scene.publisher("tank", "--period", "2000"));
      const { link } = await scene.observer();
      const page = await scene.page(browser, link, { viewport });
      await until("the list of events is full", () => page.locator(".events-list").evaluate((list) => list.scrollHeight > list.clientHeight + 100));
      const spots = [[".events-list", "top", -40], [".events-list", "bottom", 60], [".chart", "top", 5]];
      if (source === "robot") spots.push(["figure.robot", "top", -100], ["figure.robot", "bottom", 60]);
      for (const spot of spots) {
        await place(page, ...spot);
        await lookAtTicks(page, 2);
        await watchPlaces(page);
        const before = await newest(page);
        await until("events came", () => newest(page), (now) => now >= before + 4);
        await lookAtTicks(page, 20);
        assert.equal(await page.evaluate(() => window.places.size), 1, `${spot}: ${await page.evaluate(() => [...window.places].join(", "))}`);
      }
    });

  test(`the page stands still while a plot comes and goes, ${size}`, async (t) => {
    const { page } = await tankPage(t, { viewport });
    for (const spot of [[".chart", "top", 5], [".chart", "top", -60]]) {
      await place(page, ...spot);
      await lookAtTicks(page, 5);
      await page.evaluate(() => {
        window.heights = new Set();
        const step = () => window.heights.add(document.body.scrollHeight) && requestAnimationFrame(step);
        step();
      });
      await watchPlaces(page);
      const count = () => page.getByTestId("chart").count();
      await page.locator("#add-plot").evaluate((node) => node.click());
      await until("it is there", count, (now) => now === 3);
      await lookAtTicks(page, 10);
      await page.getByRole("button", { name: /^Remove/ }).last().evaluate((node) => node.click());
      await until("it is gone", count, (now) => now === 2);
      await lookAtTicks(page, 10);
      assert.equal(await page.evaluate(() => window.places.size), 1, `${spot}: ${await page.evaluate(() => [...window.places].join(", "))}`);
      const heights = await page.evaluate(() => [...window.heights]);
      assert.ok(heights.length <= 2, `with it and without it, and none between: ${heights}`);
    }
  });

  test(`a value that is plotted stays under the finger, ${size}`, async (t) => {
    const { page } = await tankPage(t, { hash: "#tank&p=counter;temperature%5B0%5D", viewport });
    const button = page.getByRole("button", { name: "level", exact: true });
    const top = () => button.evaluate((node) => Math.round(node.getBoundingClientRect().top));
    const height = () => page.evaluate(() => document.body.scrollHeight);
    await button.evaluate((node) => node.scrollIntoView({ block: "center", behavior: "instant" }));
    await lookAtTicks(page, 5);
    for (const pressed of ["true", "false"]) {
      const [before, heightBefore] = [await top(), await height()];
      await page.evaluate(() => {
        window.tops = new Set();
        const [button] = [...document.querySelectorAll("button.name")].filter((node) => node.textContent === "level");
        const step = () => window.tops.add(Math.round(button.getBoundingClientRect().top)) && requestAnimationFrame(step);
        step();
      });
      await button.evaluate((node) => node.click()); // not by the mouse: that may scroll the page to aim
      await until("a plot came or went", height, (now) => now !== heightBefore);
      assert.equal(await button.getAttribute("aria-pressed"), pressed);
      await lookAtTicks(page, 10);
      const tops = await page.evaluate(() => [...window.tops]);
      assert.ok(tops.every((one) => Math.abs(one - before) <= 1), `at ${before}, then ${tops}`);
    }
  });
}

test("who looks back in the list of events, or is at one, has rows that stand still", async (t) => {
  const { page } = await tankPage(t);
  const list = page.locator(".events-list");
  await until("there is a past", () => list.evaluate((node) => node.scrollHeight > 2 * node.clientHeight));
  const rowAt = () => list.evaluate((node) => {
    const { left, top, height } = node.getBoundingClientRect();
    return document.elementFromPoint(left + 20, top + height / 2)?.closest("li")?.dataset.sequence;
  });
  const settled = async () => {
    const before = await newest(page);
    await until("events came", () => newest(page), (now) => now >= before + 10);
  };
  await list.scrollIntoViewIfNeeded();
  const moving = await rowAt();
  await settled();
  assert.notEqual(await rowAt(), moving, "the newest stay in sight");
  await list.locator("button").last().focus();
  await lookAtTicks(page, 3);
  const held = await rowAt();
  await settled();
  assert.equal(await rowAt(), held, "with the focus on a row");
  await page.locator("#live").focus();
  await settled();
  assert.equal(await list.evaluate((node) => node.scrollTop), 0, "and then the newest again");
});

test("of a source that stopped before anybody looked, no least and greatest is told, nor a dot for them", async (t) => {
  const scene = await Scene.open(t);
  const publisher = await scene.publisher("tank");
  const { link } = await scene.observer();
  await publisher.stop("SIGKILL");
  const page = await scene.page(browser, link);
  await claims(page, "stopped");
  const seen = page.locator('[data-field="level"] .seen');
  const dot = () => seen.evaluate((node) => [node.textContent, getComputedStyle(node, "::before").content]);
  assert.deepEqual(await dot(), ["", "none"]);
  await scene.publisher("tank");
  await until("they are told", dot, ([text, content]) => text.startsWith("seen ") && content.includes("·"));
});
