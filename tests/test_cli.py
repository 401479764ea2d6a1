"""The command line, on real engines."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from click.testing import CliRunner

import livebatch as lb
from livebatch.cli import main

NAME = f"cli{os.getpid()}"


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(main, arguments)
    return result.exit_code, result.output


@pytest.mark.process
def test_an_engine_from_start_to_stop() -> None:
    options = ["--name", NAME, "--batch", "100ms", "--workers", "1"]
    command = [sys.executable, "-c", "from livebatch.cli import main; main()", "engine", "start"]
    text = subprocess.run([*command, *options], check=True, capture_output=True, text=True).stdout
    assert text == f"engine {NAME} runs; in a notebook: %engine attach {NAME}\n"
    try:
        assert f"{NAME}  pid " in run("engine", "list")[1]
        ssc = lb.connect(NAME)
        ssc.register("numbers", ssc.queue_stream(default=[1, 2, 3]))
        ssc.detach()
        code, text = run("engine", "status", NAME)
        assert code == 0
        assert text.startswith(f"{NAME}: a batch every 100ms, 1 workers")
        assert "  numbers: " in text
        assert run("engine", "logs", NAME) == (0, "")
        code, text = run("engine", "start", "--name", NAME)
        assert code == 1
        assert "runs already" in text
    finally:
        assert run("engine", "stop", NAME) == (0, f"engine {NAME} stopped\n")
    assert NAME not in run("engine", "list")[1]


def test_a_missing_engine_is_one_line() -> None:
    code, text = run("engine", "status", "nobody")
    assert code == 1
    assert text.startswith("Error: ")
    assert text.count("\n") == 1


def test_the_doctor_knows_versions_and_memory() -> None:
    _, text = run("doctor")
    assert "ok   duckdb " in text
    assert "shared memory" in text
    assert "GiB of memory to use" in text
