// Configure: rows of query parameters come and go, and follow the endpoint while nobody has touched them.

import { enhance } from "./page.js";

const rows = (form) => [...form.querySelectorAll(".parameter")];

function pairs(form) {
  const all = rows(form).map((row) => [...row.querySelectorAll("input")].map((input) => input.value));
  return all.filter(([name, value]) => name || value);
}

function addRow(form, name = "", value = "") {
  const row = rows(form)[0].cloneNode(true);
  const [nameInput, valueInput] = row.querySelectorAll("input");
  nameInput.value = name;
  valueInput.value = value;
  nameInput.autofocus = false;
  form.querySelector("[data-rows]").append(row);
  enhance(row);
  number(form);
  return nameInput;
}

function number(form) {
  rows(form).forEach((row, index) => row.setAttribute("aria-label", `Parameter ${index + 1}`));
}

document.addEventListener("click", (event) => {
  const form = event.target.closest?.("[data-configure]");
  if (!form) return;
  if (event.target.closest("[data-add-row]")) {
    event.preventDefault();
    addRow(form).focus();
  }
  const remove = event.target.closest("[data-remove-row]");
  if (remove) {
    const row = remove.closest(".parameter");
    const neighbour = row.nextElementSibling ?? row.previousElementSibling;
    if (neighbour) row.remove();
    else for (const input of row.querySelectorAll("input")) input.value = "";
    number(form);
    (neighbour?.querySelector("input") ?? form.querySelector("[data-add-row]")).focus();
  }
});

document.addEventListener("change", (event) => {
  const form = event.target.closest?.("[data-configure]");
  if (!form || event.target.name !== "endpoint") return;
  const shownFor = form.elements.shown_for;
  const before = [...form.elements.endpoint].find((radio) => radio.value === shownFor.value);
  const now = event.target;
  if (JSON.stringify(pairs(form)) === (before?.dataset.query ?? "[]")) {
    const [first, ...others] = rows(form);
    for (const row of others) row.remove();
    const [pair = ["", ""], ...rest] = JSON.parse(now.dataset.query);
    first.querySelectorAll("input").forEach((input, index) => { input.value = pair[index]; });
    for (const [name, value] of rest) addRow(form, name, value);
  }
  const body = form.elements.body;
  if (body.value === (before?.dataset.body ?? "")) body.value = now.dataset.body;
  shownFor.value = now.value;
});
