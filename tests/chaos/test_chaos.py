"""Whatever is killed, stopped, torn or filled: every output has every record once."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from tests.chaos.play import Life
from tests.chaos.plugged import acked_lines

pytestmark = [pytest.mark.chaos, pytest.mark.process, pytest.mark.timeout(600)]

FAULTS = 26


@pytest.mark.parametrize("seed", range(4))
def test_every_output_has_every_record_once(seed: int, tmp_path: Path) -> None:
    with acked_lines(), closing(Life(seed, tmp_path)) as life:
        outcome = life.play(FAULTS)
    print(outcome)
    assert outcome.faults == FAULTS
