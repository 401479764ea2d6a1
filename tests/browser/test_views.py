"""Live views in JupyterLab: they move whatever the kernel does, and leave nothing behind."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.browser.lab import Lab
from tests.browser.notebook import Notebook

pytestmark = pytest.mark.browser

FEED = """
import threading, time
from datetime import UTC, datetime
import ipywidgets
import pyarrow as pa
from livebatch.widgets import live, show

stops = {}

def follow(name, make, kind="auto", **options):
    if name in stops:
        stops[name].set()
    stop = stops[name] = threading.Event()
    box = show(name, kind, **options)

    def feed():
        i = 0
        while not stop.wait(0.05):
            i += 1
            box.view.push(datetime.now(UTC), make(i))
            box.view.status(f"batch {i}")

    threading.Thread(target=feed, name=f"feed-{name}", daemon=True).start()
    return box

def left():
    ours = sorted(t.name for t in threading.enumerate() if t.name.startswith(("livebatch", "feed")))
    return ours, len(ipywidgets.widgets.widget._instances), sorted(live())
"""
NASTY = "<img src=x onerror='window.hacked = true'>"
CELLS = [
    FEED,
    "follow('numbers', lambda i: pa.table({'value': [i]}))",
    "follow('words', lambda i: pa.table({'word': list('abc'), 'n': [5, i % 7, 9]}))",
    f"follow('rows', lambda i: pa.table({{'s': [{NASTY!r}] * 60, 'i': range(60)}}), 'table',"
    " title='Rows!')",
    f"follow('keys', lambda i: pa.table({{'key': ['a', {NASTY!r}], 'n': [i, 2 * i]}}), 'line')",
    "follow('quiet', lambda i: pa.table({'value': [i]}), 'none')",
    "print('begun')\ntime.sleep(3600)",
    "print('begun')\nwhile True: pass",
    "live()['numbers'].view.fail('Traceback\\n  line 1\\nZeroDivisionError: <b>no</b>')",
    "live()['numbers'].view.fail(None)",
]
NUMBERS, WORDS, ROWS, KEYS, QUIET, SLEEP, COMPUTE, FAIL, CLEAR = range(1, 10)
NAMES = ["numbers", "words", "rows", "keys"]
MOVING = [*NAMES, "quiet"]
VIEW = "window.__livebatch.views.numbers"
TALL = {"width": 1280, "height": 2600}
"""So that all views are in sight: nothing is sent to others."""


@pytest.fixture(scope="module")
def notebook(lab: Lab) -> Iterator[Notebook]:
    notebook = lab.open(CELLS)
    notebook.page.set_viewport_size(TALL)
    for i in (0, NUMBERS, WORDS, ROWS, KEYS, QUIET):
        notebook.run(i)
    for name in NAMES:
        notebook.wait_for_frames(name, 3)
    yield notebook
    assert notebook.errors == []
    assert not notebook.evaluate("window.hacked")
    notebook.close()


def documents(notebook: Notebook) -> int:
    return int(notebook.evaluate("window.Bokeh.documents.length"))


def values(notebook: Notebook) -> list[float]:
    [column] = notebook.data("numbers")["ys"]
    assert isinstance(column, list)
    return column


def gaps(notebook: Notebook) -> int:
    return sum(notebook.view(name)["gaps"] for name in NAMES)


def pause(notebook: Notebook) -> None:
    notebook.page.locator(".livebatch-pause:visible").first.click()


def test_every_batch_arrives_once_and_in_order_while_the_kernel_is_idle(notebook: Notebook) -> None:
    before = values(notebook)[-1]
    notebook.wait_for_frames("numbers", 10)
    drawn = values(notebook)
    assert drawn[-1] > before
    assert drawn == list(range(int(drawn[0]), int(drawn[-1]) + 1))
    assert notebook.data("numbers")["key"] == ["numbers"]
    assert gaps(notebook) == 0


@pytest.mark.parametrize("cell", [SLEEP, COMPUTE])
def test_views_move_while_a_cell_is_busy(notebook: Notebook, cell: int) -> None:
    notebook.run(cell, wait=False)
    notebook.wait_for_output(cell, "begun")
    before = values(notebook)[-1]
    for name in NAMES:
        notebook.wait_for_frames(name, 10)
    assert values(notebook)[-1] > before
    assert notebook.running(cell)
    notebook.interrupt()
    notebook.wait_for_end(cell)
    assert "KeyboardInterrupt" in notebook.output(cell)
    assert gaps(notebook) == 0


def test_pause_works_while_a_cell_is_busy(notebook: Notebook) -> None:
    notebook.run(COMPUTE, wait=False)
    notebook.wait_for_output(COMPUTE, "begun")
    pause(notebook)
    notebook.wait(f"{VIEW}.el.classList.contains('livebatch-paused')")
    frozen, before = values(notebook), notebook.view("numbers")
    notebook.wait_for_frames("words", 10)
    assert values(notebook) == frozen
    assert notebook.view("numbers")["frames"] == before["frames"]
    pause(notebook)
    notebook.wait_for_frames("numbers", 3)
    after = values(notebook)
    assert after == list(range(int(after[0]), int(after[-1]) + 1)), "the pause leaves no hole"
    assert after[-1] > frozen[-1]
    assert notebook.view("numbers")["keyframes"] > before["keyframes"]
    assert notebook.running(COMPUTE)
    notebook.interrupt()
    notebook.wait_for_end(COMPUTE)
    assert gaps(notebook) == 0


def test_a_cell_run_again_leaves_one_view(notebook: Notebook) -> None:
    before, held = documents(notebook), notebook.ask("left()")
    assert before == 3, "two lines and one bar chart"
    for i in (NUMBERS, WORDS, ROWS, NUMBERS, NUMBERS):
        notebook.run(i)
    for name in NAMES:
        notebook.wait_for_frames(name, 3)
    notebook.wait("window.Bokeh.documents.length === arg", before)
    assert notebook.ask("left()") == held
    count = "panel.content.widgets[arg].outputArea.node.querySelectorAll('.livebatch-view').length"
    assert notebook.evaluate(count, NUMBERS) == 1
    assert sorted(notebook.evaluate("Object.keys(window.__livebatch.views)")) == sorted(MOVING)
    assert gaps(notebook) == 0


def test_a_lost_message_is_noticed_and_made_good(notebook: Notebook) -> None:
    before = notebook.view("numbers")
    notebook.evaluate(f"({VIEW}.seq -= 5, true)")
    notebook.wait(f"{VIEW}.gaps === arg + 1 && {VIEW}.synced", before["gaps"])
    drawn = values(notebook)
    assert drawn == list(range(int(drawn[0]), int(drawn[-1]) + 1))
    notebook.wait_for_frames("numbers", 3)
    assert notebook.view("numbers")["gaps"] == before["gaps"] + 1
    assert notebook.view("numbers")["keyframes"] > before["keyframes"]


def test_bars_are_sorted(notebook: Notebook) -> None:
    notebook.wait_for_frames("words", 2)
    bars = notebook.data("words")
    assert set(bars["key"]) == set("abc")
    assert bars["key"][0] == "c"
    assert bars["value"] == sorted(bars["value"], reverse=True)


def test_a_table_shows_texts_as_they_are(notebook: Notebook) -> None:
    assert notebook.data("rows")["i"] == [str(i) for i in range(50)]
    shown = notebook.output(ROWS)
    assert "Rows!" in shown
    assert "50 of 60 rows" in shown
    assert NASTY in shown


def test_the_pointer_shows_values_as_they_are(notebook: Notebook) -> None:
    notebook.scroll_to(KEYS)
    figure = notebook.page.locator(".livebatch-figure").nth(2)
    box = figure.bounding_box()
    assert box is not None
    notebook.page.mouse.move(box["x"] + box["width"] - 40, box["y"] + 100)
    entries = "[...document.querySelector('.bk-Tooltip')?.shadowRoot?.querySelectorAll('b') ?? []]"
    notebook.wait(f"{entries}.length === 2")
    names = notebook.evaluate(f"{entries}.map(b => b.previousSibling.textContent)")
    assert sorted(names) == [NASTY, "a"]
    notebook.page.mouse.move(0, 0)


def test_a_failure_stands_under_the_chart_until_it_is_cleared(notebook: Notebook) -> None:
    panel = "panel.content.widgets[arg].outputArea.node.querySelector('.livebatch-error')"
    notebook.run(FAIL)
    notebook.scroll_to(NUMBERS)  # nothing is sent to what is out of sight
    notebook.wait(f"!{panel}.hidden", NUMBERS)
    text = notebook.evaluate(f"{panel}.textContent", NUMBERS)
    assert "  line 1\nZeroDivisionError: <b>no</b>" in text
    notebook.wait_for_frames("numbers", 3)
    notebook.run(CLEAR)
    notebook.wait(f"{panel}.hidden", NUMBERS)


def test_a_view_of_kind_none_says_how_the_stream_is_doing(notebook: Notebook) -> None:
    notebook.wait_for_output(QUIET, "quiet")
    notebook.wait_for_output(QUIET, "batch")
    assert notebook.evaluate("window.__livebatch.views.quiet.source") is None


def test_figures_follow_the_theme(notebook: Notebook) -> None:
    axis = f"{VIEW}.source.document.roots()[0].below[0].major_label_text_color"
    notebook.scroll_to(NUMBERS)
    notebook.screenshot("views-light")
    light = notebook.evaluate(axis)
    notebook.theme("JupyterLab Dark")
    notebook.wait(f"{axis} !== arg", light)
    notebook.screenshot("views-dark")
    notebook.theme("JupyterLab Light")
    notebook.wait(f"{axis} === arg", light)


def test_a_page_loaded_again_brings_the_views_back(notebook: Notebook) -> None:
    notebook.save()
    saved = notebook.outputs(NUMBERS)[0]["data"]
    assert "numbers" in saved["text/html"]
    notebook.reload()
    for name in NAMES:
        notebook.wait_for_frames(name, 3)
    drawn = values(notebook)
    assert drawn == list(range(int(drawn[0]), int(drawn[-1]) + 1))
    assert gaps(notebook) == 0
    assert documents(notebook) == 3


def test_a_deleted_cell_takes_its_document_along(notebook: Notebook) -> None:
    before = documents(notebook)
    notebook.delete(KEYS)
    notebook.wait("window.__livebatch.views.keys === undefined")
    notebook.wait("window.Bokeh.documents.length === arg - 1", before)
