// Time from left to right, a lane for each bucket or key, and colours for how much there is.

const CONTRAST = 8; // how much more room small amounts get on the scale of colours

painters.heatmap = async ({ model, el, item }) => {
  const row = add(el, "div", "livebatch-legend");
  const scale = add(row, "span", "livebatch-scale");
  const [least, ramp, most] = ["span", "i", "span"].map((tag) => add(scale, tag));
  say(least, "0");
  const figure = await embed(model, el, item);
  const { plot } = figure;
  const source = figure.find("heat");
  const hues = plot.tags.map((hex) => parseInt(hex.slice(1), 16));
  const columns = new Map();
  let [heat, spans, margin] = [null, [], 0];
  figure.themed = () => heat && paint();
  explain(plot, (_, { x, y }) => {
    const span = spans.find(({ left, right }) => left <= x && x < right);
    const lane = Math.floor(y);
    if (!span) return { note: page.clock(x), rows: [] };
    const value = page.exact(span.cells[lane]);
    return { note: page.clock(span.right), key: lanes.name(heat.lanes, lane), value };
  });

  function apply(picture, [buffer], key) {
    const values = numbers(buffer);
    const { n } = picture;
    const wide = n ? values.length / n - 2 : 0;
    if (picture.whole || key) columns.clear();
    for (let i = 0; i < n; i++) {
      const cells = values.subarray(2 * n + i * wide, 2 * n + (i + 1) * wide);
      columns.set(values[2 * i], { start: values[2 * i], end: values[2 * i + 1], cells });
    }
    heat = picture;
    for (const [start, { end }] of columns) {
      if (end <= heat.end - heat.window) columns.delete(start);
    }
  }

  function paint() {
    const count = lanes.count(heat.lanes);
    waiting(el, !columns.size || !count);
    if (!columns.size || !count) return;
    spans = spread([...columns.values()].sort((a, b) => a.start - b.start), heat.pace);
    timeline.slide(plot, spans[0].left, heat.end, heat.window);
    const { start } = plot.x_range;
    const top = Math.max(...spans.flatMap(({ cells }) => [...cells].map(Math.abs)));
    const colours = dark(el) ? hues : hues.toReversed();
    const width = Math.max(Math.round(el.clientWidth - margin), 200);
    const pixels = raster({ spans, count, start, end: heat.end, width, top, colours });
    source.data = {
      image: [figure.ndarray(pixels.buffer, { dtype: "uint32", shape: [count, width] })],
      ...{ x: [start], y: [0], dw: [heat.end - start], dh: [count] },
    };
    plot.x_range.setv({ end: heat.end });
    plot.y_range.setv({ start: 0, end: count });
    label(count);
    const stops = [0, 64, 128, 192, 255].map((i) => `#${colours[i].toString(16).padStart(6, "0")}`);
    ramp.style.background = `linear-gradient(to right, ${stops.join(", ")})`;
    say(most, page.compact(top));
    figure.tell(() => describe(count));
  }

  function label(count) {
    const ticks = lanes.ticks(heat.lanes, count);
    margin = timeline.label(plot, el, ticks, margin);
    row.style.paddingLeft = `${margin}px`;
  }

  function describe(count) {
    const { cells } = spans.at(-1);
    const largest = cells.indexOf(Math.max(...cells));
    const lane = largest < count ? lanes.name(heat.lanes, largest) : "";
    const amount = page.compact(cells[largest]);
    return `Heat map over time of ${model.get("name")}: most at ${lane}, ${amount}`;
  }

  return { source, apply, paint, dispose: figure.dispose };
};

// Lanes are buckets of a quantity, the lowest at the bottom, or keys.
const lanes = {
  count: ({ keys, count }) => keys?.length ?? count ?? 0,

  name({ keys, start, step }, i) {
    if (keys) return keys[i] ?? "";
    return `${page.exact((start + i) * step)} to ${page.exact((start + i + 1) * step)}`;
  },

  ticks({ keys, start, step }, count) {
    if (keys) return keys.map((key, i) => [i + 0.5, key]);
    const every = [1, 2, 5, 10, 20, 50].find((n) => count / n <= 6) ?? 100;
    const ticks = [];
    for (let i = 0; i <= count; i++) {
      if ((start + i) % every === 0) ticks.push([i, page.compact((start + i) * step)]);
    }
    return ticks;
  },
};

// A slice reaches back to the one before it, or as far as usual if there is a gap.
function spread(columns, pace) {
  return columns.map(({ start, end, cells }, i) => {
    const before = columns[i - 1]?.end ?? -Infinity;
    const left = start - before <= GAP * (pace || Infinity) ? before : start - (pace || 1000);
    return { left: Number.isFinite(left) ? left : start - (pace || 1000), right: end, cells };
  });
}

function raster({ spans, count, start, end, width, top, colours }) {
  const pixels = new Uint32Array(count * width);
  const share = Math.log1p(CONTRAST);
  const place = (at) => Math.round(((at - start) / (end - start)) * width);
  for (const { left, right, cells } of spans) {
    const [from, to] = [Math.max(place(left), 0), Math.min(place(right), width)];
    for (let lane = 0; lane < count; lane++) {
      if (!cells[lane] || !top) continue;
      const heat = Math.log1p((CONTRAST * Math.abs(cells[lane])) / top) / share;
      const rgb = colours[Math.round(255 * heat)];
      const abgr = (0xff000000 | ((rgb & 0xff) << 16) | (rgb & 0xff00) | (rgb >> 16)) >>> 0;
      pixels.fill(abgr, lane * width + from, lane * width + to);
    }
  }
  return pixels;
}
