// Sends chosen files one after the other, each as its own request, and says how far it is.
(() => {
  "use strict";
  const form = document.getElementById("upload");
  const list = document.getElementById("uploads");
  const lost = "The daemon does not answer. It may have stopped, or the network is gone.";
  // What the daemon says is HTML; here only its words are wanted.
  const words = (html) => new DOMParser().parseFromString(html, "text/html").body.textContent.trim();

  const send = (file) => new Promise((done) => {
    const line = document.createElement("li");
    const text = document.createElement("span");
    const bar = document.createElement("progress");
    text.textContent = file.name;
    bar.max = 1;
    bar.value = 0;
    bar.setAttribute("aria-label", `Sending ${file.name}`);
    line.append(text, bar);
    list.append(line);
    const request = new XMLHttpRequest();
    request.open("POST", `/documents/upload?source=${encodeURIComponent(file.name)}`);
    request.setRequestHeader("Content-Type", "application/octet-stream");
    request.setRequestHeader("X-Form-Token", form.dataset.token);
    request.setRequestHeader("HX-Request", "true");
    request.upload.addEventListener("progress", (event) => {
      if (event.lengthComputable) bar.value = event.loaded / event.total;
    });
    request.upload.addEventListener("load", () => {
      // Without a value it moves: how long the reading takes is not known.
      bar.removeAttribute("value");
      bar.setAttribute("aria-label", `Reading ${file.name}`);
    });
    request.addEventListener("loadend", () => {
      bar.remove();
      const worked = request.status === 200;
      text.textContent = worked ? words(request.responseText) : `${file.name}: ${words(request.responseText) || lost}`;
      if (!worked) text.className = "bad";
      document.body.dispatchEvent(new Event("stored"));
      done();
    });
    request.send(file);
  });

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const field = form.querySelector("input[type=file]");
    const button = form.querySelector("button");
    list.hidden = false;
    button.disabled = true;
    for (const file of [...field.files]) await send(file);
    field.value = "";
    button.disabled = false;
  });
})();
