// Files that the page makes: no server is asked, so that it works wherever the page does.

const files = {
  save(blob, name) {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(blob);
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  },
};

// What an element looks like, as PNG: a copy with its styles written out, drawn by way of SVG.
async function snapshot(el) {
  const { width, height } = el.getBoundingClientRect();
  if (!width || !height) return null;
  const copy = Snapshot.copy(el);
  copy.style.margin = 0;
  copy.style.background = Snapshot.ground(el);
  const text = new XMLSerializer().serializeToString(copy);
  const svg =
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}">` +
    `<foreignObject width="100%" height="100%">${text}</foreignObject></svg>`;
  const image = new Image();
  image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(svg)}`;
  await image.decode();
  const scale = Math.max(devicePixelRatio, 2);
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [width * scale, height * scale];
  canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
  return new Promise((done) => canvas.toBlob(done, "image/png"));
}

class Snapshot {
  static copy(node) {
    if (node.nodeType !== Node.ELEMENT_NODE) return node.cloneNode();
    if (node.shadowRoot || node.tagName === "CANVAS") return Snapshot.figure(node);
    const copy = node.cloneNode(false);
    const style = getComputedStyle(node);
    const set = [...style].map((name) => `${name}:${style.getPropertyValue(name)}`);
    copy.style.cssText = set.join(";");
    for (const child of node.childNodes) copy.append(Snapshot.copy(child));
    return copy;
  }

  // A figure is several canvases behind a shadow root; BokehJS makes one of them.
  static figure(node) {
    const views = Object.values(window.Bokeh?.index ?? {});
    const canvas = views.find(({ el }) => el === node)?.export("png").canvas ?? node;
    const image = new Image();
    image.src = canvas.toDataURL();
    image.style.cssText = `display:block;width:${node.clientWidth}px;height:${node.clientHeight}px`;
    return image;
  }

  static ground(el) {
    for (let up = el; up; up = up.parentElement) {
      const { backgroundColor } = getComputedStyle(up);
      if (!/^(transparent|rgba\(.*, 0\))$/.test(backgroundColor)) return backgroundColor;
    }
    return "#fff";
  }
}
