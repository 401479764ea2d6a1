"""What recovery is tested with."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def no_power_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes die in these tests, but what they have handed to the system stays."""
    monkeypatch.setattr("os.fsync", lambda descriptor: None)


pytest.register_assert_rewrite("tests.model.harness")
