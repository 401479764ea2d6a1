"""More views of a stream than its cell's: %watch, stream.plot and dashboards."""

from __future__ import annotations

from typing import Any

import pytest

import livebatch as lb
from livebatch.errors import DefinitionError, NotRunning
from livebatch.testing import ManualContext
from livebatch.widgets import Panel, live
from tests.helpers import eventually
from tests.kernel_ext.notebook import Notebook, rows, trouble

NUMBERS = "%%stream numbers --show table\nssc.queue_stream(default=[(1, 'a'), (2, 'b')])"


def watches(of: str) -> list[Panel]:
    """The views of a stream that are not its cell's, oldest first."""
    return [panel for key, panel in live().items() if key.startswith(f"{of} as ")]


def test_a_stream_is_shown_twice(notebook: Notebook, ssc: ManualContext) -> None:
    notebook.works(NUMBERS)
    notebook.works("%watch numbers --as bar --window 30s", "cell-2")
    [bars] = watches("numbers")
    ssc.advance("2s")
    eventually(lambda: rows(live()["numbers"]) == [["1", "a"], ["2", "b"]])
    eventually(lambda: rows(bars) == [["1", "a"], ["2", "b"]])
    assert bars.view.title == "numbers"


def test_watching_again_in_a_cell_leaves_one_view(notebook: Notebook, ssc: ManualContext) -> None:
    notebook.works(NUMBERS)
    for _ in range(3):
        notebook.works("%watch numbers --as histogram", "cell-2")
    notebook.works("%watch numbers --as histogram", "cell-3")
    assert len(watches("numbers")) == 2
    notebook.works(NUMBERS.replace("'a'", "'z'"))
    ssc.advance("1s")
    for panel in watches("numbers"):
        eventually(lambda panel=panel: rows(panel) == [["1", "z"], ["2", "b"]])


@pytest.mark.parametrize(
    ("line", "error", "says"),
    [
        ("%watch nothing", NotRunning, "there is no stream nothing; the streams are: numbers"),
        ("numbers.map(str).plot()", DefinitionError, "only a stream with a name has views"),
        ("numbers.plot('pie')", DefinitionError, "there is no view 'pie'; there are: "),
        ("numbers.plot.pie()", AttributeError, "there is no view 'pie'"),
        ("lb.dashboard([])", DefinitionError, "a dashboard needs at least one stream"),
    ],
)
def test_what_cannot_be_shown(
    notebook: Notebook, ssc: ManualContext, line: str, error: type[Exception], says: str
) -> None:
    notebook.names["lb"] = lb
    notebook.works(NUMBERS)
    ran = notebook.run(line)
    assert isinstance(ran.error, error)
    assert says in ran.text


def test_columns_are_chosen_as_in_pandas(notebook: Notebook, ssc: ManualContext) -> None:
    notebook.works(NUMBERS.replace("(1, 'a'), (2, 'b')", "{'n': 1, 'm': 2, 'text': 'a'}"))
    panel: Any = notebook.works("numbers.plot.bar(x='text', y='m')").value
    missing: Any = notebook.works("numbers.plot.line(y=['n', 'o'])").value
    ssc.advance("1s")
    eventually(lambda: rows(panel) == [["a", "2"]])
    eventually(lambda: "no column o; there are: n, m, text" in (trouble(missing.view.name) or ""))
    assert {"bar", "hist", "line"} <= set(dir(notebook.names["numbers"].plot))


def test_a_dashboard_shows_streams_in_rows(notebook: Notebook, ssc: ManualContext) -> None:
    notebook.names["lb"] = lb
    notebook.works(NUMBERS)
    notebook.works("%%stream doubled --show none\nnumbers.map(lambda row: 2 * row[0])")
    source = "lb.dashboard([[numbers, 'doubled'], [(numbers, 'bar'), numbers.plot.table()]], 'all')"
    board: Any = notebook.works(source, "cell-9").value
    assert [panel.view.title for panel in board.panels] == ["numbers", "doubled"] + 2 * ["numbers"]
    ssc.advance("1s")
    for panel in board.panels:
        eventually(lambda panel=panel: rows(panel))
    bundle = board._repr_mimebundle_()
    assert bundle["text/html"].count("<table>") == 4
    before = len(live())
    notebook.works(source, "cell-9")
    assert len(live()) == before, "run again, it takes the place of the one before"


def test_views_are_for_notebooks() -> None:
    with ManualContext() as ssc, pytest.raises(NotRunning, match="%load_ext livebatch"):
        ssc.register("numbers", ssc.queue_stream()).plot()
