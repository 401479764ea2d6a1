"""BokehJS for the browser, carried by a widget: no network is needed, and one copy a kernel."""

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


class Assets(anywidget.AnyWidget):
    """Holds BokehJS; it shows nothing. A page reads it once (``static/bokeh.js``)."""

    _esm = "export default {};"
    js = traitlets.Bytes().tag(sync=True)
    version = traitlets.Unicode(bokeh.__version__).tag(sync=True)


def assets() -> Assets:
    """The kernel's one asset widget, made when first asked for."""
    global _instance
    with _lock:
        if _instance is None or _instance.comm is None:
            _instance = Assets(js=_bokehjs())
        return _instance


@cache
def _bokehjs() -> bytes:
    return gzip.compress((files("bokeh") / "server/static/js/bokeh.min.js").read_bytes(), 6)
