// The datasets that are shown, as a list: for keyboards, for screen readers, and to read.
HF.results = (() => {
  const { el } = HF;
  const host = document.querySelector("[data-for=results]");
  const PAGE = 50;
  const orders = {
    likes: ["Most liked", (a, b) => HF.data.likes[b] - HF.data.likes[a]],
    downloads: ["Most downloaded", (a, b) => HF.data.downloads[b] - HF.data.downloads[a]],
    modified: ["Last changed", (a, b) => HF.data.modified[b] - HF.data.modified[a]],
    created: ["Newest", (a, b) => HF.data.created[b] - HF.data.created[a]],
    name: ["By name", (a, b) => a - b],
  };
  let order = "likes";
  let rows = [];
  const list = el("ol", { class: "results", "aria-label": "Datasets" });
  const none = el("p", { class: "hint", hidden: true, text: "No dataset matches the search and the filters." });
  const more = el("button", { type: "button", class: "wide", onclick: () => extend() });

  let stale = true;

  function refresh() {
    if (!stale || HF.panels.open() !== "results") return; // where nobody sees it, sorting can wait
    stale = false;
    const shown = HF.store.shown();
    rows = [];
    for (let i = 0; i < shown.length; i++) if (shown[i]) rows.push(i);
    rows.sort((a, b) => orders[order][1](a, b) || a - b);
    list.replaceChildren();
    none.hidden = rows.length > 0;
    extend();
  }

  function extend() {
    const from = list.children.length;
    for (const i of rows.slice(from, from + PAGE)) list.append(item(i));
    more.hidden = list.children.length >= rows.length;
    more.textContent = `Show more (${HF.count(rows.length - list.children.length)} left)`;
  }

  function item(i) {
    const { data } = HF;
    const button = el(
      "button",
      { type: "button", "data-index": i, onclick: (event) => HF.open(i, event, true) },
      el("span", { class: "result-id", text: data.id[i] }),
      el("span", { class: "result-likes", text: data.likes[i] < 0 ? "" : `♥ ${HF.compact(data.likes[i])}` }),
      el("span", { class: "result-summary", text: data.summary[i] }),
    );
    button.addEventListener("mouseenter", () => HF.map.mark("pointed", [i]));
    button.addEventListener("mouseleave", () => HF.map.mark("pointed", []));
    button.addEventListener("focus", () => HF.map.mark("pointed", [i]));
    button.addEventListener("blur", () => HF.map.mark("pointed", []));
    return el("li", {}, button);
  }

  // Up and down walk through the list; the first step up leads back to the search field.
  list.addEventListener("keydown", (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const buttons = [...list.querySelectorAll("button")];
    const next = buttons.indexOf(document.activeElement) + step;
    if (next < 0) return HF.byId("search").focus();
    if (next >= buttons.length && !more.hidden) extend();
    list.querySelectorAll("button")[next]?.focus();
  });

  function enter() {
    HF.panels.show("results");
    refresh();
    list.querySelector("button")?.focus();
  }

  HF.on("ready", () => {
    const select = el("select", { onchange: (event) => ((order = event.target.value), (stale = true), refresh()) }, ...Object.entries(orders).map(([key, [title]]) => el("option", { value: key, text: title })));
    host.append(
      el("label", { class: "field" }, el("span", { text: "Order" }), select),
      none,
      list,
      more,
    );
  });
  const soon = HF.debounce(refresh, 60);
  HF.on("panel", () => HF.data && refresh());
  HF.on("shown", () => {
    stale = true;
    soon();
  });
  return { enter, rows: () => rows };
})();
