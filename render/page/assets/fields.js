// The columns a dataset has, as words: categories are codes into vocabularies, lists are sets of bits.
HF.fields = (() => {
  const dull = new Set(["Unknown", "Not stated", "Not applicable", "Other", "None"]);
  const axes = new Map(HF.config.axes.map(([key, heading, kind]) => [key, { heading, kind }]));
  const order = [...axes.keys()];

  const words = (key) => HF.config.vocabularies[key];
  const isList = (key) => "bits_" + key in HF.data;

  // All the words a dataset has for a field.
  function values(key, i) {
    if (!isList(key)) return [words(key)[HF.data["code_" + key][i]]];
    const bits = HF.data["bits_" + key][i];
    return words(key).filter((_, bit) => bits & (1 << bit));
  }

  // How many of the rows in `mask` have each word.
  function counts(key, mask) {
    const totals = new Uint32Array(words(key).length);
    if (isList(key)) {
      const column = HF.data["bits_" + key];
      for (let i = 0; i < mask.length; i++) if (mask[i]) for (let b = column[i], k = 0; b; b >>>= 1, k++) totals[k] += b & 1;
    } else {
      const column = HF.data["code_" + key];
      for (let i = 0; i < mask.length; i++) totals[column[i]] += mask[i];
    }
    return totals;
  }

  // 1 for every dataset that has one of the allowed words.
  function mask(key, allowed) {
    const { n } = HF.data;
    const out = new Uint8Array(n);
    if (isList(key)) {
      let bits = 0;
      for (const k of allowed) bits |= 1 << k;
      const column = HF.data["bits_" + key];
      for (let i = 0; i < n; i++) out[i] = column[i] & bits ? 1 : 0;
    } else {
      const pass = new Uint8Array(words(key).length);
      for (const k of allowed) pass[k] = 1;
      const column = HF.data["code_" + key];
      for (let i = 0; i < n; i++) out[i] = pass[column[i]];
    }
    return out;
  }

  // Days from the last change to the day of the newest card; -1 where unknown.
  function age() {
    age.column ??= HF.data.modified.map((day) => (day < 0 || HF.config.day === null ? -1 : Math.max(0, HF.config.day - day)));
    return age.column;
  }

  return { order, words, values, counts, mask, age, dull: (word) => dull.has(word), has: (key) => axes.has(key), heading: (key) => axes.get(key)?.heading ?? key, isList };
})();
