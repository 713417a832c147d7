// What the shells offer on the command lines of all programs, each asked in its own way: bash and zsh through a real
// terminal, in which keys are typed and the line that comes of them is run; fish by its own `complete -C`. Compared with
// what --help says, so that nothing is forgotten and nothing offered that the program does not take.

import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync } from "node:fs";
import { cp, mkdir, readFile, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";

import { BUILD, commandFor, openPlace, ROOT, until } from "./support.mjs";

const run = promisify(execFile);
const options = { timeout: 120_000 };
const COMPLETIONS = join(ROOT, "build/completions");
const PROGRAMS = ["omni-robot", "omni-relay", "omni-observer"];
const missing = async (command) => run("sh", ["-c", `command -v ${command}`]).then(() => undefined, () => `there is no ${command}`);

/** An interactive shell in a terminal. Where the line that was typed begins with one of our programs, its words come back. */
class Terminal {
  constructor(t, place, command, setup, keys) {
    this.place = place;
    this.keys = keys;
    this.asked = 0;
    this.seen = "";
    const env = { PATH: process.env.PATH, HOME: place.directory, TERM: "dumb", LC_ALL: "C.UTF-8", INPUTRC: "/dev/null", OMNI_DIRECTORY: place.directory };
    this.child = spawn("script", ["-qfec", command, "/dev/null"], { cwd: place.directory, env, stdio: ["pipe", "pipe", "pipe"] });
    this.child.stdout.on("data", (bytes) => (this.seen += bytes));
    this.ended = once(this.child, "close");
    t.after(async () => {
      this.child.stdin.end("\x15exit\n");
      this.child.kill("SIGHUP");
      await this.ended;
    });
    this.child.stdin.write(`stty cols 4000\n${setup}\n`);
    for (const program of PROGRAMS)
      this.child.stdin.write(`${program}() { printf '%s\\0' "$@" >$HOME/answer.new; mv $HOME/answer.new $HOME/answer.$number; }\n`);
  }

  async type(line, keys) {
    const number = ++this.asked;
    this.child.stdin.write(`number=${number}\n`);
    this.child.stdin.write(`${line}${keys}\n`);
    const answer = join(this.place.directory, `answer.${number}`);
    const text = await until(`an answer to ${line}; ${this.seen.slice(-2000)}`, () => readFile(answer, "utf8").catch(() => undefined));
    return text.split("\0").slice(0, -1);
  }

  /** The line's last word, in all forms that are offered. */
  async offers(line) {
    const before = line.split(" ").length - 2;
    return (await this.type(line, this.keys)).slice(before).sort();
  }

  /** The last word, completed by the tabulator. */
  async completes(line) {
    return (await this.type(line, "\t")).at(-1);
  }
}

class Fish {
  constructor(place) {
    this.place = place;
  }

  async ask(line) {
    const setup = `set fish_complete_path ${COMPLETIONS}/fish $fish_complete_path; complete -C $argv`;
    const env = { PATH: `${BUILD}:${process.env.PATH}`, HOME: this.place.directory, LC_ALL: "C.UTF-8", OMNI_DIRECTORY: this.place.directory };
    const { stdout, stderr } = await run("fish", ["--no-config", "-c", setup, line], { cwd: this.place.directory, env });
    assert.equal(stderr, "");
    return stdout.split("\n").slice(0, -1).map((row) => row.split("\t"));
  }

  async offers(line) {
    return (await this.ask(line)).map(([word]) => word).sort();
  }

  async completes(line) {
    const found = await this.offers(line);
    assert.equal(found.length, 1, `${line}: ${found}`);
    return found[0].replace(/ $/, "");
  }
}

const ZSH = `PS1= RPS1=; unsetopt zle_bracketed_paste promptsp; fpath=(${COMPLETIONS}/zsh $fpath)
autoload -Uz compinit; compinit -u -D; zle -C all-matches complete-word _generic; bindkey '^Xa' all-matches
zstyle ':completion:all-matches::::' completer _all_matches _complete; zstyle ':completion:all-matches:*' insert true`;

const source = (folder) => PROGRAMS.map((program) => `source ${folder}/${program}`).join("; ");
const bash = (t, place, setup) => new Terminal(t, place, "bash --norc --noprofile -i", `PS1=; bind 'set enable-bracketed-paste off'; ${setup}`, "\x1b*");
const SHELLS = {
  bash: (t, place) => bash(t, place, source(`${COMPLETIONS}/bash`)),
  zsh: (t, place) => new Terminal(t, place, "zsh -f -i", ZSH, "\x18a"),
  fish: (t, place) => new Fish(place),
};

/** What --help says: for each option its name, letter and argument, and the commands that it is for (none: all). */
async function help(program) {
  const [command, ...words] = commandFor(program);
  const { stdout } = await run(command, [...words, "--help"]);
  let commands;
  const found = [];
  for (const line of stdout.split("\n")) {
    const heading = /^Options for (.*):$/.exec(line);
    if (heading) commands = heading[1] === "every command" ? undefined : heading[1].split(/, | and /);
    const option = /^ {2}(?:-(\w), | {4})?--([a-z-]+)(?:[ =]([\w|:-]+)(?= |$))?/.exec(line);
    if (option) found.push({ letter: option[1], name: option[2], argument: option[3], commands });
  }
  assert.ok(found.length >= 7, stdout);
  return found;
}

const long = (rows) => rows.map(({ name }) => `--${name}`).sort();
const all = (rows) => [...long(rows), ...rows.filter(({ letter }) => letter).map(({ letter }) => `-${letter}`)].sort();

/** Where nothing else can stand, zsh goes on with options. */
const operands = (words) => words.filter((word) => !word.startsWith("-"));

for (const [shell, open] of Object.entries(SHELLS)) {
  /** A test in this shell, in a folder of its own. */
  const check = (name, body) => test(`${shell}: ${name}`, options, async (t) => {
    const lacking = (await missing(shell)) ?? (await missing("script"));
    if (lacking) return t.skip(lacking);
    const place = await openPlace(t);
    await body(open(t, place), place, t);
  });

  check("every option of --help is offered, and nothing else", async (asked) => {
    const robot = await help("omni-robot");
    assert.deepEqual(await asked.offers("omni-robot --"), long(robot));
    assert.deepEqual(await asked.offers("omni-robot --self"), ["--self-test", "--self-test-seconds"]);
    const relay = await help("omni-relay");
    assert.deepEqual(await asked.offers("omni-relay --"), long(relay));
    const observer = await help("omni-observer");
    assert.deepEqual(await asked.offers("omni-observer --"), long(observer));
    assert.deepEqual(await asked.offers("omni-observer -"), all(observer));
  });

  check("behind a command, the options that are for it, and only those", async (asked) => {
    const rows = await help("omni-observer");
    const commands = await asked.offers("omni-observer ");
    assert.deepEqual(commands, ["doctor", "dump", "list", "serve", "sound-test", "watch"]);
    for (const command of commands) {
      const those = rows.filter((row) => !row.commands || row.commands.includes(command));
      assert.deepEqual(await asked.offers(`omni-observer ${command} -`), all(those), command);
    }
    // A word that is an option's value is no command, whatever it says.
    assert.deepEqual(await asked.offers("omni-observer --token-file list --form"), ["--format"]);
    assert.deepEqual(await asked.offers("omni-observer -d list dump --form"), ["--format"]);
    assert.deepEqual(operands(await asked.offers("omni-observer list ")), []);
  });

  check("choices are offered where one is to be made", async (asked) => {
    const choices = (await help("omni-observer")).filter(({ argument }) => /^[a-z]+(\|[a-z]+)+$/.test(argument));
    assert.ok(choices.length >= 3);
    for (const { name, argument } of choices) {
      assert.deepEqual(await asked.offers(`omni-observer --${name} `), argument.split("|").sort(), name);
      const first = argument.split("|")[0];
      assert.equal(await asked.completes(`omni-observer --${name}=${first.slice(0, -1)}`), `--${name}=${first}`);
    }
    assert.deepEqual(await asked.offers("omni-robot --board "), ["driver:", "gpio", "sim"]);
    const cpus = await asked.offers("omni-robot --realtime-cpu ");
    assert.deepEqual(cpus.filter((word) => !/^\d+$/.test(word)), ["any", "auto"]);
    assert.ok(cpus.includes("0"), cpus.join());
    assert.deepEqual(await asked.offers("omni-observer --trust roo"), ["root"]);
    assert.deepEqual(await asked.offers("omni-relay --interface "), readdirSync("/sys/class/net").sort());
    for (const line of ["omni-robot --name ", "omni-robot --tick-hz ", "omni-observer --max-clients "]) assert.deepEqual(await asked.offers(line), [], line);
  });

  check("files and folders, also behind a prefix", async (asked, place) => {
    for (const name of ["wiring", "wiring/old"]) await mkdir(join(place.directory, name));
    for (const name of ["wiring.ini", "wiring of the left one.ini", "motor.so"]) await writeFile(join(place.directory, name), "");
    const plain = (words) => words.map((word) => word.replace(/\/$/, "")).sort();
    assert.deepEqual(plain(await asked.offers("omni-robot --board-config wir")), ["wiring", "wiring of the left one.ini", "wiring.ini"]);
    assert.deepEqual(plain(await asked.offers("omni-observer --sound-dir wir")), ["wiring"]);
    assert.match(await asked.completes("omni-observer serve -d wiring/o"), /^wiring\/old\/?$/);
    assert.equal(await asked.completes("omni-robot --board-config=wiring.i"), "--board-config=wiring.ini");
    assert.equal(await asked.completes("omni-robot --board driver:mot"), "driver:motor.so");
    assert.equal(await asked.completes("omni-robot --board=driver:./mot"), "--board=driver:./motor.so");
    assert.equal(await asked.completes(`omni-observer --region file:${place.directory}/mot`), `file:${place.directory}/motor.so`);
    assert.deepEqual(await asked.offers("omni-observer --region "), ["devmem:", "file:", "pci:"]);
    // As people type: a quote that is open yet, a blank with a backslash, a letter with its value.
    assert.equal(await asked.completes('omni-robot --board-config "wiring of'), "wiring of the left one.ini");
    assert.equal(await asked.completes('omni-robot --board "driver:mot'), "driver:motor.so");
    assert.equal(await asked.completes("omni-robot --board driver:wiring\\ of"), "driver:wiring of the left one.ini");
    assert.match(await asked.completes("omni-observer -dwir"), /^-dwiring\/?$/);
  });

  check("sources are offered by their names, and a name that is none never", async (asked, place) => {
    for (const name of ["left", "right.2"]) await place.startRobot({ name });
    for (const name of ["$(touch evil)", "a b", "'", "-x;", "..", "new\nline"]) await writeFile(place.segment(name), "");
    const prefixes = ["devmem:", "file:", "pci:", "shm:"];
    assert.deepEqual(await asked.offers("omni-observer watch "), [...prefixes, "left", "right.2"].sort());
    assert.deepEqual(await asked.offers("omni-observer dump --follow r"), ["right.2"]);
    assert.equal(await asked.completes("omni-observer dump shm:le"), "shm:left");
    assert.deepEqual(operands(await asked.offers("omni-observer watch left ")), []);
    for (const folder of [place.directory, ROOT, process.cwd()]) assert.ok(!existsSync(join(folder, "evil")), "nothing of a name is run");
    const other = join(place.directory, "elsewhere");
    await mkdir(other);
    await writeFile(join(other, "omni.far"), "");
    for (const given of [`--directory ${other}`, `--directory=${other}`, `-d ${other}`])
      assert.deepEqual(await asked.offers(`omni-observer ${given} watch `), [...prefixes, "far"].sort(), given);
  });
}

test("the package bash-completion finds them where they are installed", options, async (t) => {
  const loader = "/usr/share/bash-completion/bash_completion";
  const lacking = (await missing("script")) ?? (await readFile(loader).then(() => undefined, () => "there is no bash-completion"));
  if (lacking) return t.skip(lacking);
  const place = await openPlace(t);
  await mkdir(join(place.directory, "share/bash-completion"), { recursive: true });
  await symlink(`${COMPLETIONS}/bash`, join(place.directory, "share/bash-completion/completions"));
  const asked = bash(t, place, `export XDG_DATA_DIRS=${place.directory}/share; source ${loader}`);
  assert.deepEqual(await asked.offers("omni-robot --bo"), ["--board", "--board-config"]);
  assert.equal(await asked.completes("omni-observer --format=c"), "--format=csv");
});

test("an option whose value nobody can complete stops the build, with what to type", options, async (t) => {
  const place = await openPlace(t);
  for (const name of ["Makefile", "completions", "robot", "relay", "observer", "shared", "scripts"]) await cp(join(ROOT, name), join(place.directory, name), { recursive: true });
  const header = join(place.directory, "robot/options.h");
  await writeFile(header, (await readFile(header, "utf8")).replace('watchdog, "DEVICE"', 'watchdog, "GADGET"'));
  const built = await run("make", ["-C", place.directory, "completions"]).catch((error) => error);
  assert.equal(built.code, 2);
  assert.match(built.stderr, /^--watchdog GADGET: completions\/values\.c does not say what can be completed for GADGET/m);
});
