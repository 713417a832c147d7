// GPIO lines of the kernel's gpio-sim in a virtual machine with the CPU of a Raspberry Pi, and what a robot on them is told.

import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

export const ARCH = "aarch64";
const MACHINES = fileURLToPath(new URL("../../build/vm", import.meta.url));
const MODULE = join(MACHINES, "gpio-sim", ARCH, "gpio-sim.ko");
export const LACKING = existsSync(MODULE) ? undefined : `there is no gpio-sim for its kernel (scripts/gpio-sim ${ARCH})`;

/** Motors on the lines 0 to 8: forward, backward, PWM. */
export const MOTORS = [60, 180, 300].map((bearing, i) => `[motor ${bearing}]
forward = ${3 * i}
backward = ${3 * i + 1}
pwm = ${3 * i + 2}
`).join("");
export const BOARD = `[board]
chip = gpio-sim
overrun_limit_ms = 400
emergency_stop = 20 active-low
heartbeat = 21
`;
export const SWITCH = "[sensor 0]\nswitch = 12 pull-up active-low\n";

function moduleOf(name) {
  const [kernel] = readdirSync(join(MACHINES, ARCH, "lib/modules"));
  return readFileSync(join(MACHINES, ARCH, "lib/modules", kernel, name));
}

/** What startChip() needs in the machine's first file system. */
export const chipFiles = () => [["lib/gpio-sim.ko", readFileSync(MODULE)], ["lib/configfs.ko", moduleOf("kernel/fs/configfs/configfs.ko")]];

// Words of shell for the machine. A line that is pulled up is a button that nobody presses; the switch's is pulled up by the
// robot itself when it starts.
const WORDS = `
value() { read -r digit <$CHIP/sim_gpio$1/value; printf %s $digit; }
values() { for line in "$@"; do value $line; done; }
pull() { echo pull-$2 >$CHIP/sim_gpio$1/pull; }
wheels() { values 0 1 3 4 6 7; }
motors() { values 0 1 2 3 4 5 6 7 8; }
off() { [ $(motors) = 000000000 ]; }
stays_off() { for n in 1 2 3 4 5 6 7 8 9 10; do off || return 1; sleep 0.05; done; }
ahead() { case $(wheels) in 01??10) ;; *) return 1 ;; esac; }
turning() { case $(wheels) in 101010 | 010101) ;; *) return 1 ;; esac; }
seen() { for n in 1 2 3 4 5 6 7 8 9 10; do [ $(value $1) = $2 ] && return; done; return 1; }
stands() { was=$(value $1); for n in 1 2 3 4 5 6 7 8 9 10; do [ $(value $1) = $was ] || return 1; sleep 0.05; done; }
scheduling() { for one in /proc/$1/task/*; do echo "$(sed 's/.*) //' $one/stat | cut -d ' ' -f 38,39) $(sed -n 's/^Cpus_allowed_list:.//p' $one/status)"; done; }
sleeps() { for one in /proc/$1/task/*; do [ "$(sed 's/.*) //' $one/stat | cut -d ' ' -f 38)" != $2 ] || sed -n 's/^voluntary_ctxt_switches:.//p' $one/status; done; }
guards() { ps -o pid,comm | awk '$2 == "omni-guard" { print $1 }'; }
`;

/** Makes a chip of 24 lines that is called gpio-sim, and teaches the shell words about it. */
export async function startChip(machine) {
  await machine.must("insmod /lib/configfs.ko && insmod /lib/gpio-sim.ko");
  await machine.must("mountpoint -q /sys/kernel/config || mount -t configfs none /sys/kernel/config");
  await machine.must("mkdir -p /sys/kernel/config/gpio-sim/sim/bank && cd /sys/kernel/config/gpio-sim/sim");
  await machine.must("echo 24 >bank/num_lines && echo gpio-sim >bank/label && echo 1 >live");
  await machine.must("CHIP=/sys/devices/platform/$(cat dev_name)/$(cat bank/chip_name); cd /");
  for (const word of WORDS.trim().split("\n")) await machine.must(word);
  await machine.must("pull 20 up");
}
