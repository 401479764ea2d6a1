"""What a stream's cell prints appears under its view."""

from __future__ import annotations

import ipywidgets

from livebatch.kernel_ext.textlog import LINES, Pane, TextLog, printing_into, write
from livebatch.testing import ManualContext
from livebatch.widgets import live
from tests.helpers import eventually
from tests.kernel_ext.notebook import Notebook


def log_of(name: str) -> str:
    """Return the text under a stream's view."""
    logs = [child for child in live()[name].children if isinstance(child, TextLog)]
    return "\n".join(log.text for log in logs)


def test_nothing_is_shown_until_something_is_printed() -> None:
    box, pane = ipywidgets.VBox(), Pane()
    pane.put_into(box)
    assert box.children == ()
    pane.write("one\ntwo")
    pane.write("three")
    [log] = box.children
    assert isinstance(log, TextLog)
    assert log.text == "one\ntwo\nthree"
    pane.close()
    assert log.comm is None
    pane.write("after the end")
    box.close()


def test_what_was_printed_before_there_was_a_view_is_not_lost() -> None:
    box, pane = ipywidgets.VBox(), Pane()
    pane.write("early")
    pane.put_into(box)
    assert [log.text for log in box.children] == ["early"]
    pane.close()


def test_the_log_is_bounded() -> None:
    box, pane = ipywidgets.VBox(), Pane()
    pane.put_into(box)
    for i in range(3 * LINES):
        pane.write(str(i))
    lines = box.children[0].text.splitlines()
    assert lines == [str(i) for i in range(2 * LINES, 3 * LINES)]
    pane.close()


def test_outside_of_a_cell_printing_is_printing(notebook: Notebook) -> None:
    pane = Pane()
    notebook.names["write"] = write
    with printing_into(pane):
        assert notebook.works("write('in')").text == ""
    assert notebook.works("write('out')").text == "out\n"


def test_pprint_prints_under_the_view_of_its_cell(notebook: Notebook, ssc: ManualContext) -> None:
    cell = "%%stream {0}\nx = ssc.queue_stream(default=['{0}'])\nx.pprint()\nx"
    notebook.works(cell.format("a"))
    notebook.works(cell.format("b"))
    ssc.advance("2s")
    for name in "ab":
        text = eventually(lambda name=name: log_of(name))  # type: ignore[misc]
        lines = text.splitlines()
        assert [line for line in lines if line in ("a", "b")] == [name, name]
        assert sum(line.startswith("Time: ") for line in lines) == 2


def test_a_cell_run_again_prints_once(notebook: Notebook, ssc: ManualContext) -> None:
    cell = "%%stream a\nx = ssc.queue_stream(default=['{}'])\nx.pprint()\nx"
    for word in ("one", "two", "three"):
        notebook.works(cell.format(word))
    ssc.advance("1s")
    assert eventually(lambda: log_of("a")).splitlines()[3:] == ["three"]
    assert len(ssc.stepped.engine.graph.outputs) == 2


def test_a_cell_that_fails_leaves_no_output_behind(notebook: Notebook, ssc: ManualContext) -> None:
    notebook.works("%%stream a\nx = ssc.queue_stream(default=['one'])\nx.pprint()\nx")
    notebook.fails("%%stream a\nx = ssc.queue_stream(default=['two'])\nx.pprint()\n1 / 0")
    assert len(ssc.stepped.engine.graph.outputs) == 2
    ssc.advance("1s")
    assert "one" in eventually(lambda: log_of("a"))
    assert "two" not in log_of("a")


def test_functions_that_run_here_print_where_they_were_defined(
    notebook: Notebook, ssc: ManualContext
) -> None:
    notebook.works(
        "%%stream a\nseen = []\nx = ssc.queue_stream(default=[1])\n"
        "x.foreach_rdd(lambda rdd: seen.append(rdd.count()), on='kernel')\nx"
    )
    ssc.advance("2s")
    assert notebook.names["seen"] == [1, 1]
