// The newest lines at the bottom, as `tail -f` shows them; who scrolls up is left alone.

const NEAR_END = 24;
const TROUBLE = /\b(error|fatal|critical|exception|traceback)\b/i;
const WARNING = /\bwarn(ing)?\b/i;

painters.log = async ({ model, el, note }) => {
  const frame = add(el, "div", "livebatch-log");
  Object.assign(frame, { tabIndex: 0, role: "log", ariaLive: "off" });
  frame.ariaLabel = `Newest rows of ${model.get("name")}`;
  frame.dataset.lmSuppressShortcuts = "true";
  const jump = add(el, "button", "livebatch-jump");
  Object.assign(jump, { type: "button", hidden: true });
  const source = { data: { time: [], line: [] } };
  let [lines, fresh, total, kept, missed, following] = [[], 0, 0, 0, 0, true];
  waiting(el, true);
  const atEnd = () => frame.scrollHeight - frame.scrollTop - frame.clientHeight < NEAR_END;
  const follow = () => {
    frame.scrollTop = frame.scrollHeight;
    rest();
  };
  const rest = () => {
    following = true;
    missed = 0;
    jump.hidden = true;
  };
  frame.onscroll = () => {
    if (atEnd()) rest();
    else following = false;
  };
  jump.onclick = follow;

  function apply(picture, [buffer], key) {
    const times = numbers(buffer);
    const come = picture.lines.map((line, i) => ({ time: times[i], line }));
    if (key) {
      lines = [];
      frame.replaceChildren();
    }
    ({ kept, total } = picture);
    lines = [...lines, ...come].slice(-kept);
    fresh = key ? lines.length : Math.min(fresh + come.length, kept);
    source.data = { time: lines.map(({ time }) => time), line: lines.map(({ line }) => line) };
  }

  function paint() {
    waiting(el, !lines.length);
    const come = lines.slice(lines.length - fresh);
    frame.append(...come.map(entry));
    while (frame.childElementCount > kept) frame.firstChild.remove();
    if (following) follow();
    else missed += fresh;
    fresh = 0;
    jump.hidden = following;
    say(jump, missed ? `↓ ${missed.toLocaleString("en")} new` : "↓ newest");
    note(total > lines.length ? `last ${lines.length} of ${total.toLocaleString("en")} rows` : "");
  }

  function dispose() {
    note("");
    waiting(el, false);
    el.replaceChildren();
  }

  return { source, apply, paint, dispose };
};

function entry({ time, line }) {
  const root = document.createElement("div");
  root.className = "livebatch-log-line";
  if (TROUBLE.test(line)) root.dataset.level = "error";
  else if (WARNING.test(line)) root.dataset.level = "warn";
  add(root, "time").textContent = page.clock(time);
  add(root, "span").textContent = line;
  return root;
}
