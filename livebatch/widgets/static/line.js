// Lines over time. Points are kept here and trimmed to the window, so that a page that does not
// paint (a hidden tab) does not grow either.

class Lines {
  constructor() {
    this.all = new Map();
    [this.end, this.window, this.pace] = [null, 0, 0];
  }

  apply(picture, [buffer], key) {
    const values = numbers(buffer);
    let at = 0;
    const take = (n) => values.subarray(at, (at += n));
    if (key) this.all.clear();
    for (const name of picture.drop) this.all.delete(name);
    for (const { key: name, slot, whole, n } of picture.lines) {
      const [x, y] = [take(n), take(n)];
      const old = whole ? null : this.all.get(name);
      const joined = [timeline.joined(old?.x, x), timeline.joined(old?.y, y)];
      this.all.set(name, { key: name, slot, x: joined[0], y: joined[1] });
    }
    ({ end: this.end, window: this.window, pace: this.pace } = picture);
    if (this.end !== null) for (const line of this.all.values()) this.trim(line);
  }

  trim(line) {
    const first = timeline.first(line.x, this.end - this.window);
    if (!first) return;
    line.x = line.x.slice(first);
    line.y = line.y.slice(first);
  }

  get shown() {
    return [...this.all.values()].filter(({ x }) => x.length);
  }

  describe(kind, name) {
    const said = this.shown.map(({ key, y }) => `${key} ${page.compact(y.at(-1))}`);
    return `${kind} of ${name}: ${said.join(", ")}`;
  }
}

painters.line = async ({ model, el, item }) => {
  const show = legend(el);
  const figure = await embed(model, el, item);
  const { plot } = figure;
  const [source, heads] = [figure.find("lines"), figure.find("heads")];
  const palette = plot.tags;
  const [lines, amounts] = [new Lines(), new Steady()];
  const name = model.get("name");
  explain(plot, ({ key, colour }, { index, snap_x, snap_y }) => ({
    colour: colour[index],
    key: key[index],
    value: page.exact(snap_y),
    note: page.clock(snap_x),
  }));

  function paint() {
    const shown = lines.shown.sort((a, b) => a.slot - b.slot);
    const [xs, ys] = [shown.map(({ x }) => x), shown.map(({ y }) => y)];
    const gaps = xs.map((x) => timeline.gaps(x, lines.pace));
    const colour = shown.map(({ slot }) => palette[slot]);
    const key = shown.map((line) => line.key);
    source.data = {
      ...{ xs, ys, key, colour },
      x: xs.map((x, i) => timeline.broken(x, gaps[i])),
      y: ys.map((y, i) => timeline.broken(y, gaps[i])),
    };
    heads.data = { x: xs.map((x) => x.at(-1)), y: ys.map((y) => y.at(-1)), colour };
    waiting(el, !shown.length);
    if (!shown.length) return;
    const alone = key.length === 1 && key[0] === name;
    show(
      shown.map(({ y }, i) => ({
        colour: colour[i],
        key: alone ? "" : key[i],
        value: page.compact(y.at(-1)),
      })),
    );
    timeline.slide(plot, Math.min(...xs.map((x) => x[0])), lines.end, lines.window);
    plot.y_range.setv(amounts.fit(...timeline.reach(ys)));
    figure.tell(() => lines.describe("Lines over time", name));
  }

  const apply = (...message) => lines.apply(...message);
  return { source, apply, paint, dispose: figure.dispose };
};
