"""Side outputs: one function, several streams."""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from livebatch.arguments import check_name
from livebatch.closures import builtin
from livebatch.errors import DefinitionError
from livebatch.stream import (
    DStream,
    lift,
    operator,
)

Stream = DStream[Any]
MAIN = "main"


@dataclass(frozen=True, slots=True)
class Tagged:
    """A record for one of a function's side outputs; see `DStream.with_outputs`.

    Args:
        tag: the name of the output.
        record: what it gets.
    """

    tag: str
    record: Any


@operator
def with_outputs(self: Stream, *tags: str) -> Any:
    """Return the streams that a function gives whose records are in part `Tagged`.

    The function runs once for each record, however many of the streams are used.

    Args:
        tags: the names of the side outputs.

    Returns:
        a named tuple: ``main``, with the records that have no tag, and a stream for each tag.

    Raises:
        DefinitionError: a tag is no name, or is given twice.

    A batch with a tag that is not among these fails.

    Example:
        >>> from livebatch import Tagged
        >>> from livebatch.testing import ManualContext, collected
        >>> def parse(line):
        ...     yield int(line) if line.isdigit() else Tagged("invalid", line)
        >>> with ManualContext("1s") as ssc:
        ...     parsed = ssc.queue_stream([["1", "x"]]).flat_map(parse)
        ...     numbers, invalid = parsed.with_outputs("invalid")
        ...     good, bad = collected(numbers), collected(invalid)
        ...     ssc.start()
        ...     ssc.advance("1s")
        ...     good, bad
        ([[1]], [['x']])
    """
    names = (MAIN, *map(check_name, tags))
    for name in tags:
        if name[0] == "_" or names.count(name) > 1:
            raise DefinitionError(f"{name} is taken, or begins with _: call the output otherwise")
    checked = lift(self, "map_partitions", builtin(with_known_tags, list(tags)), True)
    checked.persisted = True  # what all outputs are taken from
    kind: Any = namedtuple("Outputs", names)  # type: ignore[misc]
    return kind(*[lift(checked, "map_partitions", builtin(output, name), True) for name in names])


def with_known_tags(tags: list[str], rows: Iterable[Any]) -> Iterator[Any]:
    """Pass rows on.

    Raises:
        DefinitionError: one has a tag that is none of these.
    """
    for row in rows:
        if isinstance(row, Tagged) and row.tag not in tags:
            known = ", ".join(tags) or "none"
            raise DefinitionError(
                f"there is no output {row.tag!r} for {row.record!r}; with_outputs has {known}"
            )
        yield row


def output(name: str, rows: Iterable[Any]) -> Iterator[Any]:
    """The records of one output."""
    if name == MAIN:
        return (row for row in rows if not isinstance(row, Tagged))
    return (row.record for row in rows if isinstance(row, Tagged) and row.tag == name)
