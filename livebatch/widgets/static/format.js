// How times and amounts are written; figures find these functions on the page's object.

const formats = new Map();

function compact(value, digits) {
  if (!formats.has(digits)) {
    const options = { notation: "compact", maximumSignificantDigits: digits };
    formats.set(digits, new Intl.NumberFormat("en", options));
  }
  return formats.get(digits).format(value);
}

const long = new Intl.NumberFormat("en", { maximumSignificantDigits: 6 });

page.compact = (value) => compact(value, 3);
page.exact = (value) => long.format(value);

// As many digits as tell an axis's ticks apart.
page.tick = (value, ticks) => {
  const step = ticks.length > 1 ? Math.abs(ticks[1] - ticks[0]) : 1;
  const largest = Math.max(...ticks.map(Math.abs));
  const digits = Math.ceil(Math.log10(largest / step || 1)) + 1;
  return compact(value, Math.min(Math.max(digits, 3), 15));
};

// The reader's own time of day, with tenths where seconds alone would repeat themselves.
page.clock = (ms) => {
  const rest = Math.round(ms) % 1000;
  const time = new Date(ms).toTimeString().slice(0, 8);
  return rest ? time + (rest / 1000).toFixed(1).slice(1) : time;
};
