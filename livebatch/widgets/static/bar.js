// Horizontal bars, the largest on top; they glide to their new places.

const FEWEST = 8; // fewer bars than this do not become thicker
const LONGEST = 32;
const GLIDE_MS = 220;
const pen = document.createElement("canvas").getContext("2d");

painters.bar = async ({ model, el, item }) => {
  const figure = await embed(model, el, item);
  const { plot } = figure;
  const source = figure.find("bars");
  const palette = plot.tags;
  explain(plot, ({ key, value, colour }, { index }) => ({
    colour: colour[index],
    key: key[index],
    value: page.exact(value[index]),
  }));
  let bars = { keys: [], slots: [], values: [] };
  let drawn = new Map();
  let [margin, raf, painted] = [0, 0, -Infinity];

  function apply(picture, [buffer]) {
    bars = { ...picture, values: [...numbers(buffer)] };
  }

  function paint() {
    cancelAnimationFrame(raf);
    const { keys, values } = bars;
    waiting(el, !keys.length);
    const from = drawn;
    const now = performance.now();
    // Bars that change more often than they can glide would never come to rest.
    const glides = from.size && !calm() && now - painted > 2 * GLIDE_MS;
    painted = now;
    range(keys, values);
    if (keys.length) figure.tell(describe);
    if (!glides) return draw(from, 1);
    const step = (time) => {
      const t = Math.min(Math.max(time - now, 0) / GLIDE_MS, 1);
      draw(from, 1 - (1 - t) ** 3);
      if (t < 1) raf = requestAnimationFrame(step);
    };
    raf = requestAnimationFrame(step);
    draw(from, 0);
  }

  function describe() {
    const said = bars.keys.slice(0, 5).map((key, i) => `${key} ${page.compact(bars.values[i])}`);
    return `Bars of ${model.get("name")}, largest first: ${said.join(", ")}`;
  }

  // What lies a share of the way from where the bars were to where they belong.
  function draw(from, share) {
    const { keys, values, slots } = bars;
    const way = (a, b) => a + (b - a) * share;
    drawn = new Map(
      keys.map((key, i) => {
        const old = from.get(key) ?? { y: i, right: 0 };
        return [key, { y: way(old.y, i), right: way(old.right, values[i]) }];
      }),
    );
    const places = [...drawn.values()];
    source.data = {
      ...{ key: keys, value: values },
      text: values.map(page.compact),
      name: keys.map(shortened),
      colour: slots.map((slot) => palette[slot]),
      y: places.map(({ y }) => y),
      right: places.map(({ right }) => right),
      left: places.map(() => Math.min(0, ...values)),
    };
  }

  plot.properties.inner_width.change.connect(() => range(bars.keys, bars.values));

  // Names stand left of zero, amounts behind the bars: both need room.
  function range(keys, values) {
    // The margin only grows: bars must not jump sideways when a long name comes and goes.
    margin = Math.max(margin, widest(keys.map(shortened), el) + 12);
    const after = widest(values.map(page.compact), el) + 14;
    const [low, high] = [Math.min(0, ...values), Math.max(0, ...values)];
    const unit = (high - low || 1) / Math.max(el.clientWidth - margin - after, 100);
    plot.x_range.setv({ start: low - margin * unit, end: high + after * unit });
    plot.y_range.setv({ start: Math.max(keys.length, FEWEST) - 0.5, end: -0.5 });
  }

  function dispose() {
    cancelAnimationFrame(raf);
    figure.dispose();
  }

  return { source, apply, paint, dispose };
};

const shortened = (key) => (key.length > LONGEST ? key.slice(0, LONGEST - 1) + "…" : key);

// The width in pixels of the widest of some labels.
function widest(texts, el) {
  pen.font = `11px ${getComputedStyle(el).fontFamily}`;
  return Math.max(0, ...texts.map((text) => pen.measureText(text).width));
}
