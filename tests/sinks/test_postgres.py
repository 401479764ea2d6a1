"""A real server, where there is PostgreSQL on this machine."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from livebatch.errors import JobFailed, SinkError
from livebatch.sinks import sink
from livebatch.testing import ManualContext, check_sink
from tests.sinks.places import connected, table_rows

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(shutil.which("initdb") is None, reason="there is no PostgreSQL"),
]

USER = "nobody" if os.getuid() == 0 else None
"""Who the server runs as: it refuses to run as root."""


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """A server that this module's tests share; any password will do."""
    with tempfile.TemporaryDirectory(prefix="lb-", ignore_cleanup_errors=True) as folder:
        if USER:
            shutil.chown(folder, USER)
        data = f"{folder}/data"
        run("initdb", "-D", data, "-U", "me", "--auth=trust", "--no-sync")
        options = f"-c listen_addresses='' -c fsync=off -k {folder}"
        run("pg_ctl", "-D", data, "-o", options, "-l", f"{folder}/log", "-w", "start")
        try:
            yield f"postgresql+psycopg://me:hush@/postgres?host={folder}"
        finally:
            run("pg_ctl", "-D", data, "-m", "immediate", "-w", "stop")


def run(*command: str) -> None:
    done = subprocess.run(
        command, user=USER, cwd="/", stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False
    )
    assert done.returncode == 0, done.stderr.decode()


def test_the_rules_of_sinks(url: str) -> None:
    check_sink(
        lambda: sink("sql", {"name": "checked", "url": url}),
        lambda: [row["value"] for row in table_rows(url, "checked")],
        every=12,
    )


def test_types_and_schemas(url: str) -> None:
    row = {
        "id": 1,
        "share": 0.5,
        "name": "é\n'",
        "yes": True,
        "day": date(2026, 1, 2),
        "at": datetime(2026, 1, 1, tzinfo=UTC),
        "price": Decimal("1.50"),
        "raw": b"\x00\xff",
        "tags": ["x"],
    }
    with connected(url) as connection:
        connection.exec_driver_sql("CREATE SCHEMA apart")
    with ManualContext("1s") as ssc:
        ssc.queue_stream([[row]]).to_sql("Mixed Case", url, schema="apart")
        ssc.start()
        ssc.advance("1s")
        ssc.await_termination(timeout=0)
    assert table_rows(url, 'apart."Mixed Case"', check=False) == [row | {"tags": '["x"]'}]


def test_what_the_server_refuses(url: str) -> None:
    with ManualContext("1s") as ssc:
        ssc.queue_stream([[{"a": 1}], [{"a": "x"}]]).to_sql("typed", url)
        ssc.start()
        ssc.advance("2s")
        with pytest.raises(
            JobFailed, match=r"^SinkError: cannot write to the table typed .*bigint"
        ) as caught:
            ssc.await_termination(timeout=0)
    assert "hush" not in str(caught.value)
    assert table_rows(url, "typed") == [{"a": 1}]


def test_a_server_that_is_not_there() -> None:
    nowhere = "postgresql+psycopg://me:hush@127.0.0.1:1/x"
    with ManualContext() as ssc, pytest.raises(SinkError, match=r"me:\*\*\*@127") as caught:
        ssc.queue_stream().to_sql("t", nowhere)
    assert "hush" not in str(caught.value)
