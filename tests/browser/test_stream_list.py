"""The list of streams and the engine's monitor in JupyterLab: they move, and buttons work."""

from __future__ import annotations

import pytest

from tests.browser.lab import Lab

pytestmark = [pytest.mark.browser, pytest.mark.process, pytest.mark.timeout(600)]

CELLS = [
    "%load_ext livebatch\n%engine start --batch 200ms --workers 1",
    "%%stream ticks --show none\nssc.queue_stream(default=[1, 2])",
    "%%stream sums --show none\n"
    "ticks.map(lambda n: (n, 1)).update_state_by_key(lambda new, old: sum(new) + (old or 0))",
    "%stream",
    "%stream explain sums",
    "%engine monitor",
    "%engine stop",
]
TABLE = "document.querySelector('.livebatch-streams')"


def test_the_list_of_streams_moves_and_has_buttons(lab: Lab) -> None:
    notebook = lab.open(CELLS)
    for i in range(5):
        notebook.run(i)
    notebook.wait(f"{TABLE}?.querySelectorAll('tbody tr').length === 2")
    before = notebook.evaluate(f"{TABLE}.innerText")
    notebook.wait(f"{TABLE}.innerText !== arg", before)
    assert "<table>" in notebook.outputs(3)[0]["data"]["text/html"]

    notebook.page.click("[data-stream=ticks] button[data-action=pause]")
    notebook.wait(f"{TABLE}.querySelector('[data-stream=sums]').innerText.includes(arg)",
                  "ticks is paused")  # fmt: skip
    notebook.page.click("[data-stream=ticks] button[data-action=resume]")
    notebook.wait(f"{TABLE}.querySelector('[data-stream=sums]').innerText.includes('running')")
    notebook.page.click("[data-stream=sums] button[data-action=stop]")
    notebook.wait(f"{TABLE}.querySelectorAll('tbody tr').length === 1")

    drawn = "panel.content.widgets[4].outputArea.node.querySelectorAll('svg g[data-stream]').length"
    assert notebook.wait(drawn) == 3

    notebook.run(5)
    notebook.scroll_to(5)
    tasks = "window.__livebatch.views['monitor · tasks']"
    notebook.wait(f"{tasks}?.source?.data.key.includes('queue_stream(default=[1, 2])')")
    notebook.wait(f"{tasks}.body.querySelector('.livebatch-legend').innerText.includes('ticks')")
    before = notebook.evaluate(f"{tasks}.source.data.left.at(-1)")
    notebook.wait(f"{tasks}.source.data.left.at(-1) > arg", before)
    notebook.screenshot("monitor")
    notebook.run(6)
    assert notebook.errors == []
    notebook.close()
