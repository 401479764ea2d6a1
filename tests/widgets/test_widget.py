from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from queue import Queue
from typing import Any

import ipywidgets
import numpy as np
import pyarrow as pa
import pytest

from livebatch.clock import stopwatch
from livebatch.widgets import Panel, View, live, show
from livebatch.widgets.assets import assets
from livebatch.widgets.audience import IN_FLIGHT, Sight
from livebatch.widgets.rounds import FRAMES_PER_SECOND
from tests.helpers import eventually

T0 = datetime(2026, 1, 1, tzinfo=UTC)
SECONDS = 10.0


class Sent:
    """What a view has sent to the browser, and from where."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.messages: Queue[tuple[dict[str, Any], list[bytes]]] = Queue()
        self.threads: set[str] = set()
        self.times: list[float] = []
        patch.setattr(View, "send", lambda view, *message: self.take(view, *message))

    def take(self, view: View, header: dict[str, Any], buffers: list[bytes]) -> None:
        self.threads.add(threading.current_thread().name)
        self.times.append(stopwatch())
        self.messages.put((header, buffers))

    def next(self) -> tuple[dict[str, Any], list[bytes]]:
        return self.messages.get(timeout=SECONDS)


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> Sent:
    return Sent(monkeypatch)


@pytest.fixture(autouse=True)
def nothing_left() -> Iterator[None]:
    yield
    for panel in live().values():
        panel.close()
    assert not pumps()


def pumps() -> list[str]:
    return [t.name for t in threading.enumerate() if t.name == "livebatch-views"]


def numbers(*values: float) -> pa.Table:
    return pa.table({"value": values})


def widgets() -> set[str]:
    return set(ipywidgets.widgets.widget._instances)


def test_what_is_pushed_from_any_thread_is_sent_from_one(sent: Sent) -> None:
    view = show("clicks", "line").view

    def push(first: int) -> None:
        for i in range(first, first + 100):
            view.push(T0 + timedelta(milliseconds=i), numbers(i))

    threads = [threading.Thread(target=push, args=(1000 * k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    drawn: set[float] = set()
    for seq in count():
        header, buffers = sent.next()
        assert header["seq"] == seq
        at, values = 0, np.frombuffer(buffers[0])
        for line in header["picture"]["lines"]:
            drawn |= set(values[at + line["n"] : at + 2 * line["n"]])
            at += 2 * line["n"]
        if len(drawn) == 400:
            break
    assert sent.threads == {"livebatch-views"}


def test_a_flood_is_sent_at_no_more_than_twenty_frames_a_second(sent: Sent) -> None:
    view = show("flood", "line").view
    millis = count()
    for _ in range(10):
        while sent.messages.empty():
            view.push(T0 + timedelta(milliseconds=next(millis)), numbers(1))
        sent.next()
    assert min(np.diff(sent.times)) >= 0.99 / FRAMES_PER_SECOND


def test_a_browsers_request_is_answered(sent: Sent) -> None:
    view = show("clicks", "line").view
    sent.next()
    view._handle_custom_msg({"page": "p", "seq": -1, "sees": True, "ask": True}, [])
    header, _ = sent.next()
    assert header["key"]
    assert header["kind"] == "line"


def test_pausing_by_button_or_by_hand_is_the_same(sent: Sent) -> None:
    view = show("clicks", "line").view
    sent.next()
    view._handle_custom_msg({"do": "pause", "value": True}, [])
    assert view.paused
    assert sent.next()[0]["note"]["paused"]
    view.paused = False
    assert sent.next()[0]["key"]


def test_the_window_is_changed_by_a_page(sent: Sent) -> None:
    view = show("clicks", "line").view
    sent.next()
    for value in (-1, 0, "x", None):
        view._handle_custom_msg({"do": "window", "value": value}, [])
    view._handle_custom_msg({"do": "window", "value": 10}, [])
    assert sent.next()[0]["note"]["window"] == 10


def test_the_rows_are_sorted_by_a_page(sent: Sent) -> None:
    view = show("clicks", "table").view
    sent.next()
    view.push(T0, numbers(1, 3, 2))
    for way, first in (("descending", "3"), ("none", "1"), ("ascending", "1")):
        view._handle_custom_msg({"do": "sort", "column": 0, "way": way}, [])
        eventually(lambda first=first: sent.next()[0]["picture"]["rows"][0] == [first])


def test_the_data_is_sent_as_csv_to_the_page_that_asks(sent: Sent) -> None:
    view = show("clicks", "table").view
    sent.next()
    view.push(T0, pa.table({"word": ["a", "b"], "n": [1, 2]}))
    sent.next()
    view._handle_custom_msg({"do": "csv", "page": "p"}, [])
    header, [data] = sent.next()
    assert header == {"csv": "clicks.csv", "page": "p"}
    assert data == b'"word","n"\n"a",1\n"b",2\n'


def says(view: View, **more: Any) -> None:
    view._handle_custom_msg({"page": "p", "seq": -1, "sees": True} | more, [])


def test_nothing_is_sent_while_nobody_looks(sent: Sent) -> None:
    view = show("clicks", "line").view
    says(view, ask=True)
    while not sent.next()[0]["key"]:
        pass
    says(view, sees=False)
    for i in range(5):
        view.push(T0 + timedelta(seconds=i), numbers(i))
    eventually(lambda: view._feed.last() is not None and view._feed.last().total == 1)
    assert sent.messages.empty()
    says(view)
    header, buffers = sent.next()
    assert header["key"]
    assert np.frombuffer(buffers[0])[-1] == 4


def test_a_page_that_cannot_keep_up_is_waited_for(sent: Sent) -> None:
    view = show("clicks", "line").view
    says(view, ask=True)
    begun = sent.next()[0]["seq"]
    millis = count()

    def flood() -> int:
        view.push(T0 + timedelta(milliseconds=next(millis)), numbers(1))
        return sent.messages.qsize()

    eventually(lambda: flood() >= IN_FLIGHT - 1)
    eventually(lambda: view._audience.sight() is Sight.BEHIND)
    assert sent.messages.qsize() <= IN_FLIGHT + 1
    newest = [sent.next()[0]["seq"] for _ in range(sent.messages.qsize())][-1]
    assert newest - begun <= IN_FLIGHT + 1
    flood()
    says(view, seq=newest)
    assert sent.next()[0]["seq"] == newest + 1


def test_one_view_says_how_far_the_page_is_with_all(sent: Sent) -> None:
    first, second = (show(name, "line").view for name in ("clicks", "other"))
    note = {"page": "p", "seq": -1, "sees": False}
    gone = "of a view that was closed"
    first._handle_custom_msg({"all": [[gone, note], [second.key, note]]}, [])
    assert (first._audience.sight(), second._audience.sight()) == (Sight.OPEN, Sight.HIDDEN)


def test_a_new_view_of_a_stream_replaces_the_old_and_leaves_nothing(sent: Sent) -> None:
    show("clicks", "line")
    show("other", "bar")
    before = widgets()
    old = live()["clicks"]
    new = show("clicks", "line", title="Clicks!")
    assert live() == {"clicks": new, "other": live()["other"]}
    assert old.view.comm is None
    assert pumps() == ["livebatch-views"]
    assert len(widgets()) == len(before)
    assert new.view.title == "Clicks!"


def test_a_closed_view_leaves_nothing_and_ignores_what_comes(sent: Sent) -> None:
    shared = {assets().model_id, assets().layout.model_id}
    before = widgets() | shared
    panel = show("clicks", "line")
    panel.close()
    panel.close()
    panel.view.close()
    panel.view.push(T0, numbers(1))
    assert (live(), pumps()) == ({}, [])
    assert widgets() == before


def test_the_assets_are_shared_and_outlive_the_views(sent: Sent) -> None:
    one, two = show("one"), show("two")
    assert one.view.assets is two.view.assets is assets()
    one.close()
    assert assets().comm is not None
    assert assets().js[:2] == b"\x1f\x8b"


def test_a_view_of_kind_none_is_only_its_status(sent: Sent) -> None:
    panel = show("quiet", "none")
    assert panel.view.compact
    sent.next()
    panel.view.status("fine")
    assert sent.next()[0]["note"]["status"] == ["fine", "ok"]


def test_bad_arguments_leave_the_old_view(sent: Sent) -> None:
    old = show("clicks")
    with pytest.raises(ValueError, match="no view of kind 'pie'"):
        show("clicks", "pie")
    with pytest.raises(ValueError, match="positive number of seconds"):
        show("clicks", window=0)
    assert live() == {"clicks": old}
    assert old.view.comm is not None


def test_without_script_there_is_a_table_and_no_markup_of_the_data(sent: Sent) -> None:
    panel = show("<i>words</i>", "table")
    assert "there was no data yet" in html_of(panel)
    sent.next()
    panel.view.push(T0, pa.table({"<b>": ["<script>"] * 30}))
    sent.next()
    html = html_of(panel)
    assert "&lt;i&gt;words" in html
    assert html.count("<td>&lt;script&gt;</td>") == 10
    assert "10 of 30 rows" in html
    assert "<script>" not in html


def html_of(panel: Panel) -> str:
    bundle = panel._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in bundle
    html = bundle["text/html"]
    assert isinstance(html, str)
    return html
