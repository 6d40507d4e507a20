// Joins the widgets: what a click does, what the count says, what Escape closes.
(() => {
  // A plain click opens the drawer; with Ctrl, Cmd or the middle button, the Hub.
  HF.open = (i, event, focus = false) => {
    if (event && (event.ctrlKey || event.metaKey || event.button === 1)) return HF.openOnHub(i);
    HF.drawer.open(i, { focus });
    if (focus) HF.map.center(i);
  };

  HF.on("shown", ({ count, filtered }) => {
    const total = HF.data.n;
    HF.byId("count").textContent = filtered ? `${HF.count(count)} of ${HF.datasets(total)}` : HF.datasets(total);
    HF.byId("reset").hidden = !filtered;
    const note = HF.byId("note");
    note.hidden = count > 0;
    note.textContent = "No dataset matches. Reset, or take back a filter, to see some.";
  });
  HF.byId("reset").addEventListener("click", () => {
    HF.store.reset();
    HF.emit("changed");
  });
  HF.byId("home").addEventListener("click", () => HF.map.fit());

  // With a finger, the first tap shows the card and the second opens the drawer.
  let tapped = -1;
  HF.on("click", ({ index, topic, x, y, touch, event }) => {
    if (topic >= 0) return HF.emit("topic", topic);
    if (index < 0) {
      tapped = -1;
      return HF.hover.hide();
    }
    if (touch && tapped !== index) {
      tapped = index;
      return HF.emit("hover", { index, x, y });
    }
    HF.open(index, event);
  });

  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    HF.hover.hide();
    const search = HF.byId("search");
    if (document.activeElement === search && search.value) HF.search.set("");
    else if (document.querySelector(".sheet")) HF.emit("escape");
    else if (!HF.byId("drawer").hidden) HF.drawer.close();
    else if (HF.panels.open()) HF.byId("panel-close").click();
  });
  window.addEventListener("resize", HF.debounce(() => HF.emit("resized"), 150));

  HF.link.add({
    read() {
      const view = HF.map.moved() ? HF.map.view() : null;
      return view ? [["at", [view.longitude, view.latitude, view.zoom].map((v) => v.toFixed(3)).join(",")]] : [];
    },
    write(state) {
      const [longitude, latitude, zoom] = (state.get("at") ?? "").split(",").map(Number);
      if (Number.isFinite(zoom) && Number.isFinite(longitude) && Number.isFinite(latitude)) HF.map.flyTo({ longitude, latitude, zoom }, 300);
      else if (HF.map.moved()) HF.map.fit(300);
    },
  });

  HF.on("ready", () => {
    HF.emit("loaded");
    document.documentElement.setAttribute("data-ready", "");
  });
})();
