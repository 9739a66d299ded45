// The little that HTMX leaves to do. Every step also works without this file.
"use strict";

// No polling while nobody looks; one poll at once when somebody does again.
document.addEventListener("htmx:beforeRequest", (event) => {
  if (document.hidden && event.target.id === "progress") event.preventDefault();
});

// A rated tile is not rendered anew under the user's hand: it only learns its new state.
document.addEventListener("rated", ({ detail }) => {
  const tile = document.querySelector(`[data-candidate="${detail.candidate}"]`);
  if (!tile) return;
  tile.classList.remove("good", "bad");
  if (detail.rating !== "none") tile.classList.add(detail.rating);
  tile.querySelector("[name=form_token]").value = detail.token;
  for (const button of tile.querySelectorAll("[data-rating]")) {
    const pressed = button.dataset.rating === detail.rating;
    button.setAttribute("aria-pressed", String(pressed));
    button.value = pressed ? "none" : button.dataset.rating;
  }
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

// Keys: arrows walk through the tiles, g and b rate. Silent while typing.
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, textarea, select")) return;
  const tiles = [...document.querySelectorAll(".tile.ready")];
  if (!tiles.length) return;
  const here = tiles.indexOf(document.activeElement.closest?.(".tile"));
  const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  if (step) {
    const next = here < 0 ? 0 : Math.min(Math.max(here + step, 0), tiles.length - 1);
    tiles[next].querySelector("[data-rating=good]").focus();
    event.preventDefault();
  } else if (here >= 0 && (event.key === "g" || event.key === "b")) {
    const rating = event.key === "g" ? "good" : "bad";
    const button = tiles[here].querySelector(`[data-rating=${rating}]`);
    button.focus();
    button.click();
  }
});
