// The tree of topics: to read, and to fly to.
HF.topics = (() => {
  const { el } = HF;
  const host = document.querySelector("[data-for=topics]");
  const rows = new Map();
  const NAME = 0, LAYER = 1, PARENT = 2, COLOR = 7;

  const topics = () => HF.config.topics;
  const members = (t) => {
    const column = HF.data["topic_" + topics()[t][LAYER]];
    const out = [];
    for (let i = 0; i < HF.data.n; i++) if (column[i] === t) out.push(i);
    return out;
  };

  function branch(parent) {
    const children = [...topics().keys()].filter((t) => topics()[t][PARENT] === parent && (parent >= 0 || topics()[t][LAYER] === 0 || topics()[t][PARENT] === -1));
    if (!children.length) return null;
    children.sort((a, b) => topics()[b][3] - topics()[a][3] || topics()[a][NAME].localeCompare(topics()[b][NAME], "en"));
    return el("ul", { class: "tree" }, ...children.map(row));
  }

  function row(t) {
    const below = branch(t);
    const count = el("span", { class: "facet-count" });
    const dot = el("i");
    const twist = below
      ? el("button", {
          type: "button",
          class: "twist",
          "aria-expanded": "false",
          "aria-label": `Topics within ${topics()[t][NAME]}`,
          onclick: () => {
            below.hidden = !below.hidden;
            twist.setAttribute("aria-expanded", String(!below.hidden));
          },
        })
      : el("span", { class: "twist" });
    if (below) below.hidden = true;
    const name = el("button", { type: "button", class: "topic", onclick: () => fly(t) }, dot, el("span", { text: topics()[t][NAME] }), count);
    rows.set(t, { count, dot });
    return el("li", {}, el("div", { class: "tree-row" }, twist, name), below);
  }

  function fly(t) {
    HF.map.frame(members(t));
    HF.say(`Showing ${topics()[t][NAME]}`);
  }

  function draw() {
    const shown = HF.store.shown();
    const totals = new Uint32Array(topics().length);
    for (let layer = 0; layer < HF.config.layers; layer++) {
      const column = HF.data["topic_" + layer];
      for (let i = 0; i < HF.data.n; i++) if (shown[i] && column[i] >= 0) totals[column[i]]++;
    }
    rows.forEach(({ count, dot }, t) => {
      count.textContent = HF.count(totals[t]);
      dot.style.background = HF.palette.css(HF.palette.topic(topics()[t][COLOR]));
    });
  }

  // From the coarsest to the finest: the topics a dataset is in.
  function path(i) {
    return Array.from({ length: HF.config.layers }, (_, layer) => HF.data["topic_" + layer][i]).filter((t) => t >= 0);
  }

  HF.on("ready", () => {
    host.append(branch(-1) ?? el("p", { class: "hint", text: "This map is too small for topics." }));
    draw();
  });
  HF.on("shown", () => rows.size && draw());
  HF.on("theme", () => rows.size && draw());
  HF.on("topic", fly);
  return { fly, path, name: (t) => topics()[t][NAME] };
})();
