// Which datasets are shown. Each filter is a named mask (1 = passes); a dataset is shown if it passes all.
HF.store = (() => {
  const masks = new Map();
  let shown = null;

  function set(name, mask) {
    if (mask) masks.set(name, mask);
    else if (!masks.delete(name)) return;
    update();
  }

  function update() {
    const n = HF.data.n;
    shown = new Uint8Array(n).fill(1);
    for (const mask of masks.values()) for (let i = 0; i < n; i++) shown[i] &= mask[i];
    let count = 0;
    for (let i = 0; i < n; i++) count += shown[i];
    HF.map.show(shown);
    HF.emit("shown", { shown, count });
  }

  HF.on("ready", update);
  return { set, shown: () => shown };
})();
