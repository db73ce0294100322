"use strict";
(() => {
  const NARROW = 560;
  const config = { displayModeBar: false, responsive: false };
  const figures = [...document.querySelectorAll(".plot")].map((place) => ({
    place, json: JSON.parse(document.getElementById("json-" + place.dataset.figure).textContent),
  }));

  // A figure of several panels stands them side by side where there is room, and one below the other on a phone.
  function stacked(layout, n) {
    const changed = { ...layout, annotations: (layout.annotations || []).map((note) => ({ ...note })) };
    const gap = Math.min(0.9 / Math.max(1, n - 1), 104 / (layout.meta.stacked_height - 130));
    const height = (1 - gap * (n - 1)) / n;
    for (let index = 0; index < n; index += 1) {
      const key = index ? String(index + 1) : "";
      const top = 1 - index * (height + gap);
      changed["xaxis" + key] = { ...layout["xaxis" + key], domain: [0, 1], anchor: "y" + key };
      changed["yaxis" + key] = { ...layout["yaxis" + key], domain: [Math.max(0, top - height), top], anchor: "x" + key, showticklabels: true };
      if (changed.annotations.length >= n) Object.assign(changed.annotations[index], { x: 0, y: top });
    }
    changed.height = layout.meta.stacked_height;
    return changed;
  }

  function wrapped(text, width) {
    const lines = [""];
    for (const word of text.replaceAll("<br>", " ").split(" ")) {
      if ((lines[lines.length - 1] + word).length > width && lines[lines.length - 1]) lines.push("");
      lines[lines.length - 1] += (lines[lines.length - 1] ? " " : "") + word;
    }
    return lines.join("<br>");
  }

  function layoutFor(json, width) {
    const meta = json.layout.meta || {};
    let layout = { ...json.layout, paper_bgcolor: "rgba(0,0,0,0)" };
    if (width < NARROW && meta.stack > 1) layout = stacked(layout, meta.stack);
    if (width < 760 && meta.stack > 1 && layout.annotations) {
      layout.annotations = layout.annotations.map((note) => ({ ...note, font: { ...note.font, size: 11.5 } }));
    }
    if (width < NARROW) {
      layout.margin = { ...layout.margin, l: Math.min(layout.margin.l ?? 60, 54), r: 8 };
      // A legend of one entry a line, and labels of two lines, need room of their own.
      const named = new Set(json.data.filter((trace) => trace.name && trace.showlegend !== false).map((trace) => trace.name));
      layout.height += 18 * Math.max(0, named.size - 1);
      const axis = layout.yaxis;
      if (axis && axis.ticktext) {
        const long = axis.ticktext.some((text) => text.length > 36);
        const texts = long && meta.short_ticks ? meta.short_ticks : axis.ticktext.map((text) => wrapped(text, 18));
        if (texts.some((text) => text.includes("<br>"))) layout.height += 10 * texts.length;
        layout.yaxis = { ...axis, ticktext: texts, tickfont: { ...axis.tickfont, size: 11 } };
      }
    }
    // Too narrow for the interval below the mean, or for the mean in letters of that size.
    const cell = meta.columns ? (width - 90) / meta.columns : Infinity;
    if (cell < 92) {
      layout.annotations = layout.annotations.filter((note) => note.name !== "interval").map((note) => ({
        ...note, yshift: 0, font: { ...note.font, size: cell < 40 ? 9 : 11 },
        text: cell < 40 ? (note.text.includes("★") ? "<b>★</b>" : note.text.replace(/<\/?b>/g, "")) : note.text,
      }));
    }
    if (cell < 40) layout.xaxis = { ...layout.xaxis, tickangle: -90 };
    layout.width = width;
    return layout;
  }

  function draw(one, width = one.place.parentElement.clientWidth) {
    if (width === one.width || !width) return;
    one.width = width;
    const layout = layoutFor(one.json, width);
    one.place.style.minHeight = layout.height + "px";
    Plotly.react(one.place, one.json.data, layout, config);
  }

  const drawAll = (width) => figures.forEach((one) => draw(one, width));
  drawAll();
  // A place may have no width yet while the page is laid out: it is drawn once it has one.
  let waiting = 0;
  let printing = false;
  const sizes = new ResizeObserver(() => {
    cancelAnimationFrame(waiting);
    waiting = requestAnimationFrame(() => printing || drawAll());
  });
  figures.forEach((one) => sizes.observe(one.place.parentElement));
  const PAPER = 670;
  addEventListener("beforeprint", () => {
    printing = true;
    drawAll(PAPER);
  });
  addEventListener("afterprint", () => {
    printing = false;
    drawAll();
  });

  // Where the reader is.
  const links = new Map([...document.querySelectorAll("nav a")].map((link) => [link.hash.slice(1), link]));
  const seen = new Set();
  const watcher = new IntersectionObserver((entries) => {
    for (const entry of entries) entry.isIntersecting ? seen.add(entry.target.id) : seen.delete(entry.target.id);
    let current = true;
    for (const [id, link] of links) {
      if (seen.has(id) && current) { link.setAttribute("aria-current", "location"); current = false; } else link.removeAttribute("aria-current");
    }
  }, { rootMargin: "-20% 0px -60% 0px" });
  document.querySelectorAll("main > section").forEach((section) => watcher.observe(section));

  // The table of trials.
  const table = document.getElementById("trial-table");
  const body = table.tBodies[0];
  const heads = [...table.tHead.rows[0].cells];
  const names = heads.map((head) => head.textContent.trim().toLowerCase());
  const key = (cell) => cell.dataset.key ?? cell.textContent;
  const collator = new Intl.Collator(undefined, { numeric: true });

  function compare(a, b, sign) {
    if (a === "" || b === "") return (a === "") - (b === "");
    const x = Number(a), y = Number(b);
    return sign * (Number.isNaN(x) || Number.isNaN(y) ? collator.compare(a, b) : x - y);
  }

  heads.forEach((head, column) => head.querySelector("button").addEventListener("click", () => {
    const down = head.getAttribute("aria-sort") === "ascending";
    heads.forEach((other) => other.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    const rows = [...body.rows].map((row) => [key(row.cells[column]), row]);
    rows.sort((a, b) => compare(a[0], b[0], down ? -1 : 1));
    body.append(...rows.map((pair) => pair[1]));
  }));

  function test(word) {
    const parts = /^([^<>=]+)(<=|>=|=|<|>)(.+)$/.exec(word);
    const column = parts ? names.findIndex((name) => name.replaceAll(" ", "_") === parts[1].replaceAll(" ", "_")) : -1;
    if (column < 0) return (row) => row.textContent.toLowerCase().includes(word);
    const [, , sign, wanted] = parts;
    return (row) => {
      const value = key(row.cells[column]).toLowerCase();
      const x = Number(value), y = Number(wanted);
      if (value === "") return false;
      if (Number.isNaN(x) || Number.isNaN(y)) return sign.includes("=") && value === wanted;
      return { "<": x < y, ">": x > y, "<=": x <= y, ">=": x >= y, "=": x === y }[sign];
    };
  }

  const field = document.getElementById("filter");
  const credible = document.getElementById("only-credible");
  function filter() {
    const tests = field.value.toLowerCase().trim().split(/\s+/).filter(Boolean).map(test);
    let shown = 0;
    for (const row of body.rows) {
      const keep = tests.every((holds) => holds(row)) && !(credible && credible.checked && !row.classList.contains("credible"));
      row.hidden = !keep;
      shown += keep;
    }
    document.getElementById("shown").textContent = `${shown} of ${body.rows.length}`;
  }
  field.addEventListener("input", filter);
  if (credible) credible.addEventListener("change", filter);
})();
