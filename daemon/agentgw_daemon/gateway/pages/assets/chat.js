// A session's page: keeps to the end of an answer while the reader is there, and says where an answer begins and ends.
(() => {
  "use strict";
  const NEAR = 80;
  const page = document.scrollingElement;
  const jump = document.getElementById("jump");
  let pinned = true;

  const atEnd = () => page.scrollHeight - page.scrollTop - window.innerHeight < NEAR;
  const toEnd = () => page.scrollTo({ top: page.scrollHeight, behavior: "instant" });
  const settle = () => {
    if (pinned) toEnd();
    if (jump) jump.hidden = pinned || !document.querySelector(".live:not(.ended)");
  };

  // Whoever scrolls up reads, and is left alone until they come back to the end.
  window.addEventListener("scroll", () => { pinned = atEnd(); settle(); }, { passive: true });
  jump?.addEventListener("click", () => { pinned = true; settle(); });
  const sizes = new ResizeObserver(settle);
  for (const part of document.querySelectorAll("#turns, #sum-up")) sizes.observe(part);
  if (location.hash === "") toEnd();

  // Words of an answer that are added as they are, at the place that its last blocks have left for them.
  document.addEventListener("say", (event) => {
    const { place, text } = JSON.parse(event.detail.data);
    const found = document.getElementById(place);
    const tips = found?.getElementsByClassName("tip");
    (tips?.length ? tips[tips.length - 1] : found)?.append(text);
  });

  document.addEventListener("htmx:sse:after:connection", (event) => {
    const turn = event.target.closest(".live");
    turn?.classList.remove("lost");
    if (turn && !turn.dataset.begun) {
      turn.dataset.begun = "yes";
      window.announce("An answer begins.");
    }
  });
  document.addEventListener("htmx:sse:error", (event) => { event.target.closest(".live")?.classList.add("lost"); });
  document.addEventListener("end", (event) => {
    event.target.classList.add("ended");
    event.target.classList.remove("lost");
    window.announce(JSON.parse(event.detail.data).words);
    settle();
  });

  // The box is emptied once the daemon has the message, and is ready for the next one.
  document.addEventListener("htmx:after:request", (event) => {
    if (event.target.id !== "composer" || !event.detail.ctx.response.raw.ok) return;
    event.target.reset();
    document.getElementById("message").focus();
    pinned = true;
  });

  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") document.querySelector(".live:not(.ended) .stop")?.click();
  });
})();
