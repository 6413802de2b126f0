// Fetches pages of Keytile and puts parts of them in place of what is shown.

/** Thrown where Keytile answers with its sign-in page, because the session has ended. */
export class SignedOut extends Error {
  constructor(address) {
    super("signed out");
    this.address = address;
  }
}

/** What Keytile answers; throws where that is its sign-in page, which no other page is replaced with. */
export async function request(url, options) {
  const response = await fetch(url, options);
  if (response.redirected && new URL(response.url).pathname.startsWith("/sign-in")) throw new SignedOut(response.url);
  return response;
}

/** What a page of Keytile answers: its document, its status, and where it came from in the end. */
export async function fetchPage(url, options = {}) {
  const response = await request(url, { headers: { Accept: "text/html" }, ...options });
  const text = await response.text();
  const page = new DOMParser().parseFromString(text, "text/html");
  return { page, status: response.status, url: response.url, ok: response.ok };
}

/** Shows what is there only for people with script. */
export function enhance(root) {
  for (const element of root.querySelectorAll("[data-scripted]")) element.hidden = false;
}

/** Puts the content of a fetched page in place of the present one, and the focus where the page wants it. */
export function showPage(page) {
  const content = document.importNode(page.querySelector("main > .page"), true);
  document.querySelector("main > .page").replaceWith(content);
  document.title = page.title;
  enhance(content);
  focusOn(content.querySelector("#error-summary, #choice-error, [data-focus]"));
}

/** Moves the focus, also to what is no control. */
export function focusOn(element) {
  if (!element) return;
  element.focus({ preventScroll: true });
  element.scrollIntoView({ block: "nearest" });
}

/** A message over a part of the page, such as that the connection was lost. */
export function notice(id, kind, words) {
  const element = document.createElement("div");
  element.id = id;
  element.className = `notice notice-${kind}`;
  element.setAttribute("role", "alert");
  element.tabIndex = -1;
  const text = document.createElement("p");
  const strong = document.createElement("strong");
  strong.textContent = words;
  text.append(strong);
  element.append(text);
  return element;
}

/** What is said when Keytile itself does not answer. */
const LOST = "The request to Keytile didn't complete. What you typed is still here. Try again.";

/** The message after a request that failed: Keytile did not answer, or the session has ended. */
export function failure(id, error) {
  if (!(error instanceof SignedOut)) return notice(id, "bad", LOST);
  const message = notice(id, "bad", "You're signed out because your session has ended. What you typed here won't be kept. Copy what you need first.");
  const link = document.createElement("a");
  link.href = error.address;
  link.textContent = "Sign in again";
  message.firstElementChild.append(" ", link);
  return message;
}

// A form that answers with the same page changed: it is sent without leaving the page. (A button named
// `action` hides the property of that name: addresses are read from the attribute, here and elsewhere.)
document.addEventListener("submit", async (event) => {
  const form = event.target;
  const button = event.submitter;
  if (!form.matches("[data-in-place]") && !button?.matches("[data-test]")) return;
  event.preventDefault();
  if (form.dataset.busy) return;
  const body = new URLSearchParams(new FormData(form, button));
  form.dataset.busy = "yes";
  button?.setAttribute("aria-disabled", "true");
  document.getElementById("lost")?.remove();
  try {
    const { page } = await fetchPage(form.getAttribute("action"), { method: "POST", body });
    if (!page.querySelector("main > .page")) throw new Error("no page");
    showPage(page);
  } catch (error) {
    const message = failure("lost", error);
    form.before(message);
    focusOn(message);
  } finally {
    delete form.dataset.busy;
    button?.removeAttribute("aria-disabled");
  }
});

// A form that does its work once, however often its button is pressed.
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (!form.matches("[data-once]")) return;
  if (form.dataset.busy) event.preventDefault();
  form.dataset.busy = "yes";
  form.querySelector("button[type=submit]")?.setAttribute("aria-disabled", "true");
});
addEventListener("pageshow", () => {
  for (const form of document.querySelectorAll("[data-once][data-busy]")) {
    delete form.dataset.busy;
    form.querySelector("button[type=submit]")?.removeAttribute("aria-disabled");
  }
});

// Links to a field put the focus into it, and leave the history of the browser alone.
document.addEventListener("click", (event) => {
  const link = event.target.closest?.('.notice a[href^="#"], .kept a[href^="#"]');
  const field = link && document.getElementById(link.hash.slice(1));
  if (!field) return;
  event.preventDefault();
  field.closest("details")?.setAttribute("open", "");
  focusOn(field);
});

document.documentElement.classList.add("scripted");
enhance(document);
