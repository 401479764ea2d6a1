// The page's side of a live view: keeps to the sequence numbers, paints once per animation frame.
// All files of this folder are one module, this one first; each kind of view adds its painter.

const painters = {};
const page = (window.__livebatch ??= { views: {} });
const ASK_AGAIN = 20;

class LiveView {
  constructor(model, el) {
    Object.assign(this, { model, el, seq: -1, gaps: 0, frames: 0, keyframes: 0 });
    this.synced = this.closed = false;
    this.missed = this.raf = 0;
    this.kind = this.painter = this.broken = null;
    this.body = add(el, "div", "livebatch-body");
    this.foot = add(el, "div", "livebatch-foot");
    this.note = add(this.foot, "span", "livebatch-note");
    this.status = add(this.foot, "span", "livebatch-status");
    this.error = add(el, "details", "livebatch-error");
    el.classList.add("livebatch-view");
    el.classList.toggle("livebatch-compact", model.get("compact"));
    this.receive = this.receive.bind(this);
    page.views[model.get("name")] = this;
    model.on("msg:custom", this.receive);
    this.ask();
  }

  get source() {
    return this.painter?.source ?? null;
  }

  ask() {
    this.synced = false;
    this.missed = 0;
    this.model.send({ ask: "key" });
  }

  receive(message, buffers) {
    if (!this.accepts(message)) return;
    this.seq = message.seq;
    this.synced = true;
    if (message.note) this.annotate(message.note);
    if (message.key && message.kind !== this.kind) this.begin(message);
    if (!message.picture || !this.painter) return;
    this.frames += 1;
    this.keyframes += message.key;
    this.painter.apply(message.picture, buffers, message.key);
    this.raf ||= requestAnimationFrame(() => this.flush());
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
    if (!painters[kind]) return;
    this.body.replaceChildren();
    try {
      const note = (text) => (this.note.textContent = text);
      const painter = await painters[kind]({ model: this.model, el: this.body, item, note });
      if (this.closed) return painter.dispose();
      this.painter = painter;
      this.ask();
    } catch (error) {
      this.broken = `${error.stack}\n${error}`;
      this.annotate({});
    }
  }

  flush() {
    this.raf = 0;
    this.painter?.paint();
  }

  annotate({ status, error, paused }) {
    if (status) {
      this.status.dataset.level = status[1];
      this.status.textContent = status[0];
    }
    if (paused !== undefined) this.el.classList.toggle("livebatch-paused", paused);
    const text = error ?? this.broken;
    this.error.hidden = !text;
    if (!text) return;
    this.error.replaceChildren();
    add(this.error, "summary").textContent = text.split("\n").at(-1);
    add(this.error, "pre").textContent = text;
  }

  dispose() {
    this.closed = true;
    this.model.off("msg:custom", this.receive);
    cancelAnimationFrame(this.raf);
    this.painter?.dispose();
    const name = this.model.get("name");
    if (page.views[name] === this) delete page.views[name];
  }
}

function add(parent, tag, className = "") {
  const child = document.createElement(tag);
  child.className = className;
  return parent.appendChild(child);
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
