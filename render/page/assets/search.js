// Search over id, pretty name, summary and every bucketed field: all words have to occur.
HF.search = (() => {
  const box = HF.byId("search");
  let texts = null;

  // One lower-case text per dataset, joined the first time somebody searches.
  function index() {
    const { data, config } = HF;
    const keys = Object.keys(config.vocabularies).filter((key) => key !== "primary");
    const words = Object.fromEntries(keys.map((key) => [key, config.vocabularies[key].map((v) => v.toLowerCase())]));
    texts = new Array(data.n);
    for (let i = 0; i < data.n; i++) {
      const parts = [data.id[i], data.pretty[i], data.summary[i], data.licence[i]].map((part) => part.toLowerCase());
      for (const key of keys) {
        if (data["code_" + key]) parts.push(words[key][data["code_" + key][i]]);
        else words[key].forEach((word, bit) => data["bits_" + key][i] & (1 << bit) && parts.push(word));
      }
      texts[i] = parts.join("\n");
    }
  }

  function apply() {
    const terms = box.value.toLowerCase().split(/\s+/).filter(Boolean);
    if (!terms.length) return HF.store.set("search", null);
    if (!texts) index();
    HF.store.set("search", Uint8Array.from(texts, (text) => (terms.every((term) => text.includes(term)) ? 1 : 0)));
  }

  function set(text) {
    box.value = text;
    apply();
    HF.emit("changed");
  }

  box.addEventListener("input", HF.debounce(() => HF.data && (apply(), HF.emit("changed")), 120));
  box.addEventListener("keydown", (event) => {
    if (event.key !== "ArrowDown" && event.key !== "Enter") return;
    event.preventDefault();
    HF.results.enter();
  });
  document.addEventListener("keydown", (event) => {
    const typing = event.target.matches?.("input, textarea, select");
    if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey) {
      event.preventDefault();
      box.focus();
      box.select();
    }
  });
  HF.on("reset", () => (box.value = ""));
  HF.link.add({
    read: () => (box.value.trim() ? [["q", box.value.trim()]] : []),
    write(state) {
      box.value = state.get("q") ?? "";
      apply();
    },
  });
  return { set };
})();
