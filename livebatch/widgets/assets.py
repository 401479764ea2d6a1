"""Code for the browser, carried by a widget: no network is needed, and one copy a kernel."""

from __future__ import annotations

import gzip
from functools import cache
from importlib.resources import files
from threading import Lock

import anywidget
import bokeh
import traitlets

_lock = Lock()
_instance: Assets | None = None


def static(suffix: str, first: str) -> str:
    """The files of ``static`` whose names end with a suffix, one after the other."""
    found = [
        file for file in (files(__package__) / "static").iterdir() if file.name.endswith(suffix)
    ]
    found.sort(key=lambda file: (file.name != first, file.name))
    return "\n".join(file.read_text("utf-8") for file in found)


# A page never frees a module, and each widget is a module: views share the one of their assets.
STUB = """
export default {
  async render({ model, el }) {
    const id = model.get("assets").slice("IPY_MODEL_".length);
    const assets = await model.widget_manager.get_model(id);
    const loaded = (window.__livebatch_code ??= new Map());
    const code = assets.get("code");
    if (!loaded.has(code)) {
      const url = URL.createObjectURL(new Blob([code], { type: "text/javascript" }));
      loaded.set(code, import(url));
    }
    return (await loaded.get(code)).default.render({ model, el });
  },
};
"""


class Assets(anywidget.AnyWidget):
    """Holds BokehJS and the code of views; it shows nothing. A page reads each once."""

    _esm = "export default {};"
    code = traitlets.Unicode().tag(sync=True)
    js = traitlets.Bytes().tag(sync=True)
    version = traitlets.Unicode(bokeh.__version__).tag(sync=True)


def assets() -> Assets:
    """The kernel's one asset widget, made when first asked for."""
    global _instance
    with _lock:
        if _instance is None or _instance.comm is None:
            _instance = Assets(js=_bokehjs(), code=static(".js", first="view.js"))
        return _instance


@cache
def _bokehjs() -> bytes:
    return gzip.compress((files("bokeh") / "server/static/js/bokeh.min.js").read_bytes(), 6)
