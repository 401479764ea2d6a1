"""What a task has left open, where only a look for garbage in cycles finds it."""

from __future__ import annotations

import sqlite3
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest

import livebatch as lb
from livebatch.errors import JobFailed

pytestmark = pytest.mark.process


@pytest.mark.parametrize("fails", [False, True])
def test_a_transaction_ends_with_its_task(tmp_path: Path, fails: bool) -> None:
    database = tmp_path / "locked.db"

    def lock(n: int) -> int:
        connection = sqlite3.connect(database)
        connection.execute("BEGIN IMMEDIATE")
        cycle: list[Any] = [connection]
        cycle.append(cycle)
        if fails:
            raise ValueError("in the middle of it")
        return n

    with lb.StreamingContext(workers=1) as ssc:
        with suppress(JobFailed):
            ssc.parallelize([0], 1).map(lock).collect()
        with closing(sqlite3.connect(database, timeout=20)) as connection:
            connection.execute("BEGIN IMMEDIATE")
