// The line under a picture: how the newest batch went.

const SKIPPED_MS = 10_000;

class StatusLine {
  constructor(foot) {
    this.el = add(foot, "span", "livebatch-line");
    this.el.setAttribute("aria-live", "off");
    this.skipped = add(this.el, "span", "livebatch-skipped");
    this.skips = null;
    this.text = add(this.el, "span", "livebatch-status");
    this.figures = add(this.el, "span", "livebatch-figures");
    this.word = add(this.figures, "b", "livebatch-word");
    this.time = add(this.figures, "span", "livebatch-time");
    this.rate = add(this.figures, "span", "livebatch-rate");
    this.load = add(this.figures, "span", "livebatch-load");
    this.meter = add(add(this.load, "span", "livebatch-meter"), "i");
    this.took = add(this.load, "span");
    this.delay = add(this.figures, "span", "livebatch-delay");
    this.errors = add(this.el, "button", "livebatch-toggle");
    Object.assign(this.errors, { type: "button", hidden: true });
    this.errors.dataset.lmSuppressShortcuts = "true";
    this.figures.hidden = true;
  }

  show({ status, figures, errors, skipped }, key) {
    if (status) [this.said, this.level] = status;
    if (figures !== undefined) this.draw(figures);
    if (errors !== undefined) this.count(errors?.count ?? 0);
    if (skipped !== undefined) this.skip(skipped, key);
    if (status || figures !== undefined) this.settle();
  }

  settle() {
    if (this.gone) return;
    if (this.said) this.el.dataset.level = this.level;
    this.el.title = this.figures.hidden ? "" : this.said;
    say(this.text, this.figures.hidden ? (this.said ?? "") : "");
  }

  detach(gone) {
    this.gone = gone;
    if (!gone) return this.settle();
    this.figures.hidden = true;
    this.el.dataset.level = "warn";
    say(this.text, "detached — run %engine attach");
  }

  draw(figures) {
    this.figures.hidden = !figures;
    if (!figures) return;
    const { time, interval, rows, read, processing, began, word } = figures;
    const [into, out] = [read, rows].map((n) => n !== null && page.compact((n * 1000) / interval));
    const share = Math.round((100 * processing) / interval);
    say(this.word, word);
    say(this.time, page.clock(time));
    say(this.rate, `${into === false ? "" : `${into} → `}${out} rows/s`);
    this.rate.title =
      into === false ? "rows of this stream, per second" : "records read → rows made, per second";
    this.meter.style.width = `${Math.min(share, 100)}%`;
    say(this.took, `${page.millis(processing)} (${share} %)`);
    this.load.title = `processing took ${share} % of the ${page.millis(interval)} between batches`;
    say(this.delay, `delay ${page.millis(began)}`);
    this.delay.title = "scheduling delay: from the batch time until its first task began";
  }

  count(errors) {
    this.errors.hidden = !errors;
    say(this.errors, `${page.compact(errors)} ${errors === 1 ? "error" : "errors"}`);
    this.errors.title = `${errors.toLocaleString("en")} records left out: show what they raised`;
  }

  skip(total, key) {
    const news = this.skips !== null && !key ? total - this.skips : 0;
    this.skips = total;
    if (news <= 0) return;
    this.lately = (this.lately ?? 0) + news;
    say(this.skipped, `${page.compact(this.lately)} frames skipped`);
    this.skipped.title = "This page or the kernel could not keep up; no data was lost.";
    clearTimeout(this.timer);
    this.timer = setTimeout(() => say(this.skipped, ((this.lately = 0), "")), SKIPPED_MS);
  }

  dispose() {
    clearTimeout(this.timer);
  }
}

page.millis = (ms) => (ms < 1000 ? `${ms} ms` : `${(ms / 1000).toFixed(1)} s`);
