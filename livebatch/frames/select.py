"""What makes other rows or columns of a frame."""

from __future__ import annotations

from typing import Any

from livebatch.arguments import check_count
from livebatch.closures import builtin
from livebatch.duck import quoted
from livebatch.errors import DefinitionError, QueryError
from livebatch.frames import run
from livebatch.frames.check import columns_of
from livebatch.frames.frame import Frame, gathered, known, method, query, shapes
from livebatch.frames.syntax import expressions, is_rowwise
from livebatch.stream import (
    DStream,
    Lifted,
    same_slide,
)


@method
def select(self: Frame, *exprs: str, **named: str) -> Frame:
    """Return a frame of other columns.

    Args:
        exprs: SQL expressions, or lists of them: ``"page, ms / 1000 AS seconds"``.
        named: more of them, by the name of their column.

    Raises:
        QueryError: one is wrong; the message points at the word.

    Example:
        >>> from livebatch.testing import ManualContext
        >>> with ManualContext() as ssc:
        ...     frame = ssc.queue_stream().to_frame({"page": "VARCHAR", "ms": "BIGINT"})
        ...     frame.select("page, ms / 1000 AS seconds", slow="ms > 500").columns
        (('page', 'VARCHAR'), ('seconds', 'DOUBLE'), ('slow', 'BOOLEAN'))
    """
    items = _checked(self, exprs, named)
    return query(self, f"select({', '.join(items)})", f"SELECT {', '.join(items)} FROM {run.THIS}")


@method
def with_columns(self: Frame, **named: str) -> Frame:
    """Return this frame with more columns, or with others in place of some.

    Args:
        named: SQL expressions, by the name of their column.

    Raises:
        QueryError: one is wrong; the message points at the word.

    Example:
        ``frame.with_columns(seconds="ms / 1000")``
    """
    items = _checked(self, (), named)
    replaced = [name for name, _ in self.columns if name.casefold() in map(str.casefold, named)]
    kept = f" EXCLUDE ({', '.join(map(quoted, replaced))})" if replaced else ""
    star = [] if len(replaced) == len(self.columns) else [f"*{kept}"]
    sql = f"SELECT {', '.join([*star, *items])} FROM {run.THIS}"
    return query(self, f"with_columns({', '.join(items)})", sql)


@method
def filter(self: Frame, condition: str) -> Frame:
    """Return a frame of the rows for which a condition is true.

    Args:
        condition: an SQL expression: ``"kind = 'view' AND ms > 10"``.

    Raises:
        QueryError: it is wrong; the message points at the word.
    """
    check(self, condition, only=1)
    sql = f"SELECT * FROM {run.THIS} WHERE\n{condition}\n"
    return query(self, f"filter({condition})", sql, above=1)


@method
def distinct(self: Frame) -> Frame:
    """Return a frame of the different rows of each batch."""
    return gathered(self, "distinct()", f"SELECT DISTINCT * FROM {run.THIS}")


@method
def order_by(self: Frame, *exprs: str) -> Frame:
    """Return a frame whose batches are in order.

    Args:
        exprs: what by, as in SQL: ``"ms DESC, page"``.

    Raises:
        QueryError: one is wrong; the message points at the word.
    """
    order = ", ".join(exprs)
    sql = f"SELECT * FROM {run.THIS} ORDER BY\n{order}\n"
    columns_of(sql, shapes(self, {}), 1)
    return gathered(self, f"order_by({order})", sql)


@method
def limit(self: Frame, num: int) -> Frame:
    """Return a frame of the first ``num`` rows of each batch; after `order_by`, of its order."""
    count = check_count(num, "num")
    return gathered(self, f"limit({count})", f"SELECT * FROM {run.THIS} LIMIT {count}")


@method
def union(self: Frame, *others: Frame) -> Frame:
    """Return a frame of the rows of this one and of others, with this one's columns.

    Args:
        others: frames that have these columns, in any order.

    Raises:
        DefinitionError: they have others, or the frames have different slides.
    """
    frames = [self, *others]
    same_slide(frames, "union")
    items = ", ".join(f"CAST({quoted(name)} AS {kind}) AS {quoted(name)}" for name, kind
                      in self.columns)  # fmt: skip
    names = {name.casefold() for name, _ in self.columns}
    for other in others:
        if {name.casefold() for name, _ in getattr(other, "columns", ())} != names:
            raise DefinitionError(f"union needs frames with the columns of {self!r}, not {other!r}")
    alike = [query(other, "cast()", f"SELECT {items} FROM {run.THIS}") for other in others]
    together: DStream[Any] = Lifted([self, *alike], self.slide, "union")
    whole = builtin(run.whole, self.columns)
    return known(Frame([together], self.slide, "as_frame()", self.columns, whole))


def _checked(frame: Frame, exprs: tuple[str, ...], named: dict[str, str]) -> list[str]:
    """Return expressions as SQL lists them.

    Raises:
        QueryError: one is wrong; the message points at the word.
    """
    for text in exprs:
        check(frame, text)
    for text in named.values():
        check(frame, text, only=1)
    items = [*exprs, *(f"{text} AS {quoted(name)}" for name, text in named.items())]
    if not items:
        raise DefinitionError("at least one expression is needed")
    return items


def check(frame: Frame, text: str, only: int | None = None) -> None:
    """Check expressions over the rows of a frame, each by itself.

    Args:
        frame: what they are over.
        text: the expressions.
        only: how many there may be.

    Raises:
        QueryError: they are wrong; the message points at the word.
    """
    found = expressions(text)
    if only is not None and len(found) != only:
        raise QueryError(f"one expression is needed here, not {len(found)}: {text}")
    columns_of(f"SELECT\n{text}\nFROM {run.THIS}", shapes(frame, {}), 1)
    for node in found:
        if not is_rowwise(node):
            raise QueryError(
                f"{text} looks at more than one row: use group_by(...).agg(...), or a whole query "
                f'with sql("SELECT ... FROM this")'
            )
