/* What the page knows and how it says it, without a browser: node --test. */
import assert from "node:assert/strict";
import test from "node:test";
import {KINDS, Model, PARTS, partsOf, worstPhase} from "../../src/page/model.mjs";
import * as words from "../../src/page/words.mjs";

const plain = (text) => text.replaceAll("\u00a0", " ");

/* An answer of /history with one upstream, "api"; `series` are those of its points. */
function history({seconds = 20, from = 0, points = 2, instance = "a", step = 10, series = {}, pool = {}, upstreams}) {
  const api = {name: "api", deadline_ms: 2000, longest_ms: 2000, pool: "api", series};
  return {
    instance, version: "1", page: "p", began_ms: 0, seconds, from, step, points, told: 0, upstreams: upstreams ?? [api],
    pools: [{name: "api", size: 50, held: 0, held_peak: 0, waiting: 0, ...pool}],
  };
}

function phases(...all) {
  return {calls: [], in_flight: 0, matching: 0, phases: all.map(([upstream, phase, calls, oldest, left]) =>
    ({upstream, phase, calls, oldest_ms: oldest, oldest_left_ms: left}))};
}

function assess(series, {live = [], ...more} = {}) {
  const model = new Model();
  model.takeHistory(history({series, ...more}));
  model.takeCalls(phases(...live));
  return model.assessAll()[0];
}

test("a slot that goes on is replaced, and the next answer begins with it", () => {
  const model = new Model();
  assert.equal(model.since(), 0);
  assert.equal(model.takeHistory(history({seconds: 15, series: {completed: [10, 3]}})), true);
  assert.equal(model.since(), 10);
  assert.equal(model.takeHistory(history({seconds: 21, from: 10, series: {completed: [7, 1]}})), false);
  assert.equal(model.since(), 20);
  assert.equal(model.assessAll()[0].quarter.completed, 10 + 7 + 1);
});

test("slots older than 15 minutes are forgotten", () => {
  const model = new Model();
  model.takeHistory(history({seconds: 10, points: 1, series: {completed: [5]}}));
  model.takeHistory(history({seconds: 901, from: 900, points: 1, series: {completed: [1]}}));
  const [upstream] = model.upstreams.values();
  assert.equal(model.slotsOf(upstream).length, 90);
  assert.equal(upstream.slots.size, 1);
  assert.equal(model.recent(upstream, 900).completed, 1);
});

test("another process, or another step, is a new beginning", () => {
  const model = new Model();
  model.takeHistory(history({series: {completed: [5, 5]}}));
  assert.equal(model.takeHistory(history({seconds: 1, points: 1, instance: "b", series: {completed: [1]}})), true);
  assert.equal(model.assessAll()[0].quarter.completed, 1);
  assert.equal(model.takeHistory(history({instance: "b", step: 20, points: 1, series: {completed: [2]}})), true);
  assert.equal(model.assessAll()[0].quarter.completed, 2);
});

test("an upstream that is not in the answer is gone", () => {
  const model = new Model();
  model.takeHistory(history({}));
  model.takeHistory(history({upstreams: []}));
  assert.deepEqual(model.assessAll(), []);
});

test("the rate is over the slot that goes on and the one before", () => {
  assert.equal(assess({completed: [100, 20]}, {seconds: 15}).rate, 8);
  assert.equal(assess({completed: [6]}, {seconds: 3, points: 1}).rate, 2);
});

test("percentiles of a minute: the highest p99, medians by their calls", () => {
  const {minute} = assess({completed: [30, 10], p50_us: [750000, 1750000], p99_us: [990000, null]});
  assert.equal(minute.p50, 1000);
  assert.equal(minute.p99, 990);
  assert.equal(assess({}).minute.p99, null);
});

/* What /history says of the last minute of an upstream. */
function withMinute(minute, more = {}) {
  const model = new Model();
  const {series = {}, ...one} = more;
  const api = {name: "api", deadline_ms: 2000, longest_ms: 2000, pool: "api", series, minute, ...one};
  model.takeHistory(history({upstreams: [api], pool: more.poolFigures ?? {}}));
  model.takeCalls(phases());
  return model.assessAll()[0];
}

test("calls that are rejected are told with their reasons, the most frequent first", () => {
  const one = withMinute({"rejected.too_late": 2, "rejected.rate": 9, retries: 1}, {series: {completed: [5, 5], rejected: [6, 5]}});
  assert.equal(one.kind, "rejecting");
  assert.match(plain(words.trouble(one)), /^11 of 21 calls rejected in the last minute: 9 rate, 2 too_late\. Now/);
  assert.match(plain(words.trouble(assess({rejected: [1, 0]}))), /^1 of 1 call rejected in the last minute\. Now/);
});

test("what stands between callers and the API is said", () => {
  assert.equal(words.notes(assess({})), "");
  assert.equal(plain(words.notes(withMinute({retries: 12, saved: 1}))), "12 retries in the last minute, which saved 1 call.");
  assert.equal(plain(words.notes(withMinute({retries: 1, budget_stops: 30, dns_stale: 2}))),
    "1 retry in the last minute. 30 calls were not tried again: the budget of retries is used up. " +
    "DNS fails: connections go to the addresses of the last good answer.");
  assert.equal(plain(words.notes(withMinute({first_event_p50_us: 430000, first_event_p99_us: 2100000}))),
    "First event of streams: p50 430 ms, p99 2.1 s.");
  assert.equal(plain(words.notes(withMinute({"http2.downstream": 1, "http2.upstream": 30}))),
    "Over HTTP/2, in the last minute: 1 call from callers, 30 to the API.");
  assert.equal(plain(words.notes(withMinute({"http2.upstream": 30}))), "Over HTTP/2, in the last minute: 30 calls to the API.");
  assert.equal(plain(words.notes(withMinute({}, {breaker_open: true, poolFigures: {pause_seconds: 12.4, rate_limit: 100}}))),
    "The breaker is open: calls are refused but for some that see whether the API is well again. " +
    "The API has asked for a pause: nothing starts for 12 s. At most 100 calls start in a second.");
});

/* Of a pool that hosts share. */
function ofFleet(figures, fleet, more = {}) {
  const shared = {name: "api", size: 50, granted: 9, total_granted: 48, hosts: 12, waiting_hosts: 3, mode: "tight", lease_ms: 9000, ...fleet};
  const model = new Model();
  model.takeHistory({...history({pool: {size: 9, held: 7, held_peak: 9, ...figures, fleet: shared}}), ...more});
  model.takeCalls(phases(["api", "wait", 7, 100, 1900]));
  return model.assessAll()[0];
}

test("a pool of the fleet says what is held here and over all hosts", () => {
  assert.equal(words.permits(ofFleet({}, {}).pool),
    "held 7 of 9 here, 48 of 50 in the fleet, 12 hosts, 3 wait, 0 calls wait here, peak 9");
  assert.equal(words.permits(ofFleet({waiting: 1}, {hosts: 1, waiting_hosts: 1}).pool),
    "held 7 of 9 here, 48 of 50 in the fleet, 1 host, 1 waits, 1 call waits here, peak 9");
  assert.equal(words.permits(assess({}, {pool: {held: 3, held_peak: 4}}).pool), "3 of 50 permits held, 0 waiting, peak 4");
});

test("a pool of the fleet is full when somebody waits, or all of the fleet's permits are here", () => {
  assert.equal(ofFleet({held: 9}, {}).kind, "fine");
  const full = ofFleet({held: 9, waiting: 2}, {});
  assert.equal(full.kind, "full");
  assert.equal(plain(words.trouble(full)), "all 9 permits that the fleet lends this host are held: 7 calls in wait, the oldest for 100 ms of 2 s; 2 wait for a permit");
  const all = ofFleet({size: 50, held: 50}, {granted: 50});
  assert.equal(all.kind, "full");
  assert.match(plain(words.trouble(all)), /^all 50 permits are held: /);
});

test("that the fleet's store lends nothing is said", () => {
  assert.equal(words.notes(ofFleet({}, {})), "");
  assert.equal(words.notes(ofFleet({}, {mode: "fallback", granted: 4}, {store_away: true})),
    "The fleet's store lends nothing: the fallback holds, 4 permits on this host.");
  assert.match(words.notes(ofFleet({}, {mode: "learning"})), /^The fleet's store learns anew what hosts hold/);
  assert.equal(plain(words.notes(ofFleet({}, {}, {store_away: true}))),
    "The fleet's store is away: calls start by what it has lent, for 9 s.");
});

test("a call says where HTTP/2 is spoken", () => {
  const of = (caller_protocol, upstream_protocol) => words.protocols({caller_protocol, upstream_protocol});
  assert.deepEqual([of(), of("h2"), of(undefined, "h2"), of("h2", "h2")],
    ["", "h2 from its caller", "h2 to the API", "h2 on both sides"]);
});

test("each kind of trouble, the worst of those that fit", () => {
  assert.equal(assess({"stuck.wait": [1, 0], failed: [9, 9]}).kind, "stuck");
  assert.equal(assess({failed: [1, 0]}, {pool: {held: 50}}).kind, "full");
  assert.equal(assess({rejected: [1, 0], failed: [1, 0]}).kind, "rejecting");
  assert.equal(assess({failed: [1, 0]}).kind, "failing");
  assert.equal(assess({"stuck.wait": [1, 0], completed: [99, 0]}).kind, "stuck");
  assert.equal(assess({"stuck.wait": [1, 0], completed: [100, 0]}).kind, "few");
  assert.equal(assess({"stuck.wait": [1, 0], completed: [100, 0], failed: [1, 0]}).kind, "failing");
  assert.equal(assess({}, {live: [["api", "wait", 1, 1600, 400]]}).kind, "slow");
  assert.equal(assess({}, {live: [["api", "wait", 1, 1500, 500]]}).kind, "fine");
  assert.equal(assess({completed: [1, 0]}).kind, "fine");
  assert.equal(assess({}).kind, "quiet");
  assert.deepEqual(Object.keys(KINDS).map((kind) => KINDS[kind].rank), [7, 7, 6, 5, 4, 3, 2, 1, 0]);
});

test("an API is not fine whose responses are 5xx or 429, above a share of the calls that had a permit", () => {
  assert.equal(assess({completed: [100, 0], "responses.5xx": [6, 0]}).kind, "erring");
  assert.equal(assess({completed: [100, 0], "responses.5xx": [5, 0]}).kind, "fine");
  assert.equal(assess({completed: [100, 0], "responses.429": [4, 2]}).kind, "erring");
  assert.equal(assess({completed: [100, 0], "responses.5xx": [4, 0], "responses.429": [0, 4]}).kind, "fine");
  assert.equal(assess({completed: [10, 0], rejected: [0, 990], "responses.5xx": [10, 0]}).kind, "rejecting");
  assert.equal(assess({completed: [20, 0], "stuck.wait": [1, 0], "responses.5xx": [20, 0]}).kind, "stuck");
  assert.equal(assess({completed: [999, 0], "stuck.wait": [1, 0], "responses.5xx": [999, 0]}).kind, "erring");
  assert.equal(assess({completed: [1, 0], failed: [1, 0], "responses.5xx": [1, 0]}).kind, "failing");
  assert.equal(assess({"responses.5xx": [0, 1]}, {live: [["api", "receive", 1, 100, 900]]}).kind, "erring");
  assert.equal(assess({completed: [9, 0, 0, 0, 0, 0, 0, 0], "responses.5xx": [9, 0, 0, 0, 0, 0, 0, 0]}, {seconds: 80, points: 8}).kind, "fine");
});

test("the API with most errors comes first, whichever is called most", () => {
  const model = new Model();
  const of = (name, completed, errors) => ({name, deadline_ms: 2000, series: {completed: [completed, 0], "responses.5xx": [errors, 0]}});
  model.takeHistory(history({upstreams: [of("busy", 500, 30), of("dead", 90, 90), of("well", 900, 1)]}));
  assert.deepEqual(model.assessAll().map((one) => `${one.name} ${one.kind}`), ["dead erring", "busy erring", "well fine"]);
});

test("an API that answers with errors is told of by their kinds", () => {
  const both = assess({completed: [40, 0], "responses.5xx": [12, 0], "responses.429": [3, 0]}, {live: [["api", "wait", 1, 100, 1900]]});
  assert.equal(plain(words.headline([both]).text),
    "12 of 40 calls answered with 5xx, 3 with 429 in the last minute. Now 1 call in wait, for 100 ms of 2 s.");
  assert.equal(words.trouble(assess({completed: [1, 0], "responses.429": [1, 0]})),
    "1 of 1 call answered with 429 in the last minute. Now nothing in flight");
  assert.equal(words.outcomesInWords(both.quarter),
    "Calls that ended in the last 15 minutes: 40 completed. Responses of the API: 12 with 5xx, 3 with 429.");
});

test("the parts of a bar are as many as the calls that ended, whatever came when", () => {
  const slot = {completed: 10, stuck: 2, failed: 1, rejected: 0, abandoned: 3};
  for (const [errors, tooMany, expected] of [[0, 0, [10, 0, 0]], [4, 3, [3, 4, 3]], [10, 0, [0, 10, 0]], [12, 5, [0, 10, 0]], [8, 5, [0, 8, 2]]]) {
    const parts = partsOf({...slot, "5xx": errors, "429": tooMany});
    assert.deepEqual(PARTS.map((part) => parts[part]), [...expected, 2, 1, 0, 3]);
  }
});

test("what got stuck more than a minute ago is no trouble any more", () => {
  const one = assess({"stuck.wait": [5, 0, 0, 0, 0, 0, 0, 0]}, {seconds: 80, points: 8});
  assert.equal(one.kind, "fine");
  assert.equal(one.quarter.stuck, 5);
});

test("the worst comes first, then where most is going on", () => {
  const model = new Model();
  const upstream = (name, series = {}) => ({name, deadline_ms: 2000, longest_ms: 2000, series});
  model.takeHistory(history({upstreams: [upstream("api10"), upstream("api9"), upstream("busy", {completed: [9, 9]}),
    upstream("stuck", {"stuck.dns": [0, 1]}), upstream("full")]}));
  model.takeCalls(phases(["full", "wait", 3, 1, 1999]));
  assert.deepEqual(model.assessAll().map((one) => one.name), ["stuck", "full", "busy", "api9", "api10"]);
});

test("many that fill a pool come before a few that got stuck", () => {
  const model = new Model();
  const upstream = (name, series = {}) => ({name, deadline_ms: 2000, longest_ms: 2000, pool: name, series});
  model.takeHistory({...history({upstreams: [upstream("stuck", {"stuck.dns": [0, 3]}), upstream("full")]}),
    pools: [{name: "full", size: 500, held: 500, held_peak: 500, waiting: 0}]});
  model.takeCalls(phases(["full", "wait", 500, 1000, 1000]));
  assert.deepEqual(model.assessAll().map((one) => [one.name, one.kind]), [["full", "full"], ["stuck", "stuck"]]);
  assert.equal(words.headline(model.assessAll()).name, "full");
});

test("the headline says where, which phase, how many and how long", () => {
  const stuck = assess({"stuck.wait": [470, 10], "stuck.connect": [20, 0]}, {live: [["api", "wait", 500, 1800, 200]]});
  assert.equal(worstPhase(stuck), "wait");
  const {name, text, key} = words.headline([stuck]);
  assert.equal(name, "api");
  assert.equal(plain(text), "500 of 500 calls stuck in the last minute, 480 in wait, 20 in connect. " +
    "Now 500 calls in wait, the oldest for 1.8 s of 2 s.");
  assert.equal(key, "api stuck wait");
  const full = assess({}, {pool: {held: 50, waiting: 7}, live: [["api", "queue", 70, 800, 1200], ["api", "wait", 50, 900, 1100]]});
  assert.equal(plain(words.trouble(full)), "all 50 permits are held: 50 calls in wait, the oldest for 900 ms of 2 s; " +
    "7 wait for a permit");
  const refusing = assess({completed: [0, 1], rejected: [0, 3]},
    {pool: {size: 1, held: 1, waiting: 1}, live: [["api", "wait", 1, 900, 1100]]});
  assert.equal(plain(words.trouble(refusing)), "the only permit is held: 1 call in wait, for 900 ms of 2 s; 1 waits for a permit; " +
    "3 rejected in the last minute");
});

test("a pool is full when what is given out is held, ghosts included", () => {
  const lowered = assess({}, {pool: {size: 50, limit: 14, held: 14, ghosts: 2, waiting: 1}, live: [["api", "wait", 12, 900, 1100]]});
  assert.equal(lowered.kind, "full");
  assert.equal(plain(words.trouble(lowered)), "all 14 permits are held, 2 of them for calls that were cut: 12 calls in wait, " +
    "the oldest for 900 ms of 2 s; 1 waits for a permit");
});

test("what became of a call that was cut is one sentence", () => {
  assert.equal(plain(words.late({status: 201, after_ms: 2300})), "The API answered 201, 2.3 s after the call began: too late for its caller.");
  assert.match(words.late({status: 200, after_ms: 2300, whole: false}), /not to its end/);
  assert.match(words.late({status: 0, after_ms: 2500, whole: false}), /gave no answer/);
});

test("the headline of a calm minute", () => {
  const {name, text} = words.headline([assess({completed: [10, 10]})]);
  assert.equal(name, null);
  assert.equal(text, "Nothing is stuck: 1.0 calls a second, 0 in flight, 1 upstream.");
  assert.equal(words.headline([]).key, "none");
});

test("durations are short and have their unit", () => {
  const said = [0, 0.204, 3.14159, 57.4, 999.4, 999.6, 1849, 42000, 99400, 99600, 120000, 149999, 150000, 3599400, 3599600, 5400000,
    7200000, 300000000, -1500, null];
  assert.deepEqual(said.map((ms) => plain(words.duration(ms))),
    ["0", "204 µs", "3.1 ms", "57 ms", "999 ms", "1 s", "1.8 s", "42 s", "99 s", "1 min 40 s", "2 min", "2 min 30 s", "2 min 30 s",
      "59 min 59 s", "1 h", "1 h 30 min", "2 h", "3 d", "−1.5 s", "–"]);
});
