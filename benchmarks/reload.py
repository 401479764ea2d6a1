"""A page loaded again: how long until its views move, beside a slider of ipywidgets.

Needs the browser that the environment names as CHROMIUM, as `make bench` does.
"""

from __future__ import annotations

from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from benchmarks.measure import Measure, seconds
from tests.browser.lab import Lab
from tests.browser.notebook import KERNEL

TIMES = 5
VIEWS = ("line", "bar", "table", "heatmap")
ENGINE = """
%load_ext livebatch
%engine start --batch 500ms --workers 2
ticks = ssc.register("ticks", ssc.rate_stream(1000).map(lambda row: (str(row["value"] % 7), 1.0)))
"""
STREAMS = [f"%%stream {kind} --show {kind}\nticks.reduce_by_key(max)" for kind in VIEWS]
START = "ssc.start()"
STOP = "%engine stop"
SLIDER = ["import ipywidgets", "ipywidgets.IntSlider()"]
SLIDER_SEEN = "panel.content.node.querySelector('.widget-slider') !== null"
VIEWS_SEEN = "arg.every(name => window.__livebatch?.views[name]?.frames > 0)"


def run() -> list[Measure]:
    """Load pages again and again, and see what comes back."""
    with TemporaryDirectory() as folder, Lab.start(Path(folder)) as lab:
        bare = median(times(lab, SLIDER, SLIDER_SEEN))
        ours = times(lab, [ENGINE, *STREAMS, START], VIEWS_SEEN, VIEWS, STOP)
    what = f"page loaded again, to {len(VIEWS)} views that move"
    return [
        Measure(f"{what} (median)", median(ours), "s", 3, bare, "a slider of ipywidgets"),
        Measure("the same (worst)", max(ours), "s"),
    ]


def times(lab: Lab, cells: list[str], seen: str, arg: object = None, end: str = "") -> list[float]:
    """Return the seconds from each reload of a page until something is seen."""

    def again() -> None:
        notebook.page.reload(wait_until="commit")
        notebook.wait(f"panel?.content?.node && {seen}", arg)

    notebook = lab.open([*cells, end])
    notebook.page.set_viewport_size({"width": 1280, "height": 2600})
    for cell in range(len(cells)):
        notebook.run(cell)
    notebook.wait(seen, arg)
    notebook.save()
    taken = [seconds(again) for _ in range(TIMES)]
    notebook.wait(f"{KERNEL}?.status === 'idle'")
    notebook.run(len(cells))
    notebook.close()
    return taken
