"""The list of streams as a widget: what it says, its buttons, and when it moves."""

from __future__ import annotations

import re
import threading
from typing import Any

import ipywidgets
import pytest

from livebatch.errors import NotRunning
from livebatch.kernel_ext import livetable
from livebatch.kernel_ext.board import COLUMNS, Board
from livebatch.kernel_ext.livetable import StreamTable
from livebatch.testing import ManualContext
from tests.helpers import eventually
from tests.kernel_ext.notebook import Notebook, said

NUMBERS = "%%stream numbers --show none\nssc.queue_stream(default=[1, 2])"
SUMS = """%%stream sums --show none
numbers.map(lambda n: (n, 1)).update_state_by_key(lambda new, old: sum(new) + (old or 0))"""


def cells(table: StreamTable, name: str) -> dict[str, str]:
    """Return what a table says of a stream, by column."""
    [row] = [row for row in table.board["rows"] if row["name"] == name]
    return dict(zip(COLUMNS, row["cells"], strict=True))


def told(table: StreamTable, **content: Any) -> None:
    """Have a table hear what a browser tells it."""
    table._handle_msg(
        {"content": {"data": {"method": "custom", "content": content}}, "buffers": []}
    )


def threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "livebatch-streams"]


@pytest.fixture
def table(notebook: Notebook, ssc: ManualContext) -> StreamTable:
    notebook.works(NUMBERS)
    notebook.works(SUMS)
    ssc.advance("3s")
    value = notebook.works("%stream").value
    assert isinstance(value, StreamTable)
    return value


def test_what_it_says(table: StreamTable) -> None:
    numbers, sums = cells(table, "numbers"), cells(table, "sums")
    assert numbers["now"] == "running"
    assert numbers["rows/s"] == "2"
    assert re.fullmatch(r"10m: 3 batches, .*B, since \d\d:\d\d:\d\d", numbers["kept"])
    assert numbers["defined in"] == "In [2]"
    assert re.fullmatch(r"2 keys, .*B", sums["state"])
    assert numbers["state"] == ""


def test_it_is_one_widget_however_often_it_is_shown(notebook: Notebook, table: StreamTable) -> None:
    before = len(ipywidgets.widgets.widget._instances)
    for _ in range(20):
        assert notebook.works("%stream list").value is table
    assert len(ipywidgets.widgets.widget._instances) == before
    assert threads() == []


def test_what_a_page_without_scripts_shows(table: StreamTable) -> None:
    data, _ = table._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in data
    assert data["text/html"].count("<tr>") == 3
    assert data["text/plain"].splitlines()[1].startswith("numbers  running")


def test_its_buttons_pause_resume_and_stop(
    notebook: Notebook, ssc: ManualContext, table: StreamTable
) -> None:
    told(table, act="pause", name="numbers")
    assert cells(table, "numbers")["now"] == "paused"
    assert cells(table, "sums")["now"] == "numbers is paused"
    assert [row["paused"] for row in table.board["rows"]] == [True, False]
    ssc.advance("2s")
    told(table, act="resume", name="numbers")
    ssc.advance("1s")
    table.refresh()
    assert cells(table, "numbers")["batches"] == "4"
    told(table, act="stop", name="numbers")
    assert table.board["note"] == "numbers is used by sums: stop those first"
    told(table, act="stop", name="sums")
    assert [row["name"] for row in table.board["rows"]] == ["numbers"]
    told(table, act="no such thing", name="numbers")
    assert [row["name"] for row in table.board["rows"]] == ["numbers"]


def test_the_magic_pauses_and_resumes(notebook: Notebook, ssc: ManualContext) -> None:
    notebook.works(NUMBERS)
    assert notebook.works("%stream pause numbers").text.startswith("paused numbers from the next")
    ssc.advance("2s")
    assert ssc.status().streams[0].batches == 0
    assert notebook.works("%stream resume numbers").text.startswith("numbers goes on")
    ssc.advance("1s")
    assert ssc.status().streams[0].batches == 1
    ran = notebook.run("%stream pause nothing")
    assert isinstance(ran.error, NotRunning)
    assert ran.text.startswith("NotRunning: there is no stream nothing")


def test_it_says_that_the_engine_is_gone(notebook: Notebook, table: StreamTable) -> None:
    notebook.works("%engine stop")
    table.refresh()
    assert table.board["note"] == "no engine is running"
    assert cells(table, "numbers")["batches"] == "3", "what was known last stays"


def test_it_moves_while_it_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(livetable, "EVERY", 0.01)
    looks: list[int] = []

    def ask() -> Board:
        looks.append(len(looks))
        return Board((), {})

    table = StreamTable(ask, {})
    assert threads() == []
    told(table, look=True)
    told(table, look=True)
    eventually(lambda: len(looks) > 5)
    assert len(threads()) == 1
    monkeypatch.setattr(livetable, "LOOKED_AT", 0.0)
    told(table, look=True)
    eventually(lambda: not threads())
    monkeypatch.setattr(livetable, "LOOKED_AT", 60.0)
    told(table, look=True)
    assert len(threads()) == 1
    table.close()
    assert threads() == []
    told(table, look=True)
    assert threads() == []


def test_the_view_of_a_paused_stream_says_so(notebook: Notebook, ssc: ManualContext) -> None:
    notebook.works(NUMBERS)
    ssc.advance("1s")
    notebook.works("%stream pause numbers")
    ssc.advance("1s")
    eventually(lambda: said("numbers") == ("paused", "warn"))
    notebook.works("%stream resume numbers")
    ssc.advance("1s")
    eventually(lambda: said("numbers")[0] not in ("", "paused"))
