// Keeps the status page true: events move the flow at once, and the page itself is read again from the
// server, which alone turns data into markup. Without this script the page is complete, only still.

"use strict";

const REFRESH_MS = 15000;
const SETTLE_MS = 350;
const BEAT_MS = 900;
const FOCUSABLE = "a[href], button, input, summary, video[controls]";

const progressOf = new Map();
let due = null;
let reading = false;
let readAgain = false;

if (document.body.dataset.page === "overview") {
  watch();
  document.getElementById("scan").addEventListener("submit", scan);
  setInterval(tellTimes, 5000);
  setInterval(refresh, REFRESH_MS);
}

function watch() {
  const live = document.getElementById("live");
  live.textContent = "Connecting";
  const source = new EventSource("/api/v1/events");
  source.addEventListener("open", () => {
    live.textContent = "Live";
    soon();
  });
  source.addEventListener("error", () => {
    live.textContent = source.readyState === EventSource.CLOSED ? "Not live: reload the page" : "Not live: reconnecting";
    if (source.readyState === EventSource.CLOSED) setTimeout(watch, 5000);
  });
  for (const type of document.body.dataset.events.split(" ")) {
    source.addEventListener(type, (message) => seen(type, JSON.parse(message.data)));
  }
}

function seen(type, event) {
  const giver = event.actor || giverOf(type);
  const cell = giver && document.querySelector(`[data-actor="${CSS.escape(giver)}"]`);
  if (cell) beat(cell, type);
  if (type === "render.progressed") {
    progressOf.set(event.plan_id, event);
    showProgress();
    return;
  }
  if (type === "post.published") speak("A video was posted.");
  if (type === "work.rejected") speak("Work was rejected: " + event.reason);
  soon();
}

function giverOf(type) {
  const cell = document.querySelector(`[data-gives~="${CSS.escape(type)}"]`);
  return cell && cell.dataset.actor;
}

function beat(cell, type) {
  const activity = cell.querySelector(".activity");
  const at = document.createElement("time");
  at.dateTime = new Date().toISOString();
  at.dataset.relative = "";
  activity.replaceChildren(type + ", ", at);
  cell.dataset.last = at.dateTime;
  tellTimes();
  if (type === "render.progressed") return; // the bar moves; a flash every second would be noise
  cell.classList.add("beat");
  clearTimeout(cell.beating);
  cell.beating = setTimeout(() => cell.classList.remove("beat"), BEAT_MS);
}

function showProgress() {
  for (const shown of document.querySelectorAll("[data-plan]")) {
    const event = progressOf.get(shown.dataset.plan);
    if (!event) continue;
    const bar = shown.querySelector("progress");
    bar.max = event.frames_total;
    bar.value = event.frames_done;
    const number = (value) => value.toLocaleString("en");
    const left = event.eta_s ? `, ${spanOf(event.eta_s)} left` : "";
    shown.querySelector(".number").textContent =
      `${number(event.frames_done)} of ${number(event.frames_total)} frames${left}`;
  }
}

function soon() {
  if (due === null) due = setTimeout(refresh, SETTLE_MS);
}

async function refresh() {
  clearTimeout(due);
  due = null;
  if (reading) {
    readAgain = true;
    return;
  }
  if (document.hidden) return;
  reading = true;
  try {
    const answer = await fetch(location.pathname + location.search, { signal: AbortSignal.timeout(10000) });
    if (!answer.ok) throw new Error(`the gateway answered ${answer.status}`);
    take(new DOMParser().parseFromString(await answer.text(), "text/html"));
  } catch (error) {
    document.getElementById("live").textContent = "Not up to date: the gateway cannot answer";
  } finally {
    reading = false;
    if (readAgain) {
      readAgain = false;
      soon();
    }
  }
}

// A player loads its first frame when its details are opened, not before.
document.addEventListener("toggle", ({ target }) => {
  for (const video of target.open ? target.querySelectorAll("video[controls]") : []) video.preload = "metadata";
}, true);

document.addEventListener("visibilitychange", () => document.hidden || soon());

function take(fresh) {
  for (const part of document.querySelectorAll("[data-live]")) {
    const other = fresh.getElementById(part.id);
    if (!other) continue;
    if (part.hidden !== other.hidden) part.hidden = other.hidden;
    if (part.className !== other.className) part.className = other.className;
    if (part.id === "flow") takeFlow(part, other);
    else takeChildren(part, other);
  }
  showProgress();
  tellTimes();
}

// The latest activity that was seen live is kept: the server knows it only roughly.
function takeFlow(part, other) {
  for (const cell of other.querySelectorAll("[data-actor]")) {
    const old = part.querySelector(`[data-actor="${cell.dataset.actor}"]`);
    if (!old) continue;
    if (old.dataset.last) cell.querySelector(".activity").replaceChildren(...old.querySelector(".activity").childNodes);
    if (old.dataset.last) cell.dataset.last = old.dataset.last;
    if (old.classList.contains("beat")) {
      cell.classList.add("beat");
      setTimeout(() => cell.classList.remove("beat"), BEAT_MS);
    }
  }
  part.replaceChildren(...other.childNodes);
}

function takeChildren(part, other) {
  const oldList = part.querySelector("ol.items, ul.rows");
  const newList = other.querySelector("ol.items, ul.rows");
  const focus = focusIn(part);
  if (oldList && newList) {
    const known = new Map([...oldList.children].map((child) => [child.dataset.key, child]));
    for (const child of [...newList.children]) {
      const old = known.get(child.dataset.key);
      if (!old) continue;
      if (old.dataset.rev === child.dataset.rev || playing(old)) child.replaceWith(old);
      else keepOpen(old, child);
    }
  }
  part.replaceChildren(...other.childNodes);
  if (focus) restore(part, focus);
}

function keepOpen(old, child) {
  const before = old.querySelector("details");
  const after = child.querySelector("details");
  if (before && after) after.open = before.open;
}

function playing(element) {
  return [...element.querySelectorAll("video[controls]")].some((video) => !video.paused && !video.ended);
}

function focusIn(part) {
  const active = document.activeElement;
  if (!active || !part.contains(active)) return null;
  const row = active.closest("[data-key]");
  const scope = row || part;
  return { key: row && row.dataset.key, index: [...scope.querySelectorAll(FOCUSABLE)].indexOf(active) };
}

function restore(part, focus) {
  const scope = focus.key ? part.querySelector(`[data-key="${CSS.escape(focus.key)}"]`) : part;
  const target = scope && scope.querySelectorAll(FOCUSABLE)[focus.index];
  if (target && target !== document.activeElement) target.focus({ preventScroll: true });
}

function tellTimes() {
  for (const time of document.querySelectorAll("time[data-relative]")) {
    const text = ago((Date.now() - Date.parse(time.dateTime)) / 1000);
    if (time.textContent !== text) time.textContent = text;
  }
}

function ago(seconds) {
  return seconds < 2 ? "just now" : `${spanOf(seconds)} ago`;
}

function spanOf(seconds) {
  for (const [unit, length] of [["d", 86400], ["h", 3600], ["min", 60]]) {
    if (seconds >= length) return `${Math.floor(seconds / length)} ${unit}`;
  }
  return `${Math.floor(seconds)} s`;
}

async function scan(submitted) {
  submitted.preventDefault();
  const form = submitted.target;
  const button = form.querySelector("button");
  const niche = form.elements.niche.value.trim();
  if (!niche) return;
  button.disabled = true;
  try {
    const answer = await fetch(form.action, {
      method: "POST",
      headers: { "Content-Type": "application/json", "Idempotency-Key": newKey() },
      body: JSON.stringify({ niche }),
      signal: AbortSignal.timeout(15000),
    });
    const told = await answer.json();
    if (!answer.ok) throw new Error([told.title, told.detail, told.mend].filter(Boolean).join(". "));
    form.reset();
    speak(`The scan for ${niche} was asked for.`, true);
  } catch (error) {
    speak(error.message, true);
  } finally {
    button.disabled = false;
  }
}

// crypto.randomUUID is missing where the page is not on localhost or https.
function newKey() {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

function speak(text, visible = false) {
  document.getElementById("spoken").textContent = text;
  if (!visible) return;
  let told = document.getElementById("told");
  if (!told) {
    told = document.createElement("p");
    told.id = "told";
    told.className = "banner";
    document.querySelector("main").prepend(told);
  }
  told.textContent = text;
  clearTimeout(told.leaving);
  told.leaving = setTimeout(() => told.remove(), 8000);
}
