/* How the page says things. Touches no document. */
import {KINDS, givenOut, worstPhase} from "./model.mjs";

/* A figure and its unit stay on one line. */
const NBSP = "\u00a0";
const withUnit = (figure, unit) => `${figure}${NBSP}${unit}`;

export function duration(ms) {
  if (ms === null || ms === undefined) return "–";
  if (ms < 0) return `−${duration(-ms)}`;
  if (ms === 0) return "0";
  if (ms < 1) return withUnit(Math.round(ms * 1000), "µs");
  if (ms < 10) return withUnit(Number(ms.toFixed(1)), "ms");
  if (ms < 999.5) return withUnit(Math.round(ms), "ms");
  const s = ms / 1000;
  if (s < 10) return withUnit(Number(s.toFixed(1)), "s");
  if (s < 99.5) return withUnit(Math.round(s), "s");
  if (s < 3599.5) return inParts(Math.round(s), "min", "s");
  const minutes = Math.round(s / 60);
  return minutes < 72 * 60 ? inParts(minutes, "h", "min") : withUnit(Math.round(minutes / (24 * 60)), "d");
}

/* Of sixtieths: "2 min 30 s", "2 min". */
function inParts(all, large, small) {
  const rest = all % 60;
  return withUnit(Math.floor(all / 60), large) + (rest ? NBSP + withUnit(rest, small) : "");
}

export const count = (n) => (n < 100000 ? n.toLocaleString("en") : Intl.NumberFormat("en", {notation: "compact"}).format(n));

export const rate = (n) => (n > 0 && n < 9.95 ? n.toFixed(1) : count(Math.round(n)));

export const calls = (n) => `${count(n)} ${n === 1 ? "call" : "calls"}`;

const oldest = (one) => `${one.calls === 1 ? "for" : "the oldest for"} ${duration(one.oldest)} of ${duration(one.budget)}`;

/* "500 calls in wait, the oldest for 1.8 s of 2 s" */
function inPhase(one) {
  return `${calls(one.calls)} in ${one.phase}, ${oldest(one)}`;
}

/* Those of calls that are over. */
export const ghosts = ({ghosts: held}) => held ? `, ${count(held)} of them for calls that were cut` : "";

const waits = (n) => `${count(n)} ${n === 1 ? "waits" : "wait"}`;

/* "held 7 of 9 here, 48 of 50 in the fleet, 12 hosts, 3 wait" */
function heldOver(pool, {total_granted: granted, size, hosts, waiting_hosts: waiting}) {
  return `held ${count(pool.held)} of ${count(givenOut(pool))} here, ${count(granted)} of ${count(size)} in the fleet, ` +
    `${count(hosts)} ${hosts === 1 ? "host" : "hosts"}, ${waits(waiting)}`;
}

/* What a pool has, and who waits for it. */
export function permits(pool) {
  const given = givenOut(pool);
  const limited = given < pool.size ? ` (of ${count(pool.size)}: the API refuses)` : "";
  const held = pool.fleet ? heldOver(pool, pool.fleet) : `${count(pool.held)} of ${count(given)} permits held`;
  const waiting = pool.fleet ? `${pool.waiting === 1 ? "1 call waits" : `${count(pool.waiting)} calls wait`} here` : `${count(pool.waiting)} waiting`;
  return `${held}${limited}${ghosts(pool)}, ${waiting}, peak ${count(pool.held_peak)}`;
}

/* Why this host may use fewer permits of the fleet than it would. */
function fleetNote(pool, storeAway) {
  if (pool?.fleet?.mode === "fallback") return `The fleet's store lends nothing: the fallback holds, ${count(pool.fleet.granted)} permits on this host.`;
  if (pool?.fleet?.mode === "learning") return "The fleet's store learns anew what hosts hold: until then only what they give back is lent.";
  if (pool?.fleet && storeAway) return `The fleet's store is away: calls start by what it has lent, for ${duration(pool.fleet.lease_ms)}.`;
  return "";
}

/* What is wrong at one upstream, without its name. */
export function trouble(one) {
  const now = one.phases[0] ? inPhase(one.phases[0]) : "nothing in flight";
  const waiting = one.pool?.waiting ? `; ${waits(one.pool.waiting)} for a permit` : "";
  const share = (n) => `${count(n)} of ${calls(one.minute.ended)}`;
  switch (one.kind) {
    case "stuck":
    case "few":
      return `${share(one.minute.stuck)} stuck in the last minute, ${stuckWhere(one.minute.stuckBy)}. Now ${now}${waiting}`;
    case "full": {
      const given = givenOut(one.pool);
      const here = one.pool.fleet && given < one.pool.fleet.size ? " that the fleet lends this host" : "";
      const held = `${given === 1 ? `the only permit${here} is held` : `all ${count(given)} permits${here} are held`}${ghosts(one.pool)}`;
      const rejected = one.minute.rejected ? `; ${count(one.minute.rejected)} rejected in the last minute` : "";
      return `${held}: ${now}${waiting}${rejected}`;
    }
    case "rejecting": return `${share(one.minute.rejected)} rejected in the last minute${reasons(one.upstream.lastMinute)}. Now ${now}${waiting}`;
    case "erring": return `${erring(one.minute)} in the last minute. Now ${now}`;
    case "failing": return `${share(one.minute.failed)} failed in the last minute. Now ${now}`;
    case "slow": return `${inPhase(oldestOf(one))}`;
    default: return one.inFlight ? `${now}` : "nothing in flight";
  }
}

const oldestOf = (one) => one.phases.slice().sort((a, b) => b.oldest / b.budget - a.oldest / a.budget)[0];

/* ": 8 rate, 4 too_late": the reasons as the metric and the log call them. */
function reasons(lastMinute) {
  const by = Object.entries(lastMinute).filter(([name]) => name.startsWith("rejected.")).sort((a, b) => b[1] - a[1])
    .map(([name, n]) => `${count(n)} ${name.slice("rejected.".length)}`);
  return by.length ? `: ${by.join(", ")}` : "";
}

/* Which side of the last minute's calls went over HTTP/2. */
function http2({"http2.downstream": from = 0, "http2.upstream": to = 0}) {
  const sides = [from && `${calls(from)} from callers`, to && `${from ? count(to) : calls(to)} to the API`].filter(Boolean);
  return sides.length > 0 && `Over HTTP/2, in the last minute: ${sides.join(", ")}.`;
}

/* What is neither a call's phase nor its end, in sentences: breaker, pause, rate, retries, names, streams, protocols. "" if there is nothing to say. */
export function notes({upstream, pool, storeAway}) {
  const {retries = 0, saved = 0, budget_stops: stops = 0, dns_stale: stale = 0, first_event_p50_us: p50, first_event_p99_us: p99} = upstream.lastMinute;
  return [
    upstream.refuses && "The breaker is open: calls are refused but for some that see whether the API is well again.",
    fleetNote(pool, storeAway),
    pool?.pause_seconds > 0 && `The API has asked for a pause: nothing starts for ${duration(pool.pause_seconds * 1000)}.`,
    pool?.rate_limit && `At most ${rate(pool.rate_limit)} calls start in a second.`,
    retries > 0 && `${count(retries)} ${retries === 1 ? "retry" : "retries"} in the last minute${saved ? `, which saved ${calls(saved)}` : ""}.`,
    stops > 0 && `${calls(stops)} ${stops === 1 ? "was" : "were"} not tried again: the budget of retries is used up.`,
    stale > 0 && "DNS fails: connections go to the addresses of the last good answer.",
    p50 !== undefined && `First event of streams: p50 ${duration(p50 / 1000)}, p99 ${duration(p99 / 1000)}.`,
    http2(upstream.lastMinute),
  ].filter(Boolean).join(" ");
}

/* "12 of 40 calls answered with 5xx, 3 with 429" */
function erring(minute) {
  const by = ["5xx", "429"].filter((code) => minute[code] > 0);
  const [first, ...more] = by.map((code) => `${count(minute[code])}${code === by[0] ? ` of ${calls(minute.ended)} answered` : ""} with ${code}`);
  return [first, ...more].join(", ");
}

/* By which protocol a call in flight comes and goes, where that is HTTP/2; else "". */
export function protocols({caller_protocol: from, upstream_protocol: to}) {
  if (!from && !to) return "";
  return `h2 ${from && to ? "on both sides" : from ? "from its caller" : "to the API"}`;
}

/* What became of a call after it was cut. */
export function late({status, after_ms: after, whole}) {
  if (!status) return `The API was waited for until ${duration(after)} after the call began, and gave no answer.`;
  return `The API answered ${status}, ${duration(after)} after the call began${whole === false ? " and not to its end" : ""}: too late for its caller.`;
}

/* "480 in wait, 20 in connect" */
export function stuckWhere(by) {
  const phases = Object.entries(by).sort((a, b) => b[1] - a[1]);
  return phases.length === 1 ? `in ${phases[0][0]}` : phases.map(([phase, n]) => `${count(n)} in ${phase}`).join(", ");
}

export const isTrouble = (one) => KINDS[one.kind].rank > KINDS.slow.rank;

/* {text, key}: what is wrong first of all; the key changes when it is something else, not when a figure does. */
export function headline(all) {
  if (all.length === 0) return {text: "No figures yet: they come each second.", key: "none", name: null};
  const worst = all[0];
  if (isTrouble(worst))
    return {name: worst.name, text: `${trouble(worst)}.`, key: `${worst.name} ${worst.kind} ${worstPhase(worst)}`};
  const perSecond = all.reduce((sum, one) => sum + one.rate, 0);
  const inFlight = all.reduce((sum, one) => sum + one.inFlight, 0);
  return {
    name: null, key: "calm",
    text: `Nothing is stuck: ${rate(perSecond)} calls a second, ${count(inFlight)} in flight, ` +
      `${count(all.length)} ${all.length === 1 ? "upstream" : "upstreams"}.`,
  };
}

/* What the legend calls a part of a chart's bars. */
export const part = (name) => (name === "5xx" || name === "429" ? `completed with ${name}` : name);

/* What a chart shows, for those who do not see it. */
export function outcomesInWords(quarter) {
  const parts = ["completed", "stuck", "failed", "rejected", "abandoned"].filter((outcome) => quarter[outcome] > 0)
    .map((outcome) => `${count(quarter[outcome])} ${outcome}`);
  const codes = ["5xx", "429"].filter((code) => quarter[code] > 0).map((code) => `${count(quarter[code])} with ${code}`);
  return `Calls that ended in the last 15 minutes: ${parts.join(", ") || "none"}.` +
    (codes.length ? ` Responses of the API: ${codes.join(", ")}.` : "");
}

export function latencyInWords(quarter, deadline) {
  return `In the last 15 minutes, the median was ${duration(quarter.p50)} and the highest 99th percentile ` +
    `${duration(quarter.p99)}; the deadline is ${duration(deadline)}.`;
}
