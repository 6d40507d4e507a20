// Selecting by drawing around points; what is selected can be taken along.
HF.lasso = (() => {
  const { el } = HF;
  const button = HF.byId("lasso");
  const bar = HF.byId("selection");
  const SVG = "http://www.w3.org/2000/svg";
  let sheet = null;
  let line = null;
  let corners = [];
  let shape = "lasso";
  let chosen = null; // the polygon of the selection, in map coordinates
  const MOST_CORNERS = 80; // of a drawn line: it has to fit into an address

  function start() {
    button.setAttribute("aria-pressed", "true");
    sheet = document.createElementNS(SVG, "svg");
    sheet.setAttribute("class", "sheet");
    line = document.createElementNS(SVG, "polygon");
    sheet.append(line);
    document.body.append(sheet);
    sheet.addEventListener("pointerdown", down);
    sheet.addEventListener("pointermove", move);
    sheet.addEventListener("pointerup", up);
    draw();
  }

  function stop() {
    button.setAttribute("aria-pressed", "false");
    sheet?.remove();
    sheet = null;
    draw();
  }

  function down(event) {
    corners = [[event.clientX, event.clientY]];
    sheet.setPointerCapture(event.pointerId);
  }

  function move(event) {
    if (!corners.length) return;
    const [x, y] = [event.clientX, event.clientY];
    if (shape === "box") {
      const [[left, top]] = corners;
      corners = [[left, top], [x, top], [x, y], [left, y]];
    } else {
      const [px, py] = corners.at(-1);
      if (Math.hypot(x - px, y - py) > 4) corners.push([x, y]);
    }
    const box = sheet.getBoundingClientRect();
    line.setAttribute("points", corners.map(([a, b]) => `${a - box.left},${b - box.top}`).join(" "));
  }

  function up() {
    const drawn = corners;
    corners = [];
    if (drawn.length < 3) return;
    take(drawn.map(HF.map.unlocate));
  }

  function take(polygon) {
    const step = Math.ceil(polygon.length / MOST_CORNERS);
    // As the address will have it, so that a link selects the same.
    choose(polygon.filter((_, k) => k % step === 0).map((corner) => corner.map((v) => Number(v.toFixed(4)))));
    stop();
    HF.say(`${HF.datasets(rows().length)} selected`);
    HF.emit("changed");
  }

  // Select the shown datasets within a polygon of map coordinates.
  function choose(polygon) {
    const { n, x, y } = HF.data;
    const mask = new Uint8Array(n);
    for (let i = 0; i < n; i++) mask[i] = inside(polygon, x[i], y[i]) ? 1 : 0;
    chosen = polygon;
    HF.store.set("lasso", mask);
  }

  function inside(polygon, x, y) {
    let within = false;
    for (let a = 0, b = polygon.length - 1; a < polygon.length; b = a++) {
      const [ax, ay] = polygon[a];
      const [bx, by] = polygon[b];
      if (ay > y !== by > y && x < ((bx - ax) * (y - ay)) / (by - ay) + ax) within = !within;
    }
    return within;
  }

  function rows() {
    const shown = HF.store.shown();
    const out = [];
    for (let i = 0; i < shown.length; i++) if (shown[i]) out.push(i);
    return out;
  }

  function clear() {
    chosen = null;
    HF.store.set("lasso", null);
    HF.emit("changed");
  }

  function draw() {
    const drawing = Boolean(sheet);
    const selected = HF.store.has("lasso");
    const hidden = !drawing && !selected;
    if (hidden !== bar.hidden) {
      bar.hidden = hidden;
      document.documentElement.classList.toggle("with-selection", !hidden);
      HF.emit("resized");
    }
    if (hidden) return;
    const action = (text, onclick, label) => el("button", { type: "button", text, onclick, "aria-label": label });
    if (drawing) {
      const mode = (name, text) => el("button", { type: "button", text, "aria-pressed": String(shape === name), onclick: () => ((shape = name), draw()) });
      bar.replaceChildren(
        el("span", { text: shape === "lasso" ? "Draw around datasets" : "Drag a box" }),
        mode("lasso", "Lasso"),
        mode("box", "Box"),
        action("All in view", () => take(HF.map.corners())),
        action("Cancel", stop),
      );
    } else {
      bar.replaceChildren(el("strong", { text: `${HF.datasets(rows().length)} selected` }), ...HF.exporter.buttons(rows), action("Clear", clear, "Clear the selection"));
    }
  }

  button.addEventListener("click", () => (sheet ? stop() : start()));
  HF.on("shown", draw);
  HF.on("escape", () => sheet && stop());
  HF.on("reset", () => (chosen = null));
  HF.link.add({
    read: () => (chosen ? [["lasso", chosen.flat().join(",")]] : []),
    write(state) {
      const numbers = (state.get("lasso") ?? "").split(",").map(Number);
      const corners = Array.from({ length: Math.floor(numbers.length / 2) }, (_, k) => numbers.slice(2 * k, 2 * k + 2));
      if (corners.length > 2 && numbers.every(Number.isFinite)) choose(corners);
      else if (chosen) clear();
    },
  });
  return { choose, rows };
})();
