// Light or dark: as the system has it, until somebody switches.
HF.theme = (() => {
  const button = HF.byId("theme");
  const system = window.matchMedia("(prefers-color-scheme: dark)");
  let chosen = null;
  try {
    chosen = localStorage.getItem("hfmap-theme");
  } catch {
    // Storage may be switched off; then the choice lasts as long as the page.
  }
  const dark = () => (chosen ? chosen === "dark" : system.matches);

  function apply() {
    document.documentElement.dataset.theme = dark() ? "dark" : "light";
    button.setAttribute("aria-pressed", dark());
    HF.emit("theme", dark());
  }
  button.addEventListener("click", () => {
    chosen = dark() ? "light" : "dark";
    try {
      localStorage.setItem("hfmap-theme", chosen);
    } catch {
      // as above
    }
    apply();
  });
  system.addEventListener("change", apply);
  apply();
  return { dark };
})();
