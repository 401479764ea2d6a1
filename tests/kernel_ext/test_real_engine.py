"""Notebooks with an engine that is a process of its own."""

from __future__ import annotations

import math
import os
import re
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ipywidgets
import psutil
import pytest

from livebatch import session
from livebatch.engine.runtime import list_engines
from livebatch.errors import EngineError, EngineLost
from livebatch.kernel_ext import pump
from livebatch.session import StreamingContext
from livebatch.widgets import live
from tests.helpers import eventually, free_port, line_server
from tests.kernel_ext.notebook import Notebook, left_out, rows, said, trouble
from tests.kernel_ext.test_printing import log_of

pytestmark = pytest.mark.process

START = "%engine start --batch 100ms --workers 2"


@pytest.fixture
def notebook() -> Iterator[Notebook]:
    """A notebook without an engine; if it has one at the end, that is stopped."""
    with Notebook.open() as notebook:
        yield notebook
        if "ssc" in notebook.names:
            notebook.works("%engine stop")


def test_an_engine_is_started_looked_at_and_stopped(notebook: Notebook) -> None:
    started = notebook.works(START).text
    assert started == "engine started: a batch every 100ms, 2 workers; its context is ssc\n"
    status = notebook.names["ssc"].status()
    text = repr(notebook.works("%engine").value)
    assert f"pid {status.pid}" in text
    assert all(str(pid) in text for pid in status.workers)
    notebook.works("%%stream numbers --show none\nssc.queue_stream(default=[1])")
    assert notebook.works("%engine stop").text == (
        "engine stopped, and with it numbers; ssc is no longer bound\n"
    )
    assert "ssc" not in notebook.names
    assert not psutil.pid_exists(status.pid)
    assert said("numbers") == ("the engine was stopped", "warn")


def test_starting_an_engine_when_one_runs(notebook: Notebook) -> None:
    notebook.works(START)
    pid = notebook.names["ssc"].status().pid
    assert notebook.works(START).text.startswith("an engine runs already: a batch every 100ms")
    assert notebook.works("%engine start").text.startswith("an engine runs already")
    ran = notebook.run("%engine start --batch 1s")
    assert isinstance(ran.error, EngineError)
    assert "end it and its streams with %engine stop" in ran.text
    assert notebook.names["ssc"].status().pid == pid


def test_the_engines_that_run(notebook: Notebook) -> None:
    notebook.works(START)
    mine = notebook.names["ssc"].status().name

    def line_of(name: str) -> str:
        lines = repr(notebook.works("%engine list").value).splitlines()
        return next((line for line in lines if line.startswith(name)), "")

    with StreamingContext("200ms", workers=1) as other:
        other.register("numbers", other.queue_stream(default=[1]))
        theirs = other.status().name
        assert re.search(r"this notebook's .* 100ms +2  none yet$", line_of(mine))
        assert re.search(r" 200ms +1  numbers$", line_of(theirs))
        assert "this notebook's" not in line_of(theirs)
    assert line_of(theirs) == ""


def test_workers_come_and_go_while_it_runs(notebook: Notebook) -> None:
    notebook.works(START)
    ssc = notebook.names["ssc"]
    assert notebook.works("%engine resize 1").text == "the engine now has 1 worker\n"
    eventually(lambda: len(ssc.status().workers) == 1)
    assert notebook.works("%engine resize 3").text == "the engine now has 3 workers\n"
    assert len(ssc.status().workers) == 3
    assert "is not a number of at least 1" in notebook.run("%engine resize 0").text


@pytest.mark.parametrize(
    ("options", "linger"), [("", 600), (" --linger 2h", 7200), (" --detach", math.inf)]
)
def test_how_long_an_engine_goes_on_alone(
    notebook: Notebook, monkeypatch: pytest.MonkeyPatch, options: str, linger: float
) -> None:
    asked = connections(monkeypatch)
    notebook.works(START + options)
    assert asked[0][4] == linger


def test_what_gives_way_when_batches_fall_behind(
    notebook: Notebook, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = connections(monkeypatch)
    notebook.works(START + " --no-backpressure --on-overflow drop_oldest")
    assert asked[0][-1] is False
    notebook.works("lines = ssc.socket_text_stream('localhost', 9)")
    assert notebook.names["lines"].options["receiving"]["on_overflow"] == "drop_oldest"


def connections(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Return a list to which is added what an engine is started with."""
    asked: list[Any] = []

    def start(*args: Any) -> Any:
        asked.append(args)
        return connect(*args)

    connect = session.connect
    monkeypatch.setattr(session, "connect", start)
    return asked


def test_a_long_job_has_a_bar_while_it_runs(notebook: Notebook, tmp_path: Path) -> None:
    notebook.works(START)
    made: list[Bar] = []

    class Bar:
        def __init__(self, **options: Any) -> None:
            self.seen: list[tuple[int, int]] = []
            self.open = True
            made.append(self)

        def refresh(self) -> None:
            self.seen.append((self.n, self.total))
            (tmp_path / str(self.n)).touch()

        def close(self) -> None:
            self.open = False

    notebook.names["ssc"].runner.bar = Bar
    notebook.names["seen"] = tmp_path
    notebook.works("short = ssc.parallelize(range(8), 8).count()")
    assert made == []
    ran = notebook.works(
        "def wait_until_seen(n):\n"
        "    while not (seen / str(n)).exists():\n"
        "        pass\n"
        "    return n\n"
        "ssc.parallelize(range(4), 4).map(wait_until_seen).collect()"
    )
    assert ran.value == [0, 1, 2, 3]
    [bar] = made
    assert {total for _, total in bar.seen} == {4}
    assert [n for n, _ in bar.seen] == sorted(n for n, _ in bar.seen)
    assert not bar.open


def test_a_cell_starts_an_engine_by_itself(notebook: Notebook) -> None:
    ran = notebook.works("%%stream numbers --show none\nssc.queue_stream(default=[1])")
    [line] = ran.text.splitlines()
    assert line.startswith("engine started: a batch every 1s, ")
    status = notebook.names["ssc"].status()
    assert status.batch == 1000
    assert status.running
    again = notebook.works("%%stream numbers --show none\nssc.queue_stream(default=[1])")
    assert again.text == ""


@pytest.mark.parametrize("cell", ["%%stream a\nx = = 1", "%%stream a\nx = 1", "%%stream sum\nssc"])
def test_no_engine_is_started_for_a_cell_that_cannot_work(notebook: Notebook, cell: str) -> None:
    notebook.fails(cell)
    assert "ssc" not in notebook.names


def test_an_engine_that_was_killed_is_started_again(notebook: Notebook) -> None:
    notebook.works(START)
    total = "lambda new, n: sum(new) + (n or 0)"
    notebook.works(
        "%%stream totals --show table\n"
        f"ssc.queue_stream(default=[1]).map(lambda n: ('n', n)).update_state_by_key({total})"
    )
    ssc = notebook.names["ssc"]
    shown = eventually(lambda: rows(live()["totals"]))
    before = ssc.status().pid
    os.kill(before, signal.SIGKILL)
    eventually(lambda: int(rows(live()["totals"])[0][1]) > int(shown[0][1]) + 3)
    status = ssc.status()
    assert status.pid != before
    assert status.checkpoints.recovery is not None
    states = [total for _, total in notebook.names["totals"].state.history("n")]
    assert states == list(range(states[0], states[-1] + 1))
    assert "recovered" in notebook.works("%engine").text
    notebook.works("%%stream more --show none\ntotals.map(str)")
    assert "totals" in notebook.works("%stream").text


def test_an_engine_that_is_gone(notebook: Notebook, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pump, "SILENCE", 0.2)
    notebook.works(START)
    notebook.works("%%stream numbers --show none\nssc.queue_stream(default=[1])")
    eventually(lambda: said("numbers")[0])
    engine = psutil.Process(notebook.names["ssc"].status().pid)
    for process in (engine.parent(), engine):
        process.kill()
        process.wait(10)
    eventually(lambda: said("numbers") == ("the engine is gone", "warn"))
    for cell in ("%%stream more\nnumbers.map(str)", "%stream", "%engine"):
        ran = notebook.run(cell)
        assert isinstance(ran.error, EngineLost)
        assert ran.text.strip().startswith("EngineLost: the engine is gone; start another")
    assert "more" not in notebook.names
    assert notebook.works(START).text.startswith("engine started")
    notebook.works("%%stream numbers --show table\nssc.queue_stream(default=[2])")
    eventually(lambda: rows(live()["numbers"]) == [["2"]])


def test_a_traceback_of_a_worker_shows_the_line_of_the_cell(notebook: Notebook) -> None:
    notebook.works(START)
    notebook.works(
        "%%stream numbers --show none\n"
        "\n"
        "def invert(n):\n"
        "    return 1 / n\n"
        "\n"
        "ssc.queue_stream(default=[0]).map(invert)"
    )
    text = eventually(lambda: trouble("numbers"))
    assert "Cell In[3], line 4, in invert\n    return 1 / n" in text
    assert text.splitlines()[-1] == "ZeroDivisionError: division by zero"
    assert "livebatch" not in text
    assert said("numbers")[0].endswith(" · failed")
    notebook.works("%%stream numbers --show table\nssc.queue_stream(default=[2]).map(invert)")
    eventually(lambda: rows(live()["numbers"]) == [["0.5"]])
    assert trouble("numbers") is None


def test_bad_records_show_with_their_traceback(notebook: Notebook) -> None:
    notebook.works(START)
    notebook.works(
        "%%stream numbers --show none\n"
        "ssc.queue_stream(default=['x', *map(str, range(500))]).map(int)"
    )
    errors = eventually(lambda: left_out("numbers"))
    assert (errors["count"], errors["seen"]) == (1, 501)
    [kind] = errors["kinds"]
    assert kind["records"] == ("'x'",)
    assert kind["error"].startswith("ValueError: invalid")
    assert said("numbers")[0].endswith(" · 1 bad record")


def test_an_output_that_raises_shows_at_its_cell(notebook: Notebook) -> None:
    notebook.works(START)
    for on in ("engine", "kernel"):
        notebook.works(
            "%%stream numbers --show none\n"
            "x = ssc.queue_stream(default=[1])\n"
            f"x.foreach_rdd(lambda rdd: rdd.no_such_thing, on='{on}')\n"
            "x"
        )
        text = eventually(lambda: trouble("numbers"))
        assert "Cell In[" in text
        assert "], line 3, in <lambda>" in text
        assert "no_such_thing" in text.splitlines()[-1]


def test_what_functions_print_appears_under_the_view(notebook: Notebook) -> None:
    notebook.works(START)
    notebook.works(
        "%%stream numbers --show none\n"
        "def loud(n):\n    print('seen', n)\n    return n\n"
        "x = ssc.queue_stream(default=[7]).map(loud)\nx.pprint()\nx"
    )
    eventually(lambda: {"seen 7", "7"} <= set(log_of("numbers").splitlines()))


def test_a_slow_function_in_the_kernel_holds_up_no_view(notebook: Notebook) -> None:
    notebook.works(START)
    notebook.works("import threading\ngo, come = threading.Event(), threading.Event()")
    notebook.works(
        "%%stream slow --show none\n"
        "x = ssc.queue_stream(default=[1])\n"
        "x.foreach_rdd(lambda rdd: (come.set(), go.wait()), on='kernel')\n"
        "x"
    )
    assert notebook.names["come"].wait(10)
    try:
        first = said("slow")[0]
        eventually(lambda: said("slow")[0] != first)
    finally:
        notebook.names["go"].set()


def test_a_source_that_cannot_connect_and_then_can(notebook: Notebook) -> None:
    port = free_port()
    notebook.works(START)
    notebook.works(f"%%stream lines --show table\nssc.socket_text_stream('127.0.0.1', {port})")
    notebook.works("%%stream words --show none\nlines.flat_map(str.split)")
    for name in ("lines", "words"):
        text, level = eventually(lambda name=name: "stopped" in said(name)[0] and said(name))  # type: ignore[misc]
        assert "trying again in" in text
        assert level == "error"
    assert "stopped" in repr(notebook.works("%stream").value)
    with line_server(port) as server:
        eventually(lambda: server.connections)
        eventually(lambda: "rows" in said("words")[0])
        server.send("hello world")
        eventually(lambda: ["hello world"] in rows(live()["lines"]) or notebook.works(
            "lines.last('10s').collect()").value == ["hello world"])  # fmt: skip


def test_a_kernel_takes_up_an_engine_again() -> None:
    with Notebook.open() as first:
        first.works(START)
        first.works("%%stream numbers --show table --window 5m\nssc.queue_stream(default=[4])")
        engine = first.names["ssc"].status()
        first.names["ssc"].detach()
    with Notebook.open() as second:
        second.works("numbers = 3")
        assert "NameTaken" in second.fails("%engine attach")
        second.works("del numbers, ssc")
        ran = second.works("%engine attach")
        assert ran.text == "attached; streams: numbers\n"
        assert len(ran.shown) == 1
        assert second.names["ssc"].status().pid == engine.pid
        eventually(lambda: rows(live()["numbers"]) == [["4"]])
        second.works("%%stream doubled --show table\nnumbers.map(lambda n: 2 * n)")
        eventually(lambda: rows(live()["doubled"]) == [["8"]])
        second.works("%%stream numbers --show table\nssc.queue_stream(default=[5])")
        eventually(lambda: rows(live()["doubled"]) == [["10"]])
        second.works("%engine stop")
    eventually(lambda: engine.name not in [found.name for found in list_engines()])


def test_a_pause_outlives_the_notebook_and_any_client_ends_it() -> None:
    with Notebook.open() as first:
        first.works(START)
        first.works("%%stream numbers --show none\nssc.queue_stream(default=[4])")
        first.works("%%stream doubled --show none\nnumbers.map(lambda n: 2 * n)")
        eventually(lambda: all(s.batches for s in first.names["ssc"].status().streams))
        first.works("%stream pause numbers")
        engine = first.names["ssc"].status()
        first.names["ssc"].detach()
    with Notebook.open() as second:
        second.works("%engine attach")
        ssc = second.names["ssc"]
        before = {s.name: (s.batches, s.paused) for s in ssc.status().streams}
        assert {paused for _, paused in before.values()} == {("numbers",)}
        with StreamingContext.attach(engine.name) as other:
            ticks = ssc.status().now
            eventually(lambda: ssc.status().now > ticks + 500)
            assert {s.name: (s.batches, s.paused) for s in ssc.status().streams} == before
            other.resume("numbers")
            eventually(lambda: all(s.batches > before[s.name][0] for s in ssc.status().streams))
            other.detach()
        second.works("%engine stop")


def test_twenty_quick_runs_leave_one_stream_one_view_and_one_widget(notebook: Notebook) -> None:
    notebook.works(START)
    cell = "%%stream numbers --show table\nssc.queue_stream(default=[{}]).map(lambda n: n)"
    notebook.works(cell.format(0))
    notebook.works("%%stream doubled --show none\nnumbers.map(lambda n: 2 * n)", "cell-2")
    eventually(lambda: rows(live()["numbers"]) == [["0"]])
    widgets = len(ipywidgets.widgets.widget._instances)
    threads = threading.active_count()
    for i in range(1, 21):
        shown = notebook.works(cell.format(i)).shown
        assert len(shown) == 1
    assert len(ipywidgets.widgets.widget._instances) == widgets
    assert threading.active_count() == threads
    status = notebook.names["ssc"].status()
    assert sorted(stream.name for stream in status.streams) == ["doubled", "numbers"]
    eventually(lambda: rows(live()["numbers"]) == [["20"]])
    eventually(lambda: notebook.names["doubled"].latest().collect() == [40])
