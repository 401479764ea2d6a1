"""Rules 14 to 16: outputs."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from livebatch.errors import SinkError
from livebatch.interval import to_datetime
from livebatch.rdd import RDD
from livebatch.testing import START
from tests.model.conftest import Cluster
from tests.model.harness import context, second


def test_rule_14_text_files_are_in_a_folder_for_each_batch(
    tmp_path: Path, cluster: Cluster
) -> None:
    def written(folder: Path) -> list[str]:
        parts = sorted(folder.glob("part-*"))
        return sorted(line for part in parts for line in part.read_text().splitlines())

    times = [START + at * 1000 for at in (1, 2, 3)]
    again = tmp_path / f"out-{times[1]}.txt"
    again.mkdir()
    for name in ("part-00099", "of-another-run"):
        (again / name).write_text("old")
    with context(cluster.executor(2)) as ssc:
        words = ssc.queue_stream([["a", ("b", 1)], ["c", "ß"], []])
        words.repartition(2).save_as_text_files(str(tmp_path / "out"), "txt")
        words.save_as_text_files(str(tmp_path / "bare"))
        ssc.start()
        ssc.advance(3)
        ssc.await_termination(timeout=0)
        with pytest.raises(SinkError, match="is there already"):
            ssc.parallelize([1]).save_as_text_file(tmp_path / f"bare-{times[0]}")
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        [f"out-{time}.txt" for time in times] + [f"bare-{time}" for time in times]
    )
    for prefix in (tmp_path / f"out-{time}.txt" for time in times):
        assert {path.name for path in prefix.iterdir()} == {"_SUCCESS", "part-00000", "part-00001"}
    assert [written(tmp_path / f"out-{time}.txt") for time in times] == [
        ["('b', 1)", "a"],
        ["c", "ß"],
        [],
    ]
    assert written(tmp_path / f"bare-{times[0]}") == ["('b', 1)", "a"]


def test_rule_15_foreach_rdd_is_called_once_for_each_output_and_batch(tmp_path: Path) -> None:
    log = tmp_path / "log"

    def note(label: str) -> Callable[[datetime, RDD[Any]], None]:
        def function(time: datetime, rdd: RDD[Any]) -> None:
            with log.open("a") as file:
                print(label, second(time), rdd.collect(), file=file)

        return function

    with context() as ssc:
        numbers = ssc.queue_stream([[1], [], [3]])
        numbers.foreach_rdd(note("first"))
        numbers.foreach_rdd(note("second"))
        numbers.window(2, 2).foreach_rdd(note("slow"))
        ssc.start()
        ssc.advance(3)
        ssc.await_termination(timeout=0)
    lines = log.read_text().splitlines()
    assert sorted(lines) == sorted(
        ["first 1 [1]", "first 2 []", "first 3 [3]", "slow 2 [1]",
         "second 1 [1]", "second 2 []", "second 3 [3]"]
    )  # fmt: skip
    assert [line for line in lines if line.startswith("first")] == sorted(
        line for line in lines if line.startswith("first")
    )


def test_rule_16_pprint() -> None:
    written: list[str] = []
    with context() as ssc:
        ssc.write = written.append
        numbers = ssc.queue_stream([[1, "two"], [], range(12)])
        numbers.pprint()
        ssc.start()
        ssc.advance(3)
    rule = "-" * 43
    times = [f"Time: {to_datetime(START + at * 1000):%Y-%m-%d %H:%M:%S}" for at in (1, 2, 3)]
    assert "\n".join(written).split("\n") == [
        rule, times[0], rule, "1", "two", "",
        rule, times[1], rule, "",
        rule, times[2], rule, *map(str, range(10)), "...", "",
    ]  # fmt: skip


def test_pprint_prints_as_many_as_it_is_told_to() -> None:
    written: list[str] = []
    with context() as ssc:
        ssc.write = written.append
        ssc.queue_stream([[1, 2, 3], [1, 2, 3, 4]]).pprint(num=3)
        ssc.start()
        ssc.advance(2)
    assert [text.splitlines()[3:] for text in written] == [
        ["1", "2", "3"],
        ["1", "2", "3", "..."],
    ]
