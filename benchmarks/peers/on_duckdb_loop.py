"""DuckDB with one thread, which asks of each batch by itself and brings nothing together: what the
queries of batches alone take, without windows and without an engine."""

from __future__ import annotations

from collections import deque
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from benchmarks.peers.data import ADS, EVENT, GREP, SPLIT, WINDOW
from benchmarks.peers.on_duckdb import COUNTS, asked, rows, text

WORDS = f"SELECT word, count(*) AS n FROM ({SPLIT}) GROUP BY word"
TOP = (
    "SELECT word, sum(n)::BIGINT AS n FROM counts GROUP BY word ORDER BY n DESC, word DESC LIMIT 10"
)
WINDOWS = "SELECT start, campaign_id, sum(n)::BIGINT FROM counts GROUP BY ALL"


def each(sql: str, sources: list[str], keep: int | None = None) -> deque[pa.Table]:
    """Return what a query gives of each source, or of the last ones."""
    with duckdb.connect(config={"threads": 1}) as connection:
        connection.register("ads", ADS)
        found = (connection.sql(sql.format(source)).to_arrow_table() for source in sources)
        return deque(found, keep)


def together(sql: str, parts: deque[pa.Table]) -> list[Any]:
    return rows(asked(sql, counts=pa.concat_tables(parts)))


def texts(files: list[Path]) -> list[str]:
    return [text([file]) for file in files]


def grep(files: list[Path]) -> Any:
    found = each(f"SELECT count(*) AS n FROM {{}} WHERE {GREP}", texts(files))
    return sum(part["n"][0].as_py() for part in found)


def word_count(files: list[Path]) -> Any:
    found = each(WORDS, texts(files), WINDOW)
    return lambda: together(TOP, found)


def campaigns(files: list[Path]) -> Any:
    json = "read_json('{}', format='newline_delimited', columns={})"
    found = each(COUNTS, [json.format(file, EVENT) for file in files])
    last = max(pc.max(part["start"]).as_py() for part in found)
    return lambda: sorted(row for row in together(WINDOWS, found) if row[0] < last)
