// What every widget shares: events, DOM without HTML, formats. Text of strangers is only ever set as text.
const HF = (() => {
  const listeners = new Map();
  const number = new Intl.NumberFormat("en-US");
  const short = new Intl.NumberFormat("en-US", { notation: "compact", maximumFractionDigits: 1 });
  const dateFormat = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", year: "numeric", timeZone: "UTC" });

  return {
    config: HFMAP,
    data: null,

    on(name, handler) {
      if (!listeners.has(name)) listeners.set(name, []);
      listeners.get(name).push(handler);
    },
    emit(name, detail) {
      for (const handler of listeners.get(name) ?? []) handler(detail);
    },

    // el("a", {class: "x", text: "…", onclick: f, "aria-label": "…"}, ...children); there is no way to pass HTML.
    el(tag, attributes = {}, ...children) {
      const node = document.createElement(tag);
      for (const [name, value] of Object.entries(attributes)) {
        if (value === null || value === undefined || value === false) continue;
        if (name === "text") node.textContent = value;
        else if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
        else if (name === "style") for (const [key, v] of Object.entries(value)) node.style.setProperty(key, v);
        else node.setAttribute(name, value === true ? "" : value);
      }
      node.append(...children.filter((child) => child !== null && child !== undefined));
      return node;
    },

    byId: (id) => document.getElementById(id),
    count: (value) => number.format(value),
    datasets: (value) => `${number.format(value)} ${value === 1 ? "dataset" : "datasets"}`,
    compact: (value) => short.format(value),
    date: (day) => (day < 0 ? null : dateFormat.format(new Date(day * 86400000))),

    hubUrl(index) {
      const raw = HF.config.raw[index] ?? HF.data.id[index];
      return HF.config.hub + raw.split("/").map(encodeURIComponent).join("/");
    },
    openOnHub: (index) => window.open(HF.hubUrl(index), "_blank", "noopener,noreferrer"),

    debounce(handler, wait) {
      let timer = 0;
      return (...args) => {
        clearTimeout(timer);
        timer = setTimeout(() => handler(...args), wait);
      };
    },
    say: (text) => (HF.byId("said").textContent = text), // for screen readers
    calm: window.matchMedia("(prefers-reduced-motion: reduce)"),
  };
})();
window.hfmap = HF;
