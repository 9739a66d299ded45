// What a person says arrives as it was meant: at once on the page, in order and once at the server, however slow that is.
"use strict";

const HASTE = 400; // ms: a second press within them is the same press, by a finger that shook or clicked twice
const LOOK = 350; // ms: nobody judges pictures that have been there for less
const saved = new WeakMap(); // tile -> the word that the server is known to have for it, once it may differ from the page
const unanswered = new WeakMap(); // tile -> the turn of its last word, until the server has answered that
const meant = new WeakMap(); // submit event -> the word that it says, and which turn of this page's it is
const lastPress = new WeakMap(); // button -> when
const COMPARING = "form.pair, form.undo";
const AFTER_ANSWERS = "#batch-form, #search-form";
const PAGE = freshId();
let turn = 0;
let comparing = 0; // answers about pairs on their way
let held = ""; // id of a form that goes by what was said, and was pressed: it waits for what is on its way

const tiles = () => [...document.querySelectorAll(".tile.ready")];
const shown = (tile) => tile.querySelector("[data-rating][aria-pressed=true]")?.dataset.rating || "none";
const pressed = (tile, word) => tile.querySelector(`[data-rating="${word}"]`); // none where it is taken back
const known = (tile) => (saved.has(tile) ? saved.get(tile) : shown(tile));
const isAllSaved = () => !comparing && !tiles().some((tile) => unanswered.has(tile));

function say(tile, word) {
  if (!saved.has(tile)) saved.set(tile, shown(tile));
  const said = pressed(tile, word);
  if (!tile.querySelector("form[data-beside]")) {
    tile.classList.remove("good", "bad");
    if (said?.dataset.tone) tile.classList.add(said.dataset.tone);
  }
  for (const button of tile.querySelectorAll("[data-rating]")) {
    button.setAttribute("aria-pressed", String(button.dataset.rating === word));
  }
}
// One batch has one best: what is said of this tile takes it from the others.
function others(tile, word) {
  return pressed(tile, word)?.form.hasAttribute("data-single") ? tiles().filter((other) => other !== tile && shown(other) === word) : [];
}

// An id for a form that is sent: also where the page came by plain HTTP from another machine, without randomUUID.
function freshId() {
  const hex = [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/(.{8})(.{4}).(.{3}).(.{3})(.{12})/, "$1-$2-4$3-a$4$5");
}

function stop(event) {
  event.preventDefault();
  event.stopImmediatePropagation();
}

// Before HTMX hears of it.
document.addEventListener("submit", (event) => {
  const form = event.target;
  const button = event.submitter;
  if (button?.dataset.rating) {
    const before = lastPress.get(button) ?? -Infinity;
    lastPress.set(button, event.timeStamp);
    const isPressed = button.getAttribute("aria-pressed") === "true";
    const tile = form.closest(".tile");
    // Nor is anything taken back that is not even saved: who presses then is out of patience.
    if (isPressed && (event.timeStamp - before < HASTE || unanswered.has(tile))) return stop(event);
    const word = isPressed ? "none" : button.dataset.rating;
    meant.set(event, { word, turn: (turn += 1) });
    unanswered.set(tile, turn);
    say(tile, word);
    for (const other of others(tile, word)) say(other, "none");
  } else if (form.matches(COMPARING)) {
    if (!("seen" in form.dataset)) stop(event);
    setSeen(false);
  } else if (form.matches(AFTER_ANSWERS) && !isAllSaved()) {
    stop(event);
    held = form.id;
    form.setAttribute("aria-busy", "true");
  }
}, true);

// A key that is held presses its button once.
document.addEventListener("keydown", (event) => {
  if (event.repeat && event.key === "Enter" && event.target.closest("[data-rating], .pair button, .undo button")) event.preventDefault();
});

document.addEventListener("htmx:configRequest", ({ detail }) => {
  const said = meant.get(detail.triggeringEvent);
  if (said) Object.assign(detail.parameters, { value: said.word, turn: said.turn, page: PAGE, form_token: freshId() });
});
document.addEventListener("htmx:beforeRequest", ({ target }) => {
  if (target.matches(COMPARING)) comparing += 1;
});
document.addEventListener("htmx:afterRequest", ({ detail }) => {
  const form = detail.requestConfig.elt;
  const said = meant.get(detail.requestConfig.triggeringEvent);
  if (said) settleTile(form.closest(".tile"), said, detail.successful);
  else if (form.matches(COMPARING)) {
    comparing -= 1;
    if (!detail.successful) setSeen(true);
  } else return;
  const waiting = document.getElementById(held); // it may have come anew
  if (!detail.successful) {
    held = "";
    waiting?.removeAttribute("aria-busy");
  }
  if (!held || !isAllSaved()) return;
  held = "";
  waiting?.requestSubmit();
});
function settleTile(tile, { word, turn }, isDone) {
  const isLast = unanswered.get(tile) === turn;
  if (isLast) unanswered.delete(tile);
  if (isDone) {
    saved.set(tile, word);
    for (const other of others(tile, word)) if (saved.get(other) === word) saved.set(other, "none");
  } else if (isLast) {
    // Refused or lost, and nothing newer was said: the page shows again what is saved.
    say(tile, known(tile));
    for (const other of others(tile, word)) if (known(other) === word) say(other, word);
  }
}

// Whoever leaves takes nothing along that is not saved: the server gets it while the page goes.
function handOver(tile) {
  const form = tile.querySelector("form");
  const body = new FormData(form);
  const said = { value: shown(tile), turn: (turn += 1), page: PAGE, form_token: freshId() };
  for (const [name, value] of Object.entries(said)) body.set(name, value);
  fetch(form.action, { method: "POST", body, keepalive: true, redirect: "manual" }).catch(() => {});
  saved.set(tile, shown(tile));
  unanswered.delete(tile);
}
addEventListener("pagehide", () => tiles().filter((tile) => unanswered.has(tile)).forEach(handOver));

// Answers may overtake each other: one that was read earlier than what the page shows is let go.
let readAt = 0;
document.addEventListener("htmx:beforeSwap", ({ detail }) => {
  const moment = Number(detail.xhr.getResponseHeader("X-Read-At"));
  if (moment && moment < readAt) detail.shouldSwap = false;
  else if (moment) readAt = moment;
});
// What is there is not rendered anew under the user's hand: neither a tile, nor buttons that would be the same, of which
// one that is pressed and replaced before it is let go would not be clicked.
document.addEventListener("htmx:oobBeforeSwap", ({ detail }) => {
  const { target, fragment } = detail;
  if (target.id === "actions" && markup(fragment.querySelector("#actions")) === markup(target)) detail.shouldSwap = false;
  if (!target.matches(".tile.ready")) return;
  if (fragment.querySelector(".tile")?.dataset.candidate === target.dataset.candidate) detail.shouldSwap = false;
  else if (unanswered.has(target)) handOver(target);
});
function markup(element) {
  const copy = element.cloneNode(true);
  for (const token of copy.querySelectorAll("[name=csrfmiddlewaretoken]")) token.remove();
  for (const busy of copy.querySelectorAll("[aria-busy]")) busy.removeAttribute("aria-busy");
  return copy.innerHTML;
}
document.addEventListener("placed", ({ detail }) => {
  for (const [candidate, label] of Object.entries(detail)) {
    const button = document.querySelector(`[data-candidate="${candidate}"] [data-place]`);
    if (button) button.textContent = label;
  }
});

// Two pictures can be compared once both are there and were looked at.
async function look() {
  if (!document.querySelector(COMPARING)) return;
  const pictures = [...document.querySelectorAll(".pair img")];
  await Promise.all([...pictures.map(isThere), new Promise((done) => setTimeout(done, LOOK))]);
  if (pictures.every((picture) => picture.isConnected)) setSeen(!comparing);
}
async function isThere(picture) {
  if (!picture.complete) {
    await new Promise((done) => ["load", "error"].forEach((what) => picture.addEventListener(what, done, { once: true })));
  }
  await picture.decode().catch(() => {}); // a broken one is there as far as it ever will be
}
function setSeen(isSeen) {
  for (const form of document.querySelectorAll(COMPARING)) form.toggleAttribute("data-seen", isSeen);
}
look();
document.addEventListener("htmx:afterSettle", look);

// A page that comes back from the browser's memory has a form that was used: it starts another session.
addEventListener("pageshow", (event) => {
  const id = document.querySelector("form [name=id]");
  if (event.persisted && id) id.value = freshId();
});
