// Builds the token URL, and what stands before and behind a value, as one types. The templates are the
// connector's: {field}, {field.attribute}, {a|b.c} for the first of them that has a value.

import { announce } from "./announce.js";

const REFERENCE = /\{([^}]*)\}/g;

/** The value of a field as the server would read it; a pasted address counts as its first label. */
function valueOf(form, name) {
  const field = form.elements.namedItem(name);
  if (!field || field.type === "password") return "";
  const value = field.value.trim();
  if (field.dataset.format !== "dns-label") return value;
  const pasted = value.toLowerCase().replace(/^https?:\/\//, "");
  return /[./]/.test(pasted) ? pasted.split(/[./]/)[0] : pasted;
}

function resolve(form, reference) {
  const [name, attribute] = reference.split(".");
  if (!attribute) return valueOf(form, name);
  const option = form.elements.namedItem(name)?.selectedOptions?.[0];
  return option ? JSON.parse(option.dataset.attributes)[attribute] ?? "" : "";
}

function render(form, template, missing) {
  return template.replace(REFERENCE, (_, alternatives) => {
    for (const reference of alternatives.split("|")) {
      const value = resolve(form, reference);
      if (value) return value;
    }
    return missing;
  });
}

document.addEventListener("input", (event) => {
  const form = event.target.closest?.(".credential-form");
  if (!form || !event.target.matches("[data-field]")) return;
  for (const element of form.querySelectorAll("[data-template]")) {
    element.textContent = render(form, element.dataset.template, element.dataset.missing ?? "");
  }
});

/** The option of another field whose suffix a pasted host ends in, with the label before it. */
function readHost(form, input, host) {
  const template = input.parentElement.querySelector(".affix-end")?.dataset.template ?? "";
  const [, name, attribute] = /\{(\w+)\.(\w+)\}/.exec(template) ?? [];
  const select = name && form.elements.namedItem(name);
  if (!select?.options) return undefined;
  for (const option of select.options) {
    const value = JSON.parse(option.dataset.attributes)[attribute];
    const suffix = template.replace(/\{[^}]*\}/, value ?? "");
    const label = host.slice(0, -suffix.length);
    if (value && host.endsWith(suffix) && /^[a-z0-9-]+$/.test(label)) return { select, option, label };
  }
  return undefined;
}

// A pasted address becomes the value that is meant, and chooses what else it says. What is not
// recognised here is left to the server, which knows more addresses.
document.addEventListener("change", (event) => {
  const input = event.target;
  if (!input.matches?.('[data-format="dns-label"]') || !/[./]/.test(input.value)) return;
  const form = input.form;
  const typed = input.value.trim().toLowerCase();
  const address = typed.includes("://") ? typed : `https://${typed}`;
  const found = URL.canParse(address) && readHost(form, input, new URL(address).hostname);
  if (!found) return;
  input.value = found.label;
  if (!found.option.selected) {
    found.option.selected = true;
    found.select.closest("details")?.setAttribute("open", "");
    announce(`${found.select.labels[0].textContent.trim()}: ${found.option.label}`);
  }
  input.dispatchEvent(new Event("input", { bubbles: true }));
});
