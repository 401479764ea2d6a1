// Lines over time. Points are kept here and trimmed to the window, so that a page that does not
// paint (a hidden tab) does not grow either.

const HEAD_ROOM = 0.008; // of the width, so that the newest point is drawn whole

painters.line = async ({ model, el, item }) => {
  const legend = add(el, "div", "livebatch-legend");
  const figure = await embed(model, el, item);
  const [source, heads] = [figure.find("lines"), figure.find("heads")];
  const palette = figure.plot.tags;
  const lines = new Map();
  explain(figure.plot, ({ key, colour }, { index, snap_x, snap_y }) => ({
    colour: colour[index],
    key: key[index],
    value: page.exact(snap_y),
    note: page.clock(snap_x),
  }));
  let [end, window] = [null, 0];

  function apply(picture, [buffer], key) {
    const values = numbers(buffer);
    let at = 0;
    const take = (n) => values.subarray(at, (at += n));
    if (key) lines.clear();
    for (const name of picture.drop) lines.delete(name);
    for (const { key: name, slot, whole, n } of picture.lines) {
      const [x, y] = [take(n), take(n)];
      const old = whole ? null : lines.get(name);
      lines.set(name, { slot, x: joined(old?.x, x), y: joined(old?.y, y) });
    }
    ({ end, window } = picture);
    if (end !== null) for (const line of lines.values()) trim(line, end - window);
  }

  function paint() {
    const shown = [...lines].filter(([, line]) => line.x.length);
    shown.sort(([, a], [, b]) => a.slot - b.slot);
    const all = shown.map(([, line]) => line);
    const colours = all.map(({ slot }) => palette[slot]);
    source.data = {
      xs: all.map(({ x }) => x),
      ys: all.map(({ y }) => y),
      key: shown.map(([key]) => key),
      colour: colours,
    };
    heads.data = {
      x: all.map(({ x }) => x.at(-1)),
      y: all.map(({ y }) => y.at(-1)),
      colour: colours,
    };
    label(legend, shown, palette, model.get("name"));
    if (!all.length) return;
    const first = Math.min(...all.map(({ x }) => x[0]));
    const span = Math.min(window, Math.max(end - first, window / 6));
    figure.plot.x_range.setv({ start: end - span, end: end + HEAD_ROOM * span });
    figure.plot.y_range.setv(extent(all.map(({ y }) => y)));
  }

  return { source, apply, paint, dispose: figure.dispose };
};

function joined(old, fresh) {
  if (!old?.length) return fresh;
  const all = new Float64Array(old.length + fresh.length);
  all.set(old);
  all.set(fresh, old.length);
  return all;
}

function trim(line, left) {
  // One point past the edge stays, so that the line enters from the border.
  let first = line.x.findIndex((x) => x >= left) - 1;
  if (first === -2) first = line.x.length;
  if (first <= 0) return;
  line.x = line.x.slice(first);
  line.y = line.y.slice(first);
}

// Amounts start at zero unless that would press the lines flat.
function extent(columns) {
  let [low, high] = [Infinity, -Infinity];
  for (const column of columns) {
    for (const y of column) {
      if (y < low) low = y;
      if (y > high) high = y;
    }
  }
  const room = 0.08 * (high - low || Math.abs(high) || 1);
  const grounded = low >= 0 && low <= 0.5 * high;
  return { start: grounded ? 0 : low - room, end: high + room };
}

function label(legend, shown, palette, title) {
  while (legend.children.length > shown.length) legend.lastChild.remove();
  shown.forEach(([key, { slot, y }], i) => {
    const entry = legend.children[i] ?? chip(legend);
    const [mark, name, value] = entry.children;
    mark.style.background = palette[slot];
    name.textContent = entry.title = key === title && shown.length === 1 ? "" : key;
    value.textContent = page.compact(y.at(-1));
  });
}

function chip(legend) {
  const entry = add(legend, "span", "livebatch-chip");
  for (const tag of ["i", "span", "b"]) add(entry, tag);
  return entry;
}
