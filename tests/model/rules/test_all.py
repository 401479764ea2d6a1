"""Every numbered rule has one test that is named by its number."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

RULES = 27


def test_every_rule_has_one_test() -> None:
    found: Counter[int] = Counter()
    for file in Path(__file__).parent.glob("test_*.py"):
        found.update(
            int(number) for number in re.findall(r"def test_rule_(\d+)_", file.read_text())
        )
    assert found == dict.fromkeys(range(1, RULES + 1), 1)
