// Builds the token URL, and what stands before and behind a value, as one types. The templates are the
// connector's: {field}, {field.attribute}, {a|b.c} for the first of them that has a value.

import { announce } from "./announce.js";

const REFERENCE = /\{([^}]*)\}/g;

/** What the addresses in a form say: the label that a field means, the option that a select would have. */
function readAddresses(form) {
  const labels = new Map();
  const options = new Map();
  for (const input of form.querySelectorAll("[data-hosts]")) {
    const found = readAddress(input);
    if (!found) continue;
    labels.set(input, found.label);
    if (found.select) options.set(found.select, found.option);
  }
  return { labels, options };
}

/** The value of a field as the server would read it; an unknown address counts as its first label. */
function valueOf(form, name, { labels }) {
  const field = form.elements.namedItem(name);
  if (!field || field.type === "password") return "";
  const value = field.value.trim();
  if (field.dataset.format !== "dns-label") return value;
  const pasted = value.toLowerCase().replace(/^https?:\/\//, "");
  return labels.get(field) ?? (/[./]/.test(pasted) ? pasted.split(/[./]/)[0] : pasted);
}

function resolve(form, reference, addresses) {
  const [name, attribute] = reference.split(".");
  if (!attribute) return valueOf(form, name, addresses);
  const select = form.elements.namedItem(name);
  const option = addresses.options.get(select) ?? select?.selectedOptions?.[0];
  return option ? JSON.parse(option.dataset.attributes)[attribute] ?? "" : "";
}

function render(form, template, missing, addresses) {
  return template.replace(REFERENCE, (_, alternatives) => {
    for (const reference of alternatives.split("|")) {
      const value = resolve(form, reference, addresses);
      if (value) return value;
    }
    return missing;
  });
}

document.addEventListener("input", (event) => {
  const form = event.target.closest?.(".credential-form");
  if (!form || !event.target.matches("[data-field]")) return;
  const addresses = readAddresses(form);
  for (const element of form.querySelectorAll("[data-template]")) {
    element.textContent = render(form, element.dataset.template, element.dataset.missing ?? "", addresses);
  }
});

/** The host of a pasted address; undefined for a label that stands alone. */
function hostOf(typed) {
  if (!/[./]/.test(typed)) return undefined;
  const address = typed.includes("://") ? typed : `https://${typed}`;
  return URL.canParse(address) ? new URL(address).hostname : undefined;
}

/**
 * What a pasted address says: the label before one of the connector's domains, and the option of another
 * field that the domain depends on. Undefined where it is no address, or of no domain that is known.
 */
function readAddress(input) {
  const host = hostOf(input.value.trim().toLowerCase());
  if (!host) return undefined;
  for (const template of JSON.parse(input.dataset.hosts)) {
    const [, name, attribute] = /\{(\w+)\.(\w+)\}/.exec(template) ?? [];
    const select = name && input.form.elements.namedItem(name);
    for (const option of select ? select.options : [undefined]) {
      const value = option && JSON.parse(option.dataset.attributes)[attribute];
      if (option && !value) continue;
      const domain = template.replace(REFERENCE, value).replace(/^\./, "");
      const label = host.endsWith(`.${domain}`) ? host.slice(0, -domain.length - 1) : "";
      if (/^[a-z0-9-]+$/.test(label)) return { select, option, label };
    }
  }
  return undefined;
}

// A pasted address becomes the value that is meant, and chooses what else it says. What is not
// recognised here is left to the server, which says so.
document.addEventListener("change", (event) => {
  const input = event.target;
  const found = input.matches?.("[data-hosts]") && readAddress(input);
  if (!found) return;
  input.value = found.label;
  if (found.option && !found.option.selected) {
    found.option.selected = true;
    found.select.closest("details")?.setAttribute("open", "");
    announce(`${found.select.labels[0].textContent.trim()}: ${found.option.label}`);
  }
  input.dispatchEvent(new Event("input", { bubbles: true }));
});
