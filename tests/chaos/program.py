"""The program whose processes are killed, and where its outputs are."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from datetime import datetime
from functools import partial
from operator import add, sub
from pathlib import Path
from typing import Any

import livebatch as lb

BATCH, LENGTH, SLIDE = 600, 3600, 1200
RATE = 200
KEYS = 7
RETAIN = "3s"
DATABASE = "out.db"


def parsed(line: str) -> tuple[int, int]:
    """Return the number of a line, and which attempt to send it this was."""
    number, attempt, _ = line.split(" ")
    return int(number), int(attempt)


def by_key(number: int) -> tuple[int, int]:
    return number % KEYS, number


def one_by_key(number: int) -> tuple[int, int]:
    return number % KEYS, 1


def is_positive(pair: tuple[int, int]) -> bool:
    return pair[1] > 0


def total(new: Iterable[int], before: tuple[int, int] | None) -> tuple[int, int]:
    """Return how many numbers there have been, and their sum."""
    values, (count, summed) = list(new), before or (0, 0)
    return count + len(values), summed + sum(values)


def running(key: int, number: int, state: Any) -> tuple[int, int]:
    """Return a key and the how many-th number of it this is."""
    state.update(state.get(0) + 1)
    return key, state.get()


def flat(pair: tuple[int, Any]) -> tuple[int, ...]:
    key, value = pair
    return (key, *value) if isinstance(value, tuple) else (key, value)


def stamped(stream: Any) -> Any:
    """Return a stream of rows that begin with their batch's time."""

    def stamp(time: datetime, rdd: Any) -> Any:
        at = round(time.timestamp() * 1000)
        return rdd.map(lambda pair: (at, *flat(pair)))

    return stream.transform(stamp)


def note(folder: str, time: datetime, rdd: Any) -> None:
    """Write down how many rows a batch has."""
    path = Path(folder, str(round(time.timestamp() * 1000)))
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_text(str(rdd.count()))
    draft.replace(path)


def numbers_of(lines: Any) -> Any:
    """Return the stream that is defined anew now and then, always with this meaning."""
    return lines.map(lambda pair: pair[0])


class Program:
    """Streams over three sources into all kinds of sinks.

    Args:
        folder: for inputs and outputs.
        port: of the server of lines.
    """

    def __init__(self, folder: Path, port: int) -> None:
        self.inputs, self.outputs, self.notes = folder / "in", folder / "out", folder / "notes"
        for each in self.inputs, self.outputs, self.notes:
            each.mkdir()
        self.url = f"sqlite:///{folder / DATABASE}"
        self._port = port

    def define(self, ssc: lb.StreamingContext) -> None:
        """Define all streams on an engine that has not begun."""
        named: Callable[..., Any] = partial(ssc.register, retain=RETAIN)
        ticks = named("ticks", ssc.rate_stream(RATE, 2).map(lambda row: row["value"]))
        files = named("files", ssc.text_file_stream(str(self.inputs)).map(int))
        received = ssc.input_stream("acked_lines", port=self._port, durable=True)
        lines = named("lines", received.map(parsed))
        numbers = named("numbers", numbers_of(lines))
        for name, stream in self._results(ticks, files, numbers).items():
            named(f"{name}_written", self._write(name, stream))
        for name, stream in {"ticks": ticks, "files": files, "lines": lines}.items():
            named(f"{name}_written", self._to_parquet(name, stream))
        ticks.foreach_rdd(partial(note, str(self.notes)))

    def define_again(self, ssc: lb.StreamingContext) -> None:
        """Define a stream anew as it was."""
        ssc.register("numbers", numbers_of(ssc.streams["lines"]), retain=RETAIN)

    def _results(self, ticks: Any, files: Any, numbers: Any) -> dict[str, Any]:
        counts, keyed = ticks.map(one_by_key), numbers.map(by_key)
        frame = keyed.to_frame({"k": "BIGINT", "n": "BIGINT"}).window(f"{LENGTH}ms", f"{SLIDE}ms")
        length, slide = f"{LENGTH}ms", f"{SLIDE}ms"
        return {
            "counts": counts.reduce_by_key_and_window(
                add, sub, length, slide, filter_func=is_positive
            ),
            "largest": keyed.reduce_by_key_and_window(max, None, length, slide),
            "totals": keyed.update_state_by_key(total),
            "running": files.map(by_key).map_with_state(running),
            "joined": counts.reduce_by_key(add).join(numbers.map(one_by_key).reduce_by_key(add)),
            "summed": frame.group_by("k").agg("sum(n)::BIGINT AS s, count(*) AS c, max(n) AS m"),
        }

    def _write(self, name: str, stream: Any) -> Any:
        if name in ("counts", "joined"):
            return stamped(stream).to_sql(name, self.url)
        if name == "totals":
            return stamped(stream).to_delta(self.outputs / name)
        return self._to_parquet(name, stream)

    def _to_parquet(self, name: str, stream: Any) -> Any:
        return stream.to_parquet(self.outputs / name)
