// Rows to take along: CSV, JSON, or the ids on the clipboard.
HF.exporter = (() => {
  const { el, fields } = HF;

  function record(i) {
    const { data, config } = HF;
    const out = { id: config.raw[i] ?? data.id[i], url: HF.hubUrl(i), pretty_name: data.pretty[i], summary: data.summary[i] };
    for (const key of ["likes", "downloads"]) out[key] = data[key][i] < 0 ? null : data[key][i];
    for (const key of ["created", "modified"]) out[key] = data[key][i] < 0 ? null : new Date(data[key][i] * 86400000).toISOString().slice(0, 10);
    out.topics = HF.topics.path(i).map(HF.topics.name);
    for (const key of fields.order) {
      const values = fields.values(key, i);
      const name = key.replace(/^own_/, "");
      out[name in out ? key : name] = fields.isList(key) ? values : values[0];
    }
    return out;
  }

  // Spreadsheets take a cell that begins so for a formula: an apostrophe keeps it text.
  const harmless = (text) => (/^[=+\-@\t\r]/.test(text) ? `'${text}` : text);
  const cell = (value) => {
    if (value === null) return "";
    if (typeof value === "number") return String(value);
    return `"${harmless(Array.isArray(value) ? value.join("; ") : value).replaceAll('"', '""')}"`;
  };

  function csv(rows) {
    const records = rows.map(record);
    const names = Object.keys(records[0] ?? { id: "" });
    return [names.join(","), ...records.map((r) => names.map((name) => cell(r[name])).join(","))].join("\r\n") + "\r\n";
  }

  const json = (rows) => JSON.stringify(rows.map(record), null, 1);
  const ids = (rows) => rows.map((i) => HF.config.raw[i] ?? HF.data.id[i]).join("\n");

  function save(name, type, text) {
    const url = URL.createObjectURL(new Blob([text], { type }));
    el("a", { href: url, download: name }).click();
    setTimeout(() => URL.revokeObjectURL(url), 10_000);
  }

  async function copy(text) {
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      // Without the permission, or from the disk in some browsers: the old way.
      const area = el("textarea", { class: "sr-only" });
      area.value = text;
      document.body.append(area);
      area.select();
      document.execCommand("copy");
      area.remove();
    }
    HF.say("Ids copied");
  }

  function buttons(rows) {
    return [
      el("button", { type: "button", text: "CSV", "aria-label": "Download as CSV", onclick: () => save("datasets.csv", "text/csv;charset=utf-8", "\ufeff" + csv(rows())) }),
      el("button", { type: "button", text: "JSON", "aria-label": "Download as JSON", onclick: () => save("datasets.json", "application/json", json(rows())) }),
      el("button", { type: "button", text: "Copy ids", onclick: () => copy(ids(rows())) }),
    ];
  }
  return { csv, json, ids, buttons };
})();
