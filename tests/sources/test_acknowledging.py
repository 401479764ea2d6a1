"""Sources that acknowledge do so when the engine has what they gave, and not before."""

from __future__ import annotations

from contextlib import ExitStack

import msgspec
import pytest

from livebatch.checks import check_source
from livebatch.sources.base import Receiver


class Acknowledging(msgspec.Struct):
    """Acknowledges what it emits by counting it here."""

    flushes: bool = True
    acknowledges: bool = True
    early: bool = False

    def run(self, receiver: Receiver) -> None:
        receiver.report("receiving")
        while not receiver.stopping(0.001):
            receiver.emit(["record"])
            if self.early:
                ACKNOWLEDGED.append("record")
            if self.flushes:
                receiver.flush()
            if self.acknowledges:
                ACKNOWLEDGED.append("record")


ACKNOWLEDGED: list[str] = []


@pytest.mark.parametrize(
    ("options", "rule"),
    [
        ({}, None),
        ({"flushes": False}, "emitted, but did not flush"),
        ({"early": True}, "acknowledged records before they had been flushed"),
        ({"acknowledges": False}, "did not acknowledge what it had flushed"),
    ],
)
def test_what_is_acknowledged_has_been_flushed(
    options: dict[str, bool], rule: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("livebatch.checks.sources.PATIENCE_S", 0.5)
    with ExitStack() as stack:
        if rule is not None:
            stack.enter_context(pytest.raises(AssertionError, match=rule))
        check_source(lambda: Acknowledging(**options), acknowledged=lambda: len(ACKNOWLEDGED))
