// The overlay in place: the same page is fetched, its dialog is taken out of it and shown over this one.
// The address changes with it, so that Back closes it and a reload shows it again.

import { announce } from "./announce.js";
import { ask } from "./confirm.js";
import { enhance, failure, fetchPage, focusOn } from "./page.js";
import { isSaving } from "./save.js";

/** What is open: its dialog, the title of the page below, and whether its address was added here. */
let overlay;

const formOf = (dialog) => dialog.querySelector("#credential-form");

/** True if something was typed, now or in an earlier try. */
function isTyped(form) {
  if (form.hasAttribute("data-typed")) return true;
  return [...form.elements].some((field) => {
    if (!field.name || field.type === "hidden") return false;
    // Where no option is chosen by the page, the browser chooses the first.
    if (field.options) return field.selectedIndex !== Math.max(0, [...field.options].findIndex((option) => option.defaultSelected));
    return field.value !== field.defaultValue;
  });
}

async function open(url, isNew) {
  const { page, ok } = await fetchPage(url);
  const fetched = page.getElementById("overlay");
  if (!ok || !fetched) throw new Error("no overlay");
  const dialog = document.importNode(fetched, true);
  document.querySelector("main").append(dialog);
  if (isNew) history.pushState({ overlay: true }, "", url);
  show(dialog, isNew);
  document.title = page.title;
}

function show(dialog, pushed) {
  dialog.removeAttribute("open");
  dialog.removeAttribute("aria-modal");
  overlay = { dialog, title: document.title, pushed };
  enhance(dialog);
  dialog.showModal();
  const form = formOf(dialog);
  focusOn(form.querySelector('[aria-invalid="true"]') ?? dialog.querySelector("#rejection") ?? form.elements.namedItem("name"));
  dialog.addEventListener("cancel", (event) => {
    if (event.target !== dialog) return;
    event.preventDefault();
    leave();
  });
  // A browser may close a dialog without asking; then nothing is left to ask about.
  dialog.addEventListener("close", () => { if (overlay?.dialog === dialog) away(); });
}

/** Closes the overlay if nothing was typed or the answer is to discard it. True if it was closed. */
async function mayClose() {
  const form = formOf(overlay.dialog);
  if (isSaving(form)) {
    announce("Keytile is still verifying. Please wait.");
    return false;
  }
  if (!isTyped(form)) return true;
  const discard = await ask({
    title: "Discard what you typed?",
    text: "This credential has not been saved.",
    yes: "Discard",
    no: "Keep editing",
  });
  if (discard) {
    const value = (name) => form.elements.namedItem(name).value;
    const body = new URLSearchParams({ draft: value("draft"), form_token: value("form_token"), then: "leave" });
    // If Keytile cannot be reached the draft stays, sealed, and ends by itself.
    await fetch(form.dataset.discardUrl, { method: "POST", body, redirect: "manual" }).catch(() => {});
  }
  return discard;
}

async function leave() {
  if (overlay.asking) return;
  overlay.asking = true;
  const { dialog } = overlay;
  const closing = await mayClose();
  if (overlay?.dialog !== dialog) return;
  overlay.asking = false;
  if (closing) away();
}

/** Takes the overlay away and goes back to the address below it. */
function away() {
  const { pushed } = overlay;
  const below = overlay.dialog.querySelector("#cancel").href;
  close();
  if (pushed) history.back();
  else location.assign(below);
}

function close() {
  const { dialog, title } = overlay;
  overlay = undefined;
  dialog.close();
  dialog.remove();
  document.title = title;
  document.getElementById("add-credential")?.focus();
}

document.addEventListener("click", (event) => {
  if (event.ctrlKey || event.metaKey || event.shiftKey) return;
  const add = event.target.closest?.("#add-credential");
  if (add) {
    event.preventDefault();
    if (overlay || add.dataset.busy) return;
    add.dataset.busy = "yes";
    open(add.href, true).catch(() => location.assign(add.href)).finally(() => delete add.dataset.busy);
  }
  if (overlay && event.target.closest?.("#cancel")) {
    event.preventDefault();
    leave();
  }
});

// A browser asks only once before Escape closes a dialog; this asks every time.
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape" || event.defaultPrevented || !overlay || document.querySelector("dialog.confirm")) return;
  event.preventDefault();
  leave();
});

addEventListener("popstate", async (event) => {
  if (overlay) {
    if (!isTyped(formOf(overlay.dialog)) && !isSaving(formOf(overlay.dialog))) return close();
    // The overlay stays until it has been asked, and so does its address.
    history.pushState({ overlay: true }, "", formOf(overlay.dialog).getAttribute("action"));
    overlay.pushed = true;
    return leave();
  }
  if (event.state?.overlay) open(location.href, false).then(() => { overlay.pushed = true; }).catch(() => location.reload());
});

// Throwing away a restored draft: the overlay begins again with an empty form.
document.addEventListener("submit", async (event) => {
  const form = event.target;
  if (!overlay || !form.matches("[data-discard]")) return;
  event.preventDefault();
  try {
    const { page, ok } = await fetchPage(form.getAttribute("action"), { method: "POST", body: new URLSearchParams(new FormData(form)) });
    const body = page.getElementById("overlay-body");
    if (!ok || !body) throw new Error("no form");
    const fresh = document.importNode(body, true);
    form.closest("#overlay-body").replaceWith(fresh);
    enhance(fresh);
    formOf(overlay.dialog).elements.namedItem("name").focus();
    announce("The form is now empty.");
  } catch (error) {
    const message = failure("connection-error", error);
    form.before(message);
    focusOn(message);
  }
});

// Saved: the tiles are those of the page that the server names, with the new one selected.
document.addEventListener("keytile:saved", async (event) => {
  const address = event.detail;
  // The form stands on a page of its own.
  if (!overlay) return location.assign(address);
  try {
    const { page, ok } = await fetchPage(address);
    const content = page.getElementById("authenticate");
    if (!ok || !content) throw new Error("no tiles");
    document.getElementById("authenticate").replaceWith(document.importNode(content, true));
    document.querySelector(".site-header").inert = false;
    overlay.title = page.title;
    history.replaceState(null, "", address);
    close();
    const tile = document.querySelector(".tile-radio:checked");
    focusOn(tile);
    tile?.closest(".tile").scrollIntoView({ block: "nearest" });
    announce(document.getElementById("saved-notice")?.textContent.trim() ?? "The credential is verified and saved.");
  } catch {
    location.assign(address);
  }
});

// The page was loaded with the overlay in it: from here on it is a modal dialog like any other.
const loaded = document.getElementById("overlay");
if (loaded) {
  document.querySelector(".backdrop")?.remove();
  show(loaded, false);
}
