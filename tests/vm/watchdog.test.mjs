// The machine's watchdog: the kernel's own (softdog), which really resets the virtual machine.

import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { machineTest, OWN, startMachine } from "./machine.mjs";

const MODULES = fileURLToPath(new URL(`../../build/vm/${OWN}/lib/modules`, import.meta.url));
const [KERNEL] = existsSync(MODULES) ? readdirSync(MODULES) : [];
const NAMES = ["watchdog", "softdog"];
const fileOf = (name) => join(MODULES, KERNEL, "kernel/drivers/watchdog", `${name}.ko`);
// In seconds, for robots that are to be fed in time also where the emulator comes late; and longer than that.
const PATIENCE = 6;
const LONGER = PATIENCE + 2;
const LACKING = KERNEL && NAMES.every((name) => existsSync(fileOf(name))) ? undefined : "this kernel has no softdog to load";

machineTest("the machine's watchdog is fed, judged before it is woken, and resets a machine whose robot hangs", [OWN], async (t) => {
  const machine = await startMachine(t, { files: new Map(NAMES.map((name) => [`lib/${name}.ko`, readFileSync(fileOf(name))])) });
  const load = async (parameters) => {
    await machine.run("rmmod softdog");
    await machine.must(`[ -d /sys/class/watchdog ] || insmod /lib/watchdog.ko; insmod /lib/softdog.ko ${parameters}`);
  };
  const isActive = async () => (await machine.must("cat /sys/class/watchdog/watchdog0/state")).trim() === "active";
  await load("soft_margin=1");

  for (const device of ["/dev/watchdog", "/dev/watchdog0"])
    await t.test(`less patient than two ticks, it is refused, and sleeps on: ${device}`, async () => {
      const { code, text } = await machine.run(`omni-robot --tick-hz 1 --watchdog ${device} 2>&1`);
      assert.equal(code, 2, text);
      assert.match(text, new RegExp(`--watchdog ${device}: its 1 s are less than two ticks.*--tick-hz, or wdctl --settimeout 10 ${device}`));
      assert.equal(await isActive(), false);
    });

  await t.test("it is fed for longer than its time, and let go in the end", async () => {
    await load(`soft_margin=${PATIENCE}`);
    const robot = await machine.start("fed", "omni-robot --watchdog /dev/watchdog");
    await machine.until("grep -q runs /tmp/fed.out");
    await machine.until(`[ $(cat /sys/class/watchdog/watchdog0/state) = active ]`);
    await machine.must(`sleep ${LONGER}`);
    assert.equal(await isActive(), true);
    await machine.must(`kill ${robot}`);
    await machine.until("grep -q stopped /tmp/fed.out");
    await machine.until(`[ $(cat /sys/class/watchdog/watchdog0/state) = inactive ]`);
    assert.doesNotMatch(await machine.output("fed"), /nowayout/);
  });

  await t.test("one that cannot be stopped is told; where the loop hangs, the machine is reset", async () => {
    await load(`soft_margin=${PATIENCE} nowayout=1`);
    const robot = await machine.start("stays", "omni-robot --watchdog /dev/watchdog");
    await machine.until("grep -q runs /tmp/stays.out");
    assert.match(await machine.output("stays"), /--watchdog \/dev\/watchdog cannot be stopped any more \(its driver's nowayout\): \d+ s after this robot ends, .* it resets the machine/);
    await machine.must(`sleep ${LONGER}`);
    await machine.must(`kill -STOP ${robot}`);
    await machine.ended; // a reset ends this emulator; without one, the test's time is over
    assert.match(machine.console, /softdog: Initiating system reboot/);
  });
}, LACKING);
