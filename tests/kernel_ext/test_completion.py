"""What the Tab key offers."""

from __future__ import annotations

import pytest
from IPython.core.completer import provisionalcompleter

from livebatch.clock import stopwatch
from livebatch.kernel_ext.chains import chain
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
        ("%%stream words --show ", ["auto", "bar", "line", "none", "table"]),
        ("%%stream words --show li", ["line"]),
        ("%%stream words --show line --", ["--help", "--window", "--retain"]),
        ("%%stream words --window ", ["30s", "60s", "5m"]),
        ("%stream st", ["stop"]),
        ("%stream stop wo", ["words"]),
        ("%engine sta", ["status", "start"]),
        ("%engine start --ba", ["--batch"]),
        ("%engine start --batch 5", ["500ms", "5s"]),
        ("%engine start --on-error ", ["skip", "raise"]),
        ("%%stream tags\nwords.flat_map(str.split).map_p", ["map_partitions"]),
        ("%%stream tags\n(words\n .map(lambda w: (w, 1))\n .update", ["update_state_by_key"]),
        ("%%stream tags\nssc.queue", ["queue_stream"]),
        ("%%query --la", ["--last"]),
        ("%%query --last 5m\nSELECT * FROM wo", ["words"]),
        ("%%stream tags\nssc.queue_stream().pp", ["pprint"]),
        ("words.latest().zip_with", ["zip_with_index"]),
    ],
)
def test_what_is_offered(streams: Notebook, text: str, expected: list[str]) -> None:
    assert sorted(offered(streams, text)) == sorted(expected)


def test_other_magics_and_code_are_left_alone(streams: Notebook) -> None:
    streams.works("import collections")
    assert "OrderedDict" in offered(streams, "collections.Ord")
    assert "%%timeit" in offered(streams, "%%timei")


@pytest.mark.parametrize("text", ["%%stream w --", "%%stream w\nwords.map(str).", "%engine "])
def test_nobody_slow_is_asked(
    streams: Notebook, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    def fail(*args: object, **options: object) -> None:
        raise AssertionError("Jedi was asked")

    monkeypatch.setattr(streams.shell.Completer, "_jedi_matches", fail)
    offered(streams, text)
    begun = stopwatch()
    assert offered(streams, text)
    assert stopwatch() - begun < 0.1


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
