"""The benchmarks are there to be run, even if seldom."""

from __future__ import annotations

from importlib import import_module

import pytest

from benchmarks.__main__ import NAMES


@pytest.mark.parametrize("name", NAMES)
def test_each_can_be_run(name: str) -> None:
    assert callable(import_module(f"benchmarks.{name}").run)
