// Horizontal bars, the largest on top.

const FEWEST = 8; // fewer bars than this do not become thicker
const LONGEST = 32;
const pen = document.createElement("canvas").getContext("2d");

painters.bar = async ({ model, el, item }) => {
  const figure = await embed(model, el, item);
  const { plot } = figure;
  const [axis] = plot.left;
  const source = figure.find("bars");
  explain(plot, ({ key, value }, { index }) => ({
    key: key[index],
    value: page.exact(value[index]),
  }));
  let bars = { keys: [], values: [] };
  let margin = 0;

  function apply(picture, [buffer]) {
    bars = { keys: picture.keys, values: [...numbers(buffer)] };
  }

  function paint() {
    const { keys, values } = bars;
    const names = keys.map((key) => (key.length > LONGEST ? key.slice(0, LONGEST - 1) + "…" : key));
    const ends = values.map(page.compact);
    const y = keys.map((_, i) => i);
    pen.font = `11px ${getComputedStyle(el).fontFamily}`;
    // The margin only grows: bars must not jump sideways when a long name comes and goes.
    margin = Math.max(margin, widest(names) + 12);
    plot.setv({ min_border_left: margin });
    axis.ticker.setv({ ticks: y });
    axis.setv({ major_label_overrides: new Map(names.map((name, i) => [i, name])) });
    plot.y_range.setv({ start: Math.max(keys.length, FEWEST) - 0.5, end: -0.5 });
    plot.x_range.setv(reach(values, (widest(ends) + 14) / Math.max(el.clientWidth - margin, 100)));
    source.data = { y, value: values, key: keys, text: ends };
  }

  return { source, apply, paint, dispose: figure.dispose };
};

function widest(texts) {
  return Math.max(0, ...texts.map((text) => pen.measureText(text).width));
}

// Leaves room for the amounts written behind the bars: `share` of the width.
function reach(values, share) {
  const [low, high] = [Math.min(0, ...values), Math.max(0, ...values)];
  return { start: low, end: high + ((high - low || 1) * share) / (1 - Math.min(share, 0.5)) };
}
