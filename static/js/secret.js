// Show and hide what is being typed into a secret field.

document.addEventListener("click", (event) => {
  const button = event.target.closest?.("[data-reveal]");
  if (!button) return;
  const input = document.getElementById(button.dataset.reveal);
  const shown = input.type === "password";
  input.type = shown ? "text" : "password";
  button.textContent = shown ? "Hide" : "Show";
  button.setAttribute("aria-label", `${button.textContent} ${button.dataset.label}`);
  button.setAttribute("aria-pressed", String(shown));
});

// A secret that is in clear on the screen is hidden again before it is sent.
document.addEventListener("submit", (event) => {
  for (const button of event.target.querySelectorAll('[data-reveal][aria-pressed="true"]')) button.click();
}, true);

// The values that the sandbox accepts, into the form.
document.addEventListener("click", (event) => {
  const button = event.target.closest?.("[data-fill-hints]");
  if (!button) return;
  const form = document.getElementById("credential-form");
  for (const hint of button.closest(".sandbox-box").querySelectorAll("[data-hint]")) {
    const input = form.elements.namedItem(hint.dataset.hint);
    if (!input) continue;
    input.value = hint.textContent;
    input.dispatchEvent(new Event("input", { bubbles: true }));
  }
  const name = form.elements.namedItem("name");
  (name.value ? form.querySelector("#save") : name).focus();
});
