"""``%engine`` and ``%stream``, and the views of streams that are run again."""

from __future__ import annotations

import re
import threading

import ipywidgets
import pytest
from IPython.core.error import UsageError

from livebatch.errors import DefinitionError, NotRunning
from livebatch.testing import ManualContext
from livebatch.widgets import live
from tests.helpers import eventually
from tests.kernel_ext.notebook import Notebook, rows, said

NUMBERS = "%%stream numbers --show {}\nssc.queue_stream(default=[{}])"


def left() -> tuple[list[str], int]:
    """Return the threads and the number of widgets there are."""
    threads = [t.name for t in threading.enumerate() if t.name.startswith("livebatch")]
    return sorted(threads), len(ipywidgets.widgets.widget._instances)


def test_a_cell_run_again_replaces_stream_and_view(notebook: Notebook, ssc: ManualContext) -> None:
    notebook.works(NUMBERS.format("table", 1))
    first = live()["numbers"]
    ssc.advance("1s")
    notebook.works(NUMBERS.format("bar", 2))
    assert live()["numbers"] is not first
    assert first.comm is None
    ssc.advance("1s")
    eventually(lambda: rows(live()["numbers"]) == [["2"]])
    assert [stream.name for stream in ssc.status().streams] == ["numbers"]


def test_twenty_quick_runs_leave_one_stream_one_view_and_no_threads(
    notebook: Notebook, ssc: ManualContext
) -> None:
    cell = NUMBERS.format("line", 1) + ".map(str).map(int)"
    notebook.works(cell)
    before = left()
    for _ in range(20):
        notebook.works(cell)
    assert left() == before
    assert len(ssc.status().streams) == 1
    assert len(ssc.stepped.engine.graph.nodes) == 3


def test_streams_that_use_a_stream_follow_when_it_is_replaced(
    notebook: Notebook, ssc: ManualContext
) -> None:
    notebook.works(NUMBERS.format("none", 1))
    notebook.works("%%stream doubled --show none\nnumbers.map(lambda n: 2 * n)")
    notebook.works(NUMBERS.format("none", 5))
    ssc.advance("1s")
    assert notebook.works("doubled.latest().collect()").value == [10]


def test_batches_from_before_do_not_reach_the_new_view(
    notebook: Notebook, ssc: ManualContext
) -> None:
    notebook.works(NUMBERS.format("table", 1))
    ssc.advance("3s")
    notebook.works(NUMBERS.format("table", 2))
    assert rows(live()["numbers"]) == []
    ssc.advance("1s")
    eventually(lambda: rows(live()["numbers"]) == [["2"]])


def test_the_list_of_streams(notebook: Notebook, ssc: ManualContext) -> None:
    notebook.works(NUMBERS.format("none", "1, 2, 3"))
    empty = notebook.works("%stream").value
    assert "–" in repr(empty)
    ssc.advance("2s")
    notebook.works("%%stream broken --show none\nnumbers.map(lambda n: 1 // 0)")
    ssc.advance("1s")
    grid = notebook.works("%stream").value
    names, broken, numbers = repr(grid).splitlines()
    titles = (
        "stream now rows/s batch time scheduling delay batches kept state errors source defined in"
    )
    assert " ".join(names.split()) == titles
    assert re.match(r"broken +failing .* 1 failed batch; ZeroDivisionError: .* In \[4\]", broken)
    assert re.match(r"numbers +running +3 +0 ms +0 ms +3 +10m: 3 batches, ", numbers)
    assert re.search(r"10m: 3 batches, [\d.]+ k?B, since \d\d:\d\d:\d\d +In \[2\]", numbers)
    html = grid._repr_html_()
    assert html.count("<tr>") == 3
    assert "ZeroDivisionError" in html


def test_a_stream_is_stopped(notebook: Notebook, ssc: ManualContext) -> None:
    notebook.works(NUMBERS.format("table", 1))
    stream = notebook.names["numbers"]
    ssc.advance("1s")
    ran = notebook.works("%stream stop numbers")
    assert ran.text.startswith("stopped numbers; ")
    assert ssc.streams == {}
    assert notebook.names["numbers"] is stream, "nothing is unbound"
    eventually(lambda: said("numbers") == ("stopped", "warn"))
    eventually(lambda: rows(live()["numbers"]) == [["1"]])  # the last picture stays
    notebook.works(NUMBERS.format("table", 2))
    ssc.advance("1s")
    eventually(lambda: rows(live()["numbers"]) == [["2"]])


def test_a_stream_that_others_use_is_not_stopped(notebook: Notebook, ssc: ManualContext) -> None:
    notebook.works(NUMBERS.format("none", 1))
    notebook.works("%%stream doubled --show none\nnumbers.map(lambda n: 2 * n)")
    ran = notebook.run("%stream stop numbers")
    assert isinstance(ran.error, DefinitionError)
    assert ran.text.strip() == "DefinitionError: numbers is used by doubled: stop those first"
    assert set(ssc.streams) == {"numbers", "doubled"}


def test_a_stream_that_is_not_there_cannot_be_stopped(notebook: Notebook) -> None:
    ran = notebook.run("%stream stop nothing")
    assert isinstance(ran.error, NotRunning)
    assert ran.text.strip().startswith("NotRunning: there is no stream nothing")


def test_how_the_engine_is_doing(notebook: Notebook, ssc: ManualContext) -> None:
    notebook.works(NUMBERS.format("none", 1))
    for line in ("%engine", "%engine status"):
        grid = notebook.works(line).value
        assert "batch" in repr(grid)
        assert "1s" in repr(grid)
        assert "numbers" in grid._repr_html_()


@pytest.mark.parametrize("line", ["%stream", "%engine", "%engine stop", "%stream stop numbers"])
def test_without_an_engine(notebook: Notebook, line: str) -> None:
    del notebook.names["ssc"]
    ran = notebook.run(line)
    assert isinstance(ran.error, NotRunning)
    assert "no engine is running" in ran.text
    assert len(ran.text.strip().splitlines()) == 1


def test_wrong_options_are_one_line_and_no_exit(notebook: Notebook) -> None:
    for cell in ("%%stream numbers --show pie\nssc", "%engine start --batch x", "%stream stop"):
        ran = notebook.run(cell)
        assert isinstance(ran.error, UsageError)
        assert len(ran.text.strip().splitlines()) == 1


def test_help(notebook: Notebook) -> None:
    assert "usage: %%stream" in notebook.works("%%stream --help\nx").text
    for alone in ("%%stream --help", "%%query -h"):
        assert f"usage: {alone.split()[0]}" in notebook.works(alone).text
    assert "the cell must end with a stream; it is empty" in notebook.fails("%%stream words")
    assert "usage: %engine start" in notebook.works("%engine start --help").text


def test_ssc_may_not_be_something_else(notebook: Notebook) -> None:
    notebook.works("ssc = 3")
    for cell in ("%engine", "%%stream numbers\n1"):
        assert "the engine's context needs the name ssc" in notebook.fails(cell)
    assert notebook.names["ssc"] == 3


def test_unloading_takes_everything_away(notebook: Notebook, ssc: ManualContext) -> None:
    notebook.works(NUMBERS.format("none", 1))
    notebook.works("%unload_ext livebatch")
    for cell in ("%engine", "%stream", "%%stream x\nssc.queue_stream()"):
        assert "not found" in notebook.fails(cell)
    assert not [t for t in threading.enumerate() if t.name == "livebatch-pump"]
    ssc.advance("2s")
    assert said("numbers")[0] == ""
    notebook.works("%load_ext livebatch")
    assert "numbers" in repr(notebook.works("%stream").value)
    eventually(lambda: said("numbers")[0].endswith("1 row · 0 ms"))
