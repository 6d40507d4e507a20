// DataMapPlot's layers, its view, and the moment when everything is loaded. Only this module and labels.js touch
// its objects.
HF.map = (() => {
  const plot = datamap;
  const PAD = { x: 72, y: 44 }; // pixels between the outermost point and the edge of the map: room for a label
  const MAX_ZOOM = 15;
  const WHOLE = 9; // no nearer, however small the map is
  let home = 0; // the zoom level at which the whole map fits
  let view = null;
  let strayed = false; // whether anybody has left the whole map
  let spread = 1; // markers shrink on crowded maps, until one zooms in
  let landing = 0;
  const marks = { near: [], chosen: [], pointed: [] };

  const width = () => plot.container.clientWidth || 1;
  const height = () => plot.container.clientHeight || 1;
  const port = () => new deck.WebMercatorViewport({ width: width(), height: height(), ...view });
  const MOST_GROWN = 1.5; // close up there is room, and the smallest have to be seen
  const radius = (zoom) => 0.5 * Math.min(MOST_GROWN, spread * 2 ** (0.4 * Math.max(0, zoom - home)));

  // DataMapPlot sizes points in map units, which makes huge discs of them when one zooms in. Here they are pixels.
  const addPoints = plot.addPoints.bind(plot);
  plot.addPoints = (points, options) => {
    addPoints(points, options);
    let area = 0;
    for (const size of sizes()) area += (Math.PI * size * size) / 4;
    const room = extent();
    spread = Math.min(1, Math.sqrt((0.16 * room) / area));
    plot.selected.fill(1);
    swap("pointLayer", {
      data: withAttribute("getFillColor", { value: plot.originalColors, size: 4, normalized: true }),
      radiusUnits: "pixels",
      radiusScale: 0.5 * spread,
      // Dots that few people have liked stay visible, as far as there is room for so many.
      radiusMinPixels: Math.max(0.7, Math.min(1.5, 0.2 * Math.sqrt(room / plot.selected.length))),
      radiusMaxPixels: 12,
      lineWidthUnits: "pixels",
      getLineWidth: spread < 0.3 ? 0 : 0.7, // on a crowded map the outlines would be all one sees
      lineWidthMinPixels: 0,
      lineWidthMaxPixels: 1,
      highlightColor: [255, 255, 255, 90],
      ...outline(),
    });
    fit(0);
  };
  const sizes = () => plot.pointLayer.props.data.attributes.getRadius.value; // diameters in pixels

  plot.highlightPoints = () => {}; // what is shown is decided in store.js

  function withAttribute(name, attribute) {
    const { data } = plot.pointLayer.props;
    return { ...data, attributes: { ...data.attributes, [name]: attribute } };
  }

  function swap(name, props) {
    const old = plot[name];
    if (!old) return;
    const layer = old.clone(props);
    plot.layers = plot.layers.map((other) => (other === old ? layer : other));
    plot[name] = layer;
    plot.deckgl.setProps({ layers: plot.layers });
  }

  const outline = () => ({ getLineColor: HF.theme.dark() ? [14, 18, 24, 200] : [255, 255, 255, 190] });

  HF.on("theme", () => {
    swap("pointLayer", outline());
    drawMarks();
  });

  // The middle 99.5 % of the points, so that one stray island does not shrink the rest.
  function bounds(rows) {
    const range = (values, share) => {
      const sorted = Float32Array.from(values).sort();
      const cut = Math.floor(sorted.length * share);
      return [sorted[cut], sorted[sorted.length - 1 - cut]];
    };
    const { x, y } = plot.pointData;
    const [west, east] = rows ? range(rows.map((i) => x[i]), 0.02) : range(x, 0.0025);
    const [south, north] = rows ? range(rows.map((i) => y[i]), 0.02) : range(y, 0.0025);
    return [[west, south], [east, north]];
  }

  // The view that shows these rows, or all.
  function viewOf(rows, maxZoom) {
    const box = bounds(rows);
    const [[west, south], [east, north]] = box;
    const middle = { longitude: (west + east) / 2, latitude: (south + north) / 2, zoom: maxZoom };
    if (east - west < 1e-6 && north - south < 1e-6) return middle;
    const [x, y] = [Math.min(PAD.x, width() / 8), Math.min(PAD.y, height() / 8)];
    const padding = { left: x, right: x, top: y, bottom: y };
    const { longitude, latitude, zoom } = new deck.WebMercatorViewport({ width: width(), height: height() }).fitBounds(box, { padding, maxZoom });
    return { longitude, latitude, zoom };
  }

  // Square pixels that the whole map takes: on a phone a wide map leaves most of the screen empty.
  function extent() {
    const at = new deck.WebMercatorViewport({ width: width(), height: height(), ...viewOf(null, WHOLE) });
    const [[left, bottom], [right, top]] = bounds().map((corner) => at.project(corner));
    return Math.max(0.1 * width() * height(), (right - left) * (bottom - top)); // few in a row have room all around
  }

  function fit(duration = 500) {
    const target = viewOf(null, WHOLE);
    home = target.zoom;
    flyTo(target, duration);
    strayed = false;
  }

  const frame = (rows) => rows.length && flyTo(viewOf(rows, Math.min(MAX_ZOOM, home + 5)));
  const center = (i) => flyTo({ longitude: plot.pointData.x[i], latitude: plot.pointData.y[i], zoom: Math.max(view.zoom, home + 2) });

  function flyTo(target, duration = 700) {
    const wait = HF.calm.matches ? 0 : duration;
    landing = performance.now() + wait;
    strayed = true;
    view = { ...view, ...target };
    plot.deckgl.setProps({
      initialViewState: {
        ...view,
        pitch: 0,
        bearing: 0,
        maxZoom: MAX_ZOOM,
        minZoom: home - 2,
        transitionDuration: wait,
        transitionInterpolator: new deck.LinearInterpolator(["longitude", "latitude", "zoom"]),
      },
    });
    moved(view);
  }

  function moved(state) {
    view = { longitude: state.longitude, latitude: state.latitude, zoom: state.zoom };
    const scale = radius(view.zoom);
    if (plot.pointLayer && Math.abs(scale - plot.pointLayer.props.radiusScale) > 0.01) {
      swap("pointLayer", { radiusScale: scale });
      drawMarks();
    }
    HF.emit("moved", view);
  }
  plot.onViewStateChange("hfmap", ({ viewState }) => {
    // While it flies, deck.gl reports every step; where it lands is known already.
    if (performance.now() < landing) return;
    // Nor is it a move of anybody's when the map has another size, or is touched and stays where it is.
    if (view && ["longitude", "latitude", "zoom"].every((key) => Math.abs(viewState[key] - view[key]) < 1e-9)) return;
    strayed = true;
    moved(viewState);
  });
  HF.on("resized", () => requestAnimationFrame(() => plot.pointLayer && !strayed && fit(0)));

  plot.deckgl.setProps({
    controller: {
      scrollZoom: { speed: 0.01, smooth: true },
      doubleClickZoom: !window.matchMedia("(pointer: coarse)").matches, // a second tap opens what the first one showed
      dragRotate: false,
      touchRotate: false,
      keyboard: true,
      inertia: 200,
    },
    pickingRadius: 5,
    getTooltip: null,
    onHover: (info) => HF.emit("hover", pick(info)),
    getCursor: ({ isDragging, isHovering }) => (isDragging ? "grabbing" : isHovering || overLabel ? "pointer" : "grab"),
  });
  // deck.gl takes a press of more than a quarter of a second for no click, waits after each click for a second one,
  // and reports neither of two quick taps. The browser's own clicks are surer; one that ends a drag is none.
  let press = null;
  plot.container.addEventListener("pointerdown", ({ clientX, clientY, pointerType }) => (press = { clientX, clientY, touch: pointerType === "touch" }), true);
  function click(event) {
    if (!press || event.button > 1 || Math.hypot(event.clientX - press.clientX, event.clientY - press.clientY) > 6) return;
    const { left, top } = plot.container.getBoundingClientRect();
    const [x, y] = [event.clientX - left, event.clientY - top];
    const info = plot.deckgl.pickObject({ x, y, radius: press.touch ? 9 : 5, layerIds: ["dataPointLayer"] });
    HF.emit("click", { ...pick({ ...info, picked: Boolean(info), x, y }), touch: press.touch, event });
  }
  plot.container.addEventListener("click", click);
  plot.container.addEventListener("auxclick", click);
  function pick(info) {
    const { left, top } = plot.container.getBoundingClientRect();
    const index = info.picked && info.layer?.id === "dataPointLayer" ? info.index : -1;
    const topic = index < 0 ? HF.labels.at(info.x, info.y) : -1; // a dataset under a label goes before it
    overLabel = topic >= 0;
    return { index, topic, x: info.x + left, y: info.y + top };
  }
  let overLabel = false;

  // Rings around points: the one pointed at in a list, the one in the drawer, its neighbours.
  function mark(kind, rows) {
    marks[kind] = rows;
    drawMarks();
  }

  function drawMarks() {
    if (!plot.pointLayer) return;
    const dark = HF.theme.dark();
    const colors = { near: dark ? [255, 203, 107] : [217, 119, 6], chosen: dark ? [255, 255, 255] : [23, 32, 43], pointed: dark ? [255, 255, 255] : [23, 32, 43] };
    const rings = Object.entries(marks).flatMap(([kind, rows]) => rows.map((i) => ({ i, color: colors[kind], width: kind === "near" ? 1.6 : 2.4 })));
    const layer = new deck.ScatterplotLayer({
      id: "markLayer",
      data: rings,
      getPosition: ({ i }) => [plot.pointData.x[i], plot.pointData.y[i]],
      getRadius: ({ i }) => sizes()[i] * plot.pointLayer.props.radiusScale + 4,
      radiusUnits: "pixels",
      filled: false,
      stroked: true,
      getLineColor: ({ color }) => color,
      getLineWidth: ({ width: w }) => w,
      lineWidthUnits: "pixels",
      pickable: false,
      parameters: { depthTest: false },
    });
    const others = plot.layers.filter((other) => other.id !== "markLayer");
    others.splice(others.indexOf(plot.pointLayer) + 1, 0, layer);
    plot.layers = others;
    plot.deckgl.setProps({ layers: others });
  }

  // Show the points whose entry is 1.
  function show(values) {
    plot.selected = Float32Array.from(values, (value) => (value ? 1 : -1));
    plot.updateTriggerCounter++;
    swap("pointLayer", {
      data: withAttribute("getFilterValue", { value: plot.selected, size: 1 }),
      updateTriggers: { getFilterValue: plot.updateTriggerCounter },
    });
  }

  // Colours of all points, four bytes each.
  const color = (values) => swap("pointLayer", { data: withAttribute("getFillColor", { value: values, size: 4, normalized: true }) });

  // From datasets and map coordinates to pixels of the window, and back.
  function locate(index) {
    const [x, y] = port().project([plot.pointData.x[index], plot.pointData.y[index]]);
    const { left, top } = plot.container.getBoundingClientRect();
    return [x + left, y + top];
  }
  function unlocate([x, y]) {
    const { left, top } = plot.container.getBoundingClientRect();
    return port().unproject([x - left, y - top]);
  }
  function corners() {
    const at = port();
    return [[0, 0], [width(), 0], [width(), height()], [0, height()]].map((corner) => at.unproject(corner));
  }

  // DataMapPlot says so after each of its three parts; ready is when all three are there.
  document.addEventListener("datamapDataLoaded", () => {
    if (HF.data || !plot.pointData || !plot.labelData || !plot.metaData) return;
    HF.data = { n: plot.pointData.x.length, x: plot.pointData.x, y: plot.pointData.y, id: plot.metaData.hover_text, ...plot.metaData };
    HF.emit("ready", HF.data);
  });

  return {
    plot, port, fit, frame, center, flyTo, show, color, mark, marks, swap, locate, unlocate, corners,
    height,
    home: () => home,
    view: () => view,
    moved: () => strayed,
    moving: () => performance.now() < landing + 50,
  };
})();
