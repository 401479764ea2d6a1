"""A task carried out piece by piece, once it has lacked memory.

What can be taken record by record from where the rows come from to where they go is: the pieces
follow each other in order through the same functions, so the results are the same. What looks at a
whole partition (`map_partitions`, a query, a join) is given the whole partition all the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import chain, islice

from livebatch.block import Tables
from livebatch.rdd.data import Data, Flow
from livebatch.rowtables import PART
from livebatch.tasks import Step


def is_chain(steps: tuple[Step, ...]) -> bool:
    """Return whether each step but the first has the one before it as its input."""
    chain = all(step.inputs == (i,) and not step.blocks for i, step in enumerate(steps[1:]))
    return chain and not steps[0].inputs


def cut(rows: Data, count: int) -> Iterator[Data]:
    """Yield rows in about so many pieces, and no rows in one; rows whose number is not known, in
    pieces that are small even so.

    >>> import pyarrow as pa
    >>> [list(piece) for piece in cut(Tables([pa.table({"n": [1, 2, 3]})]), 2)]
    [[{'n': 1}, {'n': 2}], [{'n': 3}]]
    >>> [sum(1 for row in piece) for piece in cut(iter(range(10_000)), 4)]
    [4096, 4096, 1808]
    """
    pieces: Iterator[Data]
    if isinstance(rows, Flow):
        pieces = (Tables([table]) for table in rows.make())
    elif isinstance(rows, Tables):
        size = -(-len(rows) // count)
        starts = ((table, n) for table in rows.tables for n in range(0, table.num_rows, size or 1))
        pieces = (Tables([table.slice(n, size)]) for table, n in starts)
    else:
        some = partial(islice, rows, max(PART // count**2, 1))
        pieces = map(iter, iter(lambda: list(some()), []))
    yield from chain([next(pieces, rows)], pieces)
