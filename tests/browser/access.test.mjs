// Who cannot see, or sees little: axe-core over the page in every state of it, in both themes.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { after, before, test } from "node:test";

import { Scene, claims, launchBrowser, lookAtTicks, until } from "./harness.mjs";

const AXE = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

let browser;
before(async () => (browser = await launchBrowser()));
after(() => browser.close());

async function assertNoViolation(page, when) {
  if (!(await page.evaluate(() => "axe" in window))) await page.evaluate(AXE);
  const { violations, passes } = await page.evaluate(() => window.axe.run(document));
  const told = violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html, failureSummary }) => `${html} ${failureSummary}`).join("\n  ")}`);
  assert.deepEqual(told, [], when);
  assert.ok(passes.length > 20, `${passes.length} rules passed`);
}

for (const colorScheme of ["dark", "light"])
  test(`axe-core finds nothing, ${colorScheme}`, async (t) => {
    const scene = await Scene.open(t);
    const robot = await scene.robot();
    const observer = await scene.observer();
    const page = await scene.page(browser, observer.link, { colorScheme });
    await lookAtTicks(page, 10);
    await assertNoViolation(page, "live");
    await page.getByText("Trigger", { exact: false }).first().click();
    await page.getByRole("button", { name: "Add plot" }).click();
    await assertNoViolation(page, "trigger open");
    await page.getByTestId("theme").click();
    if (colorScheme === "dark") await page.getByTestId("theme").click();
    assert.equal(await page.locator("html").getAttribute("data-theme"), colorScheme === "dark" ? "light" : "dark");
    await assertNoViolation(page, "the other theme, chosen");
    await page.getByRole("button", { name: "Reset" }).click();
    await page.getByRole("button", { name: "Share" }).click();
    await assertNoViolation(page, "share dialog");
    await page.keyboard.press("Escape");
    await page.keyboard.press("?");
    await assertNoViolation(page, "help dialog");
    await page.keyboard.press("Escape");
    await page.getByTestId("pause").click();
    await assertNoViolation(page, "paused");
    await page.getByTestId("pause").click();
    await robot.stop("SIGKILL");
    await claims(page, "stopped");
    await assertNoViolation(page, "stopped");
    await observer.stop("SIGKILL");
    await claims(page, "observer gone");
    await assertNoViolation(page, "observer gone");
    // Nothing comes back from there any more, not even a refusal.
    await page.route("**/healthz", () => {});
    await claims(page, "network gone");
    await assertNoViolation(page, "network gone");
  });

for (const colorScheme of ["dark", "light"])
  test(`axe-core finds nothing with several sources and hostile names, ${colorScheme}`, async (t) => {
    const scene = await Scene.open(t);
    await scene.publisher("tank");
    await scene.publisher("evil", "--layout", "hostile");
    const { link } = await scene.observer();
    const page = await scene.page(browser, `${link}#tank`, { colorScheme });
    await lookAtTicks(page, 10);
    await assertNoViolation(page, "several sources");
    await page.getByLabel("Source").selectOption("evil");
    await lookAtTicks(page, 3);
    await assertNoViolation(page, "hostile names");
  });

test("who asked for little motion gets pictures once a second, and figures as ever", async (t) => {
  const scene = await Scene.open(t);
  await scene.robot();
  const { link } = await scene.observer();
  const hash = "#robot&p=heading;direction";
  const script = `
    globalThis.drawn = [];
    const { clearRect } = CanvasRenderingContext2D.prototype;
    CanvasRenderingContext2D.prototype.clearRect = function (...box) {
      if (this.canvas.closest(".chart") === document.querySelector(".chart")) drawn.push(performance.now());
      return clearRect.apply(this, box);
    };`;
  const drawnOf = async (reducedMotion) => {
    const page = await scene.page(browser, link + hash, { reducedMotion, script });
    await lookAtTicks(page, 20);
    await page.evaluate(() => {
      window.drawn.length = 0;
      window.turns = [];
      const picture = document.querySelector("g:has(> .body)");
      new MutationObserver(() => window.turns.push(performance.now())).observe(picture, { attributes: true });
    });
    await until("three pictures", () => page.evaluate(() => window.drawn.length), (count) => count > 3);
    await lookAtTicks(page, 60);
    return page.evaluate(() => ({ drawn: window.drawn, turns: window.turns }));
  };
  const calm = await drawnOf("reduce");
  for (const times of Object.values(calm))
    times.forEach((time, i) => i && assert.ok(time - times[i - 1] >= 950, `${times}`));
  const usual = await drawnOf("no-preference");
  assert.ok(usual.drawn.some((time, i) => i && time - usual.drawn[i - 1] < 500), `${usual.drawn}`);
});

test("sensors are told by their bearings", async (t) => {
  const scene = await Scene.open(t);
  await scene.robot();
  const { link } = await scene.observer();
  const page = await scene.page(browser, link);
  await lookAtTicks(page, 3);
  assert.deepEqual(await page.locator(".ray title").allTextContents(), [
    "Free way 90° to the right",
    "Free way 45° to the right",
    "Free way ahead",
    "Free way 45° to the left",
    "Free way 90° to the left",
  ]);
});

for (const colorScheme of ["dark", "light"])
  test(`axe-core finds nothing without a robot, ${colorScheme}`, async (t) => {
    const scene = await Scene.open(t);
    const { link } = await scene.observer();
    const page = await scene.page(browser, link, { colorScheme });
    await claims(page, "no source");
    await assertNoViolation(page, "no source");
  });
