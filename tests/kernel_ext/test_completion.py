"""What the Tab key offers."""

from __future__ import annotations

import pytest
from IPython.core.completer import provisionalcompleter

from livebatch.kernel_ext.chains import chain
from livebatch.testing import ManualContext
from livebatch.widgets import kinds
from tests.kernel_ext.notebook import Notebook


def offered(notebook: Notebook, text: str) -> list[str]:
    with provisionalcompleter():
        return [found.text for found in notebook.shell.Completer.completions(text, len(text))]


@pytest.fixture
def streams(notebook: Notebook) -> Notebook:
    notebook.works("%%stream words\nssc.queue_stream()")
    notebook.works("%%stream wires\nssc.queue_stream()")
    return notebook


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("%%stream w", ["wires", "words"]),
        ("%%stream words --sh", ["--show"]),
        ("%%stream words --show ", ["auto", *kinds()]),
        ("%%stream words --show lin", ["line"]),
        ("%%stream words --show line --", ["--help", "--window", "--sql", "--slide", "--retain"]),
        ("%%stream words --window ", ["30s", "60s", "5m"]),
        ("%stream st", ["stop"]),
        ("%stream stop wo", ["words"]),
        ("%stream pause wi", ["wires"]),
        ("%stream re", ["resume"]),
        ("%stream explain wo", ["words"]),
        ("%stream resume ", ["wires", "words"]),
        ("%engine sta", ["status", "start"]),
        ("%engine start --ba", ["--batch"]),
        ("%engine start --batch 5", ["500ms", "5s"]),
        ("%engine start --on-error ", ["skip", "raise"]),
        ("%%stream tags\nwords.flat_map(str.split).map_v", ["map_values"]),
        ("%%stream tags\n(words\n .map(lambda w: (w, 1))\n .update", ["update_state_by_key"]),
        ("%%stream tags\nssc.queue", ["queue_stream"]),
        ("%%query --la", ["--last"]),
        ("%%query --last 5m\nSELECT * FROM wo", ["words"]),
        ("%watch wo", ["words"]),
        ("%watch words --as hist", ["histogram"]),
        ("%%stream tags\nssc.queue_stream().pp", ["pprint"]),
        ("words.latest().zip_with", ["zip_with_index"]),
        ("words.plot.hi", ["hist", "histogram"]),
        ("%%stream tags\nwords.map(str).plot.ba", ["bands", "bar"]),
    ],
)
def test_what_is_offered(streams: Notebook, text: str, expected: list[str]) -> None:
    assert sorted(offered(streams, text)) == sorted(expected)


def test_columns_are_offered_in_sql(notebook: Notebook, ssc: ManualContext) -> None:
    notebook.works("%%stream orders\nssc.queue_stream(default=[{'price': 1, 'item': 'tea'}])")
    ssc.advance("1s")
    assert offered(notebook, "%%query\nFROM orders SELECT pr") == ["price"]
    assert offered(notebook, "%%query\nFROM orders SELECT batch") == ["batch_time"]
    assert offered(notebook, "%%stream dear --sql --show table\nFROM orders SELECT it") == ["item"]


def test_other_magics_and_code_are_left_alone(streams: Notebook) -> None:
    streams.works("import collections")
    assert "OrderedDict" in offered(streams, "collections.Ord")
    assert "%%timeit" in offered(streams, "%%timei")


@pytest.mark.parametrize(
    "text",
    [
        "%%stream w --",
        "%%stream w",
        "%stream pause ",
        "%%stream w\nwords.map(str).",
        "words.plot.",
        "%engine ",
        "%%stream w --sql\nSELECT * FROM wo",
    ],
)
def test_nobody_slow_is_asked(
    streams: Notebook, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    def fail(*args: object, **options: object) -> None:
        raise AssertionError("Jedi or the engine was asked")

    monkeypatch.setattr(streams.shell.Completer, "_jedi_matches", fail)
    monkeypatch.setattr(streams.names["ssc"].connection, "request", fail)
    assert offered(streams, text)


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        ("words.ma", ["words", "ma"]),
        ("x = [words.map(f).", ["words", "map()", ""]),
        ("words.map(lambda w: (w, [1])).red", ["words", "map()", "red"]),
        ("words\\\n  .map(f) \\\n  .red", ["words", "map()", "red"]),
        ("words", []),
        ("f(x).y", ["f()", "y"]),
        ("(a + b).y", []),
        (").y", []),
        ("3.", ["3", ""]),
    ],
)
def test_chains(text: str, steps: list[str]) -> None:
    assert chain(text) == steps
