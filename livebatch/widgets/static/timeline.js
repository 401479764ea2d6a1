// What pictures of the past share: gaps, the window that slides, ranges that keep calm.

const HEAD_ROOM = 0.008; // of the width, so that the newest point is drawn whole
const GAP = 2.5; // times the usual distance
const LABEL = 22; // letters
const TICK_WIDTH = 100; // pixels that a time of day takes, and room

const timeline = {
  joined(old, fresh) {
    if (!old?.length) return fresh;
    const all = new Float64Array(old.length + fresh.length);
    all.set(old);
    all.set(fresh, old.length);
    return all;
  },

  // Where to cut so that one point past the edge stays: a line enters from the border.
  first(x, left) {
    const inside = x.findIndex((at) => at >= left);
    return inside < 0 ? x.length : Math.max(inside - 1, 0);
  },

  // Positions before which something is missing: batches have a pace, and so have points.
  gaps(x, pace) {
    const steps = [];
    for (let i = 1; i < x.length; i++) if (x[i] > x[i - 1]) steps.push(x[i] - x[i - 1]);
    if (steps.length < 2) return [];
    const widest = GAP * Math.max(pace, steps.sort((a, b) => a - b)[steps.length >> 1]);
    const found = [];
    for (let i = 1; i < x.length; i++) if (x[i] - x[i - 1] > widest) found.push(i);
    return found;
  },

  // A copy with a hole at each gap; the same array if there is none.
  broken(values, gaps) {
    if (!gaps.length) return values;
    const holed = new Float64Array(values.length + gaps.length);
    let [from, to] = [0, 0];
    for (const gap of [...gaps, values.length]) {
      holed.set(values.subarray(from, gap), to);
      to += gap - from;
      if (to < holed.length) holed[to++] = NaN;
      from = gap;
    }
    return holed;
  },

  slide(plot, first, end, window) {
    const span = Math.min(window, Math.max(end - first, window / 6));
    plot.x_range.setv({ start: end - span, end: end + HEAD_ROOM * span });
    const most = Math.max(Math.floor(plot.inner_width / TICK_WIDTH), 2);
    plot.below[0].ticker.setv({ desired_num_ticks: Math.min(most, 6) });
  },

  // Names lanes, [where, name] each, and returns the margin that takes: it only grows.
  label(plot, el, ticks, margin) {
    const cut = (name) => (name.length > LABEL ? `${name.slice(0, LABEL - 1)}…` : name);
    const names = new Map(ticks.map(([at, name]) => [at, cut(name)]));
    const room = Math.max(margin, Math.ceil(widest([...names.values()], el)) + 12, 52);
    const [axis] = plot.left;
    plot.setv({ min_border_left: room });
    axis.ticker.setv({ ticks: [...names.keys()] });
    axis.setv({ major_label_overrides: names });
    return room;
  },

  reach(columns) {
    let [low, high] = [Infinity, -Infinity];
    for (const column of columns) {
      for (const y of column) {
        if (y < low) low = y;
        if (y > high) high = y;
      }
    }
    return [low, high];
  },
};

// A range that grows at once and shrinks only when much of it is empty, so that a picture does not
// breathe with every batch. Amounts start at zero unless that would press them flat.
class Steady {
  constructor() {
    this.range = null;
  }

  fit(low, high) {
    const room = 0.08 * (high - low || Math.abs(high) || 1);
    const grounded = low >= 0 && low <= 0.5 * high;
    const wanted = { start: grounded ? 0 : low - room, end: high + room };
    const { start, end } = this.range ?? wanted;
    const holds = low >= start && high <= end;
    const filled = wanted.end - wanted.start >= 0.6 * (end - start);
    if (!this.range || !holds || !filled) this.range = wanted;
    return this.range;
  }
}
