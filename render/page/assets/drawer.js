// All that is known of one dataset. Quotes, card lines and neighbours lie in chunks beside the page and are
// loaded when somebody asks: as scripts, which a page opened from the disk may load where it may not fetch.
HF.drawer = (() => {
  const { el, fields } = HF;
  const drawer = HF.byId("drawer");
  const chunks = new Map();
  let current = -1;
  let opener = null;

  // A chunk calls this with its number and its rows.
  HF.details = (number, rows) => chunks.get(number)?.resolve(rows);

  function detail(i) {
    const { size, prefix } = HF.config.chunks;
    const number = Math.floor(i / size);
    if (!chunks.has(number)) {
      const entry = {};
      entry.promise = new Promise((resolve, reject) => Object.assign(entry, { resolve, reject }));
      chunks.set(number, entry);
      const script = el("script", { src: `${prefix}${number}.js`, onerror: () => (chunks.delete(number), entry.reject(new Error("missing"))) });
      document.head.append(script);
    }
    return chunks.get(number).promise.then((rows) => rows[i % size]);
  }

  const section = (title, ...content) => el("section", {}, el("h3", { text: title }), ...content);

  function head(i) {
    const { data } = HF;
    const id = data.id[i];
    const slash = id.indexOf("/") + 1;
    const amounts = [["♥", "likes"], ["↓", "downloads"]].filter(([, key]) => data[key][i] >= 0);
    return [
      HF.sheets.grip(),
      el(
        "div",
        { class: "drawer-head" },
        el("h2", {}, el("span", { class: "card-org", text: id.slice(0, slash) }), el("span", { text: id.slice(slash) })),
        closer(),
      ),
      data.pretty[i] ? el("p", { class: "card-pretty", text: data.pretty[i] }) : null,
      data.summary[i] ? el("p", { class: "card-summary", text: data.summary[i] }) : null,
      el("p", { class: "drawer-numbers", text: amounts.map(([sign, key]) => `${sign} ${HF.count(data[key][i])} ${data[key][i] === 1 ? key.slice(0, -1) : key}`).join("  ·  ") }),
      el(
        "div",
        { class: "drawer-actions" },
        el("a", { class: "primary", href: HF.hubUrl(i), target: "_blank", rel: "noopener noreferrer", text: "Open on the Hub" }),
        el("button", { type: "button", onclick: () => HF.map.center(i), text: "Show on the map" }),
      ),
    ];
  }

  function icon(path) {
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    svg.setAttribute("viewBox", "0 0 24 24");
    svg.setAttribute("aria-hidden", "true");
    const line = document.createElementNS("http://www.w3.org/2000/svg", "path");
    line.setAttribute("d", path);
    svg.append(line);
    return svg;
  }

  function topicPath(i) {
    const path = HF.topics.path(i);
    if (!path.length) return null;
    return section("Topics", el("p", { class: "crumbs" }, ...path.map((t) => el("button", { type: "button", class: "link", text: HF.topics.name(t), onclick: () => HF.topics.fly(t) }))));
  }

  function buckets(i) {
    const { data } = HF;
    const rows = ["task", "modality", "language", "size", "licence"].map((key) => [fields.heading(key), fields.values(key, i).join(", ")]);
    if (data.licence[i]) rows.push(["Licence as given", data.licence[i]]);
    for (const [key, title] of [["created", "Created"], ["modified", "Last modified"]]) if (data[key][i] >= 0) rows.push([title, HF.date(data[key][i])]);
    return section("From its metadata", el("dl", { class: "facts" }, ...rows.flatMap(([name, value]) => [el("dt", { text: name }), el("dd", { class: fields.dull(value) ? "unknown" : null, text: value })])));
  }

  function claims(row) {
    if (!row.fields.length) return null;
    return section(
      "What its card says",
      el(
        "dl",
        { class: "claims" },
        ...row.fields.flatMap(([name, value, quote, state, by]) => [
          el("dt", { text: name }),
          el(
            "dd",
            {},
            el("span", { class: fields.dull(value) ? "unknown" : null, text: value }),
            quote ? el("blockquote", { text: quote }) : null,
            el("span", { class: `proof ${state}`, text: { verified: "✓ quote is in the card", unverified: "quote not found in the card", none: "no quote", person: "set by a person" }[state] }),
            by ? el("span", { class: "by", text: by }) : null,
          ),
        ]),
      ),
    );
  }

  function neighbours(row) {
    if (!row.near.length) return null;
    return section(
      "Nearest in meaning",
      el("p", { class: "hint", text: "By the embedding of the cards, not by the distance on this map." }),
      el(
        "ol",
        { class: "near" },
        ...row.near.map(([j, distance]) =>
          el("li", {}, el("button", { type: "button", onclick: () => (open(j), HF.map.center(j)) }, el("span", { class: "result-id", text: HF.data.id[j] }), el("span", { class: "result-likes", title: "cosine similarity", text: (1 - distance).toFixed(2) }))),
        ),
      ),
      el("button", { type: "button", class: "wide", text: "Show them all on the map", onclick: () => HF.map.frame([current, ...row.near.map(([j]) => j)]) }),
    );
  }

  function open(i, { focus = false } = {}) {
    if (current < 0) opener = document.activeElement;
    current = i;
    drawer.hidden = false;
    document.documentElement.classList.add("with-drawer");
    const rest = el("div", { class: "drawer-rest" }, el("p", { class: "hint", text: "Loading…" }));
    drawer.replaceChildren(...[...head(i), topicPath(i), rest, buckets(i)].filter(Boolean));
    drawer.scrollTop = 0;
    drawer.setAttribute("aria-label", `Dataset ${HF.data.id[i]}`);
    HF.map.mark("chosen", [i]);
    HF.hover.hide();
    HF.emit("resized");
    HF.emit("changed");
    if (focus) drawer.focus();
    detail(i)
      .then((row) => {
        if (current !== i) return;
        HF.map.mark("near", row.near.map(([j]) => j));
        const card = row.card ? section("The card begins", el("p", { class: "excerpt", text: row.card })) : null;
        rest.replaceChildren(...[claims(row), neighbours(row), card].filter(Boolean));
      })
      .catch(() => current === i && rest.replaceChildren(el("p", { class: "hint", text: "The details of this dataset are not beside this page. Was the whole folder copied?" })));
  }

  // A link may name a dataset that has left the map, or never was on it.
  function missing(id) {
    close();
    drawer.hidden = false;
    document.documentElement.classList.add("with-drawer");
    drawer.setAttribute("aria-label", "Dataset not on this map");
    drawer.replaceChildren(
      HF.sheets.grip(),
      el("div", { class: "drawer-head" }, el("h2", { text: id.slice(0, 200) }), closer()),
      el("p", { class: "hint", text: "This dataset is not on this map. It may have been on an earlier one." }),
    );
    HF.emit("resized");
  }

  const closer = () => el("button", { type: "button", class: "icon", "aria-label": "Close", onclick: close }, icon("m6 6 12 12M18 6 6 18"));

  function close() {
    if (drawer.hidden) return;
    current = -1;
    drawer.hidden = true;
    document.documentElement.classList.remove("with-drawer");
    HF.map.mark("chosen", []);
    HF.map.mark("near", []);
    HF.emit("closed");
    HF.emit("resized");
    HF.emit("changed");
    opener?.isConnected && opener.focus();
  }

  HF.link.add({
    read: () => (current < 0 ? [] : [["dataset", HF.data.id[current]]]),
    write(state) {
      const id = state.get("dataset");
      const i = id ? HF.data.id.indexOf(id) : -1;
      if (i < 0 && id) missing(id);
      else if (i < 0) close();
      else if (i !== current) open(i);
    },
  });
  return { open, close, current: () => current };
})();
