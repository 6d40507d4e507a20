// Ranges of numbers, each a histogram to brush with two sliders below it for keyboards and fingers.
HF.ranges = (() => {
  const { el } = HF;
  const host = document.querySelector("[data-for=filters]");
  const ranges = new Map();
  const year = (y) => Math.round(Date.UTC(y, 0, 1) / 86400000);

  // Lower edges of the bins. Counts are binned by powers, so that the long tail does not flatten the rest.
  function powers(column, bins) {
    const top = column.reduce((a, b) => Math.max(a, b), 1) + 1;
    const least = column.reduce((a, b) => (b < 0 ? a : Math.min(a, b)), top - 1);
    const base = Math.max(1, least); // a power has no zeroth step: what is nothing has a bin of its own
    const edges = [least];
    for (let k = 0; k <= bins; k++) edges.push(Math.round(base * (top / base) ** (k / bins)));
    return [...new Set(edges)].sort((a, b) => a - b);
  }

  function years(column) {
    const known = column.filter((day) => day >= 0);
    if (!known.length) return [0, 1];
    const first = new Date(known.reduce((a, b) => Math.min(a, b)) * 86400000).getUTCFullYear();
    const last = new Date(known.reduce((a, b) => Math.max(a, b)) * 86400000).getUTCFullYear();
    return Array.from({ length: last - first + 2 }, (_, k) => year(first + k));
  }

  const kinds = [
    { key: "likes", title: "Likes", column: () => HF.data.likes, edges: (c) => powers(c, 28), say: HF.compact },
    { key: "downloads", title: "Downloads", column: () => HF.data.downloads, edges: (c) => powers(c, 28), say: HF.compact },
    { key: "created", title: "Created", column: () => HF.data.created, edges: years, say: (day) => String(new Date(day * 86400000).getUTCFullYear()), whole: true },
    { key: "age", title: "Days since last change", column: () => HF.fields.age(), edges: (c) => powers(c, 24), say: HF.count },
  ];

  function build(kind) {
    const column = kind.column();
    const edges = kind.edges(column);
    const bins = edges.length - 1;
    const bin = Int16Array.from(column, (value) => {
      if (value < 0) return -1;
      let k = 0;
      while (k < bins - 1 && value >= edges[k + 1]) k++;
      return k;
    });
    const range = { ...kind, bin, edges, bins, from: 0, to: bins };
    range.bars = Array.from({ length: bins }, () => el("i", {}, el("b")));
    range.plot = el("div", { class: "range-plot", "aria-hidden": "true" }, ...range.bars);
    range.label = el("output", { class: "range-label" });
    const slider = (which, value) =>
      el("input", { type: "range", min: 0, max: bins, step: 1, value, "aria-label": `${kind.title}, ${which}`, oninput: () => slide(range) });
    range.low = slider("lowest", 0);
    range.high = slider("highest", bins);
    brush(range);
    range.node = el("div", { class: "range" }, el("div", { class: "range-head" }, el("span", { text: kind.title }), range.label), range.plot, el("div", { class: "range-sliders" }, range.low, range.high));
    return range;
  }

  function slide(range) {
    const a = Number(range.low.value);
    const b = Number(range.high.value);
    narrow(range, Math.min(a, b), Math.max(a, b));
  }

  // Drag over the histogram to choose the bins; a click takes the range back.
  function brush(range) {
    let start = null;
    const at = (event) => {
      const { left, width } = range.plot.getBoundingClientRect();
      return Math.max(0, Math.min(range.bins, ((event.clientX - left) / width) * range.bins));
    };
    range.plot.addEventListener("pointerdown", (event) => {
      start = at(event);
      range.plot.setPointerCapture(event.pointerId);
    });
    range.plot.addEventListener("pointermove", (event) => {
      if (start === null) return;
      const now = at(event);
      narrow(range, Math.floor(Math.min(start, now)), Math.ceil(Math.max(start, now)));
    });
    range.plot.addEventListener("pointerup", (event) => {
      if (start !== null && Math.abs(at(event) - start) < 0.2) narrow(range, 0, range.bins);
      start = null;
    });
  }

  // Keep the values from edges[from] up to, but without, edges[to]; the last bin has no upper end.
  function narrow(range, from, to) {
    if (from === to) {
      if (to < range.bins) to++;
      else from--;
    }
    range.from = from;
    range.to = to;
    const open = from === 0 && to === range.bins;
    HF.store.set(range.key, open ? null : Uint8Array.from(range.bin, (k) => (k >= from && k < to ? 1 : 0)));
    draw(range);
    HF.emit("changed");
  }

  function draw(range) {
    const { from, to, bins, edges } = range;
    range.low.value = from;
    range.high.value = to;
    const last = range.whole || to < bins ? edges[to] - 1 : edges[bins] - 1;
    const low = range.say(edges[from]);
    const high = range.say(Math.max(edges[from], last));
    range.label.textContent = low === high ? low : `${low} – ${high}`;
    for (const [input, text] of [[range.low, low], [range.high, high]]) input.setAttribute("aria-valuetext", text);
    const mask = HF.store.without(range.key);
    const totals = new Uint32Array(bins);
    for (let i = 0; i < mask.length; i++) if (mask[i] && range.bin[i] >= 0) totals[range.bin[i]]++;
    const most = Math.max(1, ...totals);
    range.bars.forEach((bar, k) => {
      bar.firstChild.style.height = totals[k] ? `${Math.max(4, (100 * totals[k]) / most)}%` : "0";
      bar.className = k >= from && k < to ? "" : "out";
    });
  }

  HF.on("ready", () => {
    for (const kind of kinds) if (kind.column().some((value) => value >= 0)) ranges.set(kind.key, build(kind));
    ranges.forEach(draw);
    if (ranges.size) host.append(el("h3", { text: "Ranges" }), ...[...ranges.values()].map((range) => range.node));
  });
  HF.on("shown", () => ranges.forEach(draw));
  HF.on("reset", () => ranges.forEach((range) => narrow(range, 0, range.bins)));

  HF.link.add({
    read() {
      const narrowed = [...ranges.values()].filter((range) => range.from > 0 || range.to < range.bins);
      return narrowed.map((range) => [`r.${range.key}`, `${range.edges[range.from]}-${range.to === range.bins ? "" : range.edges[range.to]}`]);
    },
    write(state) {
      for (const range of ranges.values()) {
        const [low, high] = (state.get(`r.${range.key}`) ?? "-").split("-");
        const near = (text, other) => (text === "" ? other : range.edges.reduce((best, edge, k) => (Math.abs(edge - text) < Math.abs(range.edges[best] - text) ? k : best), 0));
        narrow(range, Math.min(near(low, 0), range.bins - 1), near(high, range.bins));
      }
    },
  });
  return { ranges, narrow: (key, from, to) => narrow(ranges.get(key), from, to) };
})();
