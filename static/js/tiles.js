// The tiles: search as one types, load more of any list without leaving the page, and a word when Next has
// no choice.

import { announce } from "./announce.js";
import { SignedOut, fetchPage, focusOn, notice } from "./page.js";

/** What a list holds, but for the tile that adds one. */
const ENTRY = ":not(.tile-add, legend)";

const count = () => document.querySelector("[data-noun]");
const chosen = () => document.querySelector(".tile-radio:checked")?.value;

let waiting;
let running;

document.addEventListener("input", (event) => {
  const form = event.target.closest?.("[data-live-search]");
  if (!form) return;
  clearTimeout(waiting);
  waiting = setTimeout(() => search(form), 180);
});

async function search(form) {
  running?.abort();
  running = new AbortController();
  const url = new URL(form.getAttribute("action"), location.href);
  const text = form.elements.q.value.trim();
  if (text) url.searchParams.set("q", text);
  if (chosen()) url.searchParams.set("credential", chosen());
  try {
    const { page, ok } = await fetchPage(url, { signal: running.signal });
    if (!ok) return;
    const results = page.querySelector("[data-results]");
    document.querySelector("[data-results]").replaceChildren(...document.importNode(results, true).childNodes);
    count().textContent = page.getElementById("tile-count").textContent;
    history.replaceState(history.state, "", url);
    announce(count().textContent);
  } catch (error) {
    if (error instanceof SignedOut) location.assign(error.address);
    // Otherwise a later search has taken over, or the connection is gone: the button of the form still works.
  }
}

document.addEventListener("click", async (event) => {
  const link = event.target.closest?.("[data-load-more]");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  if (link.getAttribute("aria-disabled")) return;
  link.setAttribute("aria-disabled", "true");
  try {
    const { page, ok } = await fetchPage(link.href);
    if (!ok) throw new Error("no page");
    const list = document.querySelector("[data-list]");
    const added = [...page.querySelectorAll(`[data-list] > ${ENTRY}`)].filter(isNew).map((entry) => document.importNode(entry, true));
    list.append(...added);
    const next = page.getElementById("load-more");
    link.parentElement.replaceWith(...(next ? [document.importNode(next, true)] : []));
    const { noun } = count().dataset;
    count().textContent = `${list.querySelectorAll(`:scope > ${ENTRY}:not([data-beside])`).length} ${noun}`;
    announce(`${added.length} more ${noun}`);
    if (added[0]) focusOn(added[0].querySelector("input, a") ?? added[0]);
  } catch {
    location.assign(link.href);
  }
});

/** False for the chosen tile, which is shown already. If it is of this page it counts from now on. */
function isNew(entry) {
  const value = entry.querySelector(".tile-radio")?.value;
  const shown = value && document.querySelector(`.tile-radio[value="${CSS.escape(value)}"]`);
  if (shown && !("beside" in entry.dataset)) delete shown.closest(".tile").dataset.beside;
  return !shown;
}

document.addEventListener("submit", (event) => {
  if (!event.target.matches("[data-choose]") || chosen()) return;
  event.preventDefault();
  document.getElementById("choice-error")?.remove();
  const message = notice("choice-error", "bad", "Choose a credential, or add one.");
  document.getElementById("notices").prepend(message);
  focusOn(message);
  if (!document.title.startsWith("Error: ")) document.title = `Error: ${document.title}`;
});

document.addEventListener("change", (event) => {
  if (!event.target.matches(".tile-radio")) return;
  document.getElementById("choice-error")?.remove();
  document.title = document.title.replace(/^Error: /, "");
});
