// The exact view as an address: everything worth coming back to stands after the # of the page's address.
HF.link = (() => {
  const parts = []; // {read(): [[name, value]…], write(URLSearchParams)}
  let applying = false;
  let current = null;

  function address() {
    const params = new URLSearchParams();
    for (const part of parts) for (const [key, value] of part.read()) params.set(key, value);
    // Commas, bars and slashes are allowed after a #, and a link is easier to read with them.
    return params.toString().replace(/%2C/g, ",").replace(/%7C/g, "|").replace(/%2F/g, "/");
  }

  function save(replace) {
    if (!HF.data) return;
    const next = address();
    if (next === current) return;
    current = next;
    const url = next ? `#${next}` : location.pathname + location.search;
    if (replace) history.replaceState(null, "", url);
    else history.pushState(null, "", url);
  }

  function load() {
    const text = location.hash.slice(1);
    if (text === current) return;
    applying = true;
    const state = new URLSearchParams(text);
    HF.store.batch(() => parts.forEach((part) => part.write(state)));
    applying = false;
    current = address(); // as it would be written now: what it was read from may be spelled otherwise
  }

  const step = HF.debounce(() => save(false), 300);
  const move = HF.debounce(() => save(true), 400);
  HF.on("changed", () => applying || step()); // a step that "back" undoes
  HF.on("moved", () => applying || move()); // moving about is none
  HF.on("loaded", () => {
    if (location.hash.length > 1) load();
    else current = "";
  });
  window.addEventListener("popstate", () => HF.data && load());
  window.addEventListener("hashchange", () => HF.data && load());
  const word = (text) => text.replaceAll("|", "¦"); // bars separate the words of an address
  return { add: (part) => parts.push(part), address, word };
})();
