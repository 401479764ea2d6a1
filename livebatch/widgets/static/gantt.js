// When things began and how long they took, in lanes; the first lane is the highest.

const FEWEST_LANES = 4; // fewer lanes than this do not become higher
const HALF = 0.36; // of a bar's height

painters.gantt = async ({ model, el, item }) => {
  const show = legend(el);
  const figure = await embed(model, el, item);
  const { plot } = figure;
  const source = figure.find("spans");
  const palette = plot.tags;
  let [shown, margin] = [null, 0];
  explain(plot, ({ colour, key, value, note }, { index }) => ({
    colour: colour[index],
    key: key[index],
    value: value[index],
    note: note[index],
  }));

  function apply(picture, [buffer]) {
    const values = numbers(buffer);
    const column = (i) => values.subarray(i * picture.n, (i + 1) * picture.n);
    const [begun, took, lane, name] = [0, 1, 2, 3].map(column);
    shown = { ...picture, begun, took, lane, name };
  }

  function paint() {
    const { end, window, lanes, names, begun, took, lane, name } = shown;
    waiting(el, !begun.length);
    if (!begun.length) return;
    const [of, open] = [[...name].map((i) => names[i]), took.map(Number.isNaN)];
    source.data = {
      left: begun,
      right: begun.map((at, i) => (open[i] ? Math.max(at, end) : at + took[i])),
      top: lane.map((i) => i - HALF),
      bottom: lane.map((i) => i + HALF),
      colour: of.map(([, , slot]) => palette[slot]),
      key: of.map(([key, detail]) => detail || key),
      value: [...took].map((ms) => (Number.isNaN(ms) ? "goes on" : `${page.compact(ms)} ms`)),
      note: of.map(([key], i) => `${key} · ${lanes[lane[i]]} · ${page.clock(begun[i])}`),
    };
    const colours = new Map(names.map(([key, , slot]) => [key, palette[slot]]));
    show([...colours].slice(0, palette.length).map(([key, colour]) => ({ key, colour, value: "" })));
    timeline.slide(plot, Math.min(...begun), end, window);
    plot.y_range.setv({ start: Math.max(lanes.length, FEWEST_LANES) - 0.5, end: -0.5 });
    margin = timeline.label(plot, el, lanes.map((key, i) => [i, key]), margin);
    figure.tell(() => describe(of));
  }

  function describe(of) {
    const { lanes } = shown;
    const places = lanes.length === 1 ? "1 lane" : `${lanes.length} lanes`;
    return `Bars over time of ${model.get("name")}: ${of.length} in ${places}, newest ${of.at(-1)[0]}`;
  }

  return { source, apply, paint, dispose: figure.dispose };
};
