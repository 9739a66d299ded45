// The little that HTMX leaves to do. Every step also works without this file.
"use strict";

// No polling while nobody looks; one poll at once when somebody does again.
document.addEventListener("htmx:beforeRequest", (event) => {
  if (document.hidden && ["progress", "search"].includes(event.target.id)) event.preventDefault();
});

// Nor is a search rendered anew while its button is held down: it would not be clicked. The next poll does it.
document.addEventListener("htmx:beforeSwap", ({ detail }) => {
  if (detail.target.id === "search" && detail.target.querySelector(":active")) detail.shouldSwap = false;
});

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

// A picture that cannot be shown says so, as one whose file is missing does, and offers to be drawn again.
async function unseen(picture) {
  const tile = picture.closest?.(".tile.ready");
  if (!tile || picture.tagName !== "IMG") return;
  const answer = await fetch(picture.src, { cache: "reload" }).catch(() => null);
  if (!tile.matches(".ready") || !answer || (!answer.ok && answer.status !== 404)) return; // IPO is away, not the file
  const sentence = answer.ok ? "" : new DOMParser().parseFromString(await answer.text(), "text/html").querySelector("[role=alert]")?.textContent;
  tile.className = "tile missing";
  const blank = document.createElement("div");
  blank.className = "blank";
  blank.append(Object.assign(document.createElement("p"), { textContent: sentence || "The file of this picture is damaged: it can be drawn again." }));
  const again = tile.querySelector("form.again");
  const hadFocus = tile.contains(document.activeElement);
  tile.querySelectorAll("noscript, .tick, form:not(.again)").forEach((node) => node.remove());
  picture.closest("a").replaceWith(blank, again);
  if (hadFocus) again.querySelector("button").focus();
}
document.addEventListener("error", (event) => unseen(event.target), true);
for (const picture of document.images) if (picture.complete && !picture.naturalWidth) unseen(picture); // before this was read

// Keys: arrows walk through the tiles; a button says which key presses it, on the page or in the tile where the focus is.
// Silent while typing.
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, textarea, select")) return;
  const named = document.querySelector(`[data-key="${CSS.escape(event.key)}"]:not(.tile *)`);
  if (named) {
    event.preventDefault();
    return event.repeat || named.click(); // a key that is held says a thing once
  }
  const tiles = [...document.querySelectorAll(".tile.ready")];
  if (!tiles.length) return;
  const here = tiles.indexOf(document.activeElement.closest?.(".tile"));
  const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  if (step) {
    const next = here < 0 ? 0 : Math.min(Math.max(here + step, 0), tiles.length - 1);
    (tiles[next].querySelector("[data-rating]") || tiles[next]).focus();
    event.preventDefault();
    return;
  }
  const button = tiles[Math.max(here, 0)].querySelector(`[data-key="${CSS.escape(event.key)}"]`);
  if (!button || event.repeat) return;
  button.focus();
  button.click();
});
