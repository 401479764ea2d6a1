"""A notebook whose engine stands still until it is told to go on."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from livebatch.testing import ManualContext
from tests.kernel_ext.notebook import Notebook


@pytest.fixture
def ssc() -> Iterator[ManualContext]:
    with ManualContext("1s") as ssc:
        yield ssc


@pytest.fixture
def notebook(ssc: ManualContext) -> Iterator[Notebook]:
    with Notebook.open(ssc) as notebook:
        yield notebook
