// The page's side of a live view: keeps to the sequence numbers, paints once per animation frame.
// All files of this folder are one module, this one first; each kind of view adds its painter.

const painters = {};
const page = (window.__livebatch ??= { views: {}, all: new Set() });
const ASK_AGAIN = 20;

class LiveView {
  constructor(model, el) {
    Object.assign(this, { model, el, seq: -1, gaps: 0, frames: 0, keyframes: 0 });
    this.synced = this.closed = this.paused = this.detached = this.drawn = false;
    this.missed = this.raf = 0;
    this.kind = this.painter = this.wish = this.kernel = null;
    this.early = []; // pictures that came before their painter
    el.classList.add("livebatch-view");
    el.classList.toggle("livebatch-compact", model.get("compact"));
    el.setAttribute("role", "figure");
    el.setAttribute("aria-label", model.get("title"));
    this.head = new Head(this, add(el, "div", "livebatch-head"));
    this.body = add(el, "div", "livebatch-body");
    const foot = add(el, "div", "livebatch-foot");
    this.note = add(foot, "span", "livebatch-note");
    this.line = new StatusLine(foot);
    this.failure = new Failure(el);
    this.errors = new ErrorTable(el, this.line.errors);
    this.receive = this.receive.bind(this);
    this.live = () => setTimeout(() => this.attach());
    this.name = model.get("name");
    this.presence = new Presence(this);
    const left = [...page.all].filter((view) => view.detached && view.name === this.name);
    page.all.add(this);
    page.views[this.name] = this;
    this.bind(model);
    for (const view of left) view.revive(model);
    if (left.length) this.el.classList.add("livebatch-elsewhere");
  }

  bind(model) {
    this.model = model;
    model.on("msg:custom", this.receive);
    model.on("comm_live_update", this.live);
    const assets = model.get("assets").slice("IPY_MODEL_".length);
    model.widget_manager.get_model(assets).then((found) => {
      this.kernel = found;
      unzipped(found);
    });
    this.ask();
  }

  unbind() {
    this.model.off("msg:custom", this.receive);
    this.model.off("comm_live_update", this.live);
  }

  // The kernel was started anew, and attached: the view goes on where it stands, and the new one
  // keeps out of sight until this one goes.
  revive(model) {
    this.unbind();
    page.views[this.name] = this;
    this.seq = -1;
    this.kind = this.kernel = null;
    this.bind(model);
    this.attach();
  }

  get source() {
    return this.painter?.source ?? null;
  }

  ask() {
    this.synced = false;
    this.missed = 0;
    this.presence.tell({ ask: true });
  }

  // A kernel that is gone is told nothing: its comm would complain.
  send(message) {
    if (!this.detached) this.model.send(message);
  }

  receive(message, buffers) {
    if (message.csv) return this.head.saved(message, buffers[0]);
    this.presence.heard();
    if (!this.accepts(message)) return;
    this.seq = message.seq;
    this.synced = true;
    this.presence.took();
    if (this.detached) this.attach();
    if (message.note) this.annotate(message.note, message.key);
    if (message.key) this.head.windowed(message.past);
    if (message.key && message.kind !== this.kind) this.begin(message);
    if (!message.picture || !painters[this.kind]) return;
    // What the kernel sends while it knows of the pause is the picture that the pause found.
    if (message.note?.paused && message.key) this.drawn = false;
    if (message.key) this.early = [];
    this.early.push([message.picture, buffers, message.key]);
    this.apply();
  }

  apply() {
    if (!this.painter) return;
    for (const [picture, buffers, key] of this.early.splice(0)) {
      this.frames += !this.paused;
      this.keyframes += key;
      this.painter.apply(picture, buffers, key);
    }
    this.repaint();
  }

  accepts({ seq, key }) {
    if (key || (this.synced && seq === this.seq + 1)) return true;
    if (this.synced) {
      this.gaps += 1;
      this.ask();
    } else if (++this.missed >= ASK_AGAIN) {
      this.ask();
    }
    return false;
  }

  async begin({ kind, item }) {
    this.painter?.dispose();
    this.painter = null;
    this.kind = kind;
    this.drawn = false;
    if (!painters[kind]) return;
    this.body.replaceChildren();
    try {
      const note = (text) => say(this.note, text);
      const send = (message) => this.send(message);
      const painter = await painters[kind]({ model: this.model, el: this.body, item, note, send });
      if (this.closed || this.kind !== kind) return painter.dispose();
      this.painter = painter;
      this.apply();
    } catch (error) {
      this.painter = { apply() {}, paint() {}, dispose() {} };
      this.failure.broken(`${error.stack}\n${error}`);
    }
  }

  // A paused picture stands still in this page at once, whenever the kernel hears of it.
  repaint() {
    if (!this.paused || !this.drawn) this.raf ||= requestAnimationFrame(() => this.flush());
  }

  flush() {
    this.raf = 0;
    if (!this.painter) return;
    this.painter.paint();
    this.drawn = true;
  }

  annotate(note, key) {
    this.line.show(note, key);
    if (note.errors !== undefined) this.errors.show(note.errors);
    if (note.error !== undefined) this.failure.show(note.error);
    if (note.window !== undefined) this.head.window(note.window);
    if (note.paused === undefined || (this.wish !== null && this.wish !== note.paused)) return;
    this.wish = null;
    this.freeze(note.paused);
  }

  pause(paused) {
    this.wish = paused;
    this.freeze(paused);
    this.send({ do: "pause", value: paused });
  }

  freeze(paused) {
    this.paused = paused;
    this.el.classList.toggle("livebatch-paused", paused);
    this.head.pressed(paused);
    if (paused) cancelAnimationFrame(this.raf);
    this.raf = 0;
    if (!paused && this.drawn) this.repaint();
  }

  // Only another model tells whether the kernel is there: a view sees just a part of its own.
  attach() {
    this.detached = this.kernel?.comm_live === false;
    this.el.classList.toggle("livebatch-detached", this.detached);
    this.line.detach(this.detached);
    if (!this.detached && !this.closed) this.ask();
  }

  dispose() {
    this.closed = true;
    this.presence.leave();
    this.unbind();
    page.all.delete(this);
    const heir = [...page.all].find(({ model }) => model === this.model);
    heir?.el.classList.remove("livebatch-elsewhere");
    cancelAnimationFrame(this.raf);
    this.head.dispose();
    this.line.dispose();
    this.painter?.dispose();
    if (page.views[this.name] === this) delete page.views[this.name];
    if (heir) page.views[this.name] = heir;
    // Whoever still holds the element shall not hold what was in it.
    this.el.replaceChildren();
  }
}

function add(parent, tag, className = "") {
  const child = document.createElement(tag);
  child.className = className;
  return parent.appendChild(child);
}

// Text that does not change is left alone, for the sake of selections and screen readers.
function say(el, text) {
  if (el.textContent !== text) el.textContent = text;
}

// Messages carry unaligned views of bytes; numbers need aligned ones.
function numbers(buffer) {
  const { buffer: bytes, byteOffset, byteLength } = buffer;
  return new Float64Array(bytes.slice(byteOffset, byteOffset + byteLength));
}

export default {
  render({ model, el }) {
    const view = new LiveView(model, el);
    return () => view.dispose();
  },
};
