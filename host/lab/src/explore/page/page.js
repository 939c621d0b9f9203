"use strict";
// Hover, filters, and the button that copies. Everything else is there without this script.
const data = JSON.parse(document.getElementById("data").textContent);
const tip = document.getElementById("tip");
const marks = new Map(); // point -> its elements
for (const mark of document.querySelectorAll("[data-p]")) {
  const point = Number(mark.dataset.p);
  if (!marks.has(point)) marks.set(point, []);
  marks.get(point).push(mark);
}

function describe(point) {
  const [index, choice, values] = data.points[point];
  const lines = ["point " + index];
  data.axes.forEach((axis, i) => lines.push(axis.name + ": " + axis.values[choice[i]]));
  data.metrics.forEach((metric, i) => lines.push(metric.name + ": " + values[i] + " " + metric.unit));
  return lines.join("\n");
}

let picked = null;
function pick(point, event) {
  if (picked !== null) for (const mark of marks.get(picked)) mark.classList.remove("pick");
  picked = point;
  tip.hidden = point === null;
  if (point === null) return;
  for (const mark of marks.get(point)) mark.classList.add("pick");
  tip.textContent = describe(point);
  const right = event.clientX + 16 + tip.offsetWidth > window.innerWidth;
  tip.style.left = (right ? event.clientX - 16 - tip.offsetWidth : event.clientX + 16) + "px";
  tip.style.top = Math.min(event.clientY + 12, window.innerHeight - tip.offsetHeight - 8) + "px";
}
document.addEventListener("mouseover", (event) => {
  const mark = event.target.closest("[data-p]");
  pick(mark ? Number(mark.dataset.p) : null, event);
});

const filters = [...document.querySelectorAll("select[data-axis]")];
const only = document.getElementById("only-front");
function filter() {
  let left = 0;
  data.points.forEach(([, choice, , front], point) => {
    const kept = filters.every((f) => f.value === "" || choice[Number(f.dataset.axis)] === Number(f.value));
    const on = kept && (front || !only.checked);
    left += on ? 1 : 0;
    for (const mark of marks.get(point) || []) mark.classList.toggle("off", !on);
  });
  document.getElementById("left").textContent = left + " of " + data.points.length + " points shown";
}
for (const control of [...filters, only]) control.addEventListener("change", filter);
document.getElementById("reset").addEventListener("click", () => {
  for (const f of filters) f.value = "";
  only.checked = false;
  filter();
});
filter();

const copy = document.getElementById("copy");
if (copy) copy.addEventListener("click", () => {
  const text = document.getElementById("best").textContent;
  const done = () => { copy.textContent = "copied"; };
  if (navigator.clipboard) { navigator.clipboard.writeText(text).then(done, () => {}); return; }
  const area = document.createElement("textarea");
  area.value = text;
  document.body.append(area);
  area.select();
  document.execCommand("copy");
  area.remove();
  done();
});
