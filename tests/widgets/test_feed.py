from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from livebatch.widgets import ErrorKind, Errors, Figures
from livebatch.widgets.feed import UNHEARD, Feed

T0 = datetime(2026, 1, 1, tzinfo=UTC)


class Driven:
    """A feed with a browser that has said hello."""

    def __init__(self, kind: str = "line", *, greeted: bool = True) -> None:
        self.feed = Feed("stream", kind)
        self.batches = 0
        self.y: list[float] = []
        if greeted:
            self.feed.request()
            self.read()

    def push(self, *values: Any) -> None:
        self.batches += 1
        table = pa.table({"value": list(values)})
        self.feed.push(T0 + timedelta(seconds=self.batches), table)

    def read(self) -> dict[str, Any]:
        message = self.feed.next()
        assert message is not None
        header, buffers = message
        json.dumps(header)
        columns = np.frombuffer(buffers[0]) if buffers else np.empty(0)
        self.y = columns[len(columns) // 2 :].tolist()
        return header

    def news(self) -> list[float]:
        self.read()
        return self.y


def test_messages_are_numbered_and_the_first_says_everything() -> None:
    driven = Driven(greeted=False)
    first = driven.read()
    assert (first["seq"], first["key"], first["kind"]) == (0, True, "line")
    assert first["item"]["doc"]["roots"]
    driven.push(1)
    second = driven.read()
    assert (second["seq"], second["key"]) == (1, False)
    assert "item" not in second
    assert driven.feed.next() is None


def test_several_batches_make_one_message() -> None:
    driven = Driven()
    for i in range(5):
        driven.push(i)
    assert driven.news() == [0, 1, 2, 3, 4]
    assert driven.feed.next() is None


def test_a_request_is_answered_with_everything_once() -> None:
    driven = Driven()
    driven.push(1)
    driven.read()
    driven.feed.request()
    answer = driven.read()
    assert answer["key"]
    assert answer["note"] == {
        "status": ["", "ok"], "figures": None, "errors": None, "error": None,
        "paused": False, "window": 60.0, "order": None, "skipped": 0,
    }  # fmt: skip
    assert answer["past"]
    assert driven.y == [1]
    assert driven.feed.next() is None


def test_until_a_browser_is_heard_a_picture_comes_every_so_often() -> None:
    driven = Driven(greeted=False)
    keys = []
    for i in range(3 * UNHEARD):
        driven.push(i)
        keys.append(driven.read()["key"])
    assert [i for i, key in enumerate(keys) if key] == [0, UNHEARD, 2 * UNHEARD]


def test_a_pause_freezes_the_picture_and_the_present_follows() -> None:
    driven = Driven()
    driven.push(1)
    driven.read()
    driven.feed.pause(True)
    assert driven.read()["note"]["paused"]
    driven.push(2)
    assert driven.feed.next() is None
    driven.feed.pause(False)
    after = driven.read()
    assert after["key"]
    assert not after["note"]["paused"]
    assert driven.y == [1, 2]


def test_a_page_loaded_during_a_pause_gets_the_frozen_picture() -> None:
    driven = Driven()
    driven.push(1)
    driven.read()
    driven.feed.pause(True)
    driven.push(2)
    driven.read()
    driven.feed.request()
    assert driven.read()["key"]
    assert driven.y == [1]


def test_a_pause_and_resume_between_two_messages_loses_nothing() -> None:
    driven = Driven()
    driven.feed.pause(True)
    driven.push(1)
    driven.feed.pause(False)
    assert driven.news() == [1]


def test_notes_come_while_paused_and_without_data() -> None:
    driven = Driven()
    driven.feed.pause(True)
    driven.read()
    driven.feed.status("late", "warn")
    message = driven.read()
    assert message["note"]["status"] == ["late", "warn"]
    assert message["picture"] is None
    driven.feed.status("late", "warn")
    assert driven.feed.next() is None, "the same again is no news"


def test_a_failure_is_shown_until_it_is_cleared_and_the_picture_stays() -> None:
    driven = Driven()
    driven.push(1)
    driven.read()
    driven.feed.fail("Traceback\n\x1b[0;31mZeroDivisionError\x1b[0m: no\n")
    assert driven.read()["note"]["error"] == "Traceback\nZeroDivisionError: no"
    driven.push(2)
    assert driven.news() == [2]
    driven.feed.fail(None)
    assert driven.read()["note"]["error"] is None


def test_a_batch_that_cannot_be_drawn_shows_why_and_the_next_one_is_drawn() -> None:
    driven = Driven()
    driven.push("word")
    message = driven.read()
    assert message["note"]["error"].endswith(
        "ValueError: a line view needs a column of numbers; the stream has value string"
    )
    driven.push(3)
    assert driven.read()["note"]["error"] is None
    assert driven.y == [3]


@pytest.mark.parametrize(
    ("table", "kind"),
    [
        (pa.table({"value": [1]}), "line"),
        (pa.table({"w": ["a"], "n": [1]}), "bar"),
        (pa.table({"value": ["a"]}), "log"),
    ],
)
def test_auto_waits_for_rows_and_then_chooses(table: pa.Table, kind: str) -> None:
    feed = Feed("stream", "auto")
    message = feed.next()
    assert message is not None
    assert message[0]["kind"] is None
    feed.push(T0, pa.table({"value": pa.array([], pa.null())}))
    assert feed.next() is None
    feed.push(T0, table)
    message = feed.next()
    assert message is not None
    assert (message[0]["kind"], message[0]["key"]) == (kind, True)
    assert feed.last() is not None


def test_only_what_has_changed_is_told() -> None:
    driven = Driven()
    figures = Figures(1000, 500, rows=3, processing=400, began=2)
    driven.feed.status("3 rows", figures=figures)
    note = driven.read()["note"]
    assert set(note) == {"status", "figures"}
    assert note["status"] == ["3 rows", "warn"]
    assert (note["figures"]["rows"], note["figures"]["word"]) == (3, "busy")
    driven.feed.errors(Errors(2, 9, (ErrorKind("E: no", "line 1", 2, ("'x'",), "E: no"),)))
    assert driven.read()["note"]["errors"]["kinds"][0]["records"] == ("'x'",)
    driven.feed.status("stopped", "warn")
    assert driven.read()["note"] == {"status": ["stopped", "warn"], "figures": None}


def test_another_window_shows_at_once_what_is_kept_of_the_past() -> None:
    driven = Driven()
    for i in range(200):
        driven.push(i)
    driven.read()
    assert len(driven.y) < 100
    driven.feed.window(150)
    message = driven.read()
    assert message["key"]
    assert message["note"]["window"] == 150
    assert driven.y[-150:] == list(range(50, 200))
    driven.feed.window(10)
    driven.read()
    assert driven.y[-10:] == list(range(190, 200))
    assert len(driven.y) < 15
    driven.push(200)
    assert driven.news() == [200]


def test_what_is_absorbed_unseen_is_shown_later() -> None:
    driven = Driven()
    driven.push(1)
    driven.feed.absorb()
    driven.push(2)
    assert driven.news() == [1, 2]


def test_pictures_that_were_skipped_are_counted_if_the_view_was_late() -> None:
    driven = Driven()
    for late, skipped in ((False, 0), (True, 2), (True, 4)):
        for i in range(3):
            driven.push(i)
        message = driven.feed.next(late=late)
        assert message is not None
        assert driven.feed._note["skipped"] == skipped
        assert message[0].get("note", {"skipped": 0})["skipped"] == skipped


def test_the_data_of_the_picture_stands_still_with_it() -> None:
    driven = Driven("table")
    driven.push(1)
    driven.read()
    driven.feed.pause(True)
    driven.read()
    driven.push(2)
    driven.feed.absorb()
    rows = driven.feed.rows()
    assert rows is not None
    assert rows.column("value").to_pylist() == [1]
    driven.feed.pause(False)
    driven.read()
    rows = driven.feed.rows()
    assert rows is not None
    assert rows.column("value").to_pylist() == [2]


def test_rows_are_sorted_also_those_of_a_frozen_picture() -> None:
    driven = Driven("table")
    driven.push(1, 3, 2)
    driven.read()
    driven.feed.sort((0, "descending"))
    picture = driven.read()["picture"]
    assert (picture["rows"], picture["order"]) == ([["3"], ["2"], ["1"]], (0, "descending"))
    driven.feed.pause(True)
    driven.read()
    driven.push(9, 8)
    driven.feed.sort((0, "ascending"))
    message = driven.read()
    assert message["key"]
    assert message["picture"]["rows"] == [["1"], ["2"], ["3"]]
    driven.feed.pause(False)
    assert driven.read()["picture"]["rows"] == [["8"], ["9"]]


def test_what_has_no_rows_is_not_sorted() -> None:
    driven = Driven("line")
    driven.push(1)
    driven.feed.sort((0, "descending"))
    assert driven.news() == [1]


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="no view of kind 'pie'"):
        Feed("stream", "pie")
