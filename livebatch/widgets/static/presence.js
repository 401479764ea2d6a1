// Tells the kernel whether this page looks at a view, and how far it has come; the kernel sends
// nothing to those who do not look, and waits for those who cannot keep up.

const ACKNOWLEDGE_MS = 200;
const IDLE_MS = 2000;
const NEAR = "150% 0px"; // what is about to be scrolled into sight moves already

class Presence {
  constructor(view) {
    Object.assign(this, { view, near: true, owes: false, quiet: false });
    this.id = Math.random().toString(36).slice(2);
    this.look = () => this.change(this.near);
    document.addEventListener("visibilitychange", this.look);
    this.observer = Presence.observer(new WeakRef(this));
    this.observer.observe(view.el);
    this.saw = this.sees;
    this.timer = setInterval(() => this.idle(), IDLE_MS);
  }

  // The page keeps observers that have been disconnected, so one must not keep its view. The
  // notebook scrolls in an element of its own, which has a margin of its own.
  static observer(presence) {
    return new IntersectionObserver(
      (entries) => presence.deref()?.change(entries.at(-1).isIntersecting),
      { rootMargin: NEAR, scrollMargin: NEAR },
    );
  }

  get sees() {
    return this.near && !document.hidden;
  }

  note(more = {}) {
    this.owes = false;
    return { page: this.id, seq: this.view.seq, sees: this.sees, ...more };
  }

  tell(more = {}) {
    this.view.send(this.note(more));
  }

  // One view speaks for all of its kernel: to a kernel, many messages are more work than long ones.
  static settle() {
    page.settling = 0;
    const owing = [...page.all].filter(({ presence, detached }) => presence.owes && !detached);
    for (const kernel of new Set(owing.map((view) => view.kernel))) {
      const views = owing.filter((view) => view.kernel === kernel);
      const all = views.map(({ model, presence }) => [model.get("key"), presence.note()]);
      views[0].send({ all });
    }
  }

  change(near) {
    this.near = near;
    if (this.sees === this.saw) return;
    this.saw = this.sees;
    this.tell();
  }

  heard() {
    this.quiet = false;
  }

  took() {
    this.owes = true;
    page.settling ||= setTimeout(Presence.settle, ACKNOWLEDGE_MS);
  }

  idle() {
    if (this.quiet && this.sees) this.tell({ idle: true });
    this.quiet = true;
  }

  leave() {
    clearInterval(this.timer);
    this.observer.disconnect();
    document.removeEventListener("visibilitychange", this.look);
    this.tell({ sees: false, gone: true });
  }
}
