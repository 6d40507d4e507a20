// The card beside the pointer.
HF.hover = (() => {
  const { el } = HF;
  const card = HF.byId("card");
  let shownFor = -1;
  let scales = null;

  const { values, dull } = HF.fields;
  const USUAL = ["role", "task", "stage", "modality", "language", "provenance", "format"];
  const MOST = 8;
  // Fields of another taxonomy come before the listing's, which the card has room for only if they are few.
  const own = HF.fields.order.filter((key) => key.startsWith("own_"));
  const lead = HF.fields.has("subject") ? "subject" : own.find((key) => !HF.fields.isList(key));
  const FIELDS = [...own.filter((key) => key !== lead), ...USUAL.filter(HF.fields.has)].slice(0, MOST);

  function meter(sign, name, text, share) {
    return el("div", { class: "meter", title: name }, el("span", { text: `${sign} ${text}` }), el("i", {}, el("b", { style: { width: `${Math.round(100 * share)}%` } })));
  }

  function share(key, value) {
    scales ??= Object.fromEntries(["likes", "downloads"].map((k) => [k, Math.log1p(HF.data[k].reduce((a, b) => Math.max(a, b), 1))]));
    return value < 0 ? 0 : Math.log1p(value) / scales[key];
  }

  function content(i) {
    const { data } = HF;
    const id = data.id[i];
    const slash = id.indexOf("/");
    const size = values("size", i)[0];
    const sizes = HF.fields.words("size").filter((word) => word !== "Unknown");
    const amount = (value) => (value < 0 ? "–" : HF.compact(value));
    const subject = lead && values(lead, i)[0];
    return [
      el("div", {}, el("span", { class: "card-org", text: slash < 0 ? "" : id.slice(0, slash + 1) }), el("span", { class: "card-name", text: id.slice(slash + 1) })),
      data.pretty[i] ? el("div", { class: "card-pretty", text: data.pretty[i] }) : null,
      el(
        "div",
        { class: "card-meters" },
        meter("♥", "Likes", amount(data.likes[i]), share("likes", data.likes[i])),
        meter("↓", "Downloads", amount(data.downloads[i]), share("downloads", data.downloads[i])),
        meter("▤", "Size", size, size === "Unknown" ? 0 : (sizes.indexOf(size) + 1) / sizes.length),
      ),
      data.summary[i] ? el("p", { class: "card-summary", text: data.summary[i] }) : null,
      subject && el("span", { class: dull(subject) ? "pill unknown" : "pill", text: subject }),
      el(
        "dl",
        {},
        ...FIELDS.map((key) => {
          const words = values(key, i);
          const unknown = words.every(dull);
          return el("div", {}, el("dt", { text: HF.fields.heading(key) }), el("dd", { class: unknown ? "unknown" : null, text: words.join(", ") }));
        }),
      ),
      el(
        "div",
        { class: "card-foot" },
        el("span", { text: data.licence[i] || values("licence", i)[0] }),
        el("span", { text: HF.date(data.modified[i]) ? `modified ${HF.date(data.modified[i])}` : "" }),
      ),
    ].filter(Boolean);
  }

  function place(x, y) {
    const { offsetWidth: w, offsetHeight: h } = card;
    const gap = 14;
    const left = x + gap + w > window.innerWidth - 8 ? x - gap - w : x + gap;
    const top = Math.min(Math.max(y - h / 3, HF.byId("deck-container").getBoundingClientRect().top + 8), window.innerHeight - h - 8); // below the bar
    card.style.left = `${Math.max(8, left)}px`;
    card.style.top = `${Math.max(8, top)}px`;
  }

  function hide() {
    card.hidden = true;
    shownFor = -1;
  }

  HF.on("hover", ({ index, x, y }) => {
    if (!HF.data || index < 0) return hide();
    if (index !== shownFor) card.replaceChildren(...content(index));
    shownFor = index;
    card.hidden = false;
    place(x, y);
  });
  HF.on("moved", hide);
  document.addEventListener("mouseleave", hide);
  document.addEventListener("keydown", (event) => event.key === "Escape" && hide());
  return { hide };
})();
