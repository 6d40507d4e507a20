// Colours that people with any kind of colour vision can tell apart, for paper and for night.
HF.palette = (() => {
  // Nine categories and a rest: Paul Tol's "muted" scheme on white, his "light" scheme on black.
  const sets = {
    light: ["#332288", "#cc6677", "#117733", "#88ccee", "#aa4499", "#ddaa33", "#44aa99", "#882255", "#999933"],
    dark: ["#77aadd", "#ee8866", "#44bb99", "#eedd88", "#ffaabb", "#99ddff", "#bbcc33", "#cc99ee", "#aaaa00"],
  };
  const rest = { light: "#b8bcc4", dark: "#5b626d" };
  // Viridis (Smith and van der Walt), nine steps; the end that vanishes into the page is left out.
  const steps = {
    light: ["#b5de2b", "#6ece58", "#35b779", "#1f9e89", "#26828e", "#31688e", "#3e4989", "#482878", "#440154"],
    dark: ["#46327e", "#365c8d", "#277f8e", "#1fa187", "#4ac16d", "#a0da39", "#fde725", "#fef08a", "#fff7c2"],
  };

  const rgb = (hex) => [1, 3, 5].map((k) => parseInt(hex.slice(k, k + 2), 16));
  const hex = (color) => "#" + color.map((v) => Math.round(v).toString(16).padStart(2, "0")).join("");
  const mix = (a, b, share) => a.map((v, k) => v + (b[k] - v) * share);
  const night = () => HF.theme.dark();
  const scheme = () => (night() ? "dark" : "light");

  // A colour for each of `n` categories; those after the ninth share the colour of the rest.
  function categorical(n) {
    const colors = sets[scheme()];
    return Array.from({ length: n }, (_, k) => rgb(colors[k] ?? rest[scheme()]));
  }

  // A colour for a share between 0 and 1.
  function sequential(share) {
    const colors = steps[scheme()];
    const x = Math.max(0, Math.min(1, share)) * (colors.length - 1);
    const k = Math.min(colors.length - 2, Math.floor(x));
    return mix(rgb(colors[k]), rgb(colors[k + 1]), x - k);
  }

  // Colours of topics are made for white paper: at night they are lifted towards it.
  const topic = (color) => (night() ? mix(rgb(color), [255, 255, 255], 0.18) : rgb(color));
  const ink = (color) => (night() ? mix(rgb(color), [255, 255, 255], 0.62) : mix(rgb(color), [10, 14, 20], 0.42));
  return { categorical, sequential, topic, ink, rest: () => rgb(rest[scheme()]), css: (color) => hex(color) };
})();
