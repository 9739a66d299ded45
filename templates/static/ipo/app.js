// The little that HTMX leaves to do. Every step also works without this file.
"use strict";

// No polling while nobody looks; one poll at once when somebody does again.
document.addEventListener("htmx:beforeRequest", (event) => {
  if (document.hidden && ["progress", "search"].includes(event.target.id)) event.preventDefault();
});

// A rated tile is not rendered anew under the user's hand: it only learns its new state.
document.addEventListener("rated", ({ detail }) => {
  const tile = document.querySelector(`[data-candidate="${detail.candidate}"]`);
  if (!tile) return;
  if (detail.rating === "best") for (const other of document.querySelectorAll(".tile.best")) say(other, "none");
  say(tile, detail.rating);
  for (const [candidate, label] of Object.entries(detail.places)) {
    const button = document.querySelector(`[data-candidate="${candidate}"] [data-rating=next]`);
    if (button) button.textContent = label;
  }
  tile.querySelector("[name=form_token]").value = detail.token;
});
function say(tile, rating) {
  if (rating !== "next") tile.classList.remove("good", "bad", "best"); // a place stands beside other words
  if (["good", "bad", "best"].includes(rating)) tile.classList.add(rating);
  for (const button of tile.querySelectorAll("[data-rating]")) {
    const pressed = button.dataset.rating === rating;
    button.setAttribute("aria-pressed", String(pressed));
    button.value = pressed ? "none" : button.dataset.rating;
  }
}

// What a search has found goes into its boxes.
document.addEventListener("found", ({ detail }) => {
  for (const box of document.querySelectorAll(".controls input")) if (box.id in detail) box.value = detail[box.id];
});

// A request that failed says so, instead of a click that does nothing.
function tell(sentence) {
  const status = document.getElementById("status");
  if (!status) return;
  status.querySelector(".lost")?.remove();
  const node = document.createElement("p");
  node.className = "problem lost";
  node.textContent = sentence;
  status.append(node);
}
document.addEventListener("htmx:sendError", () => tell("IPO does not answer. Is make run still running? Your ratings up to here are saved."));
document.addEventListener("htmx:responseError", ({ detail }) => {
  const page = new DOMParser().parseFromString(detail.xhr.responseText, "text/html");
  tell(page.querySelector("[role=alert]")?.textContent || "That did not work: reload the page and try again.");
});

// Keys: arrows walk through the tiles; g, b, 1 to 5, t (the best) and n (the next best) rate. Silent while typing.
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, textarea, select")) return;
  const named = document.querySelector(`[data-key="${CSS.escape(event.key)}"]`);
  if (named) {
    event.preventDefault();
    return named.click();
  }
  const tiles = [...document.querySelectorAll(".tile.ready")];
  if (!tiles.length) return;
  const here = tiles.indexOf(document.activeElement.closest?.(".tile"));
  const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  if (step) {
    const next = here < 0 ? 0 : Math.min(Math.max(here + step, 0), tiles.length - 1);
    tiles[next].querySelector("[data-rating]").focus();
    event.preventDefault();
    return;
  }
  const rating = { g: "good", b: "bad", t: "best", n: "next" }[event.key] || event.key;
  const button = tiles[Math.max(here, 0)].querySelector(`[data-rating="${CSS.escape(rating)}"]`);
  if (!button) return;
  button.focus();
  button.click();
});
