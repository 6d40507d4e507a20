// Checkboxes for the categories. Bars and counts say what each box would bring under the other filters.
HF.filters = (() => {
  const { el, fields } = HF;
  const host = document.querySelector("[data-for=filters]");
  const facets = new Map();

  function build(key) {
    const words = fields.words(key);
    const facet = { key, allowed: new Set(words.keys()), rows: [] };
    const note = el("span", { class: "facet-note" });
    const list = el("ul", { class: "facet-list" });
    words.forEach((word, k) => {
      const box = el("input", { type: "checkbox", checked: true, onchange: () => toggle(facet, k, box.checked) });
      const bar = el("b");
      const count = el("span", { class: "facet-count" });
      list.append(
        el(
          "li",
          {},
          el("label", { title: word }, box, el("span", { class: fields.dull(word) ? "facet-word unknown" : "facet-word", text: word }), el("i", { class: "facet-bar" }, bar), count),
          el("button", { type: "button", class: "only", "aria-label": `Only ${word}`, text: "only", onclick: () => allow(facet, [k]) }),
        ),
      );
      facet.rows.push({ box, bar, count });
    });
    facet.node = el(
      "details",
      { class: "facet" },
      el("summary", {}, el("span", { text: fields.heading(key) }), note),
      el(
        "div",
        { class: "facet-tools" },
        el("button", { type: "button", class: "link", "aria-label": `All of ${fields.heading(key)}`, text: "All", onclick: () => allow(facet, words.keys()) }),
        el("button", { type: "button", class: "link", "aria-label": `None of ${fields.heading(key)}`, text: "None", onclick: () => allow(facet, []) }),
      ),
      list,
    );
    facet.note = note;
    facet.node.addEventListener("toggle", () => draw(facet));
    return facet;
  }

  function toggle(facet, k, on) {
    if (on) facet.allowed.add(k);
    else facet.allowed.delete(k);
    apply(facet);
  }

  function allow(facet, codes) {
    facet.allowed = new Set(codes);
    apply(facet);
  }

  function apply(facet) {
    const all = facet.allowed.size === facet.rows.length;
    facet.rows.forEach((row, k) => (row.box.checked = facet.allowed.has(k)));
    HF.store.set(facet.key, all ? null : fields.mask(facet.key, facet.allowed));
    HF.emit("changed");
  }

  const named = (key, k) => HF.link.word(fields.words(key)[k]);

  function draw(facet) {
    const { size } = facet.allowed;
    facet.note.textContent = size === facet.rows.length ? "" : `${size} of ${facet.rows.length}`;
    if (!facet.node.open) return;
    const totals = fields.counts(facet.key, HF.store.without(facet.key));
    const most = Math.max(1, ...totals);
    facet.rows.forEach(({ bar, count }, k) => {
      bar.style.width = `${(100 * totals[k]) / most}%`;
      count.textContent = HF.count(totals[k]);
    });
  }

  HF.on("ready", () => {
    for (const key of fields.order) facets.set(key, build(key));
    host.prepend(el("h3", { text: "Categories" }), ...[...facets.values()].map((facet) => facet.node));
  });
  HF.on("shown", () => facets.forEach(draw));
  HF.on("reset", () => facets.forEach((facet) => allow(facet, facet.rows.keys())));

  HF.link.add({
    read() {
      const entries = [...facets.values()].filter((facet) => facet.allowed.size < facet.rows.length);
      return entries.map((facet) => [`f.${facet.key}`, [...facet.allowed].sort((a, b) => a - b).map((k) => named(facet.key, k)).join("|")]);
    },
    write(state) {
      for (const facet of facets.values()) {
        const text = state.get(`f.${facet.key}`);
        const words = fields.words(facet.key);
        const wanted = text === null ? null : new Set(text.split("|"));
        facet.allowed = new Set([...words.keys()].filter((k) => !wanted || wanted.has(named(facet.key, k))));
        apply(facet);
      }
    },
  });
  return { allow: (key, codes) => allow(facets.get(key), codes) };
})();
