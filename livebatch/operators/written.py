"""A stream of what a sink has written."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from livebatch.closures import Builtin, builtin
from livebatch.interval import Millis
from livebatch.rdd import RDD
from livebatch.rdd.data import all_to_one
from livebatch.rdd.operation import Exchanged
from livebatch.stream import DStream


class Written(DStream[dict[str, Any]]):
    """The receipts of a sink, a row for each batch: its partitions are written where they are, and
    then one task has the batch count.

    Params: how one would write it; what writes a partition, and what commits a batch, both of
    which take the batch time and then rows, and give a table.
    """

    def __init__(
        self,
        parents: Sequence[DStream[Any]],
        slide: Millis,
        label: str,
        write: Builtin,
        commit: Builtin,
    ) -> None:
        super().__init__(parents, slide, label, write, commit)
        self.label, self.write, self.commit = label, write, commit
        self.persisted = True  # a batch is written once, whoever looks at its receipt

    def compute(self, time: Millis) -> RDD[dict[str, Any]] | None:
        rdd = self.parents[0].rdd_at(time)
        if rdd is None:
            return None
        write, commit = _at(self.write, time), _at(self.commit, time)
        return RDD(Exchanged(1, builtin(all_to_one), write, commit), [rdd])


def _at(function: Builtin, time: Millis) -> Builtin:
    return Builtin(function.target, (*function.args, time))
