// Which datasets are shown. Each filter is a named mask (1 = passes); a dataset is shown if it passes all.
HF.store = (() => {
  const masks = new Map();
  let shown = null;
  let fails = null; // how many filters a dataset does not pass
  let held = 0;
  let due = false;

  function set(name, mask) {
    if (!mask && !masks.has(name)) return;
    if (mask) masks.set(name, mask);
    else masks.delete(name);
    if (held) due = true;
    else update();
  }

  // Several changes at once, with one update at the end.
  function batch(work) {
    held++;
    try {
      work();
    } finally {
      held--;
      if (!held && due) update();
    }
  }

  function update() {
    due = false;
    const { n } = HF.data;
    fails = new Uint8Array(n);
    shown = new Uint8Array(n);
    for (const mask of masks.values()) for (let i = 0; i < n; i++) fails[i] += 1 - mask[i];
    let count = 0;
    for (let i = 0; i < n; i++) count += shown[i] = fails[i] ? 0 : 1;
    HF.map.show(shown);
    HF.emit("shown", { shown, count, filtered: masks.size > 0 });
  }

  // What would be shown without the filter of this name: bars and counts follow the other filters.
  function without(name) {
    const mask = masks.get(name);
    return mask ? shown.map((_, i) => (fails[i] === 1 - mask[i] ? 1 : 0)) : shown;
  }

  function reset() {
    batch(() => {
      HF.emit("reset");
      for (const name of [...masks.keys()]) set(name, null);
    });
  }

  HF.on("ready", update);
  return { set, batch, without, reset, shown: () => shown, has: (name) => masks.has(name) };
})();
