import assert from "node:assert/strict";
import { test } from "node:test";

import {
  ANSWER_MS,
  ASK_MS,
  PROBE_MS,
  QUIET_MS,
  REFUSAL_MS,
  backOff,
  isLoopback,
  judgeProbe,
  judgeRefusal,
  judgeSilence,
} from "../../../web/link.js";

test("silence: fine, quiet, a question, lost", () => {
  const heard = 1000;
  const at = (now, asked = null) => judgeSilence({ now, heard, asked });
  assert.equal(at(heard), "fine");
  assert.equal(at(heard + QUIET_MS - 1), "fine");
  assert.equal(at(heard + QUIET_MS), "quiet");
  assert.equal(at(heard + ASK_MS), "ask");
  const asked = heard + ASK_MS;
  assert.equal(at(asked + 1, asked), "quiet");
  assert.equal(at(asked + ANSWER_MS - 1, asked), "quiet");
  assert.equal(at(asked + ANSWER_MS, asked), "lost");
});

test("silence: whatever is heard answers the question", () => {
  const asked = 5000;
  assert.equal(judgeSilence({ now: 5010, heard: 5005, asked }), "fine");
  assert.equal(judgeSilence({ now: 8100, heard: 5005, asked }), "ask");
});

test("silence: a page that was suspended asks before it despairs", () => {
  assert.equal(judgeSilence({ now: 600000, heard: 1000, asked: null }), "ask");
  assert.equal(judgeSilence({ now: 600000, heard: 1000, asked: 900 }), "ask");
});

const NO_ANSWER = { status: null, elapsed: 3, online: true, loopback: false };

test("probe: an answer means that the observer is there", () => {
  assert.equal(judgeProbe({ ...NO_ANSWER, status: 200 }), "reachable");
  assert.equal(judgeProbe({ ...NO_ANSWER, status: 200, elapsed: 2900 }), "reachable");
});

test("probe: a proxy that answers for it means that it is gone", () => {
  assert.equal(judgeProbe({ ...NO_ANSWER, status: 502 }), "observer-gone");
});

test("probe: a quick refusal comes from its machine", () => {
  assert.equal(judgeProbe(NO_ANSWER), "observer-gone");
  assert.equal(judgeProbe({ ...NO_ANSWER, elapsed: REFUSAL_MS }), "observer-gone");
});

test("probe: silence, a late failure, or no network at all means that the way is cut", () => {
  assert.equal(judgeProbe({ ...NO_ANSWER, elapsed: PROBE_MS }), "network-gone");
  assert.equal(judgeProbe({ ...NO_ANSWER, elapsed: REFUSAL_MS + 1 }), "network-gone");
  assert.equal(judgeProbe({ ...NO_ANSWER, online: false }), "network-gone");
});

test("probe: the own machine needs no network", () => {
  const offline = { ...NO_ANSWER, online: false, loopback: true };
  assert.equal(judgeProbe(offline), "observer-gone");
  assert.equal(judgeProbe({ ...offline, elapsed: PROBE_MS }), "network-gone");
});

test("loopback names", () => {
  for (const host of ["localhost", "robot.localhost", "127.0.0.1", "127.8.9.1", "[::1]"])
    assert.equal(isLoopback(host), true, host);
  for (const host of ["10.0.0.1", "robot.local", "127.evil.com", "notlocalhost", "[::2]"])
    assert.equal(isLoopback(host), false, host);
});

test("a WebSocket that does not come about: why", () => {
  assert.equal(judgeRefusal(401, 1), "needs-link");
  assert.equal(judgeRefusal(200, 1), "checking");
  assert.equal(judgeRefusal(200, 3), "refused");
  assert.equal(judgeRefusal(null, 3), "refused");
});

test("back-off: from a quarter of a second, doubling, to five, never in step", () => {
  const longest = [0, 1, 2, 3, 4, 5, 6, 1000].map((attempt) => backOff(attempt, 1));
  assert.deepEqual(longest, [250, 500, 1000, 2000, 4000, 5000, 5000, 5000]);
  assert.equal(backOff(2, 0), 500);
  assert.equal(backOff(2, 0.5), 750);
});
