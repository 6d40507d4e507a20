// On a phone the panel and the drawer are sheets over the lower half of the map. Their grip makes them as high as
// the screen, or, drawn down, closes them. In windows without room for both, the drawer lies before the panel.
HF.sheets = (() => {
  const root = document.documentElement;
  const crowded = window.matchMedia("(max-width: 1100px)");
  const FAR = 30; // pixels from where on a grip was drawn, not tapped

  function rise(tall) {
    root.classList.toggle("tall", tall);
    for (const grip of document.querySelectorAll(".grip")) grip.setAttribute("aria-expanded", String(tall));
  }

  function grip() {
    let start = null;
    const tall = () => root.classList.contains("tall");
    const button = HF.el("button", { type: "button", class: "grip", "aria-label": "Full height", "aria-expanded": String(tall()) });
    button.addEventListener("pointerdown", (event) => {
      start = event.clientY;
      button.setPointerCapture(event.pointerId);
    });
    button.addEventListener("click", (event) => {
      // Without a pointer, it was a key.
      const drawn = start === null ? 0 : event.clientY - start;
      start = null;
      if (Math.abs(drawn) < FAR) rise(!tall());
      else if (drawn < 0) rise(true);
      else if (tall()) rise(false);
      else button.closest("aside").querySelector("[aria-label=Close]").click();
    });
    return button;
  }

  HF.byId("panel").prepend(grip());
  // What it flies to lies in the other half.
  HF.on("moved", () => rise(false));
  HF.on("closed", () => rise(false));
  return { grip, crowded: () => crowded.matches };
})();
