// Memory that QEMU makes (ivshmem-plain): a robot in a guest, reached through BAR 2 of the PCI device and through
// /dev/mem, read on the host and by a second guest. What the tests' publisher puts into a tick follows from the tick's
// number, so that the host knows what it must read.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";

import { openPlace } from "../integration/support.mjs";
import { machineTest, OTHER, OWN, plainDevice, SLOT, startMachine } from "./machine.mjs";

const BYTES = 1 << 20;
const TICKS = 300;
const BAR = `pci:${SLOT}/resource2`;

/** The lines that `omni-observer dump` must write of the tests' publisher, but for the times. */
function lineAt(tick) {
  const values = {
    counter: tick,
    countdown: String(2n ** 64n - 1n - BigInt(tick)),
    level: (tick % 1000) / 10,
    temperature: [tick % 50, -(tick % 50) / 2],
    broken: null,
    hot: 340,
    spectrum: Array.from({ length: 40 }, (_, i) => (tick + i) % 1000),
    motto: "grüezi",
    mode: ["filling", "draining"][Math.floor(tick / 50) % 2],
    leaking: Math.floor(tick / 25) % 2 === 1,
  };
  return { tick, values };
}

/** Reads a region on the host to tick TICKS. */
async function dump(place, file) {
  const program = place.start("omni-observer", ["dump", `file:${file}`, "--count", String(TICKS)]);
  const { code } = await program.ended;
  assert.equal(code, 0, program.stderr);
  return program.stdout;
}

const sum = (text) => createHash("md5").update(text).digest("hex");

/** The same in a guest, as a check sum: its console is slow. */
async function sumInGuest(machine, address) {
  const text = await machine.must(`omni-observer dump ${address} --count ${TICKS} | md5sum`);
  return text.split(" ")[0];
}

/** Where the guest's kernel has put the memory. */
async function physicalAddress(machine) {
  const lines = (await machine.must(`cat /sys/bus/pci/devices/${SLOT}/resource`)).split("\n");
  return `devmem:${lines[2].split(" ")[0]}+1MiB`;
}

/** Publishes TICKS ticks in the guest and leaves the publisher there, silent. */
async function publish(machine, address) {
  await machine.start("publisher", `publisher --name guest --region ${address} --period 1000 --ticks ${TICKS}`);
  await machine.until("grep -q publishing /tmp/publisher.out");
}

/** Ends a program in the guest, and waits for it. */
const end = (machine, name) => machine.must(`killall ${name}; while pidof ${name} >/dev/null; do sleep 0.05; done`);

for (const arch of [OWN, OTHER])
  machineTest(`${arch}: what a guest publishes through BAR 2 and /dev/mem, the host reads: every tick, every value`, [arch], async (t) => {
    const place = await openPlace(t);
    const file = `${place.directory}/region`;
    const machine = await startMachine(t, { arch, devices: plainDevice(file, BYTES) });
    let before = 0;
    for (const address of [BAR, `${BAR}_wc`, await physicalAddress(machine)]) {
      await publish(machine, address);
      const text = await dump(place, file);
      const lines = text.trimEnd().split("\n").map((line) => JSON.parse(line));
      assert.deepEqual(lines.map(({ tick }) => tick), Array.from({ length: TICKS }, (_, i) => i + 1));
      for (const { tick, values } of lines) assert.deepEqual({ tick, values }, lineAt(tick));
      assert.ok(lines[0].monotonic > before, "these are not the ticks of the publisher before");
      before = lines.at(-1).monotonic;
      // The guest reads the same through the same door, to the letter.
      assert.equal(await sumInGuest(machine, address), sum(text), address);
      await end(machine, "publisher");
    }
  });

/* ---- what one kernel would not tell another ---- */

const TRACED = "strace -f -e trace=futex,flock,fcntl,mmap -o";

/** What a trace in the guest shows of the kernel's help: futexes in shared memory, and file locks. */
async function helpOf(machine, trace) {
  const { text } = await machine.run(`grep -E 'futex\\(|flock\\(|F_(OFD_)?(SETLK|GETLK)|MAP_SHARED' ${trace}`);
  const lines = text.split("\n");
  const shared = lines.map((line) => /mmap\(\w+, (\d+), .*MAP_SHARED.* = 0x(\w+)/.exec(line)).filter(Boolean)
    .map(([, size, at]) => [BigInt(`0x${at}`), BigInt(`0x${at}`) + BigInt(size)]);
  assert.ok(shared.length > 0, `${trace} shows the mapping of the segment`);
  const isShared = (address) => shared.some(([from, to]) => address >= from && address < to);
  return {
    locks: lines.filter((line) => /flock\(|F_(OFD_)?(SETLK|GETLK)/.test(line)),
    // Private ones, and those of glibc in memory of its own (to wait for a thread's end), reach nobody else.
    futexes: lines.filter((line) => isShared(BigInt(/futex\((0x\w+)/.exec(line)?.[1] ?? 0))),
  };
}

machineTest("through BAR 2 and /dev/mem, robot and reader use no shared futex and no file lock", [OWN], async (t) => {
  const place = await openPlace(t);
  const machine = await startMachine(t, { devices: plainDevice(`${place.directory}/region`, BYTES) });
  for (const [i, address] of [BAR, `${BAR}_wc`, await physicalAddress(machine)].entries()) {
    await machine.start("robot", `${TRACED} /tmp/robot.trace omni-robot --name robot-${i} --region ${address}`);
    await machine.until(`omni-observer list --region ${address} | grep -q 'robot-${i}.*live'`);
    await machine.must(`${TRACED} /tmp/reader.trace omni-observer dump ${address} --count 20 >/dev/null`);
    await end(machine, "omni-robot");
    for (const trace of ["/tmp/robot.trace", "/tmp/reader.trace"]) {
      await machine.must(`grep -q 'exited with 0' ${trace}`);
      assert.deepEqual(await helpOf(machine, trace), { locks: [], futexes: [] }, `${trace} of ${address}`);
    }
  }
  // The trace would have shown them: on one kernel there are both.
  await machine.start("robot", `${TRACED} /tmp/robot.trace omni-robot`);
  await machine.until("omni-observer list | grep -q 'robot.*live'");
  await machine.start("reader", `${TRACED} /tmp/reader.trace reader /dev/shm robot`);
  await machine.until("grep -q tick /tmp/reader.out");
  await machine.until("grep -q 'FUTEX_WAIT,' /tmp/reader.trace"); // it has slept
  await end(machine, "omni-robot");
  await machine.until("grep -q 'exited with' /tmp/reader.trace"); // and its trace is whole
  const [robot, reader] = [await helpOf(machine, "/tmp/robot.trace"), await helpOf(machine, "/tmp/reader.trace")];
  assert.ok(robot.locks.length > 0 && reader.futexes.length > 0, JSON.stringify({ robot, reader }));
});
