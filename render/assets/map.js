// The only module that touches DataMapPlot's objects: layers, view, and the moment when everything is loaded.
HF.map = (() => {
  const plot = datamap;
  const PAD = 36; // pixels between the outermost point and the edge of the map
  const MAX_ZOOM = 15;
  let home = null; // zoom level at which the whole map fits
  let view = null;
  let mask = null; // 1 where a point is shown

  // DataMapPlot sizes points in map units, which makes huge discs of them when one zooms in. Here they are pixels.
  const addPoints = plot.addPoints.bind(plot);
  plot.addPoints = (points, options) => {
    addPoints(points, options);
    const sizes = plot.pointLayer.props.data.attributes.getRadius.value;
    let area = 0;
    for (const size of sizes) area += (Math.PI * size * size) / 4;
    spread = Math.min(1, Math.sqrt((0.09 * width() * height()) / area));
    plot.selected.fill(1);
    swap("pointLayer", {
      data: withAttribute("getFillColor", { value: plot.originalColors, size: 4, normalized: true }),
      radiusUnits: "pixels",
      radiusScale: 0.5 * spread, // sizes are diameters
      radiusMinPixels: 0.6,
      radiusMaxPixels: 12,
      lineWidthUnits: "pixels",
      getLineWidth: 0.7,
      lineWidthMinPixels: 0,
      lineWidthMaxPixels: 1,
      getLineColor: [255, 255, 255, 170],
    });
    fit(0);
  };
  let spread = 1;

  // Labels are drawn into a texture once: the typeface has to be there first.
  const addLabels = plot.addLabels.bind(plot);
  plot.addLabels = async (labels, options) => {
    await document.fonts.load(`600 20px "${HF.config.font}"`).catch(() => []);
    // Topics of several islands have their mean in the empty sea between them: they are named at a dataset of theirs.
    const places = new Map(HF.config.topics.map(([name, , , , x, y, row]) => [`${row}\n${name}`, [x, y]]));
    for (const label of labels) {
      const place = places.get(`${label.layerIdx}\n${label.label.replace(/\n/g, " ")}`);
      if (place) [label.x, label.y] = place;
    }
    addLabels(labels, { ...options, textBackgroundColor: [255, 255, 255, 0] });
    HF.emit("labels");
  };

  plot.highlightPoints = () => {}; // what is shown is decided in store.js

  function swap(name, props) {
    const old = plot[name];
    if (!old) return;
    const layer = old.clone(props);
    plot.layers = plot.layers.map((other) => (other === old ? layer : other));
    plot[name] = layer;
    plot.deckgl.setProps({ layers: plot.layers });
  }

  function withAttribute(name, attribute) {
    const { data } = plot.pointLayer.props;
    return { ...data, attributes: { ...data.attributes, [name]: attribute } };
  }

  const width = () => plot.container.clientWidth || 1;
  const height = () => plot.container.clientHeight || 1;

  // The middle 99.5 % of the points, so that one stray island does not shrink the rest.
  function bounds() {
    const range = (values) => {
      const sorted = Float32Array.from(values).sort();
      const cut = Math.floor(sorted.length * 0.0025);
      return [sorted[cut], sorted[sorted.length - 1 - cut]];
    };
    const [west, east] = range(plot.pointData.x);
    const [south, north] = range(plot.pointData.y);
    return [[west, south], [east, north]];
  }

  function fit(duration = 500) {
    const [[west, south], [east, north]] = bounds();
    const pad = Math.min(PAD, width() / 4, height() / 4);
    let target = { longitude: (west + east) / 2, latitude: (south + north) / 2, zoom: 6 };
    if (east - west > 1e-6 || north - south > 1e-6) {
      const port = new deck.WebMercatorViewport({ width: width(), height: height() });
      const { longitude, latitude, zoom } = port.fitBounds(bounds(), { padding: pad, maxZoom: 10 });
      target = { longitude, latitude, zoom };
    }
    home = target.zoom;
    flyTo(target, duration);
  }

  let landing = 0;
  function flyTo(target, duration = 700) {
    landing = performance.now() + (HF.calm.matches ? 0 : duration);
    const next = { ...view, ...target, pitch: 0, bearing: 0 };
    view = next;
    plot.deckgl.setProps({
      initialViewState: {
        ...next,
        maxZoom: MAX_ZOOM,
        minZoom: home - 2,
        // deck.gl starts anew only when something differs from the last time.
        stamp: (flyTo.stamp = (flyTo.stamp ?? 0) + 1),
        transitionDuration: HF.calm.matches ? 0 : duration,
        transitionInterpolator: new deck.LinearInterpolator(["longitude", "latitude", "zoom"]),
      },
    });
    moved(next);
  }

  function moved(state) {
    view = { longitude: state.longitude, latitude: state.latitude, zoom: state.zoom };
    const scale = 0.5 * Math.min(1, spread * 2 ** (0.4 * Math.max(0, state.zoom - home)));
    if (plot.pointLayer && Math.abs(scale - plot.pointLayer.props.radiusScale) > 0.01) swap("pointLayer", { radiusScale: scale });
    HF.emit("moved", view);
  }
  plot.onViewStateChange("hfmap", ({ viewState }) => moved(viewState));

  plot.deckgl.setProps({
    controller: { scrollZoom: { speed: 0.01, smooth: true }, dragRotate: false, touchRotate: false, keyboard: true },
    pickingRadius: 4,
    getTooltip: null,
    onHover: (info) => HF.emit("hover", pick(info)),
    onClick: (info, event) => HF.emit("click", { ...pick(info), event: event.srcEvent }),
    getCursor: ({ isDragging, isHovering }) => (isDragging ? "grabbing" : isHovering ? "pointer" : "grab"),
  });
  const pick = (info) => ({
    index: info.picked && info.layer?.id === "dataPointLayer" ? info.index : -1,
    x: info.x + plot.container.getBoundingClientRect().left,
    y: info.y + plot.container.getBoundingClientRect().top,
  });

  // Show the points whose entry is 1.
  function show(values) {
    mask = values;
    if (!plot.pointLayer) return;
    const shown = new Float32Array(values.length);
    for (let i = 0; i < values.length; i++) shown[i] = values[i] ? 1 : -1;
    plot.selected = shown;
    plot.updateTriggerCounter++;
    swap("pointLayer", {
      data: withAttribute("getFilterValue", { value: shown, size: 1 }),
      updateTriggers: { getFilterValue: plot.updateTriggerCounter },
    });
  }

  // Colours of all points, four bytes each; null gives back the colours of the topics.
  function color(values) {
    swap("pointLayer", {
      data: withAttribute("getFillColor", { value: values ?? plot.originalColors, size: 4, normalized: true }),
    });
  }

  // Where a point is on the screen, in pixels of the window.
  function locate(index) {
    const [x, y] = port().project([plot.pointData.x[index], plot.pointData.y[index]]);
    const { left, top } = plot.container.getBoundingClientRect();
    return [x + left, y + top];
  }
  const port = () => new deck.WebMercatorViewport({ width: width(), height: height(), ...view });

  // DataMapPlot says so after each of its three parts; ready is when all three are there.
  document.addEventListener("datamapDataLoaded", () => {
    if (HF.data || !plot.pointData || !plot.labelData || !plot.metaData) return;
    HF.data = { n: plot.pointData.x.length, x: plot.pointData.x, y: plot.pointData.y, id: plot.metaData.hover_text, ...plot.metaData };
    HF.emit("ready", HF.data);
  });

  return { plot, fit, flyTo, locate, port, moving: () => performance.now() < landing + 50, show, color, swap, width, height, view: () => view, home: () => home, mask: () => mask };
})();
