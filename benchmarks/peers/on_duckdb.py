"""DuckDB with one thread, which asks once of all files: without windows of batches, and so less."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from benchmarks.peers.answers import TEN_SECONDS, summary
from benchmarks.peers.data import ADS, EVENT, GREP, P99, P99_WINDOW, SPLIT, TOP, WINDOW

LINE = "delim='\x01', quote='', escape='', header=false, columns={'line': 'VARCHAR'}"
COUNTS = f"""
    SELECT event_time // {TEN_SECONDS} * {TEN_SECONDS} AS start, campaign_id, count(*) AS n
    FROM {{}} JOIN ads USING (ad_id) WHERE event_type = 'view' GROUP BY ALL"""


def asked(sql: str, **tables: Any) -> pa.Table:
    with duckdb.connect(config={"threads": 1}) as connection:
        for name, table in tables.items():
            connection.register(name, table)
        return connection.sql(sql).to_arrow_table()


def rows(table: pa.Table) -> list[Any]:
    return list(zip(*table.to_pydict().values(), strict=True))


def names(files: list[Path]) -> list[str]:
    return [str(file) for file in files]


def text(files: list[Path]) -> str:
    return f"read_csv({names(files)}, {LINE})"


def grep(files: list[Path]) -> Any:
    return asked(f"SELECT count(*) FROM {text(files)} WHERE {GREP}")[0][0].as_py()


def word_count(files: list[Path]) -> Any:
    """Count all words once; the last window's top ten are only for comparison."""

    def top(of: list[Path]) -> pa.Table:
        return asked(TOP.format(f"({SPLIT.format(text(of))})"))

    top(files)
    return lambda: rows(top(files[-WINDOW:]))


def words(files: list[Path]) -> Any:
    """Count the words of each file by itself."""
    counts = "SELECT max(n) FROM (SELECT word, count(*) AS n FROM ({}) GROUP BY word)"
    with duckdb.connect(config={"threads": 1}) as connection:
        for file in files:
            connection.sql(counts.format(SPLIT.format(text([file])))).fetchall()


def campaigns(files: list[Path]) -> Any:
    """Count all windows; those that no later event has finished are left out for comparison."""
    source = f"read_json({names(files)}, format='newline_delimited', columns={EVENT})"
    found = asked(COUNTS.format(source), ads=ADS)
    last = pc.max(found["start"]).as_py()
    return lambda: sorted(row for row in rows(found) if row[0] < last)


def quantiles(files: list[Path]) -> Any:
    """Ask of every window anew."""
    for end in range(1, len(files) + 1):
        window = files[max(0, end - P99_WINDOW) : end]
        found = asked(P99.format(f"read_parquet({names(window)})"))
    return lambda: summary(rows(found))
