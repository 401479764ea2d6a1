// How often values of each size came; the outermost bars hold what lies far out.

const FEWEST_BINS = 8;
const OUTSIDE = 0.35;

painters.histogram = async ({ model, el, item, note }) => {
  const figure = await embed(model, el, item);
  const { plot } = figure;
  const source = figure.find("bins");
  const amounts = new Steady();
  let bins = null;
  explain(plot, ({ low, high, count }, { index }) => ({
    note: bins.column,
    key: named(low[index], high[index]),
    value: page.exact(count[index]),
  }));

  function apply(picture, [buffer]) {
    bins = { ...picture, counts: numbers(buffer) };
  }

  function paint() {
    const { start, step, counts, window, column } = bins;
    const total = counts.reduce((a, b) => a + b, 0);
    waiting(el, !total);
    if (!total) return;
    const last = counts.length - 1;
    const shown = [...counts.keys()].filter((i) => counts[i] || (i && i < last));
    const edge = (i) => (start + i - 1) * step;
    source.data = {
      left: shown.map((i) => edge(i) + 0.04 * step),
      right: shown.map((i) => edge(i + 1) - 0.04 * step),
      count: shown.map((i) => counts[i]),
      alpha: shown.map((i) => (i && i < last ? 1 : OUTSIDE)),
      low: shown.map((i) => (i ? edge(i) : -Infinity)),
      high: shown.map((i) => (i < last ? edge(i + 1) : Infinity)),
    };
    const [first, end] = [edge(shown[0]), edge(shown.at(-1) + 1)];
    const room = Math.max(FEWEST_BINS * step - (end - first), 0.5 * step) / 2;
    plot.x_range.setv({ start: first - room, end: end + room });
    plot.y_range.setv(amounts.fit(0, Math.max(...counts)));
    note(`${total.toLocaleString("en")} values of ${column} in ${window / 1e3} s`);
    figure.tell(() => {
      const most = counts.indexOf(Math.max(...counts));
      const where = named(most ? edge(most) : -Infinity, most < last ? edge(most + 1) : Infinity);
      const name = model.get("name");
      return `Histogram of ${column} in ${name}: ${total} values, most of them ${where}`;
    });
  }

  function dispose() {
    note("");
    figure.dispose();
  }

  return { source, apply, paint, dispose };
};

function named(low, high) {
  if (low === -Infinity) return `below ${page.exact(high)}`;
  if (high === Infinity) return `${page.exact(low)} and more`;
  return `${page.exact(low)} to ${page.exact(high)}`;
}
