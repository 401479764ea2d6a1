// The newest batch. Cells are reused, so that a selection or a scroll position survives a batch;
// a click on a header has the kernel sort all of its rows.

const MARK_MS = 900;
const TURNS = ["none", "descending", "ascending"];

painters.table = async ({ el, note, send }) => {
  const frame = add(el, "div", "livebatch-table");
  const table = add(frame, "table");
  const head = add(add(table, "thead"), "tr");
  const body = add(table, "tbody");
  const source = { data: {} };
  let [shown, sorted, before] = [null, "", new Map()];
  waiting(el, true);

  function apply(picture) {
    shown = picture;
    const columns = picture.names.map((name, i) => [name, picture.rows.map((row) => row[i])]);
    source.data = Object.fromEntries(columns);
  }

  function paint() {
    const numeric = new Set(shown.numeric);
    waiting(el, !shown.names.length);
    const { rows } = shown;
    fit(body, rows.length, "tr");
    fit(head, shown.names.length, "th");
    shown.names.forEach((name, i) => title(head.children[i], i, name, numeric.has(i)));
    rows.forEach((row, i) => fill(body.children[i], row, numeric));
    mark(rows, numeric);
    note(counted(shown));
  }

  function title(cell, i, name, right) {
    const button = cell.firstChild ?? add(cell, "button", "livebatch-sort");
    const turn = shown.order?.[0] === i ? shown.order[1] : "none";
    button.type = "button";
    cell.scope = "col";
    cell.classList.toggle("livebatch-number", right);
    cell.setAttribute("aria-sort", turn);
    if (button.textContent !== name) button.textContent = button.title = name;
    const way = TURNS[(TURNS.indexOf(turn) + 1) % TURNS.length];
    button.onclick = () => send({ do: "sort", column: i, way });
  }

  // Shows for a moment which cells are new, unless most of them are: that would say nothing.
  function mark(rows, numeric) {
    const [old, now, same] = [before, identified(rows, numeric), sorted === String(shown.order)];
    [before, sorted] = [now, String(shown.order)];
    if (calm() || !same) return;
    const changed = [...now].flatMap(([key, row], i) =>
      row.flatMap((text, j) => (old.has(key) && old.get(key)[j] !== text ? [[i, j]] : [])),
    );
    if (2 * changed.length > rows.length * shown.names.length) return;
    for (const [i, j] of changed) flash(body.children[i].children[j]);
  }

  function dispose() {
    note("");
    waiting(el, false);
    el.replaceChildren();
  }

  return { source, apply, paint, dispose };
};

function flash(cell) {
  for (const running of cell.getAnimations()) running.cancel();
  const tint = "color-mix(in srgb, var(--jp-brand-color1, #2196f3) 28%, transparent)";
  cell.animate([{ backgroundColor: tint }, {}], { duration: MARK_MS, easing: "ease-out" });
}

// Rows by what names them: their texts if those tell them apart, else their place.
function identified(rows, numeric) {
  const named = rows.map((row) => row.filter((_, i) => !numeric.has(i)).join("\0"));
  const apart = new Set(named).size === rows.length;
  return new Map(rows.map((row, i) => [apart ? named[i] : i, row]));
}

function counted({ rows, total }) {
  const all = total.toLocaleString("en");
  const some = rows.length < total ? `${rows.length} of ${all}` : all;
  return `${some} ${total === 1 ? "row" : "rows"}`;
}

function fit(parent, n, tag) {
  while (parent.children.length > n) parent.lastChild.remove();
  while (parent.children.length < n) add(parent, tag);
}

function fill(row, texts, numeric) {
  fit(row, texts.length, "td");
  texts.forEach((text, i) => {
    const cell = row.children[i];
    cell.classList.toggle("livebatch-number", numeric.has(i));
    if (cell.textContent !== text) cell.textContent = cell.title = text;
  });
}
