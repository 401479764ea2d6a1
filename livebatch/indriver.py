"""What stands for a `StreamingContext` inside functions that run in the driver process."""

from __future__ import annotations

from typing import Any

from livebatch.errors import NotRunning
from livebatch.inputs import Inputs
from livebatch.rdd.calling import this_call


class DriverContext(Inputs):
    """Makes datasets of local data and files; streams are for the process that has the context."""

    @property
    def runner(self) -> Any:  # type: ignore[override]
        """Who carries out actions."""
        return this_call().runner

    @property
    def connection(self) -> Any:  # type: ignore[override]
        """There is none.

        Raises:
            NotRunning: always.
        """
        raise NotRunning(
            "no streams can be made inside a function that runs in the driver process: only "
            "datasets, as with ssc.read and ssc.parallelize"
        )
