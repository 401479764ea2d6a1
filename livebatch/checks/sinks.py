"""What every sink must do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from itertools import chain
from typing import NoReturn, TypeAlias

import msgspec

from livebatch.checks.crash import Crashes, End
from livebatch.sinks import Key, Sink

TIME = 1_700_000_000_000
"""The batch time of all batches, milliseconds since 1970 UTC: writers tell them apart."""

SIZES = (0, 1, 40, 300, 2_000, 9_000)
"""Attempts are killed when a file gets more bytes than this."""

TWICE = 4
"""Of so many attempts that are killed, one is made again and killed again."""

TOGETHER = 5
"""So often two attempts are made at the same time."""

Batches: TypeAlias = dict[str, list[list[str]]]
"""Rows by writer and partition."""


def check_sink(make: Callable[[], Sink], read: Callable[[], Iterable[str]], every: int = 1) -> None:
    """Make sure that a sink keeps the rules that the engine relies on.

    Its options travel, and make the same sink again. A batch is seen when it is committed, whole,
    and not before; written again, by the same process or another, it is not seen twice. An attempt
    that is killed, between any two lines of the sink's code or while it writes a file, leaves all
    of its batch to be seen, or nothing; and another attempt makes it whole, killed ones before it
    or not. Of two attempts at the same time one counts. Batches and partitions may be empty, and
    the batches of different writers do not stand in each other's way.

    Args:
        make: makes the sink, each time anew, of the same place, where nothing was written yet.
        read: gives the rows that a reader sees in that place. They are text.
        every: of so many lines between which it could be killed, it is at one.

    Raises:
        AssertionError: it breaks a rule; the message says which, and where it was killed.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> import livebatch as lb
        >>> from livebatch.sinks import sink
        >>> with TemporaryDirectory() as folder:
        ...     check_sink(
        ...         lambda: sink("text", {"path": folder}),
        ...         lambda: lb.read_output(folder).to_arrow().column("value").to_pylist(),
        ...         every=20,
        ...     )
    """
    made = make()
    _check_travels(made)
    made.prepare()
    with Crashes(made) as crashes:
        _SinkCheck(made, crashes, read, every).run()


def _check_travels(made: Sink) -> None:
    try:
        options = msgspec.json.decode(msgspec.json.encode(made))
        again = type(made)(**options)
    except Exception as error:
        _broken(made, f"does not travel, as its options are no plain data: {error!r}")
    if msgspec.to_builtins(again) != msgspec.to_builtins(made):
        _broken(made, f"is another one after it travelled: {again!r}, not {made!r}")


class _SinkCheck:
    """Writes batch after batch, in all ways in which that can go wrong."""

    def __init__(
        self, made: Sink, crashes: Crashes, read: Callable[[], Iterable[str]], every: int
    ) -> None:
        self._sink, self._crashes, self._read, self._every = made, crashes, read, every
        self._whole: Batches = {}
        self._unsure: dict[str, str] = {}

    def run(self) -> None:
        self._plainly()
        steps = self._steps()
        killed = [f"step-{number}" for number in range(len(steps))]
        for writer, step in zip(killed, steps, strict=True):
            self._kill(writer, at_step=step)
        for size in SIZES:
            self._kill(f"size-{size}", at_byte=size)
        self._look("after attempts were killed")
        for writer, step in list(zip(killed, reversed(steps), strict=True))[::TWICE]:
            self._kill(writer, at_step=step)
        self._look("after attempts were killed twice")
        self._write({writer: _rows(writer) for writer in self._unsure})
        self._look("after attempts that were killed were made again")
        for number in range(TOGETHER):
            writer = f"together-{number}"
            self._write({writer: _rows(writer)}, copies=2)
        self._look("after two attempts at the same time")
        self._write(self._whole)
        self._look("after all was written again")

    def _plainly(self) -> None:
        self._write({"first": _rows("first")})
        self._look("after a batch was written")
        self._write({"empty": [], "blank": [[], []], "half": [[], ["half/1/0"], []]})
        self._look("after batches without rows, and one of which only a partition had any")
        self._attempt({"unseen": _rows("unseen")}, commits=False)
        self._look("after a batch was written but not committed")

    def _steps(self) -> list[int]:
        """Return at which steps to kill: at each line, when it runs first and last."""
        (end,) = self._write({"steps": _rows("steps")})
        first = {line: i for i, line in reversed(list(enumerate(end.steps)))}
        last = {line: i for i, line in enumerate(end.steps)}
        return sorted({*first.values(), *last.values()})[:: self._every]

    def _kill(self, writer: str, **when: int) -> None:
        before = f"{self._unsure[writer]} and " if writer in self._unsure else ""
        (how,) = when.items()
        self._unsure[writer] = f"{before}{how[0]} {how[1]}"
        self._attempt({writer: _rows(writer)}, **when)

    def _write(self, batches: Batches, **how: int) -> list[End]:
        wanted = [sum(map(len, partitions)) for partitions in batches.values()]
        ends = self._attempt(batches, **how)
        for end in ends:
            if end.status:
                _broken(self._sink, f"ends its process, with status {end.status}")
            if end.rows != wanted:
                _broken(self._sink, f"says that {end.rows} rows count, not {wanted}")
        self._whole |= batches
        for writer in batches:
            self._unsure.pop(writer, None)
        return ends

    def _attempt(self, batches: Batches, **how: int) -> list[End]:
        keyed = [(Key(writer, TIME), partitions) for writer, partitions in batches.items()]
        ends = self._crashes.attempt(keyed, **how)
        for end in ends:
            if end.error is not None:
                _broken(self._sink, f"raised, {how or 'undisturbed'}:\n{end.error}")
        return ends

    def _look(self, when: str) -> None:
        """Compare what a reader sees with what was written."""
        seen: dict[str, Counter[str]] = {}
        for row in self._read():
            seen.setdefault(row.partition("/")[0], Counter())[row] += 1
        for writer, partitions in self._whole.items():
            self._compare(when, writer, seen.pop(writer, Counter()), partitions)
        for writer, how in self._unsure.items():
            if writer in seen:
                self._compare(f"{when} ({how})", writer, seen.pop(writer), _rows(writer))
        for writer, rows in seen.items():
            self._compare(when, writer, rows, [])

    def _compare(
        self, when: str, writer: str, seen: Counter[str], partitions: list[list[str]]
    ) -> None:
        rows = Counter(chain.from_iterable(partitions))
        if seen != rows:
            _broken(
                self._sink,
                f"shows of the batch {writer} {seen.total()} rows {when}, not {rows.total()}: "
                f"{list(rows - seen)} are missing, {list(seen - rows)} too much",
            )


def _rows(writer: str) -> list[list[str]]:
    """The rows of a batch, which begin with its writer."""
    return [[f"{writer}/{split}/{i} é, \"'" for i in range(3)] for split in range(2)]


def _broken(made: object, rule: str) -> NoReturn:
    raise AssertionError(f"{type(made).__module__}: this sink {rule}")
