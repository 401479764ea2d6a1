"""Batch RDDs against plain Python on the same rows."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterator
from operator import add
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livebatch.errors import DefinitionError, JobFailed, SourceError
from livebatch.testing import ManualContext

ROWS = st.lists(st.integers(-9, 9), max_size=20)
PAIRS = st.lists(st.tuples(st.integers(0, 4), st.integers(-9, 9)), max_size=12)
PARTS = st.integers(1, 4)


@pytest.fixture(scope="module")
def ssc() -> Iterator[ManualContext]:
    with ManualContext() as context:
        yield context


@given(PAIRS, PAIRS, PARTS, PARTS)
def test_joins(ssc: Any, here: Any, there: Any, m: int, n: int) -> None:
    a, b = ssc.parallelize(here, m), ssc.parallelize(there, n)
    inner = [(k, (v, w)) for k, v in here for j, w in there if j == k]
    left = [(k, (v, None)) for k, v in here if k not in dict(there)]
    right = [(k, (None, w)) for k, w in there if k not in dict(here)]
    assert Counter(a.join(b).collect()) == Counter(inner)
    assert Counter(a.left_outer_join(b).collect()) == Counter(inner + left)
    assert Counter(a.right_outer_join(b).collect()) == Counter(inner + right)
    assert Counter(a.full_outer_join(b).collect()) == Counter(inner + left + right)
    assert Counter(a.subtract_by_key(b).collect()) == Counter(
        p for p in here if p[0] not in dict(there)
    )
    grouped = {k: tuple(map(sorted, sides)) for k, sides in a.cogroup(b).collect()}
    assert grouped == {
        k: tuple(sorted(v for j, v in side if j == k) for side in (here, there))
        for k in dict(here + there)
    }


@given(PAIRS, PARTS)
def test_by_key(ssc: Any, pairs: Any, parts: int) -> None:
    rdd = ssc.parallelize(pairs, parts)
    groups = {key: [v for k, v in pairs if k == key] for key, _ in pairs}
    sums = {key: sum(values) for key, values in groups.items()}
    assert dict(rdd.fold_by_key(0, add).collect()) == sums
    lists = rdd.aggregate_by_key([], lambda found, v: [*found, v], add)
    assert {k: sorted(v) for k, v in lists.collect()} == {k: sorted(v) for k, v in groups.items()}
    assert rdd.count_by_key() == {k: len(v) for k, v in groups.items()}
    assert sorted(rdd.lookup(1)) == sorted(groups.get(1, []))
    assert [k for k, _ in rdd.sort_by_key(False).collect()] == sorted((k for k, _ in pairs))[::-1]


@given(ROWS, ROWS, PARTS, PARTS)
def test_rows(ssc: Any, rows: Any, others: Any, m: int, n: int) -> None:
    a, b = ssc.parallelize(rows, m), ssc.parallelize(others, n)
    assert a.sort_by(lambda x: x).collect() == sorted(rows)
    assert a.sort_by(lambda x: x, False, n).collect() == sorted(rows, reverse=True)
    assert set(a.distinct().collect()) == set(rows)
    assert sorted(a.intersection(b).collect()) == sorted({*rows} & {*others})
    assert sorted(a.subtract(b).collect()) == sorted(x for x in rows if x not in others)
    assert Counter(a.cartesian(b).collect()) == Counter((x, y) for x in rows for y in others)
    assert a.zip(a.map(str)).collect() == [(x, str(x)) for x in rows]
    assert a.zip_with_index().collect() == [(x, i) for i, x in enumerate(rows)]
    assert a.coalesce(n).collect() == rows
    assert {k: sorted(v) for k, v in a.group_by(abs).collect()} == {
        abs(x): sorted(y for y in rows if abs(y) == abs(x)) for x in rows
    }
    assert a.is_empty() == (not rows)
    assert a.sum() == sum(rows) == a.fold(0, add)
    assert a.aggregate(
        (0, 0), lambda t, x: (t[0] + x, t[1] + 1), lambda t, u: (t[0] + u[0], t[1] + u[1])
    ) == (sum(rows), len(rows))


@given(st.lists(st.integers(-9, 9), min_size=1, max_size=20), PARTS)
def test_statistics(ssc: Any, rows: list[int], parts: int) -> None:
    rdd = ssc.parallelize(rows, parts)
    assert (rdd.max(), rdd.min()) == (max(rows), min(rows))
    assert rdd.mean() == pytest.approx(statistics.fmean(rows))
    assert rdd.variance() == pytest.approx(statistics.pvariance(rows), abs=1e-9)
    bounds, counts = rdd.histogram([-9, 0, 9])
    assert bounds == [-9, 0, 9]
    assert counts == [sum(x < 0 for x in rows), sum(x >= 0 for x in rows)]


def test_a_sample_is_the_same_for_the_same_seed(ssc: Any) -> None:
    rdd = ssc.parallelize(range(1000), 4)
    drawn = rdd.sample(False, 0.3, 7).collect()
    assert drawn == rdd.sample(False, 0.3, 7).collect()
    assert 200 < len(drawn) < 400
    assert len(rdd.sample(True, 2.0, 7).collect()) > 1500


def test_what_is_persisted_is_computed_once(ssc: Any) -> None:
    import random

    rdd = ssc.parallelize(range(5), 2).map(lambda _: random.random()).persist()
    first = rdd.collect()
    assert rdd.collect() == first
    rdd.unpersist()
    assert rdd.collect() != first


# -- saved to files --------------------------------------------------------------------------


@given(rows=st.lists(st.integers() | st.text() | st.tuples(st.none()), max_size=20), parts=PARTS)
def test_a_checkpoint_cuts_lineage_and_keeps_rows(
    ssc: Any, tmp_path_factory: Any, rows: Any, parts: int
) -> None:
    folder = tmp_path_factory.mktemp("saved")
    ssc.set_checkpoint_dir(folder)
    saved = ssc.parallelize(rows, parts).map(lambda row: [row])
    saved.checkpoint()
    after = saved.map(lambda row: row[0])
    assert (saved.is_checkpointed(), saved.get_checkpoint_file()) == (False, None)
    assert after.count() == len(rows)
    assert saved.is_checkpointed()
    assert saved.get_checkpoint_file() == f"{folder}/rdd-{saved.id}"
    assert not saved.parents
    assert after.collect() == rows
    assert saved.glom().map(len).collect() == [
        len(rows) * (i + 1) // parts - len(rows) * i // parts for i in range(parts)
    ]


def test_a_checkpoint_is_read_instead_of_computed_again(ssc: Any, tmp_path: Any) -> None:
    calls = tmp_path / "calls"

    def note(number: int) -> int:
        with calls.open("a") as file:
            file.write(f"{number}\n")
        return number

    ssc.set_checkpoint_dir(tmp_path.as_uri())
    noted = ssc.parallelize(range(3), 1).map(note)
    keyed = noted.map(lambda n: (n % 2, n)).reduce_by_key(add)
    noted.persist().checkpoint()
    assert dict(keyed.collect()) == {0: 2, 1: 1}
    before = calls.read_text()
    assert before == "0\n1\n2\n"
    noted.unpersist()
    assert (noted.collect(), dict(keyed.collect())) == ([0, 1, 2], {0: 2, 1: 1})
    assert calls.read_text() == before


def test_a_checkpoint_that_is_gone_is_named(ssc: Any, tmp_path: Any) -> None:
    ssc.set_checkpoint_dir(tmp_path)
    saved = ssc.parallelize(range(3), 1)
    saved.checkpoint()
    assert saved.count() == 3
    Path(saved.get_checkpoint_file(), "part-00000.arrow").unlink()
    with pytest.raises(JobFailed, match=r"cannot read .*part-00000\.arrow \(no such file"):
        saved.count()


def test_a_checkpoint_needs_a_place() -> None:
    with ManualContext() as ssc, pytest.raises(DefinitionError, match="set_checkpoint_dir"):
        ssc.parallelize([1]).checkpoint()
    with ManualContext() as ssc, pytest.raises(SourceError, match="cannot make the folder"):
        ssc.set_checkpoint_dir("/dev/null/saved")


# -- what once went wrong --------------------------------------------------------------------


def test_rows_that_a_function_changes_are_whole_again_in_the_next_job(ssc: Any) -> None:
    def grow(row: list[int]) -> list[int]:
        row.append(row[0])
        return row

    rdd = ssc.parallelize([[1], [2]], 2).map(grow)
    assert rdd.collect() == rdd.collect() == [[1, 1], [2, 2]]


def test_aggregating_leaves_the_zero_value_alone(ssc: Any) -> None:
    zero: list[int] = []
    rdd = ssc.parallelize([1, 2, 3], 2)
    assert sorted(rdd.aggregate(zero, lambda a, n: [*a, n], list.__iadd__)) == [1, 2, 3]
    assert zero == []


def test_rows_that_were_zipped_are_divided_by_nothing(ssc: Any) -> None:
    rdd = ssc.parallelize([(n, n) for n in range(6)], 3).partition_by(3)
    zipped = rdd.zip(rdd.map_values(str))  # the key is now a pair
    other = ssc.parallelize([((n, n), n) for n in range(6)], 2)
    assert zipped.join(other, 3).count() == 6


def test_counts_of_rows_are_divided_by_the_row(ssc: Any) -> None:
    pairs = [(n % 3, n) for n in range(9)]
    counts = ssc.parallelize(pairs, 3).partition_by(3).value_counts(3)
    other = ssc.parallelize([(pair, "x") for pair in pairs], 2)
    assert counts.join(other, 3).count() == 9


def test_sort_keys_need_no_hash(ssc: Any) -> None:
    rdd = ssc.parallelize([3, 1, 2], 3).sort_by(lambda n: [n])
    assert rdd.collect() == [1, 2, 3]


def test_a_histogram_of_nothing_is_refused(ssc: Any) -> None:
    with pytest.raises(ValueError, match="the RDD is empty"):
        ssc.parallelize([]).histogram(2)


def test_empty_rows_are_rows_of_a_table(ssc: Any) -> None:
    assert ssc.parallelize([(), ()]).to_arrow().num_rows == 2
    assert ssc.parallelize([{}, {}, {}]).to_arrow().num_rows == 3


def test_columns_of_types_that_have_nothing_in_common(ssc: Any) -> None:
    assert ssc.parallelize([1, "a"], 2).to_arrow()["value"].to_pylist() == ["1", "'a'"]
