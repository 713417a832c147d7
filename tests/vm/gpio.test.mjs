// A robot on real kernel interfaces: GPIO lines of the kernel's gpio-sim in a virtual machine (AArch64, as in a Raspberry Pi).
// The test is the world around it: it presses switches and answers triggers through the chip's sysfs, and reads there
// what the robot's lines do, from outside the robot. There is no simulated PWM chip: the kernel's PWM is a folder of
// plain files of the same shape here.

import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { ARCH, BOARD, chipFiles, LACKING, MOTORS, startChip, SWITCH } from "./gpio.mjs";
import { machineTest, startMachine } from "./machine.mjs";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const FIFO = 1;
const THROTTLE = "/proc/sys/kernel/sched_rt_runtime_us";

const ECHO = "[sensor 0]\ntrigger = 10\necho = 11\ntrigger_us = 1000\n";
const KERNEL_PWM = MOTORS.replace("pwm = 2", "pwm = /tmp/pwm/pwmchip0:1");

const BUILT = join(ROOT, "build", ARCH);
const FILES = () => new Map([
  ["lib/spinner.so", readFileSync(join(BUILT, "tests/plugins/spinner.so"))],
  ...chipFiles(),
  ["tmp/switch.ini", Buffer.from(BOARD + MOTORS + SWITCH)],
  ["tmp/echo.ini", Buffer.from(BOARD + MOTORS + ECHO)],
  ["tmp/pwm.ini", Buffer.from(BOARD + KERNEL_PWM + SWITCH)],
  ["tmp/misspelt.ini", Buffer.from(`${BOARD + MOTORS + SWITCH}debounce_mss = 5\n`)],
  ["tmp/beyond.ini", Buffer.from(BOARD + MOTORS + SWITCH.replace("12", "24"))],
]);

async function startWorld(t, suite) {
  const other = `${ARCH}-${suite}`;
  const elsewhere = suite ? { programs: { "omni-robot": `build/${other}/omni-robot` }, sysroots: [`build/sysroot/${other}`] } : {};
  const machine = await startMachine(t, { arch: ARCH, files: FILES(), ...elsewhere });
  await startChip(machine);
  return machine;
}

/** Starts a robot and returns its process id there. `before`: what stands before its name. */
async function startRobot(machine, config, options = "", before = "") {
  await machine.must("rm -f /dev/shm/omni.robot"); // so that every tick that is found there is this one's
  return machine.start("robot", `${before} omni-robot --board gpio --board-config /tmp/${config}.ini ${options}`);
}

/** Does something that ends the robot, and waits for it; returns the exit code that the shell sees. */
const endBy = async (machine, pid, line) => (await machine.run(`${line}; wait ${pid}`)).code;

/** Waits for a tick that matches: one that the ring still holds, or a coming one. */
async function tick(machine, pattern) {
  // Again and again: the first look may still be at the robot before.
  await machine.until(`timeout 3 omni-observer dump robot | grep -m 1 '${pattern}' >/tmp/tick`);
  return JSON.parse(await machine.must("cat /tmp/tick")).values;
}

async function end(machine, pid) {
  assert.equal(await endBy(machine, pid, `kill ${pid}`), 0);
  await machine.until('off && [ -z "$(guards)" ]');
}

/** The kernel's requests for lines, of both generations of its interface. */
const LINE_REQUEST = /GET_LINEHANDLE|GET_LINEEVENT|V2_GET_LINE_IOCTL/;

/** Runs a robot to its end; returns its exit code, what it said, and all that it asked the GPIO chip for. */
async function trace(machine, config, options = "") {
  const asked = `strace --seccomp-bpf -f -qq -o /tmp/asked -e trace=ioctl omni-robot --board gpio --board-config /tmp/${config}.ini ${options}`;
  const { code, text } = await machine.run(`timeout 60 ${asked} 2>&1`);
  return { code, text, asked: await machine.must("grep -i gpio /tmp/asked; true") };
}

const SUBTESTS = {
  async "a file that is wrong at its very end is refused before a line is touched; else the motors' come first, off"(machine) {
    const misspelt = await trace(machine, "misspelt");
    assert.equal(misspelt.code, 2, misspelt.text);
    assert.match(misspelt.text, /misspelt\.ini.*debounce_mss/);
    assert.equal(misspelt.asked, "");
    const beyond = await trace(machine, "beyond");
    assert.equal(beyond.code, 2, beyond.text);
    assert.match(beyond.text, /\[sensor 0\] switch = 24: .* has the lines 0 to 23/);
    assert.doesNotMatch(beyond.asked, LINE_REQUEST);
    const right = await trace(machine, "switch", "--ticks 1");
    assert.equal(right.code, 0, right.text);
    const requests = right.asked.split("\n").filter((line) => LINE_REQUEST.test(line));
    const users = requests.map((line) => /"omni-robot ([^"]+)"/.exec(line)?.[1]);
    const motor = ["motor", "motor", "PWM"];
    assert.deepEqual(users, [...motor, ...motor, ...motor, "emergency stop", "heartbeat", "sensor"], right.asked);
    assert.ok(requests.slice(0, 9).every((line) => /REQUEST_OUTPUT|FLAG_OUTPUT/.test(line)), right.asked);
    assert.doesNotMatch(requests.join("\n"), /values=\[?(0x0*)?[1-9]/, "inactive from the beginning");
  },

  async "lines do what the status says, and are off at the end"(machine) {
    await machine.must("off");
    const pid = await startRobot(machine, "switch");
    await machine.until("ahead");
    await machine.until("seen 2 1 && seen 2 0"); // PWM: a power between the two
    await machine.until("seen 21 1 && seen 21 0"); // its heart beats
    const { motor_power: powers, sensors } = await tick(machine, '"bot_mode":"wandering"');
    assert.ok(powers[0] < 0 && powers[2] > 0, powers.join());
    assert.deepEqual(sensors, [0, 0, 4000, 0, 0], "one sensor, which sees nothing");
    await machine.must("pull 12 down");
    await machine.until("turning");
    assert.equal((await tick(machine, '"obstacle_mode":"turning"')).sensors[2], 20);
    await machine.must("pull 12 up");
    await machine.until("ahead");
    await end(machine, pid);
    assert.equal((await tick(machine, '"bot_mode":"stopped"')).motor_power.join(), "0,0,0");
  },

  async "killed or crashed at full speed: the guard switches the motors off"(machine) {
    for (const signal of ["KILL", "SEGV", "ABRT"]) {
      const pid = await startRobot(machine, "switch");
      await machine.until("ahead");
      assert.ok((await endBy(machine, pid, `kill -${signal} ${pid}`)) > 128, signal);
      await machine.until('off && [ -z "$(guards)" ]');
    }
  },

  async "the kernel does not give the lines back before the guard has switched them off"(machine) {
    const pid = await startRobot(machine, "switch");
    await machine.until('[ -n "$(guards)" ]');
    // In one go: a loop that was late in the meantime would stand still for a while.
    await machine.must(`guard=$(guards); until ahead; do sleep 0.02; done; kill -STOP $guard; kill -KILL ${pid}; wait ${pid}; ahead`);
    const { code, text } = await machine.run("timeout 20 omni-robot --name other --board gpio --board-config /tmp/switch.ini 2>&1");
    assert.equal(code, 2, text);
    assert.match(text, /GPIO line 0 .*busy/);
    await machine.must("ahead; kill -CONT $guard");
    await machine.until("off");
  },

  async "a robot that loses its guard ends, with its motors off"(machine) {
    const pid = await startRobot(machine, "switch");
    await machine.until("ahead");
    assert.equal(await endBy(machine, pid, "kill -KILL $(guards)"), 1);
    await machine.must("off");
    assert.match(await machine.output("robot"), /The process that guards the motors .* is gone/);
  },

  async "a guard that is suspended: off until it looks again"(machine) {
    const pid = await startRobot(machine, "switch");
    await machine.until("ahead");
    await machine.must("kill -STOP $(guards)");
    const held = await tick(machine, '"motor_hold":"overrun"');
    assert.deepEqual(held.motor_power, [0, 0, 0]);
    await machine.until("off");
    assert.match(await machine.output("robot"), /The process that guards the motors .* does not look any more/);
    await machine.must("kill -CONT $(guards)");
    await machine.until("ahead");
    await machine.must("kill -STOP $(guards)");
    await end(machine, pid); // and it is not waited for
    await machine.until('off && [ -z "$(guards)" ]');
  },

  async "a loop that hangs: off while it does, and for a while after"(machine) {
    const pid = await startRobot(machine, "switch");
    await machine.until("ahead");
    await machine.must(`kill -STOP ${pid}`);
    await machine.until("off");
    await machine.must(`grep -q '^State:.T' /proc/${pid}/status`); // so it was not the robot
    await machine.must("stands 21"); // and neither does its heart beat
    await machine.must(`kill -CONT ${pid}`);
    const held = await tick(machine, '"motor_hold":"overrun"');
    assert.deepEqual(held.motor_power, [0, 0, 0]);
    assert.equal(held.bot_mode, "waiting");
    await machine.until("ahead");
    await end(machine, pid);
  },

  async "--realtime: guard before software PWM before loop before sensors; the loop alone is kept on one CPU"(machine) {
    const pid = await startRobot(machine, "switch", "--realtime");
    await machine.until("ahead");
    const [loop, ...others] = (await machine.must(`scheduling ${pid}`)).trim().split("\n");
    assert.equal(loop, `48 ${FIFO} 1`, "the last of its two CPUs");
    assert.deepEqual(others.sort(), [`40 ${FIFO} 0-1`, `49 ${FIFO} 0-1`]);
    assert.equal((await machine.must("scheduling $(guards)")).trim(), `50 ${FIFO} 0-1`);
    await end(machine, pid);
  },

  async "a real-time loop that never sleeps again, on the only CPU for all of them: off"(machine) {
    await machine.must(`echo -1 >${THROTTLE}`); // it would be stopped for 50 ms of every second
    const pid = await startRobot(machine, "switch", "--realtime", "LD_PRELOAD=/lib/spinner.so taskset 2");
    await machine.until("ahead");
    assert.doesNotMatch(await machine.must(`scheduling ${pid}; scheduling $(guards)`), / (?!1$)\S+$/m, "all on CPU 1");
    await machine.must(`kill -USR1 ${pid}`);
    await machine.until("off");
    const [spins, pulses] = [`$(sleeps ${pid} 48)`, `$(sleeps ${pid} 49)`];
    await machine.must(`slept=${spins}; pulsed=${pulses}; [ $(scheduling ${pid} | head -n 1 | cut -d ' ' -f 1) = 48 ]`);
    await machine.until(`[ ${pulses} -gt $((pulsed + 10)) ]`); // the software PWM goes on, with nothing to do
    await machine.must(`[ ${spins} = $slept ] && grep -q '^State:.R' /proc/${pid}/status && stays_off`);
    assert.ok((await endBy(machine, pid, `kill -KILL ${pid}`)) > 128);
    await machine.until('off && [ -z "$(guards)" ]');
  },

  async "emergency stop: off at once, and until the robot starts anew"(machine) {
    let pid = await startRobot(machine, "switch");
    await machine.until("ahead");
    await machine.must("pull 20 down");
    await machine.until("off");
    const held = await tick(machine, '"motor_hold":"emergency stop"');
    assert.deepEqual([held.motor_power, held.bot_mode], [[0, 0, 0], "waiting"]);
    await machine.must("pull 20 up && stays_off");
    await end(machine, pid);
    await machine.must("pull 20 down");
    pid = await startRobot(machine, "switch"); // pressed from the beginning
    await tick(machine, '"motor_hold":"emergency stop"');
    await machine.must("stays_off");
    await end(machine, pid);
    await machine.must("pull 20 up");
  },

  async "an emergency stop that was pressed while the loop hung is not forgotten"(machine) {
    const pid = await startRobot(machine, "switch");
    await machine.until("ahead");
    await machine.must(`kill -STOP ${pid}`);
    await machine.until("off");
    await machine.must(`pull 20 down; sleep 0.1; pull 20 up; kill -CONT ${pid}`);
    await tick(machine, '"motor_hold":"emergency stop"');
    await machine.must("stays_off");
    await end(machine, pid);
  },

  async "echoes become millimetres by the kernel's stamps; silence stops the robot"(machine) {
    const pid = await startRobot(machine, "echo");
    await tick(machine, '"sensor_mode":"silent"');
    await machine.must("stays_off"); // it never saw anything
    for (const mm of [300, 900]) {
      const world = await machine.start("world", `exec gpio_world $CHIP 10 11 ${mm}`);
      await machine.until(`[ $(wc -l </tmp/world.out) -ge 5 ]`);
      const { sensors } = await tick(machine, mm < 500 ? '"sensors":\\[0,0,[2-4][0-9][0-9],0,0\\]' : '"sensors":\\[0,0,\\(8\\|9\\|1[0-9]\\)[0-9][0-9],0,0\\]');
      await machine.must(`kill ${world}; wait ${world}; true`);
      await tick(machine, '"sensor_mode":"silent"');
      await machine.until("off");
      const pulses = (await machine.output("world")).trim().split("\n").map((line) => line.split(" ").map(Number));
      assert.ok(pulses.some(([least, most]) => least <= sensors[2] && sensors[2] <= most), `${sensors[2]} mm is a pulse of ${JSON.stringify(pulses)}`);
    }
    // A line that stays up is no free way, either: but where it rose just after a trigger it is taken for one that answers,
    // once.
    await machine.must("pull 11 up");
    await machine.until("stays_off");
    await machine.must("pull 11 down");
    await end(machine, pid);
  },

  async "the kernel's PWM, as files: set, and set to zero by the guard of a robot that hung, or was killed"(machine) {
    await machine.must("mkdir -p /tmp/pwm/pwmchip0/pwm1 && cd /tmp/pwm/pwmchip0 && touch export pwm1/duty_cycle pwm1/enable pwm1/period; cd /");
    const duty = "[ $(head -n 1 /tmp/pwm/pwmchip0/pwm1/duty_cycle)";
    const pid = await startRobot(machine, "pwm");
    await machine.until(`ahead && ${duty} -gt 0 ]`);
    assert.equal((await machine.must("cat /tmp/pwm/pwmchip0/pwm1/period")).trim(), "50000"); // 20 kHz
    // What the guard of a robot that hung has switched off comes back only when the loop may drive again; then it does.
    await machine.must(`kill -STOP ${pid}`);
    await machine.until(`off && ${duty} = 0 ]`);
    await machine.must(`kill -CONT ${pid}`);
    assert.deepEqual((await tick(machine, '"motor_hold":"overrun"')).motor_power, [0, 0, 0]);
    await machine.until(`ahead && ${duty} -gt 0 ]`);
    await machine.must(`kill -KILL ${pid}; wait ${pid}; true`);
    await machine.until(`off && ${duty} = 0 ]`);
  },
};

/** Its two generations: 1.6 is Debian 12's, 2 is Debian 13's. */
const GENERATIONS = { "this Debian's libgpiod": undefined, "trixie's libgpiod": "trixie" };

for (const [generation, suite] of Object.entries(GENERATIONS)) {
  const place = `build/${ARCH}-${suite}/omni-robot`;
  const lacks = LACKING ?? (suite && !existsSync(join(ROOT, place)) ? `nothing is built of ${place}` : undefined);
  const body = async (t) => {
    const machine = await startWorld(t, suite);
    for (const [name, part] of Object.entries(SUBTESTS)) {
      await t.test(name, async () => {
        try {
          await part(machine);
        } finally {
          // Whatever failed is not the next one's trouble.
          const end = "for one in $(pidof omni-robot gpio_world); do kill -9 $one; wait $one; done";
          if (machine.isRunning) await machine.run(`${end}; pull 20 up; pull 12 up; pull 11 down; echo 950000 >${THROTTLE}`);
        }
      });
    }
  };
  machineTest(`a robot on GPIO lines, with ${generation}`, [ARCH], body, lacks);
}
