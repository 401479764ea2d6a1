"""The corpus server as a process, with clients that come and go."""

from __future__ import annotations

import re
import runpy
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from livebatch.sources import source
from tests.sources.collector import running

pytestmark = pytest.mark.process

SCRIPT = Path(__file__).parents[2] / "notebooks" / "corpus_server.py"
CORPUS = [line.decode().removesuffix("\n") for line in runpy.run_path(str(SCRIPT))["corpus"]()]


@contextmanager
def serving(*options: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """Start the server; give the process and the port that it says it serves on."""
    command = [sys.executable, str(SCRIPT), *options]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True) as process:
        assert process.stdout
        try:
            said = re.fullmatch(r"serving on 127\.0\.0\.1:(\d+)\n", process.stdout.readline())
            assert said
            yield process, int(said[1])
        finally:
            process.kill()


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=20)


def test_the_corpus_is_prose_of_some_length() -> None:
    assert len(CORPUS) > 5_000
    assert len({word for line in CORPUS for word in line.split()}) > 5_000
    assert all(line.strip() for line in CORPUS)


def test_every_client_gets_all_lines_and_then_the_first_again() -> None:
    with serving("--rate", "100000") as (_, port):
        made = source("socket_text_stream", {"hostname": "127.0.0.1", "port": port})
        enough = len(CORPUS) + 100
        with running(made) as one, running(made) as other:
            for client in (one, other):
                client.wait_for(lambda c: sum(map(len, c.emitted)) >= enough)
                assert client.records[:enough] == CORPUS + CORPUS[:100]


def test_lines_come_at_a_steady_rate() -> None:
    with serving("--rate", "50") as (_, port), connect(port) as client:
        before = time.monotonic()
        with client.makefile() as lines:
            for _ in range(51):
                assert lines.readline()
        seconds = time.monotonic() - before
    assert 0.9 <= seconds < 10


def test_clients_that_vanish_do_no_harm() -> None:
    with serving("--rate", "100000") as (process, port):
        for _ in range(5):
            with connect(port) as client:
                assert client.recv(10)
        with connect(port) as client, client.makefile() as lines:
            assert lines.readline().removesuffix("\n") == CORPUS[0]
        process.terminate()
        _, errors = process.communicate(timeout=20)
    assert errors == ""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_cleanly(number: signal.Signals) -> None:
    with serving("--rate", "1000") as (process, port), connect(port) as client:
        assert client.recv(10)
        process.send_signal(number)
        output, errors = process.communicate(timeout=20)
        assert (process.returncode, output, errors) == (0, "", "")
        while client.recv(65536):
            pass


def test_a_client_that_does_not_read_costs_neither_memory_nor_the_others_time() -> None:
    with serving("--rate", "1e12") as (process, port), connect(port) as client:
        assert client.recv(1)
        with connect(port) as other:
            received = 0
            while received < 200e6:
                received += len(other.recv(1 << 20))
        assert psutil.Process(process.pid).memory_info().rss < 150e6


@pytest.mark.parametrize("rate", ["0", "-1", "x", "nan"])
def test_a_wrong_rate_is_refused(rate: str) -> None:
    command = [sys.executable, str(SCRIPT), "--rate", rate]
    result = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    assert result.returncode == 2
    assert "--rate" in result.stderr
