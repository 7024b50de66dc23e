// Draws the last two minutes of each figure. The newest point is at the right; the scale is that of the largest one.
(() => {
  "use strict";
  const POINTS = 60;
  const EVERY_MS = 2000;
  const WIDTH = 120;
  const HEIGHT = 40;
  const MARGIN = 2;
  const size = (bytes) => {
    const units = ["bytes", "kB", "MB", "GB", "TB"];
    let unit = 0;
    while (bytes >= 1000 && unit + 1 < units.length) { bytes /= 1000; unit += 1; }
    return `${unit && bytes < 10 ? bytes.toFixed(1) : bytes.toFixed(0)} ${units[unit]}`;
  };
  const cards = [...document.querySelectorAll("[data-figure]")].map((card) => ({
    card, name: card.dataset.figure, points: [Number(card.dataset.value)],
    number: card.querySelector("strong"), line: card.querySelector("polyline"),
  }));

  const draw = ({ name, points, number, line }) => {
    const most = Math.max(...points, 1);
    const last = points[points.length - 1];
    number.textContent = name === "memory" ? size(last) : last.toFixed(0);
    line.setAttribute("points", points.map((value, at) => {
      const x = WIDTH - (points.length - 1 - at) * WIDTH / (POINTS - 1);
      return `${x.toFixed(1)},${(HEIGHT - MARGIN - value / most * (HEIGHT - 2 * MARGIN)).toFixed(1)}`;
    }).join(" "));
  };

  const look = async () => {
    if (!document.hidden) {
      try {
        const reply = await fetch("/status/figures", { headers: { "HX-Request": "true" } });
        if (!reply.ok) throw new Error(reply.statusText);
        const figures = await reply.json();
        document.getElementById("charts").classList.remove("old");
        for (const one of cards) {
          one.points = [...one.points, figures[one.name]].slice(-POINTS);
          draw(one);
        }
      } catch {
        // Old figures are shown as such until the daemon answers again.
        document.getElementById("charts").classList.add("old");
      }
    }
    setTimeout(look, EVERY_MS);
  };
  cards.forEach(draw);
  setTimeout(look, EVERY_MS);
})();
