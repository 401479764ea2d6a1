"""Notebooks as users write them, in JupyterLab, with a real engine: from a socket to the screen."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count, pairwise, takewhile
from pathlib import Path
from socketserver import StreamRequestHandler, ThreadingTCPServer
from threading import Event, Thread
from typing import Any

import pytest

from livebatch.engine.log import Settled, read_log
from livebatch.launch import attach
from livebatch.wire import Stop
from tests.browser.lab import Lab
from tests.browser.notebook import KERNEL, Notebook
from tests.helpers import eventually

pytestmark = [pytest.mark.browser, pytest.mark.process, pytest.mark.timeout(600)]

TICKS = "%%stream ticks --show line\nssc.socket_text_stream('127.0.0.1', {}).map(int)"
WORDS = """%%stream words --show bar
# fruit, and how often
fruit = ["apple", "pear", "plum", "quince", "medlar"]
ticks.map(lambda n: (fruit[n % 7 % 5], n % 7 + 1)).reduce_by_key(lambda a, b: a + b)"""
ROWS = """%%stream rows --show table
ticks.map(lambda n: {"n": n, "square": n * n, "odd": bool(n % 2), "name": f"row {n}"})"""
LOUD = """%%stream loud --show none
x = ticks.map(lambda n: n % 10).count_by_value()
x.pprint(3)
x"""
CELLS = [
    "%load_ext livebatch\n%engine start --batch 200ms --workers 2",
    TICKS,
    WORDS,
    ROWS,
    LOUD,
    "import time\nprint('begun')\ntime.sleep(3600)",
    "print('begun')\nwhile True: pass",
    "%%stream broken --show line\n\n"
    "def invert(n):\n    '''Fail always.'''\n    return n / 0\n\nticks.map(invert)",
    "%stream",
    "words.latest()",
    "%engine",
    "%%stream bad\nx = 1\nlock = __import__('threading').Lock()\nticks.map(lambda n: lock)",
    "%stream stop rows",
]
(START, TICK, WORD, ROW, PRINT, SLEEP, COMPUTE, BROKEN, LIST, LATEST, ENGINE, BAD, STOP) = range(13)
NAMES = ["ticks", "words", "rows"]
STATUS = "window.__livebatch.views[arg].line.el.innerText"


class Numbers(ThreadingTCPServer):
    """Sends 0, 1, 2 … to each who connects, fifty a second."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Sender)
        self.done = Event()
        self.port: int = self.server_address[1]


class Sender(StreamRequestHandler):
    """One connection of `Numbers`."""

    server: Numbers

    def handle(self) -> None:
        with suppress(OSError):
            for i in takewhile(lambda _: not self.server.done.wait(0.02), count()):
                self.wfile.write(f"{i}\n".encode())


@pytest.fixture(scope="module")
def numbers() -> Iterator[Numbers]:
    with Numbers() as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.done.set()
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def notebook(lab: Lab, numbers: Numbers) -> Iterator[Notebook]:
    notebook = lab.open([cell.replace("{}", str(numbers.port), 1) if cell is TICKS else cell
                         for cell in CELLS])  # fmt: skip
    notebook.page.set_viewport_size({"width": 1280, "height": 2600})
    for i in (START, TICK, WORD, ROW, PRINT):
        notebook.run(i)
    for name in NAMES:
        notebook.wait_for_frames(name, 3)
    yield notebook
    assert notebook.errors == []
    assert notebook.ask("get_ipython().run_line_magic('engine', 'stop')") is None
    notebook.close()


def ticks(notebook: Notebook) -> list[float]:
    [column] = notebook.data("ticks")["ys"]
    assert isinstance(column, list)
    return column


def is_whole(values: list[float]) -> bool:
    return values == list(range(int(values[0]), int(values[-1]) + 1))


def gaps(notebook: Notebook) -> int:
    return sum(int(notebook.view(name)["gaps"]) for name in NAMES)


@contextmanager
def busy(notebook: Notebook, cell: int) -> Iterator[None]:
    """Within this, a cell runs that does not end by itself."""
    notebook.run(cell, wait=False)
    try:
        notebook.wait_for_output(cell, "begun")
        yield
        assert notebook.running(cell)
    finally:
        notebook.interrupt()
        notebook.wait_for_end(cell)


def threads(notebook: Notebook) -> Any:
    return notebook.ask(
        "sorted(t.name for t in __import__('threading').enumerate()"
        " if t.name.startswith('livebatch'))"
    )


def texts(notebook: Notebook, cell: int) -> str:
    """The printed and raised texts under a cell, as its file would hold them."""
    return str(notebook.outputs(cell))


def test_every_number_that_was_sent_is_drawn_once_and_in_order(notebook: Notebook) -> None:
    before = ticks(notebook)
    notebook.wait_for_frames("ticks", 10)
    after = ticks(notebook)
    assert is_whole(after)
    assert after[-1] > before[-1]
    assert gaps(notebook) == 0


@pytest.mark.parametrize("cell", [SLEEP, COMPUTE])
def test_views_move_while_a_cell_is_busy(notebook: Notebook, cell: int) -> None:
    with busy(notebook, cell):
        before = ticks(notebook)[-1]
        for name in NAMES:
            notebook.wait_for_frames(name, 5)
        status = notebook.evaluate(STATUS, "ticks")
        notebook.wait(f"{STATUS} !== {status!r}", "ticks")
        assert ticks(notebook)[-1] > before
    assert is_whole(ticks(notebook))
    assert gaps(notebook) == 0


def test_a_view_is_paused_while_a_cell_computes(notebook: Notebook) -> None:
    with busy(notebook, COMPUTE):
        notebook.scroll_to(TICK)
        notebook.page.locator(".livebatch-pause:visible").first.click()
        paused = "window.__livebatch.views.ticks.el.classList.contains('livebatch-paused')"
        notebook.wait(paused)
        frozen = ticks(notebook)
        notebook.wait_for_frames("words", 5)
        assert ticks(notebook) == frozen
        notebook.page.locator(".livebatch-pause:visible").first.click()
        notebook.wait_for_frames("ticks", 2)
        assert is_whole(ticks(notebook)), "the pause leaves no hole"
        assert ticks(notebook)[-1] > frozen[-1]


def test_the_status_says_how_the_newest_batch_went(notebook: Notebook) -> None:
    time, rate, load = r"\d\d:\d\d:\d\d(\.\d)?", r"[\d.]+ → [\d.]+ rows\/s", r"\d+ ms \(\d+ %\)"
    whole = r"\s*".join([time, rate, load, r"delay \d+ ms"])
    notebook.wait(f"/^{whole}$/.test({STATUS}.trim())", "ticks")


def test_what_a_cell_prints_appears_under_that_cell(notebook: Notebook) -> None:
    log = "panel.content.widgets[arg].outputArea.node.querySelector('.livebatch-log pre')"
    with busy(notebook, SLEEP):
        before = notebook.wait(f"{log}?.textContent.includes('Time: ') && {log}.textContent", PRINT)
        notebook.wait(f"{log.replace('arg', 'arg[0]')}.textContent !== arg[1]", [PRINT, before])
    assert "Time:" not in notebook.output(SLEEP)


def test_a_cell_run_twenty_times_leaves_one_stream_and_one_view(notebook: Notebook) -> None:
    before = threads(notebook)
    documents = notebook.evaluate("window.Bokeh.documents.length")
    for _ in range(20):
        notebook.run(WORD, wait=False)
    notebook.wait_for_end(WORD)
    notebook.wait_for_frames("words", 3)
    assert threads(notebook) == before
    notebook.wait("window.Bokeh.documents.length === arg", documents)
    found = "panel.content.widgets[arg].outputArea.node.querySelectorAll('.livebatch-view').length"
    assert notebook.evaluate(found, WORD) == 1
    assert notebook.ask("[s.name for s in ssc.status().streams].count('words')") == 1
    assert notebook.ask("len(__import__('livebatch.widgets').widgets.live())") == len(NAMES) + 1
    assert set(notebook.data("words")["key"]) == {"apple", "pear", "plum", "quince", "medlar"}


def test_streams_follow_the_stream_they_are_computed_from(notebook: Notebook) -> None:
    before = ticks(notebook)[-1]
    notebook.run(TICK)
    for name in NAMES:
        notebook.wait_for_frames(name, 3)
    assert ticks(notebook)[0] == 0, "it is a new stream, from a new connection"
    assert is_whole(ticks(notebook))
    newest = [int(n) for n in notebook.data("rows")["n"]]
    assert max(newest) < before


def test_a_cell_that_fails_keeps_its_view(notebook: Notebook) -> None:
    notebook.edit(WORD, f"{WORDS}\n1 / 0")
    notebook.run(WORD)
    notebook.wait_for_output(WORD, "ZeroDivisionError: division by zero")
    shown = notebook.output(WORD)
    assert "----> 5 1 / 0" in shown
    assert "run_cell_magic" not in shown
    assert "magics.py" not in shown
    notebook.wait_for_frames("words", 3)
    assert notebook.view("words")["gaps"] == 0
    notebook.scroll_to(WORD)
    notebook.screenshot("cells-failed")
    notebook.edit(WORD, WORDS)
    notebook.run(WORD)
    notebook.wait_for_frames("words", 2)


def test_a_closure_that_cannot_travel_is_explained(notebook: Notebook) -> None:
    notebook.run(BAD)
    shown = notebook.output(BAD)
    assert "it uses 'lock' (_thread.lock), which cannot be pickled" in shown
    assert "----> 4 ticks.map(lambda n: lock)" in shown
    assert "cloudpickle" not in shown
    notebook.scroll_to(BAD)
    notebook.screenshot("cells-closure")


def test_a_failure_in_a_worker_shows_the_line_of_the_cell(notebook: Notebook) -> None:
    notebook.run(BROKEN)
    panel = "panel.content.widgets[arg].outputArea.node.querySelector('.livebatch-error')"
    text = notebook.wait(f"!{panel}?.hidden && {panel}?.textContent", BROKEN)
    number = notebook.ask("len(In) - 1")
    assert f"Cell In[{number}], line 5, in invert\n    return n / 0" in text
    assert "ZeroDivisionError: division by zero" in text
    notebook.scroll_to(BROKEN)
    notebook.page.locator(".livebatch-error summary:visible").first.click()
    notebook.screenshot("cells-worker-failure")
    notebook.edit(BROKEN, "%%stream broken --show line\nticks.map(float)")
    notebook.run(BROKEN)
    notebook.wait_for_frames("broken", 2)
    assert notebook.evaluate(f"{panel}.hidden", BROKEN)


def test_tables_of_streams_and_of_the_engine(notebook: Notebook) -> None:
    for cell, text in ((LIST, "words"), (LATEST, "rows"), (ENGINE, "workers")):
        notebook.run(cell)
        notebook.wait_for_output(cell, text)
    assert notebook.output(LIST).count("receiving") == len(notebook.ask("list(ssc.streams)"))
    notebook.scroll_to(LIST)
    notebook.screenshot("cells-tables")


def test_how_it_looks(notebook: Notebook) -> None:
    notebook.page.set_viewport_size({"width": 1280, "height": 1900})
    for theme in ("Light", "Dark"):
        notebook.theme(f"JupyterLab {theme}")
        notebook.scroll_to(START)
        for name in NAMES:
            notebook.wait_for_frames(name, 2)
        notebook.screenshot(f"cells-{theme.lower()}")
        notebook.scroll_to(LIST)
        notebook.screenshot(f"cells-tables-{theme.lower()}")
    notebook.theme("JupyterLab Light")
    notebook.page.set_viewport_size({"width": 1280, "height": 900})


def test_a_stream_that_is_stopped_says_so(notebook: Notebook) -> None:
    notebook.run(STOP)
    assert "stopped rows" in notebook.output(STOP)
    notebook.scroll_to(ROW)  # nothing is sent to what is out of sight
    notebook.wait(f"{STATUS}.trim() === 'stopped'", "rows")
    notebook.run(ROW)
    notebook.wait_for_frames("rows", 2)


def test_killing_the_kernel_leaves_no_gap(lab: Lab, numbers: Numbers) -> None:
    notebook = lab.open([CELLS[START], TICKS.format(numbers.port), "%engine attach\n%engine"])
    for i in (0, 1):
        notebook.run(i)
    notebook.wait_for_frames("ticks", 3)
    name = notebook.ask("ssc.status().name")
    log = Path(notebook.ask("ssc.connection.found.checkpoint"))
    kernel = notebook.ask("__import__('os').getpid()")
    killed = settled(log)[-1]
    os.kill(kernel, signal.SIGKILL)
    eventually(lambda: settled(log)[-1] > killed + 3000)
    times = settled(log)
    assert {b - a for a, b in pairwise(times)} == {200}
    notebook.page.locator(".jp-Dialog .jp-mod-accept").click()
    notebook.wait(f"{KERNEL}?.connectionStatus === 'connected' && {KERNEL}.status === 'idle'")
    notebook.edit(2, f"%load_ext livebatch\n%engine attach {name}")
    notebook.run(2)
    notebook.wait_for_frames("ticks", 3)
    assert is_whole(ticks(notebook))
    place = "panel.content.widgets[arg].node.contains(__livebatch.views.ticks.el)"
    assert notebook.evaluate(place, 1), "it goes on under its own cell"
    assert notebook.page.locator(".livebatch-view:visible").count() == 1
    assert "detached" not in notebook.output(1)
    notebook.screenshot("cells-attached")
    notebook.delete(1)
    notebook.wait_for_frames("ticks", 3)
    assert notebook.page.locator(".livebatch-view:visible").count() == 1
    attach(name).stop(Stop())
    notebook.close()


def settled(log: Path) -> list[int]:
    """The times of the batches that have settled."""
    return [entry.time for entry in read_log(str(log)) if isinstance(entry, Settled)]
