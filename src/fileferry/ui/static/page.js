"use strict";
// What pages do beyond their forms: copy, choose all rows, ask before what cannot be undone, and follow events.

const here = document.currentScript;

document.addEventListener("click", async event => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  await navigator.clipboard.writeText(button.dataset.copy);
  const before = button.innerHTML;
  button.textContent = "Copied";
  setTimeout(() => { button.innerHTML = before; }, 1500);
});

document.addEventListener("change", event => {
  if (!event.target.matches("[data-all]")) return;
  for (const box of document.querySelectorAll(`input[name="${event.target.dataset.all}"]`)) box.checked = event.target.checked;
});

document.addEventListener("submit", event => {
  const question = (event.submitter && event.submitter.dataset.confirm) || event.target.dataset.confirm;
  if (question && !confirm(question)) event.preventDefault();
}, true);

function prepare(part) {
  // A page without this script has no use for these.
  for (const button of part.querySelectorAll("[data-copy][hidden], [data-scripted][hidden]")) button.hidden = !navigator.clipboard && button.matches("[data-copy]");
}

// Whether somebody is at something there that a new copy of the part would undo.
function isInUse() {
  return !!document.querySelector("[data-live] input:checked, [data-live] dialog[open], [data-live] :focus");
}

// Each event of the organization has the part of the page that may have changed asked for anew, at most twice a second.
function follow() {
  const live = document.querySelector("[data-live]");
  if (!live || !window.EventSource || !window.htmx) return;
  const source = new EventSource(live.dataset.live);
  let waiting = null;
  source.addEventListener("change", () => {
    waiting = waiting || setTimeout(() => {
      waiting = null;
      if (isInUse() || document.hidden) return later();
      htmx.ajax("GET", location.href, { source: "[data-live]", target: "[data-live]", select: "[data-live]", swap: "outerHTML" });
    }, 500);
  });
  let due = false;
  function later() { due = true; }
  for (const name of ["visibilitychange", "focusout", "change"]) document.addEventListener(name, () => {
    if (!due) return;
    due = false;
    source.dispatchEvent(new Event("change"));
  });
  addEventListener("pagehide", () => source.close());
}

document.addEventListener("htmx:before:swap", event => { if (isInUse()) event.preventDefault(); });
document.addEventListener("htmx:after:swap", () => prepare(document));
document.addEventListener("DOMContentLoaded", () => { prepare(document); follow(); });
