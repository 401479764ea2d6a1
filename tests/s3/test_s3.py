"""An S3 server of its own process, where there is one: files in an object store."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Iterator
from itertools import count

import pytest
from pyarrow import fs

import livebatch as lb
from livebatch.engine.files import Damaged, Files
from livebatch.sinks import sink
from livebatch.testing import ManualContext, check_sink, collected
from tests.helpers import eventually
from tests.recovery.processes import context, counted, kill
from tests.sinks.places import records

SERVER = os.environ.get("S3_SERVER")

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(SERVER is None, reason="S3_SERVER names no server: make test installs one"),
]

_numbers = count()


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """Where a server listens that this module's tests share; any password will do."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        number: int = free.getsockname()[1]
    assert SERVER is not None
    command = [SERVER, "-H", "127.0.0.1", "-p", str(number)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            eventually(lambda: answers(number), timeout=60)
            yield number
        finally:
            server.kill()


def answers(port: int) -> bool:
    with socket.socket() as line:
        return line.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture
def bucket(port: int) -> str:
    """The URI of an empty bucket."""
    name = f"bucket-{next(_numbers)}"
    there = f"scheme=http&endpoint_override=127.0.0.1%3A{port}&region=us-east-1"
    filesystem, _ = fs.FileSystem.from_uri(
        f"s3://me:hush@{name}?{there}&allow_bucket_creation=true"
    )
    filesystem.create_dir(name)
    return f"s3://me:hush@{name}/{{}}?{there}"


def test_files_are_written_once_and_damage_is_seen(bucket: str) -> None:
    uri = bucket.format("some/folder")
    files = Files(uri)
    files.write("one", b"abc")
    files.write("two", b"d" * 1_000_000)
    assert files.names() == ["one", "two"]
    assert bytes(files.read("one")) == b"abc"
    filesystem, place = fs.FileSystem.from_uri(uri)
    with filesystem.open_output_stream(f"{place}/one") as file:
        file.write(b"lb01 nonsense")
    with pytest.raises(Damaged):
        files.read("one")
    files.delete(["one", "none"])
    assert files.names() == ["two"]


@pytest.mark.parametrize("kind", ["text", "parquet"])
def test_the_rules_of_sinks(bucket: str, kind: str) -> None:
    path = bucket.format("out")
    check_sink(
        lambda: sink(kind, {"path": path}),
        lambda: [row.get("value") for row in records(lb.read_output(path).to_arrow().to_pylist())],
        every=12,
    )


def test_new_objects_are_read_once(bucket: str) -> None:
    uri = bucket.format("incoming")
    filesystem, place = fs.FileSystem.from_uri(uri)
    with ManualContext("1s") as ssc:
        lines = collected(ssc.text_file_stream(uri))
        ssc.start()
        for name in ["a", "b"]:
            with filesystem.open_output_stream(f"{place}/{name}") as file:
                file.write(f"{name}\n".encode())
            ssc.advance("1s")
    assert lines == [["a"], ["b"]]


def test_a_killed_engine_goes_on_from_there(bucket: str) -> None:
    folder = bucket.format("checkpoint")
    ssc = context(folder, checkpoint_every="300ms")
    before = counted(ssc, 300)
    kill(ssc)
    with context(folder) as ssc:
        assert counted(ssc, before + 100) >= before + 100
        kept = ssc.status().checkpoints
    assert kept is not None
    assert kept.recovery is not None
