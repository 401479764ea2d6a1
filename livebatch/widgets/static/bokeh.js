// BokehJS comes from the kernel, once a page; figures take the page's colours and leave no trace.

async function loadBokeh(model) {
  const id = model.get("assets").slice("IPY_MODEL_".length);
  const assets = await model.widget_manager.get_model(id);
  const version = assets.get("version");
  page.bokeh ??= {};
  page.bokeh[version] ??= evaluate(assets, version).catch((error) => {
    delete page.bokeh[version];
    throw error;
  });
  return page.bokeh[version];
}

// Begun as soon as there is a view, which takes a while to learn what it is to draw.
function unzipped(assets) {
  page.unzipped ??= {};
  return (page.unzipped[assets.get("version")] ??= new Response(
    new Blob([assets.get("js")]).stream().pipeThrough(new DecompressionStream("gzip")),
  ).text());
}

async function evaluate(assets, version) {
  if (!window.Bokeh?.[version]) (0, eval)(await unzipped(assets));
  return window.Bokeh[version] ?? window.Bokeh;
}

async function embed(model, el, item) {
  const Bokeh = await loadBokeh(model);
  // Not `embed_item`: it refuses an element that is out of the page at the moment (a cell scrolled
  // away, a view just closed), and the document that it made would stay for good.
  const doc = Bokeh.require("document").Document.from_json(item.doc);
  const [plot] = doc.roots();
  const frame = add(el, "div", "livebatch-figure");
  const voice = narrator(frame);
  const theme = new MutationObserver(() =>
    requestAnimationFrame(() => {
      colour(plot, el);
      figure.themed?.();
    }),
  );
  const figure = {
    plot,
    ndarray: Bokeh.require("core/util/ndarray").ndarray,
    find: (name) => doc.get_model_by_name(name),
    tell: voice.tell,
    dispose() {
      theme.disconnect();
      voice.end();
      waiting(el, false);
      doc.clear();
      // A document registers itself when made, and nothing else takes it out.
      const index = Bokeh.documents.indexOf(doc);
      if (index >= 0) Bokeh.documents.splice(index, 1);
    },
  };
  try {
    waiting(el, true);
    await Bokeh.embed.add_document_standalone(doc, frame);
    colour(plot, el);
  } catch (error) {
    figure.dispose();
    throw error;
  }
  theme.observe(document.body, { attributeFilter: ["data-jp-theme-name", "data-vscode-theme-id"] });
  return figure;
}

// Whether the page's theme has light text on dark ground.
function dark(el) {
  const [red, green, blue] = getComputedStyle(el).color.match(/[\d.]+/g).map(Number);
  return red + green + blue > 384;
}

function colour(plot, el) {
  const style = getComputedStyle(el);
  const read = (name, otherwise) => style.getPropertyValue(name).trim() || otherwise;
  const text = read("--jp-ui-font-color2", "#616161");
  const grid = read("--jp-border-color2", "#e0e0e0");
  const font = read("--jp-ui-font-family", "system-ui, sans-serif");
  for (const axis of [...plot.below, ...plot.left]) {
    axis.setv({
      major_label_text_color: text,
      major_label_text_font: font,
      major_label_text_font_size: "11px",
      axis_line_color: grid,
      major_tick_line_color: null,
      minor_tick_line_color: null,
    });
  }
  for (const lines of plot.center) lines.setv({ grid_line_color: grid, grid_line_alpha: 0.6 });
  for (const { glyph } of plot.renderers) {
    if ("text_color" in glyph.attributes) {
      glyph.setv({
        text_color: { value: text },
        text_font: { value: font },
        text_font_size: { value: "11px" },
      });
    }
  }
}

// What stands under the pointer: `describe` turns a source and Bokeh's variables into texts, of one
// thing or of several (`rows`).
function explain(plot, describe) {
  const hover = plot.toolbar.tools.find(({ type }) => type === "HoverTool");
  hover.tooltips = (source, vars) => {
    const { note, ...told } = describe(source.data, vars);
    const entry = document.createElement("div");
    entry.className = "entry";
    // Bokeh puts tooltips into the page's body, behind a shadow root: style comes from within.
    add(entry, "style").textContent = TOOLTIP;
    add(entry, "small").textContent = note ?? "";
    for (const { colour, alpha = 1, key, value } of told.rows ?? [told]) {
      const row = add(entry, "div", "row");
      Object.assign(add(row, "i").style, { background: colour ?? "none", opacity: alpha });
      add(row, "span").textContent = key;
      add(row, "b").textContent = value;
    }
    return entry;
  };
}

const TOOLTIP = `
  :host {
    padding: 6px 10px !important;
    border: 1px solid var(--jp-border-color2, #e0e0e0) !important;
    border-radius: 4px !important;
    box-shadow: var(--jp-elevation-z2, 0 2px 6px #0003);
    background: var(--jp-layout-color1, #fff) !important;
    color: var(--jp-ui-font-color1, #212121) !important;
    font: 11px/1.6 var(--jp-ui-font-family, system-ui, sans-serif) !important;
    opacity: 1 !important;
  }
  .bk-arrow { display: none !important; }
  .entry:not(:first-child) small, small:empty { display: none; }
  small { color: var(--jp-ui-font-color2, #616161); font-size: inherit; }
  .row { display: flex; align-items: center; gap: 6px; }
  .row i { width: 8px; height: 8px; border-radius: 2px; }
  .row b { margin-left: auto; padding-left: 12px; font-variant-numeric: tabular-nums; }
`;
