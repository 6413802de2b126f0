// Questions that are asked before something is lost.

import { enhance, fetchPage } from "./page.js";

/** Asks in a dialog; resolves to true if the answer is yes. */
export function ask({ title, text, yes, no }) {
  const dialog = document.createElement("dialog");
  dialog.className = "confirm";
  dialog.setAttribute("aria-labelledby", "ask-title");
  const form = document.createElement("form");
  form.method = "dialog";
  form.className = "panel stack";
  const heading = document.createElement("h2");
  heading.id = "ask-title";
  heading.textContent = title;
  const words = document.createElement("p");
  words.textContent = text;
  const row = document.createElement("p");
  row.className = "button-row button-row-end";
  const keep = button(no, "no", "button");
  keep.autofocus = true;
  row.append(keep, button(yes, "yes", "button button-danger-solid"));
  form.append(heading, words, row);
  dialog.append(form);
  document.body.append(dialog);
  dialog.showModal();
  return new Promise((answer) => {
    dialog.addEventListener("close", () => {
      dialog.remove();
      answer(dialog.returnValue === "yes");
    });
  });
}

function button(words, value, classes) {
  const element = document.createElement("button");
  element.className = classes;
  element.value = value;
  element.textContent = words;
  return element;
}

// A link to a page that asks: the question is shown in a dialog over this page.
document.addEventListener("click", async (event) => {
  const link = event.target.closest?.("a[data-confirm]");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  try {
    const { page, ok } = await fetchPage(link.href);
    const question = page.getElementById("confirm");
    if (!ok || !question) throw new Error("no question");
    const dialog = document.createElement("dialog");
    dialog.className = "confirm";
    dialog.setAttribute("aria-labelledby", "confirm-title");
    dialog.append(document.importNode(question, true));
    document.body.append(dialog);
    enhance(dialog);
    dialog.addEventListener("close", () => {
      dialog.remove();
      link.focus();
    });
    dialog.addEventListener("click", (click) => {
      if (!click.target.closest("[data-close]")) return;
      click.preventDefault();
      dialog.close();
    });
    dialog.showModal();
  } catch {
    location.assign(link.href);
  }
});
