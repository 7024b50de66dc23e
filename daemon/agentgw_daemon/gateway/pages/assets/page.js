// What every page needs beside htmx: problems are cleared by what works, buttons can be repeated only when answered.
(() => {
  "use strict";
  const problem = () => document.getElementById("problem");

  // A line for screen readers, said once.
  window.announce = (text) => {
    const place = document.getElementById("announce");
    place.textContent = "";
    setTimeout(() => { place.textContent = text; }, 50);
  };

  document.addEventListener("htmx:before:request", (event) => {
    // What asks by itself every few seconds clears nothing that a person has not read.
    if (!event.target.closest?.("[data-quiet]")) problem().replaceChildren();
  });

  const lost = (event) => {
    if (event.target.closest?.("[data-quiet]")) return;
    const line = document.createElement("p");
    line.className = "problem";
    line.textContent = "The daemon does not answer. It may have stopped, or the network is gone.";
    problem().replaceChildren(line);
  };
  document.addEventListener("htmx:error", lost);

  // A form is sent by Ctrl+Enter, or by Enter where the field says so; Shift+Enter is a new line.
  document.addEventListener("keydown", (event) => {
    const field = event.target;
    if (event.key !== "Enter" || event.isComposing || !(field instanceof HTMLTextAreaElement)) return;
    const sends = event.ctrlKey || event.metaKey || (field.dataset.enter === "send" && !event.shiftKey);
    if (sends && field.form) {
      event.preventDefault();
      if (field.value.trim()) field.form.requestSubmit();
    }
  });
})();
