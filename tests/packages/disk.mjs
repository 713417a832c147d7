// A virtual machine whose disk is the clean Debian (root.mjs): systemd is its first process there, as on a robot.

import { readdirSync, readFileSync } from "node:fs";
import { chmod, mkdir, rm, symlink, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";

import { run } from "../integration/raw.mjs";
import { pack } from "../vm/archive.mjs";
import { OWN, systemOf } from "../vm/machine.mjs";

const SIZE = "1G"; // of a file with holes
const TERMINAL = OWN === "aarch64" ? "ttyAMA0" : "ttyS0";
/** What Debian's kernel needs to see a disk of QEMU's, in this order. */
const MODULES = ["virtio_ring", "virtio", "virtio_pci_legacy_dev", "virtio_pci_modern_dev", "virtio_pci", "virtio_blk"];

const INIT = `#!/bin/busybox sh
/bin/busybox mount -t devtmpfs dev /dev
for module in ${MODULES.join(" ")}; do /bin/busybox insmod /modules/$module.ko; done
until /bin/busybox mount -t ext4 -o noatime /dev/vda /new 2>/dev/null; do /bin/busybox sleep 0.05; done
exec /bin/busybox switch_root -c /dev/console /new /lib/systemd/systemd --log-level=warning
`;

/** Commands come from the serial line, as machine.mjs sends them. ask PATH: what the dashboard answers. */
const CONSOLE = `#!/bin/bash
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8
export SYSTEMD_PAGER=cat SYSTEMD_COLORS=0 SYSTEMD_URLIFY=0
ask() {
  exec 3<>/dev/tcp/127.0.0.1/8080 || return
  printf 'GET %s HTTP/1.0\\r\\nHost: 127.0.0.1:8080\\r\\n\\r\\n' "$1" >&3
  cat <&3
}
stty raw -echo
echo '<ready>'
while IFS= read -r line; do
  eval "$line"
  echo "<done $?>"
done
`;

const CONSOLE_UNIT = `[Unit]
DefaultDependencies=no
[Service]
ExecStart=/bin/bash /root/console
StandardInput=tty-force
StandardOutput=tty
StandardError=tty
TTYPath=/dev/${TERMINAL}
`;

/** Nobody is to log in, and nothing to be tidied: so it is less than multi-user.target. */
const START = `[Unit]
DefaultDependencies=no
Wants=console.service basic.target systemd-journald.service
AllowIsolate=yes
`;

/** Makes a disk of a root's files, with a console for the test on it. */
export async function makeDisk(root, disk) {
  const units = root.file("etc/systemd/system");
  await writeFile(root.file("root/console"), CONSOLE);
  await writeFile(join(units, "console.service"), CONSOLE_UNIT);
  await rm(join(units, "default.target"), { force: true });
  await writeFile(join(units, "default.target"), START);
  await rm(join(units, "timers.target"), { force: true });
  await symlink("/dev/null", join(units, "timers.target"));
  // What is run at each daemon-reload, and has nothing to find here; what apt has fetched.
  for (const folder of ["lib/systemd/system-generators", "var/lib/apt/lists", "var/cache/apt"]) await rm(root.file(folder), { recursive: true, force: true });
  await mkdir(dirname(disk), { recursive: true });
  await run("mke2fs", ["-q", "-t", "ext4", "-O", "^has_journal", "-d", root.directory, disk, SIZE]);
  await chmod(disk, 0o600);
}

/** The first file system of a machine that goes on with its disk. */
export function diskStarter() {
  const system = systemOf(OWN);
  const files = new Map(["bin", "dev", "modules", "new"].map((name) => [name, undefined]));
  files.set("init", Buffer.from(INIT));
  files.set("bin/busybox", readFileSync(join(system, "bin/busybox")));
  const all = readdirSync(join(system, "lib/modules"), { recursive: true, encoding: "utf8" });
  for (const name of MODULES) {
    const file = all.find((path) => basename(path) === `${name}.ko`);
    if (file) files.set(`modules/${name}.ko`, readFileSync(join(system, "lib/modules", file)));
  }
  return pack(files);
}

/** Arguments for a machine with that disk. */
export const diskDevice = (disk) => ["-drive", `file=${disk},format=raw,if=none,id=disk,cache=unsafe`, "-device", "virtio-blk-pci,drive=disk"];
