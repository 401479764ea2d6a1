"""What recovery is tested with."""

from __future__ import annotations

import pytest

from tests.model.conftest import every_block_stored

__all__ = ["every_block_stored"]


@pytest.fixture(autouse=True)
def no_power_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes die in these tests, but what they have handed to the system stays."""
    monkeypatch.setattr("os.fsync", lambda descriptor: None)


pytest.register_assert_rewrite("tests.model.harness")
