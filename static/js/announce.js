// Says to screen readers what changed on the page. Outside an open dialog nothing is read, so the words
// go into a region inside it while there is one.

/** @param {string} words */
export function announce(words) {
  const dialogs = document.querySelectorAll("dialog:modal");
  const dialog = dialogs[dialogs.length - 1];
  let region = document.getElementById("announcer");
  if (dialog) {
    region = dialog.querySelector(":scope > .announcer");
    if (!region) {
      region = document.createElement("div");
      region.className = "announcer visually-hidden";
      region.setAttribute("role", "status");
      dialog.append(region);
    }
  }
  // The same words twice are read twice only if the region was empty in between.
  region.textContent = "";
  setTimeout(() => { region.textContent = words; }, 60);
}
