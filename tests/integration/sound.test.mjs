// The chickens: real observers and robots, and real alsa-lib whose devices write what is played to files,
// are not there, or block.

import assert from "node:assert/strict";
import { constants } from "node:fs";
import { mkdir, open, readdir, readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";

import { askJson, run } from "./raw.mjs";
import { connect, openPlace, refusal, until } from "./support.mjs";

const options = { timeout: 240_000 };
const OFF = { op: "sound", on: false, state: "off", reason: "" };
const ON = { op: "sound", on: true, state: "on", reason: "" };
const GOOD = (directory) => `pcm.null { type null }
pcm.!default { type file slave.pcm null file "${directory}/heard/good.wav" format wav truncate false }`;

/** Gives the place a configuration of ALSA; written anew in one go. */
async function configure(place, text) {
  await mkdir(join(place.directory, "heard"), { recursive: true });
  await writeFile(join(place.directory, "asound.new"), text);
  await rename(join(place.directory, "asound.new"), join(place.directory, "asound.conf"));
  return { ALSA_CONFIG_PATH: join(place.directory, "asound.conf") };
}

async function openYard(t, text) {
  const place = await openPlace(t);
  const env = await configure(place, text ?? GOOD(place.directory));
  return { place, env };
}

/** What a WAV file holds: rate, channels, samples from -1 to 1 without the silence around them. */
function parseWav(bytes) {
  assert.equal(bytes.toString("latin1", 0, 4), "RIFF");
  assert.equal(bytes.readUInt16LE(34), 16, "bits");
  let samples = Array.from({ length: (bytes.length - 44) >> 1 }, (_, i) => bytes.readInt16LE(44 + 2 * i) / 32768);
  const isHeard = (sample) => Math.abs(sample) > 0.001;
  samples = samples.slice(samples.findIndex(isHeard), samples.findLastIndex(isHeard) + 1);
  return { rate: bytes.readUInt32LE(24), channels: bytes.readUInt16LE(22), samples };
}

/** Which of the three a person would take it for; fails where it is not fit for a loudspeaker. */
function recognise(bytes, volume = 0.8) {
  const { rate, channels, samples } = parseWav(bytes);
  assert.deepEqual([rate, channels], [48000, 1]);
  const sum = (f) => samples.reduce((total, sample, i) => total + f(sample, i), 0);
  const squares = sum((sample) => sample * sample);
  const steps = sum((sample, i) => (i > 0 ? (sample - samples[i - 1]) ** 2 : 0));
  const peak = samples.reduce((most, sample) => Math.max(most, Math.abs(sample)), 0);
  assert.ok(peak > 0.1 * volume && peak <= 0.86 * volume, `peak ${peak}`);
  assert.ok(Math.sqrt(squares / samples.length) > 0.1 * volume, "not silent");
  assert.ok(Math.abs(sum((sample) => sample) / samples.length) < 0.002, "no direct current");
  if (samples.length / rate > 1.4) return "alarm";
  return (Math.sqrt(steps / squares) * rate) / (2 * Math.PI) > 850 ? "squawk" : "cluck";
}

/** The calls that were played to their end, in order. An opening without sound is a look at the device. */
async function heard(place) {
  const folder = join(place.directory, "heard");
  const names = (await readdir(folder)).sort();
  const files = await Promise.all(names.map((name) => readFile(join(folder, name))));
  // The length in its header is written at the end.
  return files.filter((bytes) => bytes.length > 44 && bytes.readUInt32LE(40) === bytes.length - 44).map((bytes) => recognise(bytes));
}

const isSound = (expected) => (message) =>
  message.op === "sound" && message.on === expected.on && message.state === expected.state;

test("off at the start; switched in one client, shown in all", options, async (t) => {
  const { place, env } = await openYard(t);
  const observer = await place.startObserver({ env });
  await place.startRobot();
  const [one, other] = [await connect(t, observer), await connect(t, observer)];
  for (const client of [one, other]) {
    await client.wait(({ op }) => op === "status");
    assert.equal(client.messages[0].op, "hello");
    assert.deepEqual(client.messages[1], OFF, "follows hello");
  }
  assert.deepEqual((await askJson(observer, "/api/observer")).sound, { on: false, state: "off", reason: "" });

  one.send({ op: "sound", on: true });
  for (const client of [one, other]) assert.deepEqual(await client.wait(({ op }) => op === "sound"), ON);
  assert.equal((await askJson(observer, "/api/observer")).sound.state, "on");
  const late = await connect(t, observer);
  assert.deepEqual(await late.wait(({ op }) => op === "sound"), ON);

  other.send({ op: "sound", on: false });
  for (const client of [one, other, late]) assert.deepEqual(await client.wait(({ op }) => op === "sound"), OFF);
  other.send({ op: "sound", on: false });
  await other.settle();
  assert.equal(one.all("sound").length, 3, "no news where nothing changed");
  for (const wrong of [{ op: "sound" }, { op: "sound", on: "yes" }, { op: "sound", on: 1 }]) {
    one.send(wrong);
    assert.match((await one.wait(({ op }) => op === "error")).message, /"on"/);
  }
  assert.equal((await observer.stop()).code, 0);
  assert.equal(observer.stderr, "");
});

test("a robot is heard: clucks while it wanders, an alarm when it stops", options, async (t) => {
  const { place, env } = await openYard(t);
  const observer = await place.startObserver({ env, args: ["--sound", "--sound-interval", "0.1-0.3"] });
  const client = await connect(t, observer);
  assert.deepEqual(await client.wait(({ op }) => op === "sound"), ON);
  // Somebody who is no robot comes and goes without a sound.
  const other = await place.startPublisher({ name: "other" });
  await client.wait(({ op, source }) => op === "source" && source.name === "other" && source.state === "live");
  await other.stop();
  await client.wait(({ op, source }) => op === "source" && source.name === "other" && source.state !== "live");
  const robot = await place.startRobot();
  await until("clucks", async () => (await heard(place)).filter((call) => call === "cluck").length > 3);
  assert.equal((await heard(place)).includes("alarm"), false);
  await robot.stop();
  await until("an alarm", async () => (await heard(place)).includes("alarm"));
  assert.equal((await heard(place)).filter((call) => call === "alarm").length, 1);
  assert.equal((await observer.stop()).code, 0);
});

test("a robot that hangs is an alarm, without a goodbye", options, async (t) => {
  const { place, env } = await openYard(t);
  const observer = await place.startObserver({ env, args: ["--sound", "--sound-interval", "3600"] });
  const client = await connect(t, observer);
  const robot = await place.startRobot();
  await client.wait(({ op }) => op === "status");
  robot.child.kill("SIGSTOP");
  await client.wait(({ op, source }) => op === "source" && source.reason === "silent");
  await until("an alarm", async () => (await heard(place)).includes("alarm"));
  robot.child.kill("SIGCONT");
});

test("a robot that meets an obstacle squawks", options, async (t) => {
  const { place, env } = await openYard(t);
  const observer = await place.startObserver({ env, args: ["--sound", "--sound-interval", "3600"] });
  const client = await connect(t, observer);
  await place.startRobot();
  await client.wait(({ op }) => op === "status");
  client.send({ op: "subscribe", source: "robot", mode: "every" });
  await client.wait(({ op, field, to }) => op === "event" && field === "obstacle" && to === true);
  await until("a squawk", async () => (await heard(place)).includes("squawk"));
});

test("where the token is in force, the switch needs it", options, async (t) => {
  const { place, env } = await openYard(t);
  const observer = await place.startObserver({ env, args: ["--require-token", "always"] });
  assert.equal((await refusal(t, observer)).status, 401);
  const client = await connect(t, observer, { headers: { authorization: `Bearer ${observer.token}` } });
  client.send({ op: "sound", on: true });
  await client.wait(isSound(ON));
});

test("no device: told once, and found when it comes", options, async (t) => {
  const { place, env } = await openYard(t, "pcm.null { type null }");
  const observer = await place.startObserver({ env, args: ["--sound"] });
  const robot = await place.startRobot();
  const client = await connect(t, observer);
  const missing = await client.wait(({ op, state }) => op === "sound" && state === "no-device");
  assert.deepEqual([missing.on, missing.reason], [true, 'no sound device "default": there is none of that name']);
  await client.wait(({ op, tick }) => op === "status" && tick > 300);
  assert.equal(observer.stderr.split("\n").length, 2, observer.stderr);
  assert.match(observer.stderr, /^no sound device "default".*--sound-device/);
  await configure(place, GOOD(place.directory));
  await client.wait(isSound(ON));
  await robot.stop();
  await until("an alarm", async () => (await heard(place)).includes("alarm"));
  assert.match(observer.stderr, /the sound device "default" is back\n$/);
  assert.equal((await observer.stop()).code, 0);
});

test("a device that blocks costs no client a tick", options, async (t) => {
  const { place } = await openYard(t, "");
  const fifo = join(place.directory, "fifo");
  await run("mkfifo", [fifo]);
  const reader = await open(fifo, constants.O_RDWR | constants.O_NONBLOCK);
  t.after(() => reader.close());
  const env = await configure(place, `pcm.null { type null }
pcm.!default { type file slave.pcm null file "${fifo}" format raw }`);
  const observer = await place.startObserver({ env, args: ["--sound", "--sound-interval", "0.1", "--history", "16MiB"] });
  const client = await connect(t, observer);
  await place.startRobot({ args: ["--tick-hz", "1000"] });
  await client.wait(({ op }) => op === "status");
  client.send({ op: "subscribe", source: "robot", mode: "every", rate: 60 });
  const blocked = await client.wait(({ op, state }) => op === "sound" && state === "no-device");
  assert.equal(blocked.reason, "the sound device blocks");
  const later = client.last("batch").rows.at(-1)[0] + 2000;
  await client.wait(({ op, rows }) => op === "batch" && rows.at(-1)[0] > later);
  const ticks = client.all("batch").flatMap(({ rows }) => rows.map(([tick]) => tick));
  assert.deepEqual(ticks, ticks.map((_, i) => ticks[0] + i), "each tick once");
  assert.deepEqual(client.all("dropped"), []);
  assert.equal(client.last("batch").lost, 0);
  client.send({ op: "sound", on: false });
  await client.wait(isSound(OFF));
  assert.deepEqual(await observer.stop(), { code: 0, signal: null });
});

test("sound-test plays all three and says so", options, async (t) => {
  const { place, env } = await openYard(t);
  const command = place.start("omni-observer", ["sound-test", "--sound-volume", "50"], { env });
  assert.deepEqual(await command.ended, { code: 0, signal: null });
  assert.match(command.stdout, /^through "default" at 50 %:\ncluck .*\nsquawk .*\nalarm .*\n$/);
  assert.equal(command.stderr, "");
  const folder = join(place.directory, "heard");
  const names = (await readdir(folder)).sort().slice(1); // the first is to see whether there is a device
  const calls = await Promise.all(names.map(async (name) => recognise(await readFile(join(folder, name)), 0.5)));
  assert.deepEqual(calls, ["cluck", "squawk", "alarm"]);

  const quiet = place.start("omni-observer", ["sound-test", "--quiet"], { env });
  assert.equal((await quiet.ended).code, 0);
  assert.equal(quiet.stdout + quiet.stderr, "");
});

test("sound-test plays your own files, and says which it cannot", options, async (t) => {
  const { place, env } = await openYard(t);
  const folder = join(place.directory, "hens");
  await mkdir(folder);
  const first = place.start("omni-observer", ["sound-test"], { env });
  await first.ended;
  const alarm = await readFile(join(place.directory, "heard", "good.wav.0003"));
  await writeFile(join(folder, "cluck.wav"), alarm);
  await writeFile(join(folder, "squawk.ogg"), "not a sound");
  const command = place.start("omni-observer", ["sound-test", "--sound-dir", folder], { env });
  assert.equal((await command.ended).code, 0);
  assert.match(command.stdout, /^cluck .* cluck\.wav: .*\nsquawk .* synthesised: /m);
  assert.match(command.stderr, /^no alarm\*\.wav, .* in \S+\/hens: synthesised instead\ncannot play \S+\/hens\/squawk\.ogg: it is neither WAV nor FLAC nor OGG\n$/);
  assert.equal(recognise(await readFile(join(place.directory, "heard", "good.wav.0005")), 0.64), "alarm");
});

test("sound-test and serve say what is wrong", options, async (t) => {
  const { place, env } = await openYard(t);
  const absent = place.start("omni-observer", ["sound-test", "--sound-device", "absent"], { env });
  assert.equal((await absent.ended).code, 1);
  assert.match(absent.stderr, /^no sound device "absent": there is none of that name; try another: .*--sound-device NAME\n/);
  assert.doesNotMatch(absent.stderr, /\bnull\b/, "what plays to nobody is no advice");
  assert.doesNotMatch(absent.stdout, /^cluck/m, "nothing is said to be played");
  for (const command of ["sound-test", "serve"]) {
    const nowhere = place.start("omni-observer", [command, "--sound-dir", join(place.directory, "nowhere")], { env });
    assert.equal((await nowhere.ended).code, 2);
    assert.match(nowhere.stderr, /^cannot read the directory \S+nowhere: No such file or directory; choose another: --sound-dir DIR\n$/);
  }
});
