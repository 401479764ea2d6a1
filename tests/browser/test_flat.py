"""Views that run for long: ten thousand frames and fifty cells run again leave nothing running."""

from __future__ import annotations

from typing import Any

import pytest

from tests.browser.lab import Lab
from tests.browser.notebook import Notebook

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

FEED = """
import threading
from datetime import UTC, datetime
import ipywidgets
import pyarrow as pa
from livebatch.widgets import live, show, widget

# The page is to be kept busy, not to be looked at.
widget.rounds.rate, widget.rounds.share = 2000, 100.0

def flood(frames):
    for name in NAMES:
        threading.Thread(target=pour, args=(live()[name].view, frames), name="flood").start()

def pour(view, frames):
    left = view._feed._seq + frames
    i = 0
    while view._feed._seq < left and view.comm is not None:
        i += 1
        # One after the other: what is pushed at once is one frame.
        seq = view._feed._seq
        view.push(datetime.now(UTC), pa.table({"word": list("abcde"), "n": [i, 2, i % 7, 4, 5]}))
        while view._feed._seq == seq and view.comm is not None:
            wait.wait(0.001)

wait = threading.Event()
NAMES = ["lines", "bars", "rows"]

def left():
    ours = sorted(t.name for t in threading.enumerate() if t.name.startswith("livebatch"))
    comms = get_ipython().kernel.comm_manager.comms
    return [ours, len(ipywidgets.widgets.widget._instances), len(comms)]

def flooded():
    return not any(t.name == "flood" for t in threading.enumerate())
"""
CELLS = [FEED, "show('lines', 'line')", "show('bars', 'bar')", "show('rows', 'table')"]
NAMES = ["lines", "bars", "rows"]
FRAMES = 3400
RUNS = 17
SLACK = 1.1


def test_frames_and_cells_run_again_leave_nothing_running(lab: Lab) -> None:
    notebook = lab.open(CELLS)
    notebook.page.set_viewport_size({"width": 1280, "height": 2000})
    notebook.run(0)
    run_again(notebook, 2)
    first = footprint(notebook)
    run_again(notebook, RUNS)
    flood(notebook, 300)
    before = footprint(notebook)
    frames = flood(notebook, FRAMES)
    after = footprint(notebook)
    print(f"\n{frames} frames\nbefore {before}\nafter  {after}")
    assert frames >= 10_000
    for what in ("documents", "kernel", "views"):
        assert after[what] == before[what] == first[what]
    # Of the frames alone: JupyterLab itself holds on to some of each cell that is run.
    for what in ("Nodes", "JSHeapUsedSize", "JSEventListeners"):
        assert after[what] <= SLACK * before[what], what
    assert [notebook.view(name)["gaps"] for name in NAMES] == [0, 0, 0]
    assert notebook.errors == []
    notebook.close()


def run_again(notebook: Notebook, times: int) -> None:
    """Run the cells of all views, so often."""
    for _ in range(times):
        for i in (1, 2, 3):
            notebook.run(i, wait=False)
    notebook.wait_for_end(3)
    for name in NAMES:
        notebook.wait(f"window.__livebatch?.views.{name}?.painter")


def flood(notebook: Notebook, frames: int) -> int:
    """Send so many frames to each view; return how many the page has taken."""
    taken = "__livebatch.views[arg].frames"
    before = {name: notebook.evaluate(taken, name) for name in NAMES}
    notebook.ask(f"flood({frames})")
    for name in NAMES:
        notebook.wait(f"{taken.replace('arg', 'arg[0]')} >= arg[1]",
                      [name, before[name] + frames - 10], seconds=300)  # fmt: skip
    notebook.wait("__livebatch.views.rows.raf === 0")
    assert notebook.ask("flooded()") in (True, False)
    return sum(notebook.evaluate(taken, name) - before[name] for name in NAMES)


def footprint(notebook: Notebook) -> dict[str, Any]:
    """What the page and the kernel hold, after all that can be freed was freed."""
    session = notebook.page.context.new_cdp_session(notebook.page)
    session.send("Performance.enable")
    for _ in range(2):
        session.send("HeapProfiler.collectGarbage")
    found = session.send("Performance.getMetrics")["metrics"]
    session.detach()
    metrics = {metric["name"]: metric["value"] for metric in found}
    wanted = ("Nodes", "JSHeapUsedSize", "JSEventListeners")
    return {what: metrics[what] for what in wanted} | {
        "documents": notebook.evaluate("window.Bokeh.documents.length"),
        "views": notebook.evaluate("Object.keys(window.__livebatch.views).length"),
        "kernel": notebook.ask("left()"),
    }
