"""Functions of the user's in SQL, and tables that are loaded anew."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from livebatch.errors import DefinitionError, QueryError
from livebatch.frames.static import Reloaded
from livebatch.testing import ManualContext, collected
from tests.frames.conftest import Play

COLUMNS = {"k": "VARCHAR", "n": "BIGINT"}


def shout(text: str) -> str:
    return text.upper() + "!"


def test_functions_are_called_by_name_wherever_sql_is(play: Play) -> None:
    def build(frame: Any) -> Any:
        frame.context.register_function("shout", shout)
        frame.context.register_function(
            "twice", lambda n: pc.multiply(n, 2), ["BIGINT"], "BIGINT", vectorized=True
        )
        loud = frame.filter("twice(n) > 2").select("Shout(k) AS k, n")
        return loud.window("2s").group_by("k").agg(n="twice(sum(n)::BIGINT)")

    found = play(build, COLUMNS, [[("a", 1), ("b", 2)], [("b", 3), (None, 4)]])
    assert sorted(map(str, found[1])) == ["{'k': 'B!', 'n': 10}", "{'k': None, 'n': 8}"]


def test_functions_that_are_wrong() -> None:
    with ManualContext() as ssc:
        with pytest.raises(DefinitionError, match="types of the function are not known"):
            ssc.register_function("f", lambda x: x)
        with pytest.raises(DefinitionError, match="no type 'NUMBER'"):
            ssc.register_function("f", lambda x: x, ["NUMBER"], "BIGINT")
        with pytest.raises(DefinitionError, match="plain name"):
            ssc.register_function("f()", shout)
        ssc.register_function("shout", shout)
        with pytest.raises(QueryError, match=r"LINE 1: shout\(n, n\)"):
            ssc.queue_stream().to_frame(COLUMNS).select("shout(n, n)")


def test_tables_are_loaded_anew(tmp_path: Path) -> None:
    path = tmp_path / "names.txt"
    path.write_text("first")

    def load() -> Any:
        return {"k": ["a"], "name": [path.read_text()]}

    with ManualContext("1s") as ssc:
        frame = ssc.queue_stream(default=[("a", 1)]).to_frame(COLUMNS)
        found = collected(frame.join(ssc.table(load, "1ms"), "k").select("name"))
        ssc.start()
        ssc.advance("1s")
        path.write_text("second")
        ssc.advance("1s")
    assert found == [[{"name": "first"}], [{"name": "second"}]]


def test_tables_that_are_not_old_are_not_loaded() -> None:
    loads: list[int] = []

    def load() -> pa.Table:
        loads.append(1)
        return pa.table({"n": [1], "more": ["x"]})

    table = Reloaded(load, (("n", "INTEGER"),), 3600)
    assert table() is table()
    assert table().schema == pa.schema([("n", pa.int32())])
    assert loads == [1]
