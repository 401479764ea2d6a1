// What stands above a picture: its title, and controls that are quiet until they are wanted.

const ICONS = {
  pause: "M5 3h2v10H5zM9 3h2v10H9z",
  resume: "M5 3l8 5-8 5z",
  png: "M2 3h12v10H2zm1 1v6.6l3-3 2.5 2.5 1.5-1.5L13 11V4zm7 1.5a1 1 0 110 2 1 1 0 010-2z",
  csv: "M7.5 2h1v6l2-2 .7.7L8 9.9 4.8 6.7l.7-.7 2 2zM3 11h1v2h8v-2h1v3H3z",
  full: "M3 3h4v1H4v3H3zM9 3h4v4h-1V4H9zM3 9h1v3h3v1H3zM12 9h1v4H9v-1h3z",
};
const WINDOWS = [10, 30, 60, 300, 900, 3600];

class Head {
  constructor(view, el) {
    Object.assign(this, { view, el });
    // Keys pressed here are not for the notebook.
    el.dataset.lmSuppressShortcuts = "true";
    const title = view.model.get("title");
    add(el, "span", "livebatch-title").textContent = title;
    add(el, "span", "livebatch-badge").textContent = "paused";
    if (view.model.get("compact")) return;
    const bar = add(el, "div", "livebatch-toolbar");
    bar.setAttribute("role", "toolbar");
    bar.setAttribute("aria-label", `Controls of ${title}`);
    this.select = add(bar, "select", "livebatch-window");
    this.select.title = "How much of the past to show";
    this.select.setAttribute("aria-label", this.select.title);
    this.select.hidden = true;
    this.select.onchange = () => view.send({ do: "window", value: +this.select.value });
    this.toggle = control.button(bar, "pause", "Pause this view", () => view.pause(!view.paused));
    control.button(bar, "png", "Save the picture (PNG)", () => this.savePicture());
    control.button(bar, "csv", "Save the data of the picture (CSV)", () => this.order());
    const full = control.button(bar, "full", "Full screen", () => this.fill());
    full.hidden = !document.fullscreenEnabled;
    this.resize = () => requestAnimationFrame(() => this.fit());
    document.addEventListener("fullscreenchange", this.resize);
    window.addEventListener("resize", this.resize);
  }

  pressed(paused) {
    if (!this.toggle) return;
    this.toggle.setAttribute("aria-pressed", paused);
    control.name(this.toggle, paused ? "Resume this view" : "Pause this view");
    control.draw(this.toggle, paused ? "resume" : "pause");
  }

  windowed(past) {
    if (this.select) this.select.hidden = !past;
  }

  window(seconds) {
    if (!this.select) return;
    const choices = [...new Set([...WINDOWS, seconds])].sort((a, b) => a - b);
    if (this.select.length !== choices.length || !choices.includes(seconds)) {
      this.select.replaceChildren();
      for (const choice of choices) this.select.add(new Option(control.span(choice), choice));
    }
    this.select.value = seconds;
  }

  order() {
    this.view.send({ do: "csv", page: this.view.presence.id });
  }

  saved({ csv, page: wanted }, buffer) {
    if (wanted !== this.view.presence.id) return;
    if (buffer.byteLength) files.save(new Blob([buffer], { type: "text/csv" }), csv);
    else announce("There is nothing to save yet.");
  }

  async savePicture() {
    const blob = await snapshot(this.view.body);
    if (blob) files.save(blob, `${this.view.model.get("name")}.png`);
  }

  fill() {
    if (document.fullscreenElement) document.exitFullscreen();
    else this.view.el.requestFullscreen();
  }

  // A figure is as high as the page has it; on a full screen, as high as there is room.
  fit() {
    const { view } = this;
    const plot = view.source?.document?.roots?.()[0];
    const full = document.fullscreenElement === view.el;
    if (!plot || (!full && this.usual === undefined)) return;
    this.usual ??= plot.height;
    const above = view.body.querySelector(".livebatch-figure")?.offsetTop - view.body.offsetTop;
    plot.setv({ height: full ? Math.max(view.body.clientHeight - above, this.usual) : this.usual });
    if (!full) delete this.usual;
  }

  dispose() {
    if (!this.resize) return;
    document.removeEventListener("fullscreenchange", this.resize);
    window.removeEventListener("resize", this.resize);
  }
}

const control = {
  button(bar, name, text, action) {
    const made = add(bar, "button", `livebatch-button livebatch-${name}`);
    made.type = "button";
    control.draw(made, name);
    control.name(made, text);
    made.onclick = action;
    return made;
  },

  draw(el, name) {
    el.innerHTML = `<svg viewBox="0 0 16 16" aria-hidden="true"><path d="${ICONS[name]}"/></svg>`;
  },

  name(el, text) {
    el.title = text;
    el.setAttribute("aria-label", text);
  },

  span(seconds) {
    if (seconds < 60) return `${seconds} s`;
    if (seconds < 3600) return `${+(seconds / 60).toFixed(1)} min`;
    return `${+(seconds / 3600).toFixed(1)} h`;
  },
};
