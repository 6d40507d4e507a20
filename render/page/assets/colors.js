// What the colours of the points mean, with a legend. Its entries can be clicked to see only them.
HF.colors = (() => {
  const { el, fields, palette } = HF;
  const host = document.querySelector("[data-for=colors]");
  const TOP = 9;
  let maps = new Map();
  let key = "topics";
  let only = new Set(); // entries of the legend that were clicked

  // A colormap of categories: {names, code(i) → entry, colors}. Entries after the ninth are joined as "Other".
  function categories(field) {
    const words = fields.words(field);
    if (field === "size") return ordinal(words);
    const named = words.filter((word) => !fields.dull(word)).slice(0, TOP);
    const other = words.length > named.length;
    const entry = words.map((word) => (named.includes(word) ? named.indexOf(word) : named.length));
    const column = HF.data["code_" + field];
    return {
      names: other ? [...named, "Other"] : named,
      code: (i) => entry[column[i]],
      colors: () => palette.categorical(TOP).slice(0, named.length).concat(other ? [palette.rest()] : []),
    };
  }

  function colormap(field) {
    if (!fields.isList(field)) return categories(field);
    return field === "stage" ? categories("primary") : lists(field);
  }

  // A list of one word is that word; longer ones are joined.
  function lists(field) {
    const words = fields.words(field);
    const named = words.filter((word) => !fields.dull(word)).slice(0, TOP - 1);
    const entry = words.map((word) => (named.includes(word) ? named.indexOf(word) : named.length + 1));
    const column = HF.data["bits_" + field];
    return {
      names: [...named, "Several", "Other"],
      code: (i) => (column[i] & (column[i] - 1) ? named.length : column[i] ? entry[31 - Math.clz32(column[i])] : named.length + 1),
      colors: () => [...palette.categorical(named.length + 1), palette.rest()],
    };
  }

  function ordinal(words) {
    const column = HF.data.code_size;
    const unknown = words.indexOf("Unknown");
    const span = Math.max(1, words.length - (unknown < 0 ? 1 : 2));
    return { names: words, code: (i) => column[i], colors: () => words.map((_, k) => (k === unknown ? palette.rest() : palette.sequential(k / span))) };
  }

  function numeric(column, scale, ends) {
    let low = Infinity;
    let high = -Infinity;
    for (const value of column) if (value >= 0) [low, high] = [Math.min(low, scale(value)), Math.max(high, scale(value))];
    const span = high - low || 1;
    return { value: (i) => (column[i] < 0 ? null : (scale(column[i]) - low) / span), ends: ends(column.filter((v) => v >= 0)) };
  }

  function topicLayer(layer) {
    const members = HF.data["topic_" + layer];
    const ids = [...HF.config.topics.keys()].filter((t) => HF.config.topics[t][1] === layer);
    ids.sort((a, b) => HF.config.topics[b][3] - HF.config.topics[a][3] || a - b); // as in the tree, the largest first
    const entry = new Map(ids.map((t, k) => [t, k]));
    return {
      names: [...ids.map((t) => HF.config.topics[t][0]), "No topic"],
      code: (i) => entry.get(members[i]) ?? ids.length,
      colors: () => [...ids.map((t) => palette.topic(HF.config.topics[t][7])), palette.rest()],
    };
  }

  function build() {
    const { data, config } = HF;
    const log = (v) => Math.log10(v + 1);
    const ends = (say) => (known) => [say(known.reduce((a, b) => Math.min(a, b), Infinity)), say(known.reduce((a, b) => Math.max(a, b), 0))];
    maps = new Map([["topics", { title: "Topics" }]]);
    for (let layer = 0; layer < config.layers && config.layers > 1; layer++) {
      maps.set(`topics.${layer}`, { title: `Topics, ${layer === 0 ? "coarsest" : layer === config.layers - 1 ? "finest" : `level ${layer + 1}`}`, ...topicLayer(layer) });
    }
    const usual = ["subject", "task", "modality", "language", "size", "licence", "provenance", "format", "role", "stage"];
    const own = fields.order.filter((field) => field !== "traits" && !usual.includes(field));
    for (const field of [...usual.filter(fields.has), ...own]) maps.set(field, { title: fields.heading(field), ...colormap(field) });
    for (const [name, title, say] of [["likes", "Likes", HF.count], ["downloads", "Downloads", HF.count]]) {
      if (data[name].some((v) => v >= 0)) maps.set(name, { title, ...numeric(data[name], log, ends(say)) });
    }
    for (const [name, title] of [["modified", "Last modified"], ["created", "Created"]]) {
      if (data[name].some((v) => v >= 0)) maps.set(name, { title, ...numeric(data[name], (v) => v, ends(HF.date)) });
    }
    if (new Set(data.novelty).size > 1) {
      maps.set("novelty", {
        title: "New or changed since the last run",
        names: ["New", "Changed", "As before"],
        code: (i) => 2 - data.novelty[i],
        colors: () => [...palette.categorical(2), palette.rest()],
      });
    }
  }

  function paint() {
    const map = maps.get(key);
    const { n } = HF.data;
    const out = new Uint8Array(4 * n);
    let color = null;
    if (map.code) {
      const colors = map.colors();
      color = (i) => colors[map.code(i)];
    } else if (map.value) {
      const grey = palette.rest();
      const table = Array.from({ length: 256 }, (_, k) => palette.sequential(k / 255));
      color = (i) => (map.value(i) === null ? grey : table[Math.round(255 * map.value(i))]);
    } else {
      color = finest();
    }
    for (let i = 0; i < n; i++) {
      const [r, g, b] = color(i);
      out.set([r, g, b, 205], 4 * i);
    }
    HF.map.color(out);
    HF.emit("painted");
  }

  // The colour of the finest topic a dataset is in.
  function finest() {
    const columns = Array.from({ length: HF.config.layers }, (_, k) => HF.data["topic_" + (HF.config.layers - 1 - k)]);
    const colors = HF.config.topics.map((topic) => palette.topic(topic[7]));
    const grey = palette.rest();
    return (i) => {
      for (const column of columns) if (column[i] >= 0) return colors[column[i]];
      return grey;
    };
  }

  function legend() {
    const map = maps.get(key);
    const box = host.querySelector(".legend");
    if (map.code) {
      const colors = map.colors();
      const counts = new Uint32Array(map.names.length);
      const mask = HF.store.without("legend");
      for (let i = 0; i < HF.data.n; i++) counts[map.code(i)] += mask[i];
      box.replaceChildren(
        el("p", { class: "hint", text: "Click an entry to see only it, more to add them." }),
        el(
          "ul",
          {},
          ...map.names.map((name, k) =>
            el(
              "li",
              {},
              el("button", { type: "button", "aria-pressed": String(only.has(k)), class: only.size && !only.has(k) ? "off" : null, onclick: () => click(k) }, el("i", { style: { background: palette.css(colors[k]) } }), el("span", { text: name }), el("span", { class: "facet-count", text: HF.count(counts[k]) })),
            ),
          ),
        ),
      );
    } else if (map.value) {
      const stops = Array.from({ length: 9 }, (_, k) => palette.css(palette.sequential(k / 8)));
      box.replaceChildren(el("div", { class: "ramp", style: { background: `linear-gradient(to right, ${stops.join(", ")})` } }), el("div", { class: "ramp-ends" }, el("span", { text: map.ends[0] }), el("span", { text: map.ends[1] })));
    } else {
      box.replaceChildren(el("p", { class: "hint", text: "Each topic has its own colour: related topics lie side by side and have similar ones. The labels on the map name them." }));
    }
  }

  function click(k) {
    if (only.has(k)) only.delete(k);
    else only.add(k);
    filter();
    HF.emit("changed");
  }

  function filter() {
    const map = maps.get(key);
    if (!only.size || !map.code) return HF.store.set("legend", null);
    const { n } = HF.data;
    const mask = new Uint8Array(n);
    for (let i = 0; i < n; i++) mask[i] = only.has(map.code(i)) ? 1 : 0;
    HF.store.set("legend", mask);
  }

  function choose(next, entries = []) {
    key = maps.has(next) ? next : "topics";
    only = new Set(entries);
    host.querySelector("select").value = key;
    paint();
    filter();
    legend();
  }

  HF.on("ready", () => {
    build();
    const select = el(
      "select",
      { id: "colormap", onchange: (event) => (choose(event.target.value), HF.emit("changed")) },
      ...[...maps].map(([name, { title }]) => el("option", { value: name, text: title })),
    );
    host.append(el("label", { class: "field" }, el("span", { text: "Colour by" }), select), el("div", { class: "legend" }));
    choose("topics");
  });
  HF.on("shown", () => host.querySelector(".legend") && legend());
  HF.on("theme", () => HF.data && (paint(), legend()));
  HF.on("reset", () => {
    only = new Set();
    filter();
    legend();
  });

  HF.link.add({
    read() {
      const entries = [...only].sort((a, b) => a - b).map((k) => HF.link.word(maps.get(key).names[k]));
      return [...(key === "topics" ? [] : [["color", key]]), ...(entries.length ? [["legend", entries.join("|")]] : [])];
    },
    write(state) {
      const wanted = new Set((state.get("legend") ?? "").split("|"));
      const map = maps.get(state.get("color"));
      choose(state.get("color") ?? "topics", (map?.names ?? []).flatMap((name, k) => (wanted.has(HF.link.word(name)) ? [k] : [])));
    },
  });
  return { key: () => key, choose };
})();
