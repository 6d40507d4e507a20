// The rail of tools and the panel beside it. The map gives way, so that nothing ever lies on top of it.
HF.panels = (() => {
  const panel = HF.byId("panel");
  const buttons = [...document.querySelectorAll("[data-panel]")];
  const titles = { colors: "Colour", filters: "Filter", topics: "Topics", results: "Datasets" };
  let open = null;

  function show(name) {
    open = name;
    panel.hidden = !name;
    document.documentElement.classList.toggle("with-panel", Boolean(name));
    for (const button of buttons) button.setAttribute("aria-expanded", String(button.dataset.panel === name));
    for (const body of panel.querySelectorAll(".panel-body")) body.hidden = body.dataset.for !== name;
    HF.byId("panel-title").textContent = titles[name] ?? "";
    HF.emit("panel", name);
    if (!name) HF.emit("closed");
    HF.emit("resized");
  }

  function press(name) {
    const covered = HF.sheets.crowded() && !HF.byId("drawer").hidden;
    if (covered) HF.drawer.close();
    show(open === name && !covered ? null : name);
  }

  for (const button of buttons) button.addEventListener("click", () => press(button.dataset.panel));
  HF.byId("panel-close").addEventListener("click", () => {
    const name = open;
    show(null);
    document.querySelector(`[data-panel=${name}]`)?.focus();
  });
  return { show, open: () => open };
})();
