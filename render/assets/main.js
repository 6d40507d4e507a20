// Joins the widgets: what a click does, what the count says.
(() => {
  HF.on("shown", ({ count }) => {
    const total = HF.data.n;
    HF.byId("count").textContent = count === total ? HF.datasets(total) : `${HF.count(count)} of ${HF.datasets(total)}`;
    const note = HF.byId("note");
    note.hidden = count > 0;
    note.textContent = "No dataset matches. Clear the search or a filter to see some.";
  });
  HF.on("click", ({ index }) => {
    if (index >= 0) HF.openOnHub(index);
  });
  window.addEventListener("resize", HF.debounce(() => HF.emit("resized"), 150));
  HF.on("ready", () => document.documentElement.setAttribute("data-ready", ""));
})();
