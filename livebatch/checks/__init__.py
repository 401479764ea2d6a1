"""What sources and sinks must do, to be checked from tests of your own."""

from __future__ import annotations

from livebatch.checks.sinks import check_sink
from livebatch.checks.sources import check_source

__all__ = ["check_sink", "check_source"]
