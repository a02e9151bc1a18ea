/* The charts of a card, drawn by Chart.js. Parts of a bar have patterns as well as colours. */
import {PARTS, partsOf} from "./model.mjs";
import {duration, count} from "./words.mjs";

/* global Chart */
const TILE = 8;

const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

/* What is drawn on a tile over its colour. */
const STROKES = {
  "5xx": [[0, TILE / 2, TILE, TILE / 2], [TILE / 2, 0, TILE / 2, TILE]],
  "429": [[TILE / 4, TILE / 4, TILE * 3 / 4, TILE * 3 / 4]],
  stuck: [[0, TILE, TILE, 0]],
  failed: [[0, 0, TILE, TILE], [0, TILE, TILE, 0]],
  rejected: [[0, TILE / 2, TILE, TILE / 2]],
  abandoned: [[TILE / 2, 0, TILE / 2, TILE]],
};

function tile(part) {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = TILE;
  const pen = canvas.getContext("2d");
  pen.fillStyle = css(part);
  pen.fillRect(0, 0, TILE, TILE);
  pen.strokeStyle = css("card");
  pen.lineWidth = 1.4;
  for (const [x, y, toX, toY] of STROKES[part] ?? []) {
    pen.beginPath();
    pen.moveTo(x, y);
    pen.lineTo(toX, toY);
    pen.stroke();
  }
  return canvas;
}

let patterns = null;

function patternOf(part) {
  patterns ??= Object.fromEntries(PARTS.map((one) => [one, tile(one)]));
  return document.createElement("canvas").getContext("2d").createPattern(patterns[part], "repeat");
}

/* The colours have changed. */
export function forgetColours() {
  patterns = null;
}

/* A piece of the pattern, for the legend. */
export function swatch(part) {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = TILE * 2;
  canvas.setAttribute("aria-hidden", "true");
  const pen = canvas.getContext("2d");
  pen.fillStyle = patternOf(part);
  pen.fillRect(0, 0, TILE * 2, TILE * 2);
  return canvas;
}

/* Every third minute back from now has a label. */
function labelAt(slots, step) {
  return (_value, i) => {
    const ago = (slots - 1 - i) * step;
    return ago === 0 ? "now" : ago % 180 === 0 ? `−${ago / 60} min` : null;
  };
}

function scales(slots, step, format) {
  const ticks = {color: css("soft"), font: {size: 10}, maxRotation: 0, autoSkip: false};
  return {
    x: {stacked: true, grid: {display: false, drawBorder: false}, ticks: {...ticks, callback: labelAt(slots, step)}},
    y: {
      stacked: false, beginAtZero: true, grid: {color: css("line"), drawBorder: false}, suggestedMax: 1,
      ticks: {...ticks, maxTicksLimit: 4, callback: (value) => format(value)},
    },
  };
}

function options(slots, step, format) {
  return {
    animation: false, responsive: true, maintainAspectRatio: false, events: [], normalized: true,
    plugins: {legend: {display: false}, tooltip: {enabled: false}},
    scales: scales(slots, step, format),
  };
}

export function outcomesChart(canvas, slots, step) {
  const datasets = PARTS.map((part) => ({
    label: part, data: new Array(slots).fill(0), backgroundColor: patternOf(part),
    barPercentage: 1, categoryPercentage: 0.9, stack: "all",
  }));
  const all = options(slots, step, count);
  all.scales.y.stacked = true;
  all.scales.y.ticks.precision = 0;
  return new Chart(canvas, {type: "bar", data: {labels: new Array(slots).fill(""), datasets}, options: all});
}

/* Where there is no line, for nothing is known on either side, there is a point. */
const isAlone = ({dataset, dataIndex: i}) => (dataset.data[i - 1] ?? null) === null && (dataset.data[i + 1] ?? null) === null;

export function latencyChart(canvas, slots, step) {
  const line = (label, colour, more) => ({
    label, data: new Array(slots).fill(null), borderColor: css(colour), borderWidth: 1.6, spanGaps: false,
    pointRadius: (context) => (isAlone(context) ? 1.5 : 0), pointBackgroundColor: css(colour), ...more,
  });
  const datasets = [
    line("p99", "p99"),
    line("p50", "p50", {borderDash: [2, 2]}),
    line("deadline", "stuck", {borderDash: [7, 4], borderWidth: 1.2}),
  ];
  const all = options(slots, step, duration);
  all.scales.x.stacked = false;
  return new Chart(canvas, {type: "line", data: {labels: new Array(slots).fill(""), datasets}, options: all});
}

export function drawOutcomes(chart, slots) {
  const parts = slots.map((slot) => slot && partsOf(slot));
  PARTS.forEach((part, i) => {
    chart.data.datasets[i].data = parts.map((one) => one?.[part] ?? 0);
  });
  chart.update();
}

export function drawLatency(chart, slots, deadline) {
  const [p99, p50, line] = chart.data.datasets;
  p99.data = slots.map((slot) => slot?.p99 ?? null);
  p50.data = slots.map((slot) => slot?.p50 ?? null);
  line.data = slots.map(() => deadline);
  chart.options.scales.y.suggestedMax = deadline * 1.1;
  chart.update();
}
