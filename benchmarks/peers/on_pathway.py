"""Pathway with one thread, which reads the files as they are and ends. Its windows put each row in
as many as it is in, thirty, which is left out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pathway as pw

from benchmarks.peers.answers import TEN_SECONDS, finished
from benchmarks.peers.data import ADS, WORD


class Event(pw.Schema):
    """The fields that are needed."""

    ad_id: str
    event_type: str
    event_time: int


class Ad(pw.Schema):
    """The campaign of an advertisement."""

    ad_id: str = pw.column_definition(primary_key=True)
    campaign_id: int


def place(files: list[Path]) -> str:
    """Return the only file, or the folder of all."""
    return str(files[0] if len(files) == 1 else files[0].parent)


def results(build: Callable[[], pw.Table]) -> list[dict[str, Any]]:
    """Return the rows that a table has in the end."""
    pw.internals.parse_graph.G.clear()
    found: dict[Any, dict[str, Any]] = {}

    def note(key: Any, row: dict[str, Any], time: int, is_addition: bool) -> None:
        if is_addition:
            found[key] = row
        else:
            del found[key]

    pw.io.subscribe(build(), note)
    pw.run(monitoring_level=pw.MonitoringLevel.NONE)
    return list(found.values())


def grep(files: list[Path]) -> Any:
    def build() -> pw.Table:
        lines = pw.io.plaintext.read(place(files), mode="static")
        return lines.filter(pw.this.data.str.find(f" {WORD} ") >= 0).reduce(n=pw.reducers.count())

    return results(build)[0]["n"]


def campaigns(files: list[Path]) -> Any:
    def build() -> pw.Table:
        events = pw.io.jsonlines.read(place(files), schema=Event, mode="static")
        ads = pw.debug.table_from_rows(Ad, list(zip(*ADS.to_pydict().values(), strict=True)))
        views = events.filter(pw.this.event_type == "view").join(
            ads, pw.left.ad_id == pw.right.ad_id
        )
        timed = views.select(
            pw.left.event_time,
            pw.right.campaign_id,
            start=pw.left.event_time // TEN_SECONDS * TEN_SECONDS,
        )
        return timed.groupby(pw.this.start, pw.this.campaign_id).reduce(
            pw.this.start,
            pw.this.campaign_id,
            n=pw.reducers.count(),
            last=pw.reducers.max(pw.this.event_time),
        )

    rows = results(build)
    counts = {(row["start"], row["campaign_id"]): row["n"] for row in rows}
    return lambda: finished(counts, max(row["last"] for row in rows))
