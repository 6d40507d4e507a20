// Names of topics on the map. DataMapPlot lets the graphics card decide which labels are in each other's way, and
// fades those that half are; here they are laid out one by one, the most important first, and are there or not.
HF.labels = (() => {
  const { plot } = HF.map;
  const GAP = 10; // pixels kept free around a label
  const WEIGHT = 600;
  let labels = []; // {label, x, y, size, topic, rank, width, height}
  let counts = null; // shown datasets in each topic
  let visible = "";
  let boxes = []; // of the labels that are there: left, top, right, bottom in pixels of the map

  const addLabels = plot.addLabels.bind(plot);
  plot.addLabels = async (given, options) => {
    // Labels are drawn into a texture once: the typeface has to be there first.
    await document.fonts.load(`${WEIGHT} 20px "${HF.config.font}"`).catch(() => []);
    const numbers = new Map(HF.config.topics.map(([name, , , , , , row], t) => [`${row}\n${name}`, t]));
    const pen = document.createElement("canvas").getContext("2d");
    const narrow = plot.container.clientWidth < 600;
    labels = given.filter((label) => label.label).map((label) => {
      const size = narrow ? Math.max(options.textMinPixelSize, 0.8 * label.size) : label.size;
      const t = numbers.get(`${label.layerIdx}\n${label.label.replace(/\n/g, " ")}`) ?? -1;
      const lines = label.label.split("\n");
      pen.font = `${WEIGHT} ${size}px "${HF.config.font}"`;
      return {
        label: label.label,
        size,
        topic: t,
        // Topics of several islands have their mean in the empty sea between them: they are named at a dataset.
        x: HF.config.topics[t]?.[4] ?? label.x,
        y: HF.config.topics[t]?.[5] ?? label.y,
        rank: label.collision_priority ?? label.size,
        width: Math.max(...lines.map((line) => pen.measureText(line).width)),
        height: lines.length * size,
      };
    });
    labels.sort((a, b) => b.rank - a.rank || (a.label < b.label ? -1 : 1));
    addLabels([], options);
    HF.map.swap("labelLayer", {
      extensions: [],
      background: false,
      // Room for the whole halo: in the four pixels that deck.gl leaves around a character it is cut off straight.
      fontSettings: { sdf: true, fontSize: 64, buffer: 9, radius: 12 },
      // All characters at once: the texture is not made anew when other labels come into view.
      characterSet: [...new Set(labels.flatMap(({ label }) => [...label]))],
    });
    lay(true);
  };

  const clamp = (value, low, high) => (low > high ? (low + high) / 2 : Math.max(low, Math.min(high, value)));

  // South and north of nine tenths of each topic's datasets.
  function spans() {
    if (!spans.found) {
      const members = HF.config.topics.map(() => []);
      for (let layer = 0; layer < HF.config.layers; layer++) {
        HF.data["topic_" + layer].forEach((t, i) => t >= 0 && members[t].push(HF.data.y[i]));
      }
      spans.found = members.map((ys) => {
        const sorted = Float32Array.from(ys).sort();
        const cut = Math.floor(sorted.length / 20);
        return [sorted[cut], sorted[sorted.length - 1 - cut]];
      });
    }
    return spans.found;
  }

  // Where a label may stand, in pixels from the top, best first: in the midst of its topic, or, where it would hide
  // much of a small one, above or below; never where it would hide a topic as a whole.
  function heights(port, item, middle) {
    const span = HF.data && item.topic >= 0 ? spans()[item.topic] : null;
    if (!span) return [middle];
    const [bottom, top] = span.map((latitude) => port.project([item.x, latitude])[1]);
    const share = (bottom - top) / item.height;
    if (share > 3) return [middle];
    const away = item.height / 2 + 8;
    return [top - away, bottom + away, ...(share > 1.6 ? [middle] : [])];
  }

  function lay(force = false) {
    if (!plot.labelLayer || !HF.map.view()) return;
    const port = HF.map.port();
    const taken = [];
    boxes = [];
    for (const item of labels) {
      if (counts && item.topic >= 0 && !counts[item.topic]) continue;
      const [px, py] = port.project([item.x, item.y]);
      if (px < 0 || py < 0 || px > port.width || py > port.height) continue;
      for (const wanted of heights(port, item, py)) {
        // At the edge of the map a label moves inwards, so that all of it can be read.
        const x = clamp(px, item.width / 2 + 4, port.width - item.width / 2 - 4);
        const y = clamp(wanted, item.height / 2 + 4, port.height - item.height / 2 - 4);
        const box = [x - item.width / 2 - GAP, y - item.height / 2 - GAP, x + item.width / 2 + GAP, y + item.height / 2 + GAP];
        if (taken.some((other) => box[0] < other.box[2] && box[2] > other.box[0] && box[1] < other.box[3] && box[3] > other.box[1])) continue;
        item.offset = [Math.round(x - px), Math.round(y - py)];
        taken.push({ box, item });
        boxes.push(Object.assign(box, { topic: item.topic }));
        break;
      }
    }
    const now = taken.map(({ item }) => `${item.topic} ${item.offset}`).join();
    if (now === visible && !force) return;
    visible = now;
    const dark = HF.theme.dark();
    // A name has the colour of its topic only while the topic's points do: else it would seem to mean something else.
    const key = HF.colors.key();
    const colored = (t) => t >= 0 && (key === "topics" || key === `topics.${HF.config.topics[t][1]}`);
    const neutral = dark ? [226, 231, 238] : [38, 48, 61];
    HF.map.swap("labelLayer", {
      data: taken.map(({ item }) => item),
      getPixelOffset: (item) => item.offset,
      getColor: (item) => (colored(item.topic) ? HF.palette.ink(HF.config.topics[item.topic][7]) : neutral),
      outlineColor: dark ? [14, 18, 24, 235] : [255, 255, 255, 240],
      updateTriggers: { getColor: [dark, key], getPixelOffset: now },
    });
  }

  let due = 0;
  HF.on("moved", () => {
    due ||= requestAnimationFrame(() => {
      due = 0;
      lay();
    });
  });
  HF.on("resized", () => requestAnimationFrame(() => lay()));
  HF.on("theme", () => lay(true));
  HF.on("painted", () => lay(true));
  HF.on("shown", ({ shown, filtered }) => {
    counts = null;
    if (filtered) {
      counts = new Uint32Array(HF.config.topics.length);
      for (let layer = 0; layer < HF.config.layers; layer++) {
        const column = HF.data["topic_" + layer];
        for (let i = 0; i < shown.length; i++) if (shown[i] && column[i] >= 0) counts[column[i]]++;
      }
    }
    lay();
  });
  // The topic whose name is drawn at this pixel of the map, or -1.
  function at(x, y) {
    const hit = boxes.find(([left, top, right, bottom]) => x > left + GAP && x < right - GAP && y > top + GAP && y < bottom - GAP);
    return hit ? hit.topic : -1;
  }

  return { at, shown: () => plot.labelLayer.props.data };
})();
