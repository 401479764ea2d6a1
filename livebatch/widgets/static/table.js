// The newest batch. Cells are reused, so that a selection or a scroll position survives a batch.

painters.table = async ({ el, note }) => {
  const frame = add(el, "div", "livebatch-table");
  const table = add(frame, "table");
  const head = add(add(table, "thead"), "tr");
  const body = add(table, "tbody");
  const source = { data: {} };
  let shown = null;

  function apply(picture) {
    shown = picture;
    const columns = picture.names.map((name, i) => [name, picture.rows.map((row) => row[i])]);
    source.data = Object.fromEntries(columns);
  }

  function paint() {
    const numeric = new Set(shown.numeric);
    fit(body, shown.rows.length, "tr");
    fill(head, shown.names, numeric, "th");
    shown.rows.forEach((row, i) => fill(body.children[i], row, numeric, "td"));
    const all = shown.total.toLocaleString("en");
    const some = shown.rows.length < shown.total ? `${shown.rows.length} of ${all}` : all;
    note(`${some} ${shown.total === 1 ? "row" : "rows"}`);
  }

  return { source, apply, paint, dispose: () => el.replaceChildren() };
};

function fit(parent, n, tag) {
  while (parent.children.length > n) parent.lastChild.remove();
  while (parent.children.length < n) add(parent, tag);
}

function fill(row, texts, numeric, tag) {
  fit(row, texts.length, tag);
  texts.forEach((text, i) => {
    const cell = row.children[i];
    cell.classList.toggle("livebatch-number", numeric.has(i));
    if (cell.textContent !== text) cell.textContent = cell.title = text;
  });
}
