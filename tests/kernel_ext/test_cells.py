"""Cells that define streams: what becomes of the body, and what its errors look like."""

from __future__ import annotations

import linecache
from typing import Any

import pytest

from livebatch.errors import ClosureError, DefinitionError, NameTaken
from livebatch.stream import DStream
from livebatch.testing import ManualContext
from livebatch.widgets import live
from tests.helpers import eventually
from tests.kernel_ext.notebook import Notebook, rows, said

NUMBERS = "%%stream numbers\nssc.queue_stream(default=range(3))"


def test_a_cell_defines_a_stream_and_shows_it(notebook: Notebook, ssc: ManualContext) -> None:
    ran = notebook.works(NUMBERS)
    stream = notebook.names["numbers"]
    assert isinstance(stream, DStream)
    assert ssc.streams == {"numbers": stream}
    [output] = ran.shown
    assert "application/vnd.jupyter.widget-view+json" in output.data
    ssc.advance("1s")
    eventually(lambda: rows(live()["numbers"]) == [["0"], ["1"], ["2"]])
    text, level = eventually(lambda: said("numbers")[0] and said("numbers"))
    assert text.endswith(" · 3 rows · 0 ms")
    assert level == "ok"


def test_the_body_is_ordinary_python(notebook: Notebook, ssc: ManualContext) -> None:
    notebook.works(
        "%%stream words\n"
        "from collections import Counter\n"
        "def upper(word):\n"
        "    return word.upper()\n"
        "source = ssc.queue_stream([['a', 'b']])  # a comment\n"
        "(source\n"
        "    .map(upper))"
    )
    assert {"Counter", "upper", "source"} <= set(notebook.names)
    ssc.advance("1s")
    assert notebook.works("words.latest().collect()").value == ["A", "B"]


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("3", "the cell must end with a stream; it ends with int"),
        ("numbers.pprint()", "it ends with None (outputs such as pprint() return nothing"),
        ("ssc.parallelize([1])", "it ends with RDD"),
        ("x = numbers", "it ends with an assignment: add a last line with just x"),
        ("for x in ():\n    pass", "it ends with a statement (line 2)"),
        ("# nothing", "the cell must end with a stream; it is empty"),
    ],
)
def test_a_cell_must_end_with_a_stream(notebook: Notebook, body: str, says: str) -> None:
    notebook.works(NUMBERS)
    ran = notebook.run(f"%%stream other\n{body}")
    assert isinstance(ran.error, DefinitionError)
    assert says in ran.text
    assert "Traceback" not in ran.text
    assert "other" not in notebook.names


def test_a_body_that_does_not_end_with_an_expression_is_not_run(notebook: Notebook) -> None:
    notebook.fails("%%stream other\nran = True\nx = 1")
    assert "ran" not in notebook.names


@pytest.mark.parametrize(
    ("name", "kind", "says"),
    [
        ("2words", DefinitionError, "must be a Python name"),
        ("a.b", DefinitionError, "must be a Python name"),
        ("class", DefinitionError, "must be a Python name"),
        ("ssc", NameTaken, "the engine's context"),
        ("taken", NameTaken, "of type list: choose another name, or free this one with del taken"),
        ("sum", NameTaken, "a builtin of Python"),
    ],
)
def test_names_that_cannot_be_had(
    notebook: Notebook, ssc: ManualContext, name: str, kind: type, says: str
) -> None:
    notebook.works("taken = [1]")
    ran = notebook.run(f"%%stream {name}\nssc.queue_stream()")
    assert isinstance(ran.error, kind)
    assert says in ran.text
    assert notebook.names["taken"] == [1]
    assert notebook.names["ssc"] is ssc
    assert ssc.streams == {}


def test_a_stream_may_take_the_name_of_a_stream(notebook: Notebook) -> None:
    notebook.works("numbers = ssc.queue_stream(default=[7])")
    notebook.works("%%stream numbers\nnumbers.map(str)")
    assert notebook.names["numbers"].name == "numbers"


def test_an_exception_shows_the_cells_own_lines(notebook: Notebook) -> None:
    text = notebook.fails("%%stream other\nx = 1\n\ndef fail():\n    return 1 / 0\n\nfail()")
    assert "----> 7 fail()" in text
    assert "----> 5     return 1 / 0" in text
    assert "magics.py" not in text
    assert "run_cell_magic" not in text
    assert text.rstrip().endswith("ZeroDivisionError: division by zero")


@pytest.mark.parametrize("body", ["x = = 1\nx", "x = 1\nreturn x\nx", "x = (1,\n"])
def test_a_syntax_error_shows_the_cells_own_line(notebook: Notebook, body: str) -> None:
    ran = notebook.run(f"%%stream other\n{body}")
    line = 3 if "return" in body else 2
    assert f":{line}\n" in ran.text or f", line {line}" in ran.text
    assert "SyntaxError: " in ran.text
    assert "run_cell_magic" not in ran.text
    assert ran.error is not None


def test_a_function_of_a_cell_keeps_its_line_numbers(notebook: Notebook) -> None:
    notebook.works("%%stream other\n\ndef f(x):\n    return x\n\nssc.queue_stream()")
    code = notebook.names["f"].__code__
    assert code.co_firstlineno == 3
    assert linecache.getline(code.co_filename, 4) == "    return x\n"
    assert linecache.getline(code.co_filename, 1) == "%%stream other\n"


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("numbers.map(lambda n: numbers)", "the stream numbers is used inside a function"),
        ("numbers.map(lambda n: lock)", "it uses 'lock' (_thread.lock), which cannot be pickled"),
    ],
)
def test_what_a_function_cannot_capture(notebook: Notebook, body: str, says: str) -> None:
    notebook.works(NUMBERS)
    notebook.works("import threading\nlock = threading.Lock()")
    ran = notebook.run(f"%%stream other\n{body}")
    assert isinstance(ran.error, ClosureError)
    assert says in ran.text
    assert f"----> 2 {body}" in ran.text
    assert "cloudpickle" not in ran.text
    assert "closures.py" not in ran.text


def test_a_stream_of_another_engine_is_refused(notebook: Notebook) -> None:
    notebook.works(NUMBERS)
    with ManualContext("1s") as other:
        notebook.names["ssc"] = other
        text = notebook.fails("%%stream other\nnumbers.map(str)")
        assert "the stream numbers belongs to an engine that is not ssc" in text
        assert other.streams == {}


def test_a_stream_cannot_be_computed_from_itself(notebook: Notebook) -> None:
    notebook.works(NUMBERS)
    before = notebook.names["numbers"]
    text = notebook.fails("%%stream numbers\nnumbers.map(str)")
    assert text.strip().startswith("DefinitionError: the stream numbers would be computed")
    assert notebook.names["numbers"] is before


def test_a_cell_that_fails_leaves_everything_as_it_was(
    notebook: Notebook, ssc: ManualContext
) -> None:
    notebook.works(NUMBERS)
    before: Any = notebook.names["numbers"]
    panel = live()["numbers"]
    ssc.advance("1s")
    for body in ("1 / 0", "3", "numbers = 7\nnumbers", "numbers.map(str)"):
        ran = notebook.run(f"%%stream numbers\n{body}")
        assert ran.error is not None
        assert notebook.names["numbers"] is before
        assert ssc.streams["numbers"] is before
        assert live()["numbers"] is panel
        [again] = ran.shown
        view = again.data["application/vnd.jupyter.widget-view+json"]
        assert view["model_id"] == panel.model_id, "running a cell cleared its output"
    first = said("numbers")[0]
    ssc.advance("1s")
    eventually(lambda: said("numbers")[0] != first)
    assert ssc.status().streams[0].batches == 2


def test_another_cell_that_fails_does_not_show_the_view(notebook: Notebook) -> None:
    notebook.works(NUMBERS, "cell-1")
    assert notebook.run("%%stream numbers\n1 / 0", "cell-2").shown == []
