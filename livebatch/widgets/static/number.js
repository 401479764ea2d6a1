// The newest amounts in large figures, how they have changed, and the lines that led to them.

const SVG = "http://www.w3.org/2000/svg";
const [SPARK_WIDTH, SPARK_HEIGHT] = [300, 36];

painters.number = async ({ model, el }) => {
  const frame = add(el, "div", "livebatch-tiles");
  const voice = narrator(frame);
  const lines = new Lines();
  const tiles = new Map();
  const source = { data: {} };
  waiting(el, true);

  function apply(...message) {
    lines.apply(...message);
    const { shown } = lines;
    source.data = {
      key: shown.map(({ key }) => key),
      value: shown.map(({ y }) => y.at(-1)),
      ys: shown.map(({ y }) => y),
    };
  }

  function paint() {
    const { shown } = lines;
    waiting(el, !shown.length);
    const keys = new Set(shown.map(({ key }) => key));
    for (const [key, { root }] of tiles) {
      if (keys.has(key)) continue;
      root.remove();
      tiles.delete(key);
    }
    const alone = shown.length === 1 && keys.has(model.get("name"));
    for (const line of shown) {
      if (!tiles.has(line.key)) tiles.set(line.key, new Tile(frame));
      tiles.get(line.key).show(line, lines, alone ? "" : line.key);
    }
    if (shown.length) voice.tell(() => lines.describe("Numbers", model.get("name")));
  }

  function dispose() {
    voice.end();
    waiting(el, false);
    el.replaceChildren();
  }

  return { source, apply, paint, dispose };
};

class Tile {
  constructor(frame) {
    this.root = add(frame, "div", "livebatch-tile");
    this.name = add(this.root, "div", "livebatch-tile-name");
    const row = add(this.root, "div", "livebatch-tile-row");
    this.value = add(row, "b", "livebatch-tile-value");
    this.change = add(row, "span", "livebatch-tile-change");
    this.spark = this.draw(this.root, "svg", {
      ...{ class: "livebatch-spark", preserveAspectRatio: "none" },
      viewBox: `0 0 ${SPARK_WIDTH} ${SPARK_HEIGHT}`,
    });
    this.area = this.draw(this.spark, "path", { class: "livebatch-spark-area" });
    this.path = this.draw(this.spark, "path", { class: "livebatch-spark-line" });
  }

  draw(parent, tag, attributes) {
    const child = parent.appendChild(document.createElementNS(SVG, tag));
    for (const [name, value] of Object.entries(attributes)) child.setAttribute(name, value);
    return child;
  }

  show({ x, y }, { end, window, pace }, key) {
    const value = y.at(-1);
    say(this.name, key);
    this.name.hidden = !key;
    say(this.value, page.compact(value));
    this.value.title = page.exact(value);
    say(this.change, change(y[0], value));
    this.change.title = `in ${Math.round((x.at(-1) - x[0]) / 1e3)} s, from ${page.exact(y[0])}`;
    const span = Math.min(window, Math.max(end - x[0], window / 6));
    this.sketch(x, y, timeline.gaps(x, pace), end, span);
  }

  // The line in pieces, where there are gaps, and the area under it.
  sketch(x, y, gaps, end, span) {
    const [low, high] = timeline.reach([y]);
    const share = (at) => (high > low ? (at - low) / (high - low) : 0.5);
    const across = (at) => (((at - end + span) / span) * SPARK_WIDTH).toFixed(1);
    const up = (at) => (SPARK_HEIGHT - 2 - share(at) * (SPARK_HEIGHT - 4)).toFixed(1);
    let [outline, area, from] = ["", "", 0];
    for (const gap of [...gaps, x.length]) {
      const point = (at, i) => `${across(at)},${up(y[from + i])}`;
      const piece = `M${Array.from(x.subarray(from, gap), point).join("L")}`;
      outline += piece;
      area += `${piece}V${SPARK_HEIGHT}H${across(x[from])}Z`;
      from = gap;
    }
    this.path.setAttribute("d", outline);
    this.area.setAttribute("d", area);
  }
}

// No colour: that more is better, or worse, only the reader knows.
function change(before, now) {
  const by = now - before;
  if (!by) return "";
  const share = before ? ` (${page.compact(Math.abs((100 * by) / before))} %)` : "";
  return `${by > 0 ? "▲" : "▼"} ${page.compact(Math.abs(by))}${share}`;
}
