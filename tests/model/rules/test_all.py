"""Every numbered rule has one test that is named by its number."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

LATER = {
    19: "with checkpoints",
    26: "with rate control",
    27: "with checkpoints",
}
"""Rules of what is not built yet."""

RULES = 27


def test_every_rule_has_one_test() -> None:
    found: Counter[int] = Counter()
    for file in Path(__file__).parent.glob("test_*.py"):
        found.update(
            int(number) for number in re.findall(r"def test_rule_(\d+)_", file.read_text())
        )
    assert found == {number: 1 for number in range(1, RULES + 1) if number not in LATER}
