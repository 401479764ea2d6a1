"""What every RDD is, whatever can be done with it: an operation, parents, a runner, a place."""

from __future__ import annotations

import re
import secrets
from collections.abc import Sequence
from functools import cached_property
from itertools import count
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from livebatch.block import BlockRef
from livebatch.closures import Function, capture
from livebatch.errors import ClosureError, NotRunning
from livebatch.interval import Millis
from livebatch.rdd.calling import recall
from livebatch.rdd.operation import AnyOperation, Stored
from livebatch.rdd.partitioner import Partitioner

if TYPE_CHECKING:
    from livebatch.rdd.dataset import RDD

T = TypeVar("T")

_process = secrets.token_hex(4)
_numbers = count(1)
_BATCH = re.compile(r"@(\d+)(?!.*@)")
"""In an id, the time of a batch, which may be followed by what tells several RDDs of it apart."""


class JobRunner(Protocol):
    """Where actions on RDDs are carried out."""

    @property
    def default_parallelism(self) -> int:
        """How many partitions a shuffle makes when not told."""

    def run(self, rdd: Any, action: Function, splits: Sequence[int] | None) -> list[Any]:
        """Apply ``action`` to the rows of each of the partitions (None: all) and return its
        results, in order.

        Raises:
            JobFailed: a function of the user's raised.
        """

    @property
    def checkpoint_dir(self) -> str | None:
        """Where RDDs are saved; None if nobody has said."""

    def checkpoint(self, rdd: Any) -> None:
        """Save an RDD, and have it read from there from now on."""

    def keep(self, rdd: Any) -> Sequence[BlockRef]:
        """Compute an RDD to blocks, which are the caller's from now on; return them.

        Raises:
            JobFailed: a function of the user's raised.
        """

    def release(self, rdd: Any) -> None:
        """Forget the blocks of an RDD that was persisted."""


class Dataset(Generic[T]):
    """An immutable, partitioned dataset that knows how it is computed."""

    def __init__(
        self,
        operation: AnyOperation,
        parents: Sequence[RDD[Any]] = (),
        runner: JobRunner | None = None,
        *,
        id: str | None = None,
    ) -> None:
        self.operation = operation
        self.parents = tuple(parents)
        known = (parent.runner for parent in self.parents if parent.runner)
        self.runner: JobRunner | None = runner or next(known, None)
        self.id = id or f"{_process}.{next(_numbers)}"
        self.persisted = False
        self.to_be_saved = False
        self.saved_in: str | None = None
        self.cuts_lineage = False
        self.label = f"RDD {self.id}"
        self._origin: tuple[AnyOperation, tuple[RDD[Any], ...]] | None = None

    @cached_property
    def num_partitions(self) -> int:
        """How many partitions it has."""
        return self.operation.partitions(self.parents)

    @cached_property
    def partitioner(self) -> Partitioner | None:
        """How its rows are known to be divided; None where they are in no known order."""
        return self.operation.partitioner(self.parents)

    @property
    def batch_time(self) -> Millis | None:
        """The time of the batch it is, milliseconds since 1970 UTC; None: it is none."""
        at = _BATCH.search(self.id)
        return int(at[1]) if at else None

    def become(self, operation: AnyOperation, parents: Sequence[RDD[Any]] = ()) -> None:
        """Take on an equal lineage, such as the blocks it has been computed to."""
        self.operation, self.parents = operation, tuple(parents)
        self.__dict__.pop("num_partitions", None)
        self.__dict__.pop("partitioner", None)

    def store(self, blocks: Sequence[BlockRef], cut: bool = False) -> None:
        """Read from these blocks, one a partition, from now on.

        Args:
            cut: forget how they were computed; otherwise `restore` brings that back.
        """
        self._origin = None if cut else (self.operation, self.parents)
        self.become(Stored(tuple((block,) for block in blocks), self.partitioner))

    def remember_origin(self, operation: AnyOperation, parents: Sequence[RDD[Any]]) -> None:
        """Take note of how it was computed, where it is stored: what `restore` brings back."""
        self._origin = operation, tuple(parents)

    def cut(self) -> None:
        """Forget how it was computed, where it is stored."""
        if isinstance(self.operation, Stored):
            self._origin = None

    def restore(self) -> bool:
        """Go back to how it was computed before it was stored; False if that is forgotten."""
        if self._origin is None:
            return False
        self.become(*self._origin)
        self._origin = None
        return True

    def origins(self) -> list[tuple[AnyOperation, tuple[RDD[Any], ...]]]:
        """Return how it is computed now and, where `restore` can bring that back, how it was."""
        now = (self.operation, self.parents)
        return [now] if self._origin is None else [now, self._origin]

    def derive(self, operation: AnyOperation, *others: RDD[Any]) -> Any:
        """Return the RDD that an operation makes of this one (and others)."""
        return type(self)(operation, [self, *others])  # type: ignore[list-item]

    @property
    def parallelism(self) -> int:
        """How many partitions a shuffle of it makes when not told."""
        return self.runner.default_parallelism if self.runner else 1

    def run(self, action: Function, splits: Sequence[int] | None = None) -> list[Any]:
        """Apply an action to each of its partitions and return the results, in order.

        Raises:
            NotRunning: it is not tied to an engine.
            JobFailed: a function of the user's raised.
        """
        if self.runner is None:
            raise NotRunning("this RDD is not tied to an engine")
        results = self.runner.run(self, action, splits)
        if self.runner.checkpoint_dir is not None:
            self._save_what_is_marked(self.runner)
        return results

    def _save_what_is_marked(self, runner: JobRunner) -> None:
        stack: list[Dataset[Any]] = [self]
        seen = {self.id}
        while stack:
            node = stack.pop()
            if node.to_be_saved:
                runner.checkpoint(node)
            fresh = [parent for parent in node.parents if parent.id not in seen]
            seen.update(parent.id for parent in fresh)
            stack.extend(fresh)

    def __reduce__(self) -> Any:
        number = capture(self)
        if number is not None:
            return recall, (number,)
        raise ClosureError(
            "an RDD is used inside a function that runs in the workers, where there are no RDDs: "
            "collect() it first and use the list, or combine the two with join or transform"
        )
