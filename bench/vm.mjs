// Virtual machines: how fast a guest publishes, and how soon the host knows of a tick, by doorbell and by looking every
// millisecond, on a fixed grid and without asking for a ring. Prints rows for scripts/bench, as the programs here do;
// "not here" where there can be no machine.
//
// Rate: the same program (guest.c) publishes 64 bytes without a pause in the guest and outside, in turns. Latency: a round
// trip, measured by the guest's clock alone; the clocks of two machines cannot be compared to a microsecond. The guest
// publishes, the host wakes (by eventfd or by its timer), reads the tick and writes a word that the guest spins on.

import { execFileSync, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";

import { doorbellDevice, lacking, OWN, SLOT, startMachine } from "../tests/vm/machine.mjs";

const ROUNDS = 5;
const TICKS = 200; // a round
const BAR = `pci:${SLOT}/resource2`;
const build = resolve(process.argv[2]);

const row = (...columns) => console.log(["row", ...columns].join("\t"));
const median = (values) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];
const percentile = (values, share) => [...values].sort((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * share))];
const micro = (ns) => `${(ns / 1000).toFixed(0)} µs`;
const million = (rate) => `${(rate / 1e6).toFixed(2)} M/s`;

const RATE = "a guest publishes through BAR 2 (emulated CPU)";
const LATENCY = "guest's tick → host's eventfd, and back";

/** The host's side: takes commands, says what came of them. */
function startHost(folder) {
  const child = spawn(join(build, "bench/doorbell"), [folder], { stdio: ["pipe", "pipe", process.env.BENCH_VERBOSE ? "inherit" : "ignore"] });
  const lines = [];
  const waiting = [];
  let rest = "";
  child.stdout.setEncoding("utf8").on("data", (text) => {
    const parts = (rest + text).split("\n");
    rest = parts.pop();
    lines.push(...parts);
    while (waiting.length > 0 && lines.length > 0) waiting.shift()(lines.shift());
  });
  const line = () => (lines.length > 0 ? Promise.resolve(lines.shift()) : new Promise((done) => waiting.push(done)));
  return {
    line,
    begin: (mode) => child.stdin.write(`${mode}\n`),
    end: async () => {
      child.stdin.write("end\n");
      const [looks, ticks, used] = (await line()).split(" ").map(Number);
      return { looks, ticks, used };
    },
    stop: async () => {
      child.stdin.end();
      if (child.exitCode === null) await once(child, "exit");
    },
  };
}

async function rateInside(machine) {
  const [, rate] = (await machine.must(`guest rate ${BAR} 1`)).split("\n");
  return Number(rate);
}

function rateOutside(folder) {
  const file = join(folder, "outside");
  const [, rate] = execFileSync(join(build, "bench/guest"), ["rate", `file:${file}`, "1"], { encoding: "utf8" }).split("\n");
  rmSync(file);
  return Number(rate);
}

/** One round: nanoseconds of each tick, and what the host did. */
async function round(machine, host, mode) {
  await machine.start("guest", `guest latency ${BAR} ${TICKS}`);
  await machine.until("grep -q open /tmp/guest.out");
  host.begin(mode);
  await machine.until("! pidof guest >/dev/null");
  const work = await host.end();
  const times = (await machine.output("guest")).trim().split("\n").slice(1).map(Number);
  if (times.length !== TICKS) throw new Error(`the guest says: ${times.slice(-3)}`);
  return { times, ...work };
}

function printLatency(bell, poll) {
  const times = (rounds) => rounds.flatMap((one) => one.times);
  const at = (rounds, share) => percentile(times(rounds), share);
  const perTick = (rounds, what) => median(rounds.map((one) => one[what] / one.ticks));
  const ratio = at(bell, 0.5) / at(poll, 0.5);
  row(LATENCY, "sooner than polling at 1 ms", `${micro(at(bell, 0.5))} (p99 ${micro(at(bell, 0.99))})`,
    `polling at 1 ms ${micro(at(poll, 0.5))} (p99 ${micro(at(poll, 0.99))}), ratio ${ratio.toFixed(2)}`, ratio < 1 ? "yes" : "no");
  row("… looks of the host for a tick, every 3.5 ms", "—", perTick(bell, "looks").toFixed(2), `polling at 1 ms ${perTick(poll, "looks").toFixed(2)}`, "-");
  row("… the host's CPU for a tick", "—", `${perTick(bell, "used").toFixed(0)} µs`, `polling at 1 ms ${perTick(poll, "used").toFixed(0)} µs`, "-");
}

async function measure(folder, ends) {
  const host = startHost(folder);
  ends.push(host.stop);
  await host.line();
  const machine = await startMachine({ after: (end) => ends.unshift(end) }, { devices: doorbellDevice(join(folder, "sock")) });
  const rates = { inside: [], outside: [] };
  const latencies = { bell: [], poll: [] };
  for (let i = 0; i < ROUNDS; i++) {
    rates.inside.push(await rateInside(machine));
    rates.outside.push(rateOutside(folder));
    for (const mode of ["bell", "poll"]) latencies[mode].push(await round(machine, host, mode));
  }
  const [inside, outside] = [median(rates.inside), median(rates.outside)];
  row(RATE, "—", million(inside), `the same program outside, file: ${million(outside)}, ratio ${(inside / outside).toFixed(3)}`, "-");
  printLatency(latencies.bell, latencies.poll);
}

spawnSync("scripts/guest", [OWN], { stdio: ["ignore", "ignore", "inherit"] });
const missing = lacking(OWN);
if (missing) {
  row(RATE, "—", "not here", missing, "-");
  row(LATENCY, "sooner than polling at 1 ms", "not here", missing, "-");
} else {
  const folder = mkdtempSync("/dev/shm/omni-bench-"); // a region lies in memory
  const ends = [];
  try {
    await measure(folder, ends);
  } finally {
    for (const end of ends) await end();
    rmSync(folder, { recursive: true, force: true });
  }
}
