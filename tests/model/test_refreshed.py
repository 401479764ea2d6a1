"""Batch datasets in functions on a stream's RDDs, and ones that are loaded anew now and then."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import livebatch as lb
from livebatch.errors import ClosureError, DefinitionError, JobFailed
from livebatch.events import BatchSettled
from livebatch.testing import START
from tests.helpers import eventually
from tests.model.conftest import Cluster
from tests.model.harness import context, watch

WORDS = [["buy", "sell"]] * 8


def keyed(ssc: Any, batches: Any = WORDS) -> Any:
    return ssc.queue_stream(batches).map(lambda word: (word, 1))


def noting(path: Path, rows: list[Any]) -> Any:
    """A function that notes in a file that it was called, and gives its rows."""

    def read(number: int) -> list[Any]:
        with path.open("a") as file:
            file.write("read\n")
        return rows

    return read


# -- datasets that stay as they are ----------------------------------------------------------


@pytest.mark.parametrize("persisted", [False, True])
def test_a_live_stream_joins_a_batch_rdd_in_transform(
    cluster: Cluster, persisted: bool, tmp_path: Path
) -> None:
    with context(cluster.executor(2)) as ssc:
        spam = ssc.parallelize([0], 1).flat_map(noting(tmp_path / "reads", [("buy", "spam")]))
        if persisted:
            spam.persist()
        live = keyed(ssc)
        seen = watch(live.transform(lambda time, rdd: rdd.join(spam)))
        pairs = watch(ssc.transform([live, live], lambda rdds: rdds[0].union(*rdds[1:], spam)))
        ssc.start()
        ssc.advance("2s")
        ssc.await_termination(timeout=0)
        if persisted:
            spam.unpersist()
        ssc.advance("1s")
        ssc.await_termination(timeout=0)
    assert seen == {at: [("buy", (1, "spam"))] for at in (1, 2, 3)}
    assert all(rows.count(("buy", "spam")) == 1 for rows in pairs.values())
    reads = (tmp_path / "reads").read_text().split()
    assert len(reads) == (3 if persisted else 6)


def test_foreach_rdd_can_use_batch_rdds_and_the_context(tmp_path: Path) -> None:
    (tmp_path / "spam.csv").write_text("word\nbuy\n")
    out, path = tmp_path / "out", str(tmp_path / "spam.csv")
    with context() as ssc:
        stop = ssc.parallelize(["sell"])

        def write(rdd: Any) -> None:
            spam = ssc.read(path).map(lambda row: row["word"])
            out.write_text(str(sorted(rdd.keys().union(stop, spam).collect())))

        keyed(ssc).foreach_rdd(write)
        ssc.start()
        ssc.advance("1s")
        ssc.await_termination(timeout=0)
    assert out.read_text() == "['buy', 'buy', 'sell', 'sell']"


def test_in_the_workers_there_are_neither() -> None:
    with context() as ssc:
        static, dataset = ssc.parallelize([1]), ssc.refreshed(lambda: None, every="2s")
        stream = ssc.queue_stream([[1]])
        for function in (lambda n: static, lambda n: dataset, lambda n: ssc):
            with pytest.raises(ClosureError, match="inside a function that runs in the workers"):
                stream.map(function)
        with pytest.raises(DefinitionError, match="for transform"):
            stream.foreach_rdd(lambda rdd: dataset)
        watch(stream.transform(lambda rdd: rdd.map(lambda n: static.count())))
        ssc.start()
        ssc.advance("1s")
        with pytest.raises(JobFailed, match=r"an RDD is used inside.*collect\(\)"):
            ssc.await_termination(timeout=0)


# -- datasets that are loaded anew -----------------------------------------------------------


def test_a_dataset_is_loaded_anew_by_the_time_of_the_batches(
    cluster: Cluster, tmp_path: Path, every_block_stored: None
) -> None:
    (tmp_path / "version").write_text("1")
    reads = tmp_path / "reads"
    with context(cluster.executor(2)) as ssc:
        store = ssc.stepped.executor.store

        def load() -> Any:
            version = int((tmp_path / "version").read_text())
            return ssc.parallelize([0], 1).flat_map(noting(reads, [("buy", version)]))

        spam = ssc.refreshed(load, every="3s")
        joined = keyed(ssc).transform(lambda rdd: rdd.join(spam)).map_values(lambda pair: pair[1])
        seen, again = watch(joined), watch(keyed(ssc).transform(lambda rdd: rdd.join(spam)))
        window = watch(joined.window("2s"))
        ssc.start()
        for at in range(1, 9):
            (tmp_path / "version").write_text(str(at))
            ssc.advance("1s")
        ssc.await_termination(timeout=0)
        versions = {id.split(".")[0] for id in store.ids() if ".version" in id}
    assert seen == {at: [("buy", 1 + (at - 1) // 3 * 3)] for at in range(1, 9)}
    assert {at: [(k, v) for k, (_, v) in rows] for at, rows in again.items()} == seen
    assert sorted(window[4]) == [("buy", 1), ("buy", 4)]
    assert reads.read_text().split() == ["read"] * 3
    assert {int(id.partition("@")[2]) for id in versions} <= {START + 4000, START + 7000}


def test_if_a_refresh_fails_the_version_before_goes_on_and_the_stream_says_so() -> None:
    with context() as ssc:
        printed: dict[int, str] = {}

        def note(event: Any) -> None:
            if isinstance(event, BatchSettled) and event.batch.name == "found":
                printed[(event.batch.time - START) // 1000] = event.batch.printed

        ssc.connection.listen(note)
        spam = ssc.refreshed(loads_when_told(ssc), every="2s")
        found = ssc.register("found", keyed(ssc).transform(lambda rdd: rdd.join(spam)))
        seen = watch(found)
        ssc.start()
        for told in ["no", "1", "1", "no", "no", "3", "lazy", "lazy"]:
            TOLD.append(told)
            ssc.advance("1s")
    assert {at: [v for _, (_, v) in rows] for at, rows in seen.items()} == {
        2: ["1"], 3: ["1"], 4: ["1"], 5: ["1"], 6: ["1"], 7: ["1"], 8: ["1"],
    }  # fmt: skip
    assert {at for at, text in printed.items() if text} == {5, 7}
    assert "the version before goes on" in printed[5]
    assert "raise OSError" in printed[5]
    assert "ZeroDivisionError" in printed[7]


TOLD: list[str] = []


def loads_when_told(ssc: Any) -> Any:
    def load() -> Any:
        from tests.model.test_refreshed import TOLD

        if TOLD[-1] == "no":
            raise OSError("no such file")
        if TOLD[-1] == "lazy":
            return ssc.parallelize([1]).map(lambda n: n // 0)
        return ssc.parallelize([("buy", TOLD[-1])])

    return load


def test_a_run_over_history_loads_versions_by_its_own_time(tmp_path: Path) -> None:
    reads = tmp_path / "reads"
    with context() as ssc:
        spam = ssc.refreshed(
            lambda: ssc.parallelize([0], 1).flat_map(noting(reads, [("buy", 1)])), every="4s"
        )
        joined = ssc.queue_stream().transform(lambda rdd: rdd.join(spam))
        run = ssc.run_batch(joined, [[("buy", 0)]] * 8)
    assert run.rows() == [("buy", (0, 1))] * 8
    assert reads.read_text().split() == ["read"] * 2


def test_what_makes_no_sense_is_refused() -> None:
    with context() as ssc:
        with pytest.raises(DefinitionError, match="multiple"):
            ssc.refreshed(lambda: None, every="1500ms")
        spam = ssc.refreshed(lambda: None, every="2s")
        assert repr(spam) == "<Refreshed every 2s>"
        with pytest.raises(DefinitionError, match="from another"):
            ssc.refreshed(lambda: spam, every="2s")
        watch(keyed(ssc).transform(lambda rdd: rdd.join(spam)))
        ssc.start()
        ssc.advance("1s")
        with pytest.raises(JobFailed, match="must return an RDD, not NoneType"):
            ssc.await_termination(timeout=0)


@pytest.mark.process
def test_datasets_reach_the_driver_process(tmp_path: Path) -> None:
    (tmp_path / "spam.csv").write_text("word,n\nbuy,1\n")
    path = str(tmp_path / "spam.csv")
    with lb.StreamingContext("100ms", workers=1) as ssc:
        spam = ssc.refreshed(
            lambda: ssc.read(path).map(lambda row: (row["word"], row["n"])), every="1h"
        )
        known = ssc.parallelize([("buy", "known")]).persist()
        live = ssc.queue_stream(default=["buy"]).map(lambda word: (word, 0))
        joined = live.transform(lambda rdd: rdd.join(spam).join(known))
        found = ssc.register("found", joined)
        ssc.start()
        rows = eventually(lambda: [r for rdd in ssc.settled(found) for r in rdd.collect()])
    assert rows[0] == ("buy", ((0, 1), "known"))


def test_a_function_may_use_a_dataset_and_a_broadcast_variable_together() -> None:
    with context() as ssc:
        known = ssc.parallelize([("a", 1), ("b", 2)])
        factor = ssc.broadcast(10)

        def joined(rdd: lb.RDD[Any]) -> lb.RDD[Any]:
            whole = factor.value
            return rdd.join(known).map_values(lambda both: (both[1] * factor.value, whole))

        seen = watch(ssc.queue_stream([[("a", None)], [("b", None)]]).transform(joined))
        ssc.start()
        ssc.advance(1)
        factor.refresh(100)
        ssc.advance(1)
        ssc.await_termination(timeout=0)
    assert seen == {1: [("a", (10, 10))], 2: [("b", (200, 100))]}
