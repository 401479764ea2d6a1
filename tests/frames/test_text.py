"""Text files as frames: their lines are columns from the first, and no Python sees them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from livebatch.block import read_rows
from livebatch.closures import builtin
from livebatch.engine.dag import make_task, plan_keep
from livebatch.engine.store import MemoryStore
from livebatch.engine.task import run_task
from livebatch.frames.framed import framed
from livebatch.frames.run import queried
from livebatch.rdd import RDD
from livebatch.rdd.lines import Lines
from livebatch.rdd.operation import Read, Tabled
from livebatch.sources import files
from livebatch.sources.files import read_lines
from livebatch.tasks import Done
from tests.engine.lineages import kept

COLUMNS = (("line", "VARCHAR"),)


@pytest.fixture(autouse=True)
def columns_only(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(self: Lines) -> Iterator[str]:
        raise AssertionError("lines are taken one by one")

    monkeypatch.setattr(Lines, "__iter__", refused)


def of_file(
    path: Path, *functions: Any, part: tuple[int, ...] = (), strict: bool = False
) -> tuple[Done, list[dict[str, Any]]]:
    """What functions of tables make of a text file, and what its task says."""
    rdd: RDD[Any] = RDD(Read((builtin(read_lines, str(path), "utf-8", *part),)))
    for function in functions:
        rdd = RDD(Tabled(function), [rdd])
    (stage,) = plan_keep(kept(rdd))
    store = MemoryStore()
    done = run_task(make_task(stage, 0, 1, {}, strict), store)
    assert isinstance(done, Done), done
    assert done.block is not None
    return done, read_rows(done.block, store)


def numbered(sql: str) -> list[Any]:
    """Lines as numbers, and a query over those."""
    columns = (("n", "BIGINT"),)
    return [builtin(framed, "rows", columns, "skip"), builtin(queried, sql, columns, ())]


@pytest.fixture
def numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file of a hundred numbers and two words, which is read in many pieces."""
    monkeypatch.setattr(files, "PIECE", 16)
    path = tmp_path / "numbers"
    path.write_text("".join(f"{n}\n" for n in [*range(60), "many", *range(60, 100), "few"]))
    return path


def test_lines_are_counted_as_columns(tmp_path: Path) -> None:
    (file := tmp_path / "a.txt").write_text("one\ntwo\nthree\n")
    done, rows = of_file(file, builtin(framed, "rows", COLUMNS, "skip"))
    assert rows == [{"line": "one"}, {"line": "two"}, {"line": "three"}]
    assert done.rows == 3


def test_a_part_of_a_file_comes_as_columns_too(numbers: Path) -> None:
    done, rows = of_file(numbers, builtin(framed, "rows", COLUMNS, "skip"), part=(0, 10))
    assert [row["line"] for row in rows] == ["0", "1", "2", "3", "4"]
    assert done.rows == 5


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELECT sum(n)::BIGINT AS n FROM this", [sum(range(100))]),
        ("SELECT count(*) AS n FROM this JOIN this AS that USING (n)", [100]),
        ("SELECT n FROM this LIMIT 2", [0, 1]),
        ("SELECT n FROM this WHERE false", []),
    ],
)
def test_all_lines_are_seen_and_misfits_told_of_once(
    sql: str, expected: list[int], numbers: Path
) -> None:
    done, rows = of_file(numbers, *numbered(sql))
    assert [row["n"] for row in rows] == expected
    assert done.rows == 102
    assert done.bad is not None
    assert [failure.record for failure in done.bad.samples] == ["'many'", "'few'"]


def test_what_is_wrong_with_a_file_is_said_as_it_is(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match=r"SourceError.*cannot read"):
        of_file(tmp_path / "gone", *numbered("SELECT n FROM this"), strict=True)


def test_lines_of_json_are_read_in_one_query(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "PIECE", 16)
    given = ['{"n": 1}', "no json", '{"n": "x"}', '{"m": 2}', '{"n": null}', "[1]", "null"]
    (file := tmp_path / "a.json").write_text("\n".join(given))
    done, rows = of_file(file, builtin(framed, "json", (("n", "BIGINT"),), "skip"))
    assert [row["n"] for row in rows] == [1, None, None]
    assert done.bad is not None
    assert [failure.record for failure in done.bad.samples] == [
        repr(given[i]) for i in (1, 2, 5, 6)
    ]
