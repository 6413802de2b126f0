// Save: sends the overlay's form, shows each stage as it ends, and keeps what was typed whatever happens.

import { announce } from "./announce.js";
import { enhance, failure, focusOn, notice, request } from "./page.js";

const LINES = "application/x-ndjson";

/** True while a Save is under way, when the overlay must stay. */
export const isSaving = (form) => form?.dataset.busy === "yes";

document.addEventListener("submit", async (event) => {
  const form = event.target;
  if (!form.matches("[data-save]")) return;
  event.preventDefault();
  if (isSaving(form)) return;
  const body = new URLSearchParams(new FormData(form));
  const release = hold(form);
  try {
    const outcome = await send(form, body);
    release();
    conclude(form, outcome);
  } catch (error) {
    release();
    complain(form, failure("connection-error", error));
  }
});

/** Lets nobody send or change the form until the function that comes back is called. */
function hold(form) {
  form.dataset.busy = "yes";
  const save = form.querySelector("#save");
  const label = save.textContent;
  save.textContent = "Saving…";
  save.setAttribute("aria-disabled", "true");
  const inputs = [...form.querySelectorAll("input, textarea")].filter((input) => !input.readOnly);
  const selects = [...form.querySelectorAll("select")];
  for (const input of inputs) input.readOnly = true;
  for (const select of selects) select.disabled = true;
  document.getElementById("connection-error")?.remove();
  const progress = form.querySelector("#progress");
  progress.hidden = false;
  progress.querySelector("#stages").replaceChildren(running(form));
  // A disabled button cannot keep the focus, which would leave the dialog.
  progress.tabIndex = -1;
  progress.focus({ preventScroll: true });
  save.disabled = true;
  return () => {
    delete form.dataset.busy;
    save.textContent = label;
    save.removeAttribute("aria-disabled");
    save.disabled = false;
    for (const input of inputs) input.readOnly = false;
    for (const select of selects) select.disabled = false;
    progress.querySelector(".stage-running")?.remove();
    progress.hidden = progress.querySelector(".stage") === null;
  };
}

/** Resolves to the last line; rejects if the connection ends before it. */
async function send(form, body) {
  const response = await request(form.getAttribute("action"), { method: "POST", body, headers: { Accept: LINES } });
  if (!response.headers.get("Content-Type")?.startsWith(LINES)) {
    const page = new DOMParser().parseFromString(await response.text(), "text/html");
    return { outcome: "error", message: page.querySelector("h1")?.textContent ?? `status ${response.status}` };
  }
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) throw new Error("ended before its last line");
    text += value;
    const lines = text.split("\n");
    text = lines.pop();
    for (const line of lines) {
      const message = JSON.parse(line);
      if (!message.stage) return message;
      showStage(form, message);
    }
  }
}

function showStage(form, { stage, outcome, label }) {
  if (outcome === "skipped" || stage === "input") return;
  const item = document.createElement("li");
  item.className = `stage stage-${outcome}`;
  const mark = document.createElement("span");
  mark.setAttribute("aria-hidden", "true");
  mark.textContent = outcome === "passed" ? "✓" : "✕";
  const word = document.createElement("span");
  word.className = "visually-hidden";
  word.textContent = `${outcome}: `;
  item.append(mark, word, label);
  form.querySelector("#stages .stage-running").before(item);
}

function running(form) {
  const item = document.createElement("li");
  item.className = "stage stage-running";
  const spinner = document.createElement("span");
  spinner.className = "spinner";
  spinner.setAttribute("aria-hidden", "true");
  const url = form.querySelector("#token-url output")?.textContent ?? form.elements.namedItem("token_url")?.value ?? "";
  const host = URL.canParse(url) ? new URL(url).host : "the service";
  item.append(spinner, ` Asking ${host} for a token…`);
  return item;
}

function conclude(form, outcome) {
  if (outcome.outcome === "saved") {
    form.dispatchEvent(new CustomEvent("keytile:saved", { bubbles: true, detail: outcome.location }));
  } else if (outcome.outcome === "signed_out") {
    // What was typed is kept, and comes back after the sign-in.
    location.assign(outcome.location);
  } else if (outcome.html) {
    const page = new DOMParser().parseFromString(outcome.html, "text/html");
    const body = document.importNode(page.getElementById("overlay-body"), true);
    form.closest("#overlay-body").replaceWith(body);
    enhance(body);
    body.closest("dialog")?.scrollTo(0, 0);
    focusOn(body.querySelector('[aria-invalid="true"]') ?? body.querySelector("[role=alert]"));
    if (!document.title.startsWith("Error: ")) document.title = `Error: ${document.title}`;
    announce(body.querySelector("[role=alert]")?.innerText ?? "");
  } else {
    const words = `Keytile couldn't save this: ${outcome.message}. What you typed is still here. Try again.`;
    complain(form, notice("connection-error", "bad", words));
  }
}

function complain(form, message) {
  form.before(message);
  focusOn(message);
}
