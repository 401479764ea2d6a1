"""Every sink keeps the rules, and sinks that break one are found out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from livebatch.sinks import kinds
from livebatch.testing import check_sink
from tests.sinks import broken
from tests.sinks.places import place

pytestmark = pytest.mark.process

FEWER = {"csv": 6, "json": 6, "text": 6, "sql": 3, "delta": 2}
"""Sinks that share nearly all their code with another, or are slow, are killed at fewer steps."""


@pytest.mark.parametrize("kind", kinds())
def test_every_sink_that_ships(kind: str, tmp_path: Path) -> None:
    where = place(kind, tmp_path)
    check_sink(where.sink, where.values, FEWER.get(kind, 1))


def check(kind: type[Any], folder: Path) -> None:
    path = folder / "out"

    def read() -> list[str]:
        files = [file for file in path.iterdir() if file.name[0] != "."]
        return [line for file in files for line in file.read_text().splitlines()]

    check_sink(lambda: kind(str(path)), read)


def test_a_sink_of_ones_own_that_keeps_the_rules(tmp_path: Path) -> None:
    check(broken.Simple, tmp_path)


@pytest.mark.parametrize(
    ("kind", "found"),
    [
        (broken.Eager, "shows of the batch unseen 3 rows after a batch was written but not"),
        (broken.Forgetful, r"[0-5] rows after attempts were killed \(at_byte 40\), not 6: "),
        (broken.Torn, r"shows of the batch (step|size)-\d+ [0-5] rows after attempts were killed"),
        (broken.Hasty, r"0 rows after attempts that were killed were made again, not 6"),
        (broken.Stubborn, "raised, .*FileExistsError"),
        (broken.Liar, "says that .*0.* rows count, not"),
        (broken.Ending, "ends its process, with status 3"),
        (broken.Mixing, "shows of the batch first 0 rows after batches without rows"),
        (broken.Rooted, "does not travel|is another one after it travelled"),
    ],
)
def test_a_sink_that_breaks_a_rule(kind: type[Any], found: str, tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match=f"(?s)this sink .*({found})"):
        check(kind, tmp_path)
