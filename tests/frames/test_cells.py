"""``%%stream NAME --sql``: cells that are a SELECT."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pytest

from livebatch.errors import DefinitionError, QueryError
from livebatch.frames import StreamingDataFrame
from livebatch.kernel_ext import streams
from livebatch.testing import ManualContext
from livebatch.widgets import show
from tests.kernel_ext.notebook import Notebook

REQUESTS = (
    "%%stream requests --show none\n"
    "ssc.queue_stream([[('a', 1), ('b', 2)], [('a', 5)]])"
    ".to_frame({'page': 'VARCHAR', 'ms': 'BIGINT'})"
)


@pytest.fixture
def ssc() -> Iterator[ManualContext]:
    with ManualContext("1s") as ssc:
        yield ssc


@pytest.fixture
def notebook(ssc: ManualContext) -> Iterator[Notebook]:
    with Notebook.open(ssc) as notebook:
        yield notebook


def test_a_cell_of_sql_is_a_window_of_aggregates(notebook: Notebook, ssc: ManualContext) -> None:
    notebook.works(REQUESTS)
    notebook.names["titles"] = pa.table({"page": ["a", "b"], "title": ["A", "B"]})
    notebook.works(
        "%%stream slow --sql --window 2s --slide 1s\n"
        "SELECT title, max(Requests.ms) AS ms, count(*) AS n\n"
        "FROM requests JOIN titles USING (page)\n"
        "GROUP BY title ORDER BY ms DESC LIMIT 1"
    )
    assert "incremental" in notebook.names["slow"].notes
    ssc.advance("2s")
    assert notebook.works("slow.latest().collect()").value == [{"title": "A", "ms": 5, "n": 2}]


def test_a_stream_whose_columns_nobody_said(notebook: Notebook, ssc: ManualContext) -> None:
    notebook.works("%%stream words --show none\nssc.queue_stream(default=['a', 'b', 'a'])")
    failed = notebook.run("%%stream n --sql\nSELECT value, count(*) AS n FROM words GROUP BY 1")
    assert isinstance(failed.error, DefinitionError)
    assert "words.to_frame(" in str(failed.error)
    ssc.advance("1s")
    notebook.works("%%stream n --sql\nSELECT value, count(*) AS n FROM words GROUP BY 1 ORDER BY 1")
    ssc.advance("1s")
    rows = notebook.works("n.latest().collect()").value
    assert rows == [{"value": "a", "n": 2}, {"value": "b", "n": 1}]


@pytest.mark.parametrize(
    ("cell", "says"),
    [
        ("--sql\nSELECT nope FROM requests", "LINE 2: SELECT nope FROM requests\n               ^"),
        ("--sql\nSELECT page\nFRM requests", "LINE 3: FRM requests"),
        ("--sql\nSELECT * FROM nowhere", "there is no stream or table nowhere; streams: requests"),
        ("--sql\nSELECT 1", "over one stream"),
        ("--sql --slide 1s\nSELECT * FROM requests", "add --window"),
    ],
)
def test_what_is_wrong_in_a_cell_of_sql(notebook: Notebook, cell: str, says: str) -> None:
    notebook.works(REQUESTS)
    failed = notebook.run(f"%%stream wrong {cell}")
    assert isinstance(failed.error, DefinitionError | QueryError)
    assert says in str(failed.error)


def test_an_attached_stream_still_has_its_columns(notebook: Notebook, ssc: ManualContext) -> None:
    notebook.works(REQUESTS)
    found = ssc.status().streams[0].notes["columns"]
    assert found == '[["page","VARCHAR"],["ms","BIGINT"]]'
    assert isinstance(notebook.names["requests"], StreamingDataFrame)


def frame_of(columns: str) -> str:
    return f"%%stream requests --show none\nssc.queue_stream([]).to_frame({columns})"


def test_a_frame_is_not_replaced_by_one_that_breaks_queries(notebook: Notebook) -> None:
    notebook.works(REQUESTS)
    notebook.works("%%stream slow --sql\nSELECT page FROM requests WHERE ms > 3")
    notebook.works("%%stream counts --sql --window 2s\nSELECT count(*) AS n FROM requests")
    notebook.works("%%stream pages --show none\nslow.group_by('page').agg(n='count(*)')")
    before = notebook.names["requests"]
    for columns in ("{'page': 'VARCHAR'}", "{'page': 'BIGINT', 'ms': 'BIGINT'}"):
        failed = notebook.run(frame_of(columns))
        assert isinstance(failed.error, DefinitionError)
        assert "the queries of slow are not" in str(failed.error)
        assert notebook.names["requests"] is before
    notebook.works(frame_of("{'ms': 'DOUBLE', 'page': 'VARCHAR', 'user': 'VARCHAR'}"))
    notebook.works("%stream stop pages")
    notebook.works("%stream stop slow")
    notebook.works(frame_of("{'user': 'VARCHAR'}"))


def test_a_frame_with_all_the_same_columns_breaks_a_query_of_all(notebook: Notebook) -> None:
    notebook.works(REQUESTS)
    notebook.works("%%stream every --sql\nSELECT * FROM requests")
    failed = notebook.run(frame_of("{'page': 'VARCHAR', 'ms': 'BIGINT', 'user': 'VARCHAR'}"))
    assert isinstance(failed.error, DefinitionError)
    assert "every" in str(failed.error)


def test_the_view_follows_the_columns_not_the_first_batch(
    notebook: Notebook, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = []

    def noting(name: str, kind: str, **options: Any) -> Any:
        shown.append((name, kind))
        return show(name, kind, **options)

    monkeypatch.setattr(streams, "show", noting)
    notebook.works(REQUESTS.replace("none", "auto"))
    notebook.works("%%stream numbers --show auto\nssc.queue_stream(default=[1])")
    assert shown == [("requests", "bar"), ("numbers", "auto")]
