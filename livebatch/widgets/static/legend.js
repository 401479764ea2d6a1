// What a picture says in words: its legend, what a screen reader hears, and that nothing came yet.

const TELL_MS = 5000;

function legend(el) {
  const row = add(el, "div", "livebatch-legend");
  return (entries) => {
    while (row.children.length > entries.length) row.lastChild.remove();
    entries.forEach(({ colour, alpha = 1, key, value }, i) => {
      const entry = row.children[i] ?? chip(row);
      const [mark, name, amount] = entry.children;
      mark.style.background = colour;
      mark.style.opacity = alpha;
      entry.title = key;
      say(name, key);
      say(amount, value);
    });
  };
}

function chip(row) {
  const entry = add(row, "span", "livebatch-chip");
  for (const tag of ["i", "span", "b"]) add(entry, tag);
  return entry;
}

// Describes a picture every few seconds, not at every frame: `describe` is called when it is time.
function narrator(el) {
  let [last, timer] = [-Infinity, 0];
  el.setAttribute("role", "img");
  return {
    tell(describe) {
      clearTimeout(timer);
      const speak = () => {
        last = performance.now();
        el.setAttribute("aria-label", describe());
      };
      const wait = last + TELL_MS - performance.now();
      if (wait <= 0) speak();
      else timer = setTimeout(speak, wait);
    },
    end: () => clearTimeout(timer),
  };
}

function waiting(el, empty) {
  el.classList.toggle("livebatch-waiting", empty);
}

const calm = () => matchMedia("(prefers-reduced-motion: reduce)").matches;
