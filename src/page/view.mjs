/*
 * The document: what the model knows becomes text, bars and charts. All that callers or the configuration have written goes in as
 * text, never as markup. What stays is changed in place, so that focus and selection survive.
 */
import * as charts from "./charts.mjs";
import {KINDS, PARTS, isFull} from "./model.mjs";
import * as words from "./words.mjs";

const byId = (id) => document.getElementById(id);
const clone = (id) => byId(id).content.firstElementChild.cloneNode(true);
const one = (root, selector) => root.querySelector(selector);

/* As many cards are open by themselves; the further ones say what matters in a line. */
const OPEN_CARDS = 6;
const SHOWN_STUCK = 12;

function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function element(tag, text, className) {
  const made = document.createElement(tag);
  if (text !== undefined) made.textContent = text;
  if (className) made.className = className;
  return made;
}

/* The children are these, in this order; none of them is touched that is in its place. */
function arrange(parent, children) {
  children.forEach((child, i) => {
    if (parent.children[i] !== child) parent.insertBefore(child, parent.children[i] ?? null);
  });
  while (parent.children.length > children.length) parent.lastElementChild.remove();
}

const percent = (part, whole) => `${whole > 0 ? Math.min(100, (100 * part) / whole) : 0}%`;

/* ---- at the top ------------------------------------------------------------------------------------------- */

const SPEAK_EVERY_MS = 5000;
let spokenKey = null, spokenAt = -SPEAK_EVERY_MS;

/* Said aloud when something else is wrong, not when a figure changes. */
function speak(said, now) {
  if (said.key === spokenKey || said.key === "none" || now - spokenAt < SPEAK_EVERY_MS) return;
  spokenKey = said.key;
  spokenAt = now;
  write(byId("spoken"), said.name ? `${said.name}: ${said.text}` : said.text);
}

export function showHeadline(all, now) {
  const said = words.headline(all);
  const line = byId("headline");
  const worst = all[0];
  line.dataset.kind = worst && words.isTrouble(worst) ? worst.kind : "fine";
  line.replaceChildren(element("span", `${KINDS[line.dataset.kind].mark} `, "mark"));
  if (said.name) line.append(element("strong", `${said.name}: `));
  line.append(said.text);
  const further = all.slice(1).filter(words.isTrouble);
  const items = further.slice(0, 3).map((each) => {
    const item = element("li");
    item.append(element("span", `${KINDS[each.kind].mark} `, "mark"), element("strong", `${each.name}: `), `${words.trouble(each)}.`);
    item.dataset.kind = each.kind;
    return item;
  });
  if (further.length > 3) items.push(element("li", `and ${further.length - 3} more.`));
  byId("further").replaceChildren(...items);
  document.title = said.name ? `${KINDS[worst.kind].mark} ${said.name} – curfew` : "curfew";
  speak(said, now);
}

export function showProcess(model) {
  const started = new Date(model.beganMs);
  write(byId("process"), `${model.version} at ${location.host}, since ${started.toLocaleString()}`);
}

/* `state` is live, lost or waiting. */
export function showConnection(state, text) {
  document.body.dataset.connection = state;
  write(byId("connection-text"), text);
}

/* ---- cards ------------------------------------------------------------------------------------------------- */

class Card {
  constructor(name, number) {
    this.root = clone("card-template");
    this.wanted = null; /* open or not, if somebody has said so */
    const title = one(this.root, "h3");
    title.textContent = name;
    title.id = `card-${number}`;
    this.root.setAttribute("aria-labelledby", title.id);
    this.name = name;
    one(this.root, ".more").addEventListener("click", () => this.toggle());
    this.charts = null;
  }

  toggle() {
    this.wanted = !this.isOpen;
    showAgain();
  }

  show(assessment, model, openByItself) {
    this.assessment = assessment;
    this.model = model;
    this.isOpen = this.wanted ?? openByItself;
    this.root.dataset.kind = assessment.kind;
    this.root.classList.toggle("compact", !this.isOpen);
    const more = one(this.root, ".more");
    write(more, this.isOpen ? "Less" : "More");
    more.setAttribute("aria-expanded", String(this.isOpen));
    more.setAttribute("aria-label", `${this.isOpen ? "Less" : "More"} of ${this.name}`);
    write(one(this.root, ".badge .mark"), KINDS[assessment.kind].mark);
    write(one(this.root, ".badge .kind"), KINDS[assessment.kind].words);
    write(one(this.root, ".sentence"), sentence(assessment));
    this.showPool(assessment.pool);
    write(one(this.root, ".notes"), words.notes(assessment));
    this.showFigures(assessment);
    if (!this.isOpen) this.close();
  }

  showPool(pool) {
    one(this.root, ".pool").hidden = !pool;
    if (!pool) return;
    const gauge = one(this.root, ".gauge");
    const most = Math.max(pool.size, pool.held);
    const text = words.permits(pool);
    one(gauge, ".held").style.width = percent(pool.held, most);
    one(gauge, ".peak").style.left = percent(pool.held_peak, most);
    gauge.classList.toggle("full", isFull(pool));
    gauge.setAttribute("aria-valuemax", most);
    gauge.setAttribute("aria-valuenow", pool.held);
    gauge.setAttribute("aria-valuetext", text);
    gauge.setAttribute("aria-label", `Pool ${pool.name}`);
    write(one(this.root, ".pool-text"), pool.name === this.name ? text : `${text} (pool ${pool.name})`);
  }

  showFigures({rate, minute, quarter}) {
    const figures = [
      ["calls/s", words.rate(rate)], ["p50", words.duration(minute.p50)], ["p99", words.duration(minute.p99)],
      ["stuck, 1 min", words.count(minute.stuck)], ["stuck, 15 min", words.count(quarter.stuck)],
      ["5xx, 1 min", words.count(minute["5xx"])], ["429, 1 min", words.count(minute["429"])],
    ];
    const list = one(this.root, ".figures");
    if (!list.children.length)
      for (const [name] of figures) {
        const pair = element("div");
        pair.append(element("dt", name), element("dd"));
        list.append(pair);
      }
    figures.forEach(([, value], i) => write(one(list.children[i], "dd"), value));
    list.children[3].classList.toggle("alarming", minute.stuck > 0);
    list.children[5].classList.toggle("erring", minute["5xx"] > 0);
    list.children[6].classList.toggle("erring", minute["429"] > 0);
  }

  draw() {
    const {upstream, quarter} = this.assessment;
    const slots = this.model.slotsOf(upstream);
    if (!this.charts || this.charts.slots !== slots.length) this.open(slots.length);
    charts.drawOutcomes(this.charts.outcomes, slots);
    charts.drawLatency(this.charts.latency, slots, upstream.deadline);
    one(this.root, "canvas.outcomes").setAttribute("aria-label", words.outcomesInWords(quarter));
    one(this.root, "canvas.latency").setAttribute("aria-label", words.latencyInWords(quarter, upstream.deadline));
    const longer = upstream.longest > upstream.deadline ? `, a route has ${words.duration(upstream.longest)}` : "";
    const observed = upstream.observed ? "; observed: it cuts nothing" : "";
    const refuses = upstream.refuses ? "; its breaker is open: calls are refused" : "";
    write(one(this.root, ".deadline-text"), `deadline ${words.duration(upstream.deadline)}${longer}${observed}${refuses}`);
    this.showPhases(quarter.stuckBy);
  }

  showPhases(by) {
    const phases = Object.entries(by).sort((a, b) => b[1] - a[1]);
    const all = phases.reduce((sum, [, n]) => sum + n, 0);
    const items = phases.map(([phase, n]) => {
      const item = element("li");
      const bar = element("span", undefined, "bar");
      const fill = element("span", undefined, "fill");
      fill.style.width = percent(n, all);
      bar.append(fill);
      item.append(element("span", phase), bar, element("span", words.count(n)));
      return item;
    });
    one(this.root, ".by-phase").hidden = items.length === 0;
    one(this.root, ".by-phase ul").replaceChildren(...items);
  }

  open(slots) {
    this.close();
    this.charts = {
      slots,
      outcomes: charts.outcomesChart(one(this.root, "canvas.outcomes"), slots, this.model.step),
      latency: charts.latencyChart(one(this.root, "canvas.latency"), slots, this.model.step),
    };
  }

  close() {
    this.charts?.outcomes.destroy();
    this.charts?.latency.destroy();
    this.charts = null;
  }
}

function sentence(assessment) {
  const text = words.trouble(assessment);
  return `${text[0].toUpperCase()}${text.slice(1)}.`;
}

const cards = new Map();
let made = 0;
let showAgain = () => {};

function cardOf(name) {
  if (!cards.has(name)) cards.set(name, new Card(name, made++));
  return cards.get(name);
}

/* Nothing moves from under somebody's fingers: the order stays while a control of a card has the focus. */
function orderOf(all) {
  const places = [byId("cards"), byId("others")];
  if (!places.some((place) => place.contains(document.activeElement))) return all;
  const at = new Map(places.flatMap((place) => [...place.children]).map((child, i) => [child, i]));
  const before = (each) => at.get(cards.get(each.name)?.root) ?? at.size;
  return all.slice().sort((a, b) => before(a) - before(b));
}

export function showCards(all, model) {
  showAgain = () => showCards(all, model);
  const find = byId("find").value.trim().toLowerCase();
  const names = new Set(all.map((each) => each.name));
  for (const [name, card] of cards)
    if (!names.has(name)) {
      card.close();
      cards.delete(name);
    }
  byId("find-label").hidden = all.length <= OPEN_CARDS;
  write(byId("upstreams-note"), all.length > OPEN_CARDS ? `${all.length}, the worst first` : "the worst first");
  const shown = orderOf(all).filter((each) => !find || each.name.toLowerCase().includes(find));
  const open = new Set(all.filter((each) => all.length <= OPEN_CARDS || words.isTrouble(each)).slice(0, OPEN_CARDS));
  for (const each of shown) cardOf(each.name).show(each, model, open.has(each));
  arrangeCards(shown);
}

/* Those that are open come before all others. A chart takes its size from where it is, so it is drawn when it is there. */
function arrangeCards(shown) {
  const focused = document.activeElement;
  const all = shown.map((each) => cardOf(each.name));
  arrange(byId("cards"), all.filter((card) => card.isOpen).map((card) => card.root));
  arrange(byId("others"), all.filter((card) => !card.isOpen).map((card) => card.root));
  if (document.activeElement !== focused && focused?.isConnected) focused.focus();
  for (const card of all) if (card.isOpen) card.draw();
}

/* Colours are part of what has been drawn. */
export function redrawCharts() {
  charts.forgetColours();
  for (const card of cards.values()) card.close();
  showLegend();
}

export function showLegend() {
  byId("legend").replaceChildren(...PARTS.map((part) => {
    const item = element("li");
    item.append(charts.swatch(part), words.part(part));
    return item;
  }), ...["p99", "p50", "deadline"].map((name) => {
    const item = element("li");
    item.append(element("span", undefined, `stroke ${name}`), name);
    return item;
  }));
}

/* ---- calls in flight ------------------------------------------------------------------------------------------ */

const rows = new Map();

/* Listens to the buttons of all rows: `cut` gets the id and the upstream's name. */
export function onCut(cut) {
  one(byId("calls"), "tbody").addEventListener("click", (event) => {
    const button = event.target.closest("button.cut");
    if (button) cut(button.dataset.id, button.dataset.upstream);
  });
}

function rowOf(call) {
  if (!rows.has(call.id)) {
    const row = clone("call-template");
    const button = one(row, "button");
    const route = call.route === "default" ? "" : call.route;
    one(row, ".upstream").textContent = call.upstream;
    one(row, ".route").textContent = `${call.method} ${route ?? "?"}`.trim();
    button.dataset.id = call.id;
    button.dataset.upstream = call.upstream;
    button.setAttribute("aria-label", `Cut call ${call.id} of ${call.upstream}`);
    row.title = `id ${call.id}`;
    rows.set(call.id, row);
  }
  return rows.get(call.id);
}

function showCall(row, call) {
  const budget = call.age_ms + call.left_ms;
  write(one(row, ".phase"), call.try ? `${call.phase}, try ${call.try}` : call.phase);
  write(one(row, ".phase-for"), `for ${words.duration(call.phase_ms)}`);
  write(one(row, ".protocols"), words.protocols(call));
  write(one(row, ".used"), `${words.duration(call.age_ms)} of ${words.duration(budget)}`);
  one(row, ".fill").style.width = percent(call.age_ms, budget);
  row.dataset.near = call.age_ms >= 0.8 * budget ? "deadline" : "";
}

/* A call that ends takes its row along; who was on its button is on the next one. */
function keepFocus(body, change) {
  const focused = document.activeElement;
  const row = focused?.closest?.("#calls tbody tr");
  const at = row ? [...body.children].indexOf(row) : -1;
  change();
  if (at < 0 || row.isConnected) {
    if (at >= 0 && document.activeElement !== focused) focused.focus();
    return;
  }
  const next = body.children[Math.min(at, body.children.length - 1)];
  (next ? one(next, "button") : byId("main")).focus();
}

export function showCalls(answer) {
  const body = one(byId("calls"), "tbody");
  const ids = new Set(answer.calls.map((call) => call.id));
  keepFocus(body, () => {
    for (const id of rows.keys()) if (!ids.has(id)) rows.delete(id);
    arrange(body, answer.calls.map(rowOf));
    for (const call of answer.calls) showCall(rows.get(call.id), call);
  });
  byId("calls").hidden = answer.calls.length === 0;
  const {in_flight: inFlight, calls} = answer;
  const note = calls.length < inFlight ? `${words.count(inFlight)}; the ${calls.length} with least left first` :
    inFlight ? `${words.count(inFlight)}, those with least left first` : "none";
  write(byId("calls-note"), note);
}

export function say(text) {
  write(byId("said"), text);
}

/* ---- calls that got stuck --------------------------------------------------------------------------------------- */

function waterfall(call) {
  let at = 0;
  const whole = Math.max(call.budget_ms, call.elapsed_ms, 1);
  return call.phases.map(({phase, ms}) => {
    const item = element("li");
    const bar = element("span", undefined, "bar");
    const fill = element("span", undefined, "fill");
    fill.style.marginLeft = percent(at, whole);
    fill.style.width = percent(ms, whole);
    fill.classList.toggle("end", phase === call.phase);
    bar.append(fill);
    item.append(element("span", phase), bar, element("span", words.duration(ms)));
    at += ms;
    return item;
  });
}

const CAUSES = {
  deadline: "at its deadline of", operator: "cut by an operator, after", draining: "cut at a shutdown, after", request_head_timeout: "its head took",
  connect_timeout: "connect limit, after", first_byte_timeout: "first-byte limit, after", begin_timeout: "not begun after", idle_timeout: "stood still, after",
  rate_limit: "too slow, after", first_event_timeout: "no event after",
};

function describe(call) {
  const item = clone("stuck-template");
  const after = call.cause === "deadline" ? call.budget_ms : call.elapsed_ms;
  one(item, ".upstream").textContent = call.upstream ?? "?";
  one(item, ".route").textContent = `${call.method} ${call.route === "default" ? "" : call.route ?? ""}`.trim();
  one(item, ".what").textContent = `stuck in ${call.phase}, ${CAUSES[call.cause] ?? `${call.cause}, after`} ${words.duration(after)}`;
  one(item, ".when").textContent = new Date(call.ended_ms).toLocaleTimeString();
  one(item, ".sent").textContent = {none: "nothing was sent", partial: "partly sent", complete: "sent whole"}[call.sent] ?? call.sent;
  one(item, ".id").textContent = call.id;
  one(item, ".late").hidden = !call.late;
  if (call.late) one(item, ".late").textContent = words.late(call.late);
  one(item, ".waterfall").replaceChildren(...waterfall(call));
  return item;
}

export function showStuck(calls) {
  const shown = calls.slice(0, SHOWN_STUCK);
  byId("stuck").replaceChildren(...shown.map(describe));
  write(byId("stuck-note"), shown.length ? "where their time went, up to the deadline" : "none since curfew started");
}
