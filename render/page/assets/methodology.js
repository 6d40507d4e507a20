try {
  const chosen = localStorage.getItem("hfmap-theme");
  if (chosen) document.documentElement.dataset.theme = chosen;
} catch {
  // Without storage the system decides.
}
