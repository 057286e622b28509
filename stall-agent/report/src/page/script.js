"use strict";
// Without this script the page reads the same, and the browser shows what is said of a column by itself. With it a line
// marks the time in all pictures at once, by pointer, touch, or arrow keys.
(() => {
  const SVG = "http://www.w3.org/2000/svg";
  const plots = [...document.querySelectorAll("svg.heat, svg.band, svg.usage, svg.cells")];
  const says = new Map();
  for (const title of document.querySelectorAll(".hits title")) {
    says.set(title.parentNode, title.textContent);
    title.remove();
  }
  const tip = document.createElement("div");
  tip.id = "tip";
  tip.hidden = true;
  tip.setAttribute("role", "status");
  document.body.append(tip);
  const lines = plots.map((plot) => {
    const line = document.createElementNS(SVG, "line");
    line.setAttribute("class", "cross");
    line.setAttribute("y1", "0");
    line.setAttribute("y2", "100%");
    line.setAttribute("visibility", "hidden");
    plot.append(line);
    return line;
  });

  const columnAt = (plot, part) => {
    const heat = plot.matches(".heat, .cells") ? plot : plot.closest("details").querySelector("svg.heat");
    const rects = heat ? heat.querySelectorAll(".hits rect") : [];
    for (const rect of rects) {
      const from = parseFloat(rect.getAttribute("x")) / 100;
      const to = from + parseFloat(rect.getAttribute("width")) / 100;
      if (part >= from && part < to) return rect;
    }
    return null;
  };
  const hide = () => {
    tip.hidden = true;
    for (const line of lines) line.setAttribute("visibility", "hidden");
  };
  const show = (plot, part) => {
    for (const line of lines) {
      line.setAttribute("x1", `${part * 100}%`);
      line.setAttribute("x2", `${part * 100}%`);
      line.setAttribute("visibility", "visible");
    }
    const column = columnAt(plot, part);
    tip.hidden = !column;
    if (!column) return;
    tip.textContent = says.get(column) ?? "";
    const box = plot.getBoundingClientRect();
    const room = document.documentElement.clientWidth - tip.offsetWidth - 8;
    tip.style.left = `${Math.max(4, Math.min(room, box.left + part * box.width + 12))}px`;
    const below = box.bottom + 8;
    const fits = below + tip.offsetHeight < window.innerHeight;
    tip.style.top = `${fits ? below : Math.max(4, box.top - tip.offsetHeight - 8)}px`;
  };
  for (const plot of plots) {
    let part = 0;
    const move = (event) => {
      const box = plot.getBoundingClientRect();
      part = Math.max(0, Math.min(0.9999, (event.clientX - box.left) / box.width));
      show(plot, part);
    };
    plot.addEventListener("pointermove", move);
    plot.addEventListener("pointerdown", move);
    plot.addEventListener("pointerleave", hide);
    plot.addEventListener("blur", hide);
    plot.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (event.key === "Escape") hide();
      if (!step) return;
      event.preventDefault();
      const column = columnAt(plot, part);
      const width = column ? parseFloat(column.getAttribute("width")) / 100 : 0.01;
      part = Math.max(0, Math.min(0.9999, part + step * width));
      show(plot, part);
    });
  }
  window.addEventListener("scroll", hide, { passive: true });
})();
