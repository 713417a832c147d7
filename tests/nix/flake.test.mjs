// flake.nix and nix/: parsed, linted and locked right, always; evaluated with the stand-in for nixpkgs beside this file,
// which shows that every output is there and that every file is evaluated to its end; and evaluated with the real
// nixpkgs where OMNI_NIXPKGS names its tree. Nothing is built here: that takes the internet, or a cache of Nix.

import assert from "node:assert/strict";
import { execFile, execFileSync, spawnSync } from "node:child_process";
import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { arch, tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

import { elf } from "../integration/cpus.mjs";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const BUILD = join(ROOT, process.env.OMNI_BUILD ?? `build/${{ x64: "x86_64", arm64: "aarch64" }[arch()] ?? arch()}`);
const SYSTEM = { x64: "x86_64-linux", arm64: "aarch64-linux" }[arch()];
const LONGEST_LINE = 120;
const run = promisify(execFile);

const env = { ...process.env, NIX_CONFIG: "build-users-group =\nexperimental-features = nix-command flakes" };
const version = spawnSync("nix", ["--version"], { encoding: "utf8" }).stdout?.match(/(\d+)\.(\d+)/);
const options = { timeout: 240_000, skip: version ? undefined : "there is no nix (scripts/deps test installs it)" };

const listed = (...patterns) =>
  execFileSync("git", ["-C", ROOT, "ls-files", "-co", "--exclude-standard", ...patterns], { encoding: "utf8" }).trim().split("\n");
const read = (file) => readFile(join(ROOT, file), "utf8");
const files = listed("*.nix");

/** The project as a flake sees it, in a folder with a store of its own. */
async function openFlake(t) {
  const directory = await mkdtemp(join(tmpdir(), "omni-nix-"));
  t.after(async () => {
    spawnSync("chmod", ["-R", "u+w", directory]); // what is in a store is read-only
    await rm(directory, { recursive: true, force: true });
  });
  const source = join(directory, "source");
  for (const file of listed()) {
    await mkdir(join(source, file, ".."), { recursive: true });
    await cp(join(ROOT, file), join(source, file)).catch((error) => assert.equal(error.code, "ENOENT", "removed, not yet committed"));
  }
  const store = ["--store", join(directory, "store"), "--extra-experimental-features", "nix-command flakes"];
  return {
    directory,
    source,
    /** `nix COMMAND`, with inputs from this machine instead of the locked ones. */
    async nix(command, nixpkgs = join(ROOT, "tests/nix/nixpkgs")) {
      const inputs = ["--override-input", "nixpkgs", `path:${nixpkgs}`, "--override-input", "uplot", `path:${join(ROOT, "web/node_modules/uplot")}`];
      const { stdout } = await run("nix", [...store, ...command, ...inputs, "--offline", "--no-write-lock-file"], { env, maxBuffer: 1 << 26 });
      return stdout;
    },
    /** The value of an expression, where `lib` is the stand-in's. */
    async value(expression) {
      const lib = join(ROOT, "tests/nix/nixpkgs/lib.nix");
      const { stdout } = await run("nix-instantiate", ["--store", "dummy://", "--eval", "--strict", "--json", "-E", `let lib = import ${lib}; in ${expression}`], { env });
      return JSON.parse(stdout);
    },
  };
}

test("every file is Nix, and has no name that is not bound", options, async () => {
  assert.ok(files.includes("flake.nix") && files.includes("nix/module.nix"), files.join(" "));
  for (const file of files) await run("nix-instantiate", ["--store", "dummy://", "--parse", join(ROOT, file)], { env, maxBuffer: 1 << 26 });
});

test("lint: layout, arguments and inherited names that nobody uses", async () => {
  for (const file of files) {
    const text = await read(file);
    assert.ok(text.endsWith("\n") && !text.endsWith("\n\n"), `${file} ends with one line end`);
    text.split("\n").forEach((line, i) => {
      assert.doesNotMatch(line, /\t|\r| $/, `${file}:${i + 1}: tabs, or blanks at the end`);
      assert.ok(line.length <= LONGEST_LINE, `${file}:${i + 1}: longer than ${LONGEST_LINE}`);
      assert.equal(/^ */.exec(line)[0].length % 2, 0, `${file}:${i + 1}: indented by an odd number`);
    });
    const code = text.replace(/#.*$/gm, "");
    assert.doesNotMatch(code, /\bwith [a-z]|\brec \{/, `${file}: with and rec hide where a name comes from`);
    const header = /^\s*\{([^{}]*)\}:/.exec(code)?.[1] ?? "";
    const named = [header.replaceAll(/\?[^,]*/g, ""), ...[...code.matchAll(/inherit \((?:lib|builtins)\)([^;]*);/g)].map(([, names]) => names)];
    for (const name of named.join(" ").match(/[A-Za-z_][\w'-]*/g) ?? [])
      assert.ok(code.split(new RegExp(`(?<![\\w'-])${name}(?![\\w'-])`)).length > 2, `${file}: nobody uses ${name}`);
  }
});

test("the lock says what flake.nix asks for, and uPlot is the release that npm gives", async () => {
  const lock = JSON.parse(await read("flake.lock"));
  const flake = await read("flake.nix");
  const asked = Object.fromEntries([...flake.matchAll(/(\w+)(?:\.url| = \{\s*url) = "github:([^/"]+)\/([^/"]+)\/([^"]+)"/g)]
    .map(([, name, owner, repo, ref]) => [name, { owner, ref, repo, type: "github" }]));
  assert.deepEqual(Object.keys(asked).sort(), ["nixpkgs", "uplot"], "flake.nix has two inputs");
  assert.equal(lock.version, 7);
  assert.deepEqual(lock.nodes[lock.root].inputs, { nixpkgs: "nixpkgs", uplot: "uplot" });
  assert.deepEqual(Object.keys(lock.nodes).sort(), ["nixpkgs", "root", "uplot"]);
  for (const [name, original] of Object.entries(asked)) {
    const { locked, ...node } = lock.nodes[name];
    assert.deepEqual(node, { ...(name === "uplot" && { flake: false }), original });
    assert.deepEqual(Object.keys(locked), ["lastModified", "narHash", "owner", "repo", "rev", "type"]);
    assert.deepEqual([locked.owner, locked.repo, locked.type], [original.owner, original.repo, "github"]);
    assert.match(locked.rev, /^[0-9a-f]{40}$/);
    assert.match(locked.narHash, /^sha256-[A-Za-z0-9+/]{43}=$/);
    assert.ok(Number.isInteger(locked.lastModified) && locked.lastModified > 1.6e9 && locked.lastModified < Date.now() / 1000);
  }
  assert.equal(asked.uplot.ref, JSON.parse(await read("web/package.json")).dependencies.uplot);
  assert.equal(await read("flake.lock"), `${JSON.stringify(lock, null, 2)}\n`, "laid out as nix does it");
});

test("with a stand-in for nixpkgs every output is evaluated", options, async (t) => {
  const flake = await openFlake(t);
  await flake.nix(["flake", "check", "--no-build", `path:${flake.source}`]);
  const names = {};
  for (const output of ["packages", "checks", "devShells"])
    names[output] = JSON.parse(await flake.nix(["eval", "--json", `path:${flake.source}#${output}.${SYSTEM}`, "--apply", "builtins.mapAttrs (_: made: made.drvPath)"]));
  assert.deepEqual(Object.keys(names.packages), ["aarch64", "armv7", "default"]);
  assert.equal(new Set(Object.values(names.packages)).size, 3, "three CPUs, three packages");
  assert.deepEqual(Object.keys(names.checks), ["aarch64", "armv7", "default", "module", "unit"]);
  assert.notEqual(names.checks.unit, names.packages.default);
  assert.deepEqual(Object.keys(names.devShells), ["default"]);
  const packageVersion = await flake.nix(["eval", "--raw", `path:${flake.source}#packages.${SYSTEM}.default.version`]);
  assert.match(await read("Makefile"), new RegExp(`^VERSION +:= ${packageVersion.replaceAll(".", "\\.")}$`, "m"));
});

test("what the package takes along is enough for make, without npm", options, async (t) => {
  const flake = await openFlake(t);
  const source = await flake.nix(["eval", "--raw", `path:${flake.source}#packages.${SYSTEM}.default.src`]);
  const copy = join(flake.directory, "copy");
  await cp(join(flake.directory, "store", source), copy, { recursive: true });
  spawnSync("chmod", ["-R", "u+w", copy]);
  const named = [`UPLOT=${join(ROOT, "web/node_modules/uplot")}`, `ESBUILD=${join(ROOT, "web/node_modules/.bin/esbuild")}`, "WERROR="];
  const planned = async (folder) => {
    const what = ["--dry-run", "--always-make", "--no-print-directory", "programs", "units", "helpers"];
    const { stdout } = await run("make", ["-C", folder, ...what, ...named], { maxBuffer: 1 << 26 });
    assert.doesNotMatch(stdout, /scripts\/deps|npm/);
    return [...stdout.matchAll(/'compile' '([^']+)'/g)].map(([, file]) => file).sort();
  };
  assert.deepEqual(await planned(copy), await planned(ROOT), "the same is compiled");
  await run("make", ["-C", copy, "build/page/assets.h", ...named]);
  assert.equal(await readFile(join(copy, "build/page/assets.h"), "utf8"), await read("build/page/assets.h"), "the same page, to the byte");
});

test("a package for another CPU has its host program where the robot there looks for it", options, async (t) => {
  const flake = await openFlake(t);
  const out = join(flake.directory, "out");
  const made = join(flake.directory, "omni-driver-host");
  for (const [name, cpu] of [["aarch64", { machine: 183 }], ["armv7", { machine: 40, width: 1 }]]) {
    // As stdenv calls it, with a stand-in for what its compiler has made.
    const flags = JSON.parse(await flake.nix(["eval", "--json", `path:${flake.source}#packages.${SYSTEM}.${name}.makeFlags`]));
    await writeFile(made, elf(cpu), { mode: 0o755 });
    await run("make", ["-C", flake.source, "-o", made, "install-driver-host", `DRIVER_HOST=${made}`, ...flags], { env: { ...env, out: join(out, name) } });
    assert.deepEqual(await readdir(join(out, name, "lib/omniscient")), [name]);
  }
});

/** What the module makes of settings; a file in the store is its text. */
const configured = (flake, settings) =>
  flake.value(`(lib.evalModules {
    modules = [ ${join(ROOT, "nix/module.nix")} { services.omniscient = { package = { outPath = "/package"; }; } // ${settings}; } ];
    specialArgs.pkgs.writeText = _: text: text;
  }).config`);

/** The words of an ExecStart, read by a shell. */
const wordsOf = async (line) => (await run("sh", ["-c", `printf '%s\\n' ${line}`])).stdout.trimEnd().split("\n");

test("the module: what its options say is what the programs understand", options, async (t) => {
  const flake = await openFlake(t);
  const config = await configured(flake, `{
    robot = { enable = true; name = "rover"; tickHz = 50; realtime = true; user = "pi"; extraArgs = [ "--seed" "7" ]; };
    observer = { enable = true; address = "::1"; port = 9000; openFirewall = true; tokenFile = "/run/secrets/a token"; allowHosts = [ "robots.example" ]; };
  }`);
  const { "omni-robot": robot, "omni-observer": observer } = config.systemd.services;
  const started = { robot: await wordsOf(robot.serviceConfig.ExecStart), observer: await wordsOf(observer.serviceConfig.ExecStart) };
  assert.deepEqual(started.robot, ["/package/bin/omni-robot", "--name", "rover", "--board", "sim", "--tick-hz", "50", "--realtime", "--seed", "7"]);
  assert.deepEqual(started.observer, ["/package/bin/omni-observer", "serve", "--listen", "[::1]:9000",
    "--token-file", "/run/secrets/a token", "--allow-host", "robots.example", "--trust", "pi"]);
  assert.equal(robot.serviceConfig.User, "pi");
  assert.equal(observer.serviceConfig.User, "omni-observer");
  assert.deepEqual(Object.keys(config.users.users), ["omni-observer"], "the robot's user is somebody else's to make");
  assert.deepEqual(config.networking.firewall.allowedTCPPorts, [9000]);
  assert.ok(!/omni-robot/.test(JSON.stringify([observer.after, observer.requires, observer.bindsTo])), "independent of each other");
  for (const [program, [, ...words]] of Object.entries(started)) {
    // root is a user everywhere; --help ends it before it does anything, and after it has read all its options.
    const known = words.map((word) => (word === "pi" ? "root" : word));
    const { status, stderr } = spawnSync(join(BUILD, `omni-${program}`), [...known, "--help"], { encoding: "utf8" });
    assert.equal(status, 0, stderr);
  }
});

const ROUTES = `[ { when.file = "start"; "then".frame = "start_irq"; } { when.frame = "done_irq"; "then" = { file = "done"; text = "1"; }; } ]`;

/** The relay of this build, told only to print its routes; with JSON of the module's as its config, where there is some. */
async function printedRoutes(flake, words, env, json) {
  const file = join(flake.directory, "relay.json");
  if (json !== undefined) await writeFile(file, json);
  const known = words.map((word) => (word === json ? file : word));
  return spawnSync(join(BUILD, "omni-relay"), [...known, "--dry-run"], { encoding: "utf8", env: { ...process.env, ...env } });
}

test("the module's relay: attributes become its config, and the observer believes its user", options, async (t) => {
  const flake = await openFlake(t);
  const settings = `{
    relay = { enable = true; interface = "rpmsg4000"; name = "cores"; config = { directory = "/run/omni-relay"; routes = ${ROUTES}; }; };
    robot.enable = true;
    observer.enable = true;
  }`;
  const config = await configured(flake, settings);
  const { "omni-relay": relay, "omni-observer": observer } = config.systemd.services;
  const [program, ...words] = await wordsOf(relay.serviceConfig.ExecStart);
  const json = words[words.indexOf("--config") + 1];
  assert.equal(program, "/package/bin/omni-relay");
  assert.deepEqual(words, ["--interface", "rpmsg4000", "--config", json, "--name", "cores"]);
  assert.equal(relay.environment, undefined);
  assert.equal(relay.serviceConfig.User, "omni-relay");
  assert.deepEqual(Object.keys(config.users.users), ["omni-observer", "omni-relay", "omni-robot"]);
  assert.deepEqual(config.assertions.map(({ assertion }) => assertion), [true]);
  assert.match(observer.serviceConfig.ExecStart, /'--trust' 'omni-robot' '--trust' 'omni-relay'/);
  const { status, stdout, stderr } = await printedRoutes(flake, words, {}, json);
  assert.equal(status, 0, stderr);
  assert.match(stdout, /start_irq/);
  assert.match(stdout, /done_irq/);
});

test("the module's relay: a file as its config, or the predecessor's; one of them", options, async (t) => {
  const flake = await openFlake(t);
  const relayWith = async (more) => {
    const { assertions, systemd, users } = await configured(flake, `{ relay = { enable = true; interface = "rpmsg4000"; ${more} }; }`);
    const { environment, serviceConfig } = systemd.services["omni-relay"];
    return { assertions, environment, users, serviceConfig, words: (await wordsOf(serviceConfig.ExecStart)).slice(1) };
  };
  const udrv = join(flake.directory, "udrv.json");
  await writeFile(udrv, '{"file": {"ihub-irq-dev": {"path": "/run/omni-relay"}}}');
  const legacy = await relayWith(`udrvConfig = "${udrv}"; user = "pi"; extraArgs = [ "--directory" "/dev/shm" ];`);
  assert.deepEqual(legacy.words, ["--interface", "rpmsg4000", "--name", "relay", "--directory", "/dev/shm"]);
  assert.deepEqual(legacy.environment, { UDRV_JSON_PATH: udrv });
  assert.equal(legacy.serviceConfig.User, "pi");
  assert.deepEqual(legacy.users ?? {}, {}, "somebody else's to make");
  const { status, stdout, stderr } = await printedRoutes(flake, legacy.words, legacy.environment);
  assert.equal(status, 0, stderr);
  assert.match(stdout, /redun_notify_irq/);
  const file = await relayWith('config = "/etc/relay.json";');
  assert.deepEqual(file.words, ["--interface", "rpmsg4000", "--config", "/etc/relay.json", "--name", "relay"]);
  for (const wrong of ["", 'config = { }; udrvConfig = "/etc/udrv.json";']) {
    const { assertions } = await relayWith(wrong);
    assert.deepEqual(assertions.map(({ assertion }) => assertion), [false], wrong);
  }
  await assert.rejects(relayWith('config = "relay.json";'), /not of its type/);
  await assert.rejects(relayWith('name = "a/b";'), /not of its type/);
  await assert.rejects(configured(flake, '{ relay = { enable = true; config = "/etc/relay.json"; }; }'), /interface/, "which has no default");
});

/** What a unit's [Service] says, by name; what is said several times, in one line. */
function settingsOf(text) {
  const settings = {};
  for (const [, name, value] of text.split("[Service]")[1].split("[Install]")[0].matchAll(/^(\w+)=(.*)$/gm))
    settings[name] = settings[name] === undefined ? value : `${settings[name]} ${value}`;
  return settings;
}

test("the module's services may do what the units in packaging/systemd may, no more and no less", options, async (t) => {
  const flake = await openFlake(t);
  const config = await configured(flake, `{
    robot = { enable = true; realtime = true; };
    relay = { enable = true; interface = "rpmsg4000"; config.routes = [ ]; };
    observer.enable = true;
  }`);
  const own = ["User", "ExecStart", "Environment", "EnvironmentFile", "ReadWritePaths"]; // where things are differs
  const written = (value) => (Array.isArray(value) ? value.map(written).join(" ") : { true: "yes", false: "no" }[String(value)] ?? String(value));
  for (const name of ["omni-robot", "omni-relay", "omni-observer"]) {
    const unit = settingsOf(await readFile(join(ROOT, "packaging/systemd", `${name}.service`), "utf8"));
    const module = Object.fromEntries(Object.entries(config.systemd.services[name].serviceConfig).map(([key, value]) => [key, written(value)]));
    for (const key of own) {
      delete unit[key];
      delete module[key];
    }
    assert.deepEqual(module, unit, name);
  }
});

test("the module: each service alone, nothing by itself, and no nonsense", options, async (t) => {
  const flake = await openFlake(t);
  assert.deepEqual(Object.keys((await configured(flake, "{ robot.enable = true; }")).systemd.services), ["omni-robot"]);
  const relay = await configured(flake, '{ relay = { enable = true; interface = "rpmsg4000"; config.routes = [ ]; }; }');
  assert.deepEqual(Object.keys(relay.systemd.services), ["omni-relay"]);
  const observer = await configured(flake, "{ observer.enable = true; }");
  assert.deepEqual(Object.keys(observer.systemd.services), ["omni-observer"]);
  assert.doesNotMatch(observer.systemd.services["omni-observer"].serviceConfig.ExecStart, /--trust/);
  assert.equal((await configured(flake, "{ }")).systemd, undefined);
  await assert.rejects(configured(flake, "{ observer.enable = true; observer.port = 70000; }"), /not of its type/);
  await assert.rejects(configured(flake, "{ observer.prot = 80; }"), /no such option/);
});

test("with the real nixpkgs every output is evaluated", options, async (t) => {
  const tree = process.env.OMNI_NIXPKGS;
  if (!tree) return t.skip("nix evaluation: OMNI_NIXPKGS does not name a tree of nixpkgs");
  if (Number(version[1]) === 2 && Number(version[2]) < 18) return t.skip(`nix evaluation: nix ${version[0]} is too old for nixpkgs, 2.18 is needed`);
  const flake = await openFlake(t);
  await flake.nix(["flake", "check", "--no-build", "--all-systems", `path:${flake.source}`], tree);
  return undefined;
});
