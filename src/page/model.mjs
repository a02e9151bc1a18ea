/*
 * What the page knows: the last 15 minutes of each upstream in slots of some seconds, what is in flight, and what is wrong
 * where. Touches no document: tests run it as it is.
 */
export const PHASES = ["upload", "queue", "backoff", "dns", "connect", "tls", "send", "wait", "receive", "tunnel"];
export const OUTCOMES = ["completed", "stuck", "failed", "rejected", "abandoned"];
export const SPAN_S = 900;
export const STEP_S = 10;

/* From the worst to the best; `rank` orders, the mark and the words say it without colour. */
export const KINDS = {
  stuck: {rank: 7, mark: "✖", words: "getting stuck"},
  full: {rank: 7, mark: "■", words: "pool full"},
  rejecting: {rank: 6, mark: "▲", words: "rejecting"},
  failing: {rank: 5, mark: "!", words: "failing"},
  erring: {rank: 4, mark: "△", words: "answers with errors"},
  few: {rank: 3, mark: "✕", words: "a few stuck"},
  slow: {rank: 2, mark: "◔", words: "near the deadline"},
  fine: {rank: 1, mark: "✓", words: "fine"},
  quiet: {rank: 0, mark: "–", words: "no calls"},
};

const NEAR_DEADLINE = 0.8;
/* Below this share of the calls, those that got stuck are a few. */
const FEW = 0.01;
/* Above this share of the calls, an API that answers 5xx, or 429, is not fine. The alerts in conf/prometheus have the same one. */
export const ERRING = 0.05;

const sum = (numbers) => numbers.reduce((all, one) => all + one, 0);
const highest = (numbers) => numbers.reduce((top, one) => (one === null ? top : Math.max(top ?? one, one)), null);

/* One slot of one upstream; a series that the answer leaves out has nothing to say. */
function readSlot(series, i) {
  const stuck = {};
  for (const phase of PHASES) {
    const count = series[`stuck.${phase}`]?.[i] ?? 0;
    if (count) stuck[phase] = count;
  }
  const count = (name) => series[name]?.[i] ?? 0;
  const ms = (name) => (series[name]?.[i] ?? null) === null ? null : series[name][i] / 1000;
  return {
    completed: count("completed"), failed: count("failed"), rejected: count("rejected"), abandoned: count("abandoned"),
    stuck: sum(Object.values(stuck)), stuckBy: stuck, "5xx": count("responses.5xx"), "429": count("responses.429"),
    p50: ms("p50_us"), p99: ms("p99_us"),
  };
}

/* What a chart draws of a slot: calls by their outcome, and of those that completed, the ones with 5xx or 429 apart. */
export const PARTS = ["completed", "5xx", "429", "stuck", "failed", "rejected", "abandoned"];

/* A response counts when it begins, so its call may be no completed one, or one of the next slot. */
export function partsOf(slot) {
  const errors = Math.min(slot["5xx"], slot.completed);
  const tooMany = Math.min(slot["429"], slot.completed - errors);
  return {...slot, completed: slot.completed - errors - tooMany, "5xx": errors, "429": tooMany};
}

const ended = (slot) => sum(OUTCOMES.map((outcome) => slot[outcome]));

export class Model {
  constructor() {
    this.instance = null;
    this.clear();
  }

  clear() {
    this.upstreams = new Map(); /* name -> {name, deadline, longest, pool, slots: Map of slot number} */
    this.pools = new Map();
    this.phases = new Map(); /* name of an upstream -> what is in flight there, by phase */
    this.calls = {calls: [], in_flight: 0, matching: 0};
    this.stuck = [];
    this.told = 0;
    this.seconds = 0;
    this.step = STEP_S;
  }

  /* Takes an answer of /history. True: it is of another process than the last one, and all that was known is forgotten. */
  takeHistory(answer) {
    const isNew = this.instance !== answer.instance || this.step !== answer.step;
    if (isNew) {
      this.clear();
      this.instance = answer.instance;
    }
    this.version = answer.version;
    this.beganMs = answer.began_ms;
    this.seconds = answer.seconds;
    this.step = answer.step;
    this.storeAway = answer.store_away ?? false;
    this.pools = new Map(answer.pools.map((pool) => [pool.name, pool]));
    const before = this.upstreams;
    this.upstreams = new Map();
    for (const one of answer.upstreams) this.upstreams.set(one.name, this.#merge(before.get(one.name), one, answer));
    return isNew;
  }

  #merge(known, one, answer) {
    const slots = known?.slots ?? new Map();
    for (let i = 0; i < answer.points; i++) slots.set(answer.from / answer.step + i, readSlot(one.series, i));
    for (const slot of slots.keys()) if (slot < this.firstSlot()) slots.delete(slot);
    return {name: one.name, deadline: one.deadline_ms, longest: one.longest_ms, observed: one.observed ?? false,
      refuses: one.breaker_open ?? false, lastMinute: one.minute ?? {},
      pool: one.pool ?? null, slots};
  }

  takeCalls(answer) {
    this.calls = answer;
    this.phases = new Map();
    for (const one of answer.phases) {
      if (!this.phases.has(one.upstream)) this.phases.set(one.upstream, []);
      this.phases.get(one.upstream).push(
        {phase: one.phase, calls: one.calls, oldest: one.oldest_ms, budget: one.oldest_ms + one.oldest_left_ms});
    }
  }

  takeStuck(answer) {
    this.stuck = answer.stuck;
    this.told = answer.told;
  }

  lastSlot() {
    return Math.max(0, Math.floor((this.seconds - 1) / this.step));
  }

  firstSlot() {
    return this.lastSlot() - Math.floor(SPAN_S / this.step) + 1;
  }

  /* The second from which an answer brings what is not known yet: the last slot goes on. */
  since() {
    return this.instance === null ? 0 : this.lastSlot() * this.step;
  }

  /* All slots of the span, the oldest first; null where nothing is known. */
  slotsOf(upstream) {
    const all = [];
    for (let slot = this.firstSlot(); slot <= this.lastSlot(); slot++) all.push(upstream.slots.get(slot) ?? null);
    return all;
  }

  /* What ended in the last slots. */
  recent(upstream, seconds) {
    const slots = this.slotsOf(upstream).slice(-Math.max(1, Math.round(seconds / this.step))).filter(Boolean);
    const by = {};
    for (const slot of slots)
      for (const [phase, count] of Object.entries(slot.stuckBy)) by[phase] = (by[phase] ?? 0) + count;
    const weighed = slots.filter((slot) => slot.p50 !== null && ended(slot) > 0);
    const calls = sum(weighed.map(ended));
    return {
      ...Object.fromEntries(OUTCOMES.map((outcome) => [outcome, sum(slots.map((slot) => slot[outcome]))])),
      "5xx": sum(slots.map((slot) => slot["5xx"])), "429": sum(slots.map((slot) => slot["429"])),
      ended: sum(slots.map(ended)), stuckBy: by,
      p50: calls ? sum(weighed.map((slot) => slot.p50 * ended(slot))) / calls : null,
      p99: highest(slots.map((slot) => slot.p99)),
    };
  }

  /* Calls a second, over the slot that goes on and the one before. */
  rate(upstream) {
    const slots = this.slotsOf(upstream).slice(-2);
    const inLast = this.seconds - this.lastSlot() * this.step;
    const over = inLast + (slots.length > 1 && this.seconds > this.step ? this.step : 0);
    return over > 0 ? sum(slots.filter(Boolean).map(ended)) / over : 0;
  }

  /* What is going on at an upstream, and what is wrong there. */
  assess(upstream) {
    /* Those that wait for a permit come last: the cause is where the others are, who hold one. */
    const phases = (this.phases.get(upstream.name) ?? []).slice().sort(
      (a, b) => (a.phase === "queue") - (b.phase === "queue") || b.calls - a.calls);
    const all = {
      upstream, name: upstream.name, phases, inFlight: sum(phases.map((one) => one.calls)),
      pool: this.pools.get(upstream.pool) ?? null, storeAway: this.storeAway, minute: this.recent(upstream, 60),
      quarter: this.recent(upstream, SPAN_S), rate: this.rate(upstream),
    };
    all.kind = kindOf(all);
    all.concerned = all.minute.stuck + (isFull(all.pool) ? all.inFlight : 0) +
      (all.kind === "erring" ? all.minute["5xx"] + all.minute["429"] : 0);
    return all;
  }

  /* All of them, the worst first. */
  assessAll() {
    return [...this.upstreams.values()].map((upstream) => this.assess(upstream)).sort(
      (a, b) => KINDS[b.kind].rank - KINDS[a.kind].rank || b.concerned - a.concerned ||
        b.inFlight - a.inFlight || b.rate - a.rate || a.name.localeCompare(b.name, "en", {numeric: true}));
  }
}

/* The size, or fewer by what the API has refused. */
export const givenOut = (pool) => Math.min(pool.size, pool.limit ?? pool.size);

/*
 * Of a pool that hosts share, each host has about what it needs: that all of it is held says little, unless a caller waits, or no host
 * could have more.
 */
export const isFull = (pool) => pool !== null && pool.held > 0 && pool.held >= givenOut(pool) &&
  (!pool.fleet || pool.waiting > 0 || pool.held >= pool.fleet.size);

/* Of the calls that had a permit: the others say nothing of the API. */
const isErring = (minute) => Math.max(minute["5xx"], minute["429"]) > ERRING * (minute.ended - minute.rejected);

function kindOf({pool, minute, phases, inFlight, quarter}) {
  if (minute.stuck > 0 && minute.stuck >= FEW * minute.ended) return "stuck";
  if (isFull(pool)) return "full";
  if (minute.rejected > 0) return "rejecting";
  if (minute.failed > 0) return "failing";
  if (isErring(minute)) return "erring";
  if (minute.stuck > 0) return "few";
  if (phases.some((one) => one.budget > 0 && one.oldest >= NEAR_DEADLINE * one.budget)) return "slow";
  return inFlight > 0 || quarter.ended > 0 ? "fine" : "quiet";
}

/* The phase in which most got stuck, or else are now; null if there is none. */
export function worstPhase({minute, phases}) {
  const stuck = Object.entries(minute.stuckBy).sort((a, b) => b[1] - a[1]);
  return stuck[0]?.[0] ?? phases[0]?.phase ?? null;
}
