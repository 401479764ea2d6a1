// The median as a line, and shades for how far the rest lies from it.

const SHADES = [0.36, 0.2, 0.12, 0.07];

painters.bands = async ({ model, el, item }) => {
  const show = legend(el);
  const figure = await embed(model, el, item);
  const { plot } = figure;
  const [shades, source] = [figure.find("shades"), figure.find("median")];
  const colour = plot.renderers[1].glyph.line_color.value ?? plot.renderers[1].glyph.line_color;
  const amounts = new Steady();
  let track = { x: new Float64Array(), ys: [], percents: [], end: null, window: 0, pace: 0 };
  explain(plot, (_, { snap_x }) => {
    const at = track.x.indexOf(snap_x);
    return { note: page.clock(snap_x), rows: at < 0 ? [] : rows(at).reverse() };
  });

  function apply(picture, [buffer], key) {
    const values = numbers(buffer);
    const { n, whole, percents } = picture;
    const old = whole || key ? null : track;
    const column = (i) => values.subarray(i * n, (i + 1) * n);
    const x = timeline.joined(old?.x, column(0));
    const ys = percents.map((_, i) => timeline.joined(old?.ys[i], column(i + 1)));
    const { end, window, pace } = picture;
    const first = end === null ? 0 : timeline.first(x, end - window);
    track = { x: x.slice(first), ys: ys.map((y) => y.slice(first)), percents, end, window, pace };
  }

  function paint() {
    const { x, ys, percents } = track;
    waiting(el, !x.length);
    const middle = nearest(percents);
    const gaps = timeline.gaps(x, track.pace);
    source.data = {
      x: timeline.broken(x, gaps),
      y: timeline.broken(ys[middle] ?? x, gaps),
    };
    shades.data = areas(x, ys, middle, gaps);
    if (!x.length) return;
    show(rows(x.length - 1));
    timeline.slide(plot, x[0], track.end, track.window);
    plot.y_range.setv(amounts.fit(...timeline.reach(ys)));
    figure.tell(() => {
      const said = rows(track.x.length - 1).map(({ key, value }) => `${key} ${value}`);
      return `Percentiles over time of ${model.get("name")}: ${said.join(", ")}`;
    });
  }

  function rows(at) {
    const middle = nearest(track.percents);
    return track.percents.map((percent, i) => ({
      colour,
      alpha: i === middle ? 1 : shade(i < middle ? middle - i - 1 : i - middle - 1) + 0.14,
      key: `p${percent}`,
      value: page.compact(track.ys[i][at]),
    }));
  }

  return { source, apply, paint, dispose: figure.dispose };
};

const shade = (depth) => SHADES[Math.min(depth, SHADES.length - 1)];

function nearest(percents) {
  const away = percents.map((percent) => Math.abs(percent - 50));
  return away.indexOf(Math.min(...away));
}

// An area for each two neighbours, in pieces where there are gaps.
function areas(x, ys, middle, gaps) {
  const data = { xs: [], ys: [], alpha: [] };
  for (let i = 0; i + 1 < ys.length; i++) {
    let from = 0;
    for (const gap of [...gaps, x.length]) {
      const [across, low, high] = [x, ys[i], ys[i + 1]].map((values) => values.slice(from, gap));
      data.xs.push(timeline.joined(across, across.slice().reverse()));
      data.ys.push(timeline.joined(low, high.slice().reverse()));
      data.alpha.push(shade(i < middle ? middle - i - 1 : i - middle));
      from = gap;
    }
  }
  return data;
}
