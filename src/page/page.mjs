/* The page's life: asks once a second, goes on when curfew comes back, and begins anew when it is another process. */
import {Model, STEP_S} from "./model.mjs";
import * as view from "./view.mjs";

const EVERY_MS = 1000;
const PATIENCE_MS = 4000;
const RETRY_MS = [500, 1000, 2000, 4000];
const CALLS = 100;

const model = new Model();
let edition = null; /* of the page that curfew has; this one is of the first that was seen */
let lostAt = null, losses = 0;
let wakeUp = () => {};

async function ask(target, method = "GET") {
  const answer = await fetch(target, {method, cache: "no-store", signal: AbortSignal.timeout(PATIENCE_MS)});
  return {status: answer.status, body: await answer.json()};
}

async function must(target) {
  const {status, body} = await ask(target);
  if (status !== 200) throw new Error(body.detail ?? `status ${status}`);
  return body;
}

function show() {
  const all = model.assessAll();
  view.showHeadline(all, performance.now());
  view.showProcess(model);
  view.showCards(all, model);
  view.showCalls(model.calls);
}

let lacksCalls = false;

/* A worker that hangs does not answer about its calls; the counters of before are there all the same. */
async function askCalls() {
  const {status, body} = await ask(`calls?limit=${CALLS}`);
  if (status !== 200) view.say(body.detail ?? `/calls answers ${status}`);
  else if (lacksCalls) view.say("");
  if (status === 200) model.takeCalls(body);
  lacksCalls = status !== 200;
}

async function askAll() {
  const history = await must(`history?step=${STEP_S}&since=${model.since()}`);
  if (edition !== null && history.page !== edition) {
    location.reload();
    return;
  }
  edition = history.page;
  const before = model.instance;
  const asked = model.since();
  if (model.takeHistory(history)) {
    view.showStuck([]);
    if (before !== null && before !== history.instance) view.say("curfew was started anew: all counts begin at zero.");
    if (asked !== 0) model.takeHistory(await must(`history?step=${STEP_S}`));
  }
  await askCalls();
  if (history.told !== model.told) {
    model.takeStuck(await must("stuck"));
    view.showStuck(model.stuck);
  }
  show();
}

function connected() {
  lostAt = null;
  losses = 0;
  view.showConnection("live", "Live, each second");
}

function lost() {
  lostAt ??= new Date();
  const wait = RETRY_MS[Math.min(losses, RETRY_MS.length - 1)];
  losses++;
  view.showConnection("lost", `Connection to curfew lost. What you see is as of ${lostAt.toLocaleTimeString()}; trying again.`);
  return wait;
}

async function turn() {
  const began = performance.now();
  try {
    await askAll();
    connected();
    return Math.max(0, EVERY_MS - (performance.now() - began));
  } catch (error) {
    console.debug(error);
    return lost();
  }
}

/* The time is up, or somebody looks at the page again. */
function wait(ms) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    wakeUp = () => {
      clearTimeout(timer);
      resolve();
    };
  });
}

const isSeen = () => new Promise((resolve) => {
  if (!document.hidden) resolve();
  else document.addEventListener("visibilitychange", () => resolve(), {once: true});
});

async function cut(id, upstream) {
  view.say(`Cutting call ${id} of ${upstream} …`);
  try {
    const {status, body} = await ask(`calls/${encodeURIComponent(id)}`, "DELETE");
    if (status === 200) view.say(`Call ${id} of ${upstream} was cut in phase ${body.cut.phase}; it counts as stuck.`);
    else if (status === 404) view.say(`Call ${id} of ${upstream} was over already.`);
    else view.say(`Call ${id} was not cut: ${body.detail}`);
  } catch (error) {
    view.say(`Call ${id} was not cut: ${error.message}`);
  }
  wakeUp();
}

async function live() {
  view.showLegend();
  view.onCut(cut);
  document.getElementById("find").addEventListener("input", () => model.instance !== null && show());
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    view.redrawCharts();
    if (model.instance !== null) show();
  });
  for (;;) {
    await isSeen();
    await wait(await turn());
  }
}

live();
