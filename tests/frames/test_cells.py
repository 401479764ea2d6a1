"""``%%stream NAME --sql``: cells that are a SELECT."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
import pytest

from livebatch.errors import DefinitionError, QueryError
from livebatch.frames import StreamingDataFrame
from livebatch.testing import ManualContext
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
