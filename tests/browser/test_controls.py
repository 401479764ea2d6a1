"""What stands around the pictures in JupyterLab: controls, the status line, errors."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Download

from tests.browser.lab import Lab
from tests.browser.notebook import Notebook

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

FEED = """
import threading, time
from datetime import UTC, datetime
import pyarrow as pa
from livebatch.widgets import ErrorKind, Errors, Figures, live, show
from livebatch.widgets import widget

stops = {}

def follow(name, make, kind="auto", seconds=0.05, **options):
    stop = stops[name] = threading.Event()
    box = show(name, kind, **options)

    def feed():
        i = 0
        while not stop.wait(seconds):
            i += 1
            now = datetime.now(UTC)
            box.view.push(now, make(i))
            took = int(480 * (1 + i % 3) / 3)
            box.view.status(f"batch {i}", figures=Figures(
                int(now.timestamp() * 1000), 500, 12, 1200, took, 2, 3 if i > 5 else 0))

    threading.Thread(target=feed, name=f"feed-{name}", daemon=True).start()
    return box

def errors(times):
    kind = ErrorKind("ZeroDivisionError: division by zero", "Cell In[5], line 4, in invert",
                     times, ("'<b>0</b>'", "'-0'"), "Traceback\\n  line 4\\nZeroDivisionError")
    live()['numbers'].view.errors(Errors(times, 999, (kind,)))
"""
NUMBERS, TABLE, BAD, WORSE, COMPUTE, LIMITS, SEQ, MANY = range(1, 9)
CELLS = [
    FEED,
    "follow('numbers', lambda i: pa.table({'value': [i]}), title='The numbers')",
    "follow('rows', lambda i: pa.table({'word': ['a', 'b'], 'n': [i, 2 * i]}), 'table')",
    "errors(3)",
    "errors(4)",
    "print('begun')\nwhile True: pass",
    "widget.rounds.rate, widget.rounds.share = 20, 0.15",
    "live()['numbers'].view._feed._seq",
]
VIEW = "window.__livebatch.views.numbers"


@pytest.fixture(scope="module")
def notebook(lab: Lab) -> Iterator[Notebook]:
    notebook = lab.open(CELLS)
    notebook.page.set_viewport_size({"width": 1280, "height": 1500})
    for i in (0, NUMBERS, TABLE):
        notebook.run(i)
    for name in ("numbers", "rows"):
        notebook.wait_for_frames(name, 3)
    yield notebook
    assert notebook.errors == []
    notebook.close()


def control(notebook: Notebook, name: str, view: int = 0) -> Any:
    return notebook.page.locator(".livebatch-view").nth(view).locator(f".livebatch-{name}")


def download(notebook: Notebook, name: str, view: int = 0) -> Path:
    with notebook.page.expect_download() as waiting:
        control(notebook, name, view).click()
    found: Download = waiting.value
    path = Path(found.path())
    return path.rename(path.with_name(found.suggested_filename))


def test_a_view_says_what_it_is(notebook: Notebook) -> None:
    assert notebook.evaluate(f"{VIEW}.el.getAttribute('role')") == "figure"
    assert notebook.evaluate(f"{VIEW}.el.getAttribute('aria-label')") == "The numbers"
    nameless = "[...document.querySelectorAll('.livebatch-head button, .livebatch-head select')]"
    assert notebook.evaluate(f"{nameless}.every(el => el.getAttribute('aria-label'))")


def test_the_status_line_shows_the_figures_of_the_batch(notebook: Notebook) -> None:
    line = f"{VIEW}.line.el.innerText"
    for text in ("busy", "2.4K → 24 rows/s", "160 ms (32 %)", "delay 2 ms"):
        notebook.wait(f"{line}.includes(arg)", text)
    assert notebook.evaluate(f"{VIEW}.line.el.getAttribute('aria-live')") == "off"


def test_the_status_line_fits_into_a_narrow_page(notebook: Notebook) -> None:
    size = notebook.page.viewport_size
    notebook.evaluate("(lab.shell.collapseLeft(), true)")
    notebook.page.set_viewport_size({"width": 520, "height": 1500})
    notebook.wait(f"{VIEW}.el.clientWidth < 440")
    notebook.ask("errors(3)")
    notebook.wait(f"!{VIEW}.line.errors.hidden")
    assert notebook.evaluate(f"{VIEW}.line.figures.clientHeight") < 24, "figures are one line"
    assert notebook.evaluate(f"{VIEW}.el.scrollWidth <= {VIEW}.el.clientWidth")
    notebook.screenshot("controls-narrow")
    assert size is not None
    notebook.page.set_viewport_size(size)


def test_the_page_stands_still_at_once_and_the_keyboard_reaches_the_button(
    notebook: Notebook,
) -> None:
    notebook.run(COMPUTE, wait=False)
    notebook.wait_for_output(COMPUTE, "begun")
    control(notebook, "pause").focus()
    frozen = f"({VIEW}.head.toggle.click(), {VIEW}.el.classList.contains('livebatch-paused'))"
    assert notebook.evaluate(frozen), "nobody was asked"
    before = notebook.view("numbers")["frames"]
    notebook.wait_for_frames("rows", 10)
    assert notebook.view("numbers")["frames"] == before
    notebook.page.keyboard.press("Enter")
    notebook.wait_for_frames("numbers", 3)
    assert notebook.running(COMPUTE)
    assert notebook.evaluate("panel.content.mode") == "command", "the key was the button's alone"
    notebook.interrupt()
    notebook.wait_for_end(COMPUTE)
    assert notebook.view("numbers")["gaps"] == 0


def test_the_window_of_time_is_changed_at_once(notebook: Notebook) -> None:
    span = f"(xs => xs.at(-1) - xs[0])([...{VIEW}.source.data.xs[0]])"
    notebook.wait(f"{span} > 11_000")
    control(notebook, "window").select_option("10")
    notebook.wait(f"{span} < 10_800")
    control(notebook, "window").select_option("300")
    notebook.wait(f"{span} > 11_000")
    assert control(notebook, "window", 1).is_hidden(), "a table shows no past"


def test_the_picture_and_its_data_are_saved(notebook: Notebook) -> None:
    for view, name in ((0, "numbers.png"), (1, "rows.png")):
        path = download(notebook, "png", view)
        assert path.name == name
        assert path.read_bytes()[:4] == b"\x89PNG"
        assert path.stat().st_size > 5_000, "it is not empty"
    path = download(notebook, "csv", 1)
    head, first, *_ = path.read_text().splitlines()
    assert (path.name, head) == ("rows.csv", '"word","n"')
    assert first.startswith('"a",')
    assert len(download(notebook, "csv").read_text().splitlines()) > 10


def test_a_view_fills_the_screen_and_goes_back(notebook: Notebook) -> None:
    height = f"{VIEW}.body.querySelector('.livebatch-figure').clientHeight"
    before = notebook.evaluate(height)
    control(notebook, "full").click()
    notebook.wait(f"{height} > 2 * arg", before)
    notebook.screenshot("controls-full")
    control(notebook, "full").click()
    notebook.wait(f"{height} === arg", before)


def test_errors_are_opened_and_stay_open(notebook: Notebook) -> None:
    notebook.run(BAD)
    control(notebook, "toggle").click()
    table = notebook.page.locator(".livebatch-bad:visible")
    assert table.locator("code").all_inner_texts() == ["'-0'", "'<b>0</b>'"]
    table.locator("summary").click()
    assert "line 4\nZeroDivisionError" in table.locator("pre").inner_text()
    notebook.screenshot("controls-errors")
    notebook.run(WORSE)
    notebook.wait(f"{VIEW}.errors.body.querySelector('.times').textContent === '4'")
    assert table.locator("pre").is_visible()
    assert notebook.evaluate("__livebatch.herald.textContent").startswith("New error: ZeroDiv")
    control(notebook, "toggle").click()
    assert table.count() == 0


def test_nothing_is_sent_to_a_view_that_is_out_of_sight(notebook: Notebook) -> None:
    notebook.promise("lab.commands.execute('launcher:create').then(() => true)")
    seen = "__livebatch.views.numbers.presence.sees"
    notebook.wait(f"!{seen}")
    notebook.wait(f"(s => {{ const v = {VIEW}, n = performance.now(); if (v.at?.[0] !== v.seq)"
                  f" v.at = [v.seq, n]; return n - v.at[1] > 1000 }})()")  # fmt: skip
    notebook.promise("new Promise(done => (lab.shell.currentWidget.close(), done(true)))")
    notebook.wait(seen)
    keys = notebook.view("numbers")["keyframes"]
    notebook.wait_for_frames("numbers", 3)
    assert notebook.view("numbers")["keyframes"] >= keys
    drawn = [*notebook.data("numbers")["ys"][0]]
    assert drawn == list(range(int(drawn[0]), int(drawn[-1]) + 1)), "what was missed is there"
    assert notebook.view("numbers")["gaps"] == 0


def test_a_page_that_takes_nothing_holds_the_view_up_and_nothing_else(notebook: Notebook) -> None:
    presence = f"{VIEW}.presence"
    notebook.evaluate(f"({presence}.tell = {presence}.took = () => {{}}, true)")
    notebook.wait_for_frames("rows", 30)
    before = notebook.view("numbers")["seq"]
    notebook.wait_for_frames("rows", 20)
    assert notebook.view("numbers")["seq"] - before <= 8
    notebook.evaluate(f"(delete {presence}.tell, delete {presence}.took)")
    notebook.wait_for_frames("numbers", 10)
    assert "frames skipped" in notebook.evaluate(f"{VIEW}.line.el.innerText")
    assert notebook.view("numbers")["gaps"] == 0


def test_when_the_kernel_starts_again_the_picture_stays(notebook: Notebook) -> None:
    notebook.restart_kernel()
    notebook.wait(f"{VIEW}.line.el.innerText.includes('detached — run %engine attach')")
    assert notebook.evaluate(f"{VIEW}.el.isConnected && {VIEW}.source.data.xs[0].length > 10")
    notebook.screenshot("controls-detached")
    notebook.evaluate(f"({VIEW}.presence.change(false), {VIEW}.pause(true))")  # no error
