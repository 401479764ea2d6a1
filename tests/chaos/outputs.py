"""What the program has written, batch by batch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any, TypeAlias

from deltalake import DeltaTable
from pyarrow import parquet

import livebatch as lb
from livebatch.interval import from_datetime
from tests.chaos.program import Program
from tests.sinks.places import table_rows

Rows: TypeAlias = "Counter[tuple[Any, ...]]"
Output: TypeAlias = dict[int, Rows]
"""The rows of each batch, by its time."""

PARQUET = ("ticks", "files", "lines", "largest", "running", "summed")
SQL = ("counts", "joined")


def read(program: Program) -> dict[str, Output]:
    """Return all outputs."""
    delta = DeltaTable(program.outputs / "totals").to_pyarrow_table().to_pylist()
    noted = ((int(path.name), (int(path.read_text()),)) for path in program.notes.glob("[!.]*"))
    return {
        **{name: _parquet(program, name) for name in PARQUET},
        **{name: _stamped(table_rows(program.url, name)) for name in SQL},
        "totals": _stamped(delta),
        "noted": {time: Counter([row]) for time, row in noted},
    }


def numbers(program: Program) -> dict[str, int]:
    """Return how many numbers of each source have been written."""
    found = {name: _parquet(program, name) for name in ("files", "lines")}
    return {
        name: len({row[0] for rows in batches.values() for row in rows})
        for name, batches in found.items()
    }


def _parquet(program: Program, name: str) -> Output:
    found: Output = {}
    for batch in lb.read_output(program.outputs / name).batches:
        time = from_datetime(batch.time)
        assert time not in found, f"{name} has the batch {time} twice"
        found[time] = Counter()
        for file in batch.files:
            table = parquet.ParquetFile(file).read()
            found[time].update(zip(*table.to_pydict().values(), strict=True))
    return found


def _stamped(rows: Iterable[dict[str, Any]]) -> Output:
    found: Output = {}
    for row in rows:
        time, *values = row.values()
        found.setdefault(time, Counter()).update([tuple(values)])
    return found
