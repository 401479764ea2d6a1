"""Every operator gives what the oracle gives, whenever its engine dies."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.model.catalogue import CASES, Case
from tests.model.harness import bags, history
from tests.model.strategies import Parameters, batches_of, parameters
from tests.recovery.harness import Crash, crashes, play


@pytest.mark.parametrize("stored", [False, True])
@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_operator_agrees_with_the_oracle(
    case: Case, stored: bool, request: pytest.FixtureRequest
) -> None:
    if stored:
        request.getfixturevalue("every_block_stored")

    @settings(max_examples=4)
    @given(batches_of(case.rows), parameters, crashes, st.integers(1, 4))
    def check(batches: list[list[Any]], p: Parameters, deaths: list[Crash], every: int) -> None:
        found = play(lambda s: case.build(s, p), batches, deaths, every, p.slots)
        assert bags(found) == bags(case.build(history(batches), p).batches)

    check()
