// What went wrong: the failure of a batch, and the records that were left out of batches.
// What the reader has opened stays open while news comes in.

class Failure {
  constructor(el) {
    this.el = add(el, "details", "livebatch-error");
    this.el.dataset.lmSuppressShortcuts = "true";
    this.title = add(this.el, "summary");
    this.pre = add(this.el, "pre");
    this.el.hidden = true;
    this.trouble = this.own = null;
  }

  show(text) {
    this.trouble = text;
    this.update();
  }

  broken(text) {
    this.own = text;
    this.update();
  }

  update() {
    const text = this.trouble ?? this.own;
    this.el.hidden = !text;
    if (!text || text === this.pre.textContent) return;
    say(this.title, text.split("\n").at(-1));
    say(this.pre, text);
    announce(this.title.textContent);
  }
}

let tables = 0;

class ErrorTable {
  constructor(el, toggle) {
    this.el = add(el, "section", "livebatch-bad");
    this.el.id = `livebatch-bad-${(tables += 1)}`;
    this.el.dataset.lmSuppressShortcuts = "true";
    this.el.hidden = true;
    this.el.setAttribute("aria-label", "Records left out");
    this.total = add(this.el, "p");
    const table = add(this.el, "table");
    const head = add(add(table, "thead"), "tr");
    for (const text of ["times", "error", "at", "for records such as"]) {
      add(head, "th").textContent = text;
    }
    this.body = add(table, "tbody");
    this.rows = new Map();
    this.toggle = toggle;
    toggle.setAttribute("aria-controls", this.el.id);
    toggle.onclick = () => this.open(this.el.hidden);
    this.open(false);
  }

  open(open) {
    this.el.hidden = !open;
    this.toggle.setAttribute("aria-expanded", open);
  }

  show(errors) {
    if (!errors) this.open(false);
    const { count, seen, kinds } = errors ?? { count: 0, seen: 0, kinds: [] };
    const [left, all] = [count, seen].map((n) => n.toLocaleString("en"));
    say(this.total, `${left} of ${all} records left out`);
    const ids = kinds.map(({ error, where }) => `${error.split(":")[0]} ${where}`);
    for (const [id, row] of this.rows) {
      if (!ids.includes(id)) this.rows.delete(id), row.remove();
    }
    kinds.forEach((kind, i) => this.fill(this.row(ids[i], kind), kind));
  }

  row(id, { error }) {
    if (!this.rows.has(id)) {
      const row = document.createElement("tr");
      this.body.prepend(row);
      this.rows.set(id, row);
      const cells = ["times", "what", "where", "records"].map((name) => add(row, "td", name));
      const details = add(cells[1], "details");
      add(details, "summary");
      add(details, "pre");
      announce(`New error: ${error}`);
    }
    return this.rows.get(id);
  }

  fill(row, { error, where, times, records, traceback }) {
    const [count, what, place, some] = row.children;
    say(count, times.toLocaleString("en"));
    say(what.querySelector("summary"), error);
    say(what.querySelector("pre"), traceback);
    say(place, where);
    while (some.children.length > records.length) some.lastChild.remove();
    while (some.children.length < records.length) add(some, "code");
    [...records].reverse().forEach((record, i) => {
      say(some.children[i], record);
      some.children[i].title = record;
    });
  }
}

// Said by screen readers when they have said what they are at.
function announce(text) {
  page.herald ??= add(document.body, "div", "livebatch-herald");
  page.herald.setAttribute("aria-live", "polite");
  page.herald.textContent = text;
}
