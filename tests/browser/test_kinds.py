"""Every kind of view in JupyterLab: what is painted, in which colours, and what stays behind."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.browser.lab import Lab
from tests.browser.notebook import Notebook
from tests.helpers import eventually

pytestmark = pytest.mark.browser

FEED = """
import itertools, threading
from datetime import UTC, datetime, timedelta
import pyarrow as pa
from livebatch.widgets import live, show

START = datetime(2026, 1, 1, tzinfo=UTC)
TABLES = {
    "line": lambda i: {"a": [i % 7], "b": [10.0 + i % 3]},
    "bar": lambda i: {"word": ["x", "y", "z"], "n": [i % 7 + 1, 4, 9]},
    "table": lambda i: {"page": ["/b", "/a", "/c"], "hits": [10, i, 9], "ms": [3.5, None, 1.0]},
    "histogram": lambda i: {"ms": [5, 5, 5, 20 + i % 3]},
    "heatmap": lambda i: {"ms": [5, 5, 5, 20 + i % 3]},
    "bands": lambda i: {"ms": [float(i % 5 + n) for n in range(101)]},
    "number": lambda i: {"cpu": [1000.0 + i], "memory": [50.0]},
    "gantt": lambda i: {"worker": ["w2", "w1"], "job": ["test", "build"], "ms": [50.0, None]},
    "log": lambda i: {"line": [f"ERROR line {i}" if i % 10 == 9 else f"line {i}"]},
}
MADE = dict.fromkeys(TABLES, 0)

def feed(kind, times=1, gap=0):
    MADE[kind] += gap
    for _ in range(times):
        i = MADE[kind] = MADE[kind] + 1
        live()[kind].view.push(START + timedelta(seconds=i / 10), pa.table(TABLES[kind](i)))
    return MADE[kind]

def sent(kind):
    feed = live()[kind].view._feed
    return 0 if feed._pending or feed._stale else feed._seq - 1

def feed_all(times=1):
    return [feed(kind, times) for kind in TABLES]

def stream(rounds):
    global streaming
    def run():
        tick = threading.Event()
        for _ in range(rounds):
            feed_all()
            tick.wait(0.03)
    streaming = threading.Thread(target=run, daemon=True)
    streaming.start()

boxes = [show(kind, kind) for kind in TABLES]
"""
KINDS = ["line", "bar", "table", "histogram", "heatmap", "bands", "number", "gantt", "log"]
FIGURES = 6
# Two to a row, so that all of them are in sight.
GRID = """
import ipywidgets
ipywidgets.GridBox(boxes, layout={"grid_template_columns": "repeat(2, 450px)"})
"""
SIZE = {"width": 1400, "height": 1700}


@pytest.fixture(scope="module")
def notebook(lab: Lab) -> Iterator[Notebook]:
    notebook = lab.open([FEED, GRID])
    notebook.page.set_viewport_size(SIZE)
    notebook.run(0)
    notebook.run(1)
    notebook.scroll_to(1)
    for kind in KINDS:
        notebook.wait("window.__livebatch?.views[arg]?.drawn", kind)
    yield notebook
    assert notebook.errors == []
    notebook.close()


def feed(notebook: Notebook, kind: str, times: int = 1, gap: int = 0) -> int:
    """Push batches, and wait until the page has painted the last of them."""
    made = notebook.ask(f"feed({kind!r}, {times}, {gap})")
    last = eventually(lambda: notebook.ask(f"sent({kind!r})"))
    notebook.wait(
        "(({seq, raf}) => seq >= arg[1] && !raf)(window.__livebatch.views[arg[0]])", [kind, last]
    )
    assert isinstance(made, int)
    return made


def body(kind: str) -> str:
    return f"window.__livebatch.views.{kind}.body"


def label(notebook: Notebook, kind: str) -> str:
    return str(notebook.evaluate(f"{body(kind)}.querySelector('[role=img]').ariaLabel"))


@pytest.mark.parametrize("kind", KINDS)
def test_before_there_is_data_a_picture_says_so(notebook: Notebook, kind: str) -> None:
    waits = f"getComputedStyle({body(kind)}, '::after').content.includes('waiting for data')"
    assert notebook.evaluate(waits)
    feed(notebook, kind, 5)
    notebook.wait(f"!({waits})")


def test_lines_break_where_batches_are_missing(notebook: Notebook) -> None:
    feed(notebook, "line", 5)
    feed(notebook, "line", 5, gap=20)
    drawn = notebook.data("line")
    assert sorted(drawn["key"]) == ["a", "b"]
    assert [column.count(None) for column in drawn["x"]] == [1, 1]
    assert None not in drawn["xs"][0]
    assert [y for y in drawn["y"][0] if y is not None] == drawn["ys"][0]


def test_bars_come_to_rest_in_order_and_keep_their_colours(notebook: Notebook) -> None:
    made = feed(notebook, "bar")
    bars = notebook.data("bar")
    colours = dict(zip(bars["key"], bars["colour"], strict=True))
    while made % 7 != 6:
        made = feed(notebook, "bar")
    source = "window.__livebatch.views.bar.source.data"
    notebook.wait(f"{source}.y.every((y, i) => y === i)")
    notebook.wait(f"{source}.right.every((x, i) => x === {source}.value[i])")
    bars = notebook.data("bar")
    assert dict(zip(bars["key"], bars["value"], strict=True)) == {"z": 9, "x": 7, "y": 4}
    assert bars["key"] == ["z", "x", "y"]
    assert dict(zip(bars["key"], bars["colour"], strict=True)) == colours


def test_bars_do_not_glide_for_those_who_do_not_want_it(notebook: Notebook) -> None:
    notebook.page.emulate_media(reduced_motion="reduce")
    source = "window.__livebatch.views.bar.source.data"
    for _ in range(3):
        feed(notebook, "bar")
        assert notebook.evaluate(f"{source}.right.every((x, i) => x === {source}.value[i])")
    notebook.page.emulate_media(reduced_motion="no-preference")


def column(notebook: Notebook, i: int) -> Any:
    return notebook.evaluate(
        f"[...{body('table')}.querySelectorAll('tbody tr')].map(r => r.children[arg].textContent)",
        i,
    )


def test_a_table_is_sorted_by_its_headers(notebook: Notebook) -> None:
    button = notebook.page.get_by_role("button", name="ms", exact=True)
    head = f"String([...{body('table')}.querySelectorAll('th')].map(th => th.ariaSort))"
    button.click()
    notebook.wait(f"{head} === 'none,none,descending'")
    assert column(notebook, 0) == ["/b", "/c", "/a"], "what is not known comes last"
    button.focus()
    notebook.page.keyboard.press("Enter")
    notebook.wait(f"{head} === 'none,none,ascending'")
    assert column(notebook, 0) == ["/c", "/b", "/a"]
    feed(notebook, "table")
    assert column(notebook, 0) == ["/c", "/b", "/a"]
    notebook.page.keyboard.press("Enter")
    notebook.wait(f"{head} === 'none,none,none'")
    assert column(notebook, 0) == ["/b", "/a", "/c"]


def test_a_table_marks_what_has_changed(notebook: Notebook) -> None:
    cells = f"[...{body('table')}.querySelectorAll('td')]"
    marked = f"{cells}.filter(td => td.getAnimations().length).map(td => td.textContent)"
    notebook.page.evaluate("document.getAnimations().forEach(a => a.finish())")
    made = feed(notebook, "table")
    assert notebook.evaluate(marked) == [str(made)]
    notebook.page.emulate_media(reduced_motion="reduce")
    notebook.page.evaluate("document.getAnimations().forEach(a => a.finish())")
    feed(notebook, "table")
    assert notebook.evaluate(marked) == []
    notebook.page.emulate_media(reduced_motion="no-preference")


def test_a_selection_in_a_table_survives_a_batch(notebook: Notebook) -> None:
    notebook.evaluate(
        f"getSelection().selectAllChildren({body('table')}.querySelector('tbody td'))"
    )
    feed(notebook, "table")
    assert notebook.evaluate("getSelection().toString().trim()") == "/b"


def test_all_rows_of_a_batch_are_sorted_also_while_the_picture_stands_still(
    notebook: Notebook,
) -> None:
    notebook.ask("TABLES.update(table=lambda i: {'i': list(range(200)), 'of': [i] * 200})")
    feed(notebook, "table")
    button = notebook.page.get_by_role("button", name="i", exact=True)
    notebook.evaluate("(window.__livebatch.views.table.pause(true), true)")
    for first in ("199", "0"):
        button.click()
        notebook.wait(f"{body('table')}.querySelector('td').textContent === arg", first)
    assert "50 of 200 rows" in notebook.evaluate(f"{body('table')}.parentNode.innerText")
    button.click()
    notebook.evaluate("(window.__livebatch.views.table.pause(false), true)")
    notebook.wait(f"{body('table')}.querySelector('th').ariaSort === 'none'")


def test_a_histogram_counts(notebook: Notebook) -> None:
    made = feed(notebook, "histogram")
    bins = notebook.data("histogram")
    counts = dict(zip(bins["low"], bins["count"], strict=True))
    assert counts[5] == 3 * made
    assert sum(counts.values()) == 4 * made
    assert f"{4 * made} values" in notebook.evaluate(f"{body('histogram')}.parentNode.innerText")


def test_a_heatmap_has_colours_where_there_is_something(notebook: Notebook) -> None:
    feed(notebook, "heatmap", 5)
    pixels = (
        "(({image: [image]}) => {"
        " const [rows, width] = image.shape;"
        " return Array.from({length: rows}, (_, i) =>"
        "   new Set(image.slice(i * width, (i + 1) * width)).size > 1 || image[i * width] > 0)"
        "})(window.__livebatch.views.heatmap.source.data)"
    )
    lit = notebook.evaluate(pixels)
    assert [i + 5 for i, there in enumerate(lit) if there] == [5, 20, 21, 22]


def test_bands_show_the_median_and_shades_around_it(notebook: Notebook) -> None:
    made = feed(notebook, "bands")
    assert notebook.data("bands")["y"][-1] == made % 5 + 50
    chips = notebook.evaluate(f"{body('bands')}.querySelector('.livebatch-legend').innerText")
    assert chips.split() == [
        word for p in (5, 25, 50, 75, 95) for word in (f"p{p}", str(made % 5 + p))
    ]


def test_bars_over_time_stand_in_lanes_and_what_is_not_over_reaches_the_present(
    notebook: Notebook,
) -> None:
    feed(notebook, "gantt", 2)
    spans = notebook.data("gantt")
    assert spans["key"][-3:] == ["test", "test", "build"]
    assert spans["value"][-2:] == ["50 ms", "goes on"]
    assert [round(top + 0.36) for top in spans["top"][-2:]] == [1, 0], "w1 is above w2"
    assert spans["right"][-2] - spans["left"][-2] == 50
    assert spans["right"][-1] == spans["left"][-1]


def test_numbers_are_large_and_say_how_they_changed(notebook: Notebook) -> None:
    made = feed(notebook, "number", 5)
    text = notebook.evaluate(f"{body('number')}.innerText").split("\n")
    assert (text[0], "memory" in text) == ("cpu", True)
    assert f"▲ {made - 1}" in " ".join(text)
    assert notebook.data("number")["value"] == [1000.0 + made, 50.0]
    path = notebook.evaluate(f"{body('number')}.querySelector('.livebatch-spark-line').outerHTML")
    assert path.count("L") == made - 1


def test_a_log_follows_its_end_until_someone_reads(notebook: Notebook) -> None:
    frame = f"{body('log')}.querySelector('.livebatch-log')"
    end = f"({frame}.scrollHeight - {frame}.scrollTop - {frame}.clientHeight < 2)"
    made = feed(notebook, "log", 50)
    notebook.wait(end)
    assert notebook.evaluate(f"{frame}.lastChild.innerText").endswith(f"line {made}")
    notebook.evaluate(f"({frame}.scrollTop = 0, true)")
    notebook.wait(
        f"!{body('log')}.querySelector('.livebatch-jump').hidden || {frame}.scrollTop < 1"
    )
    feed(notebook, "log", 30)
    jump = notebook.page.get_by_role("button", name="↓ 30 new")
    assert notebook.evaluate(f"{frame}.scrollTop") == 0
    jump.click()
    notebook.wait(end)
    assert jump.count() == 0
    feed(notebook, "log", 2000)
    assert notebook.evaluate(f"{frame}.childElementCount") == 1000
    notebook.wait(end)
    assert notebook.evaluate(f"{frame}.querySelector('[data-level=error]').innerText")


@pytest.mark.parametrize(
    ("kind", "value", "said"),
    [
        ("heatmap", 0.5, ["5 to 6", "3"]),
        ("bands", 50, ["p95", "p75", "p50", "p25", "p5"]),
    ],
)
def test_the_pointer_tells_what_is_there(
    notebook: Notebook, kind: str, value: float, said: list[str]
) -> None:
    feed(notebook, kind, 5)
    notebook.page.mouse.move(*point(notebook, kind, 0.9, value))
    told = (
        "[...document.querySelectorAll('.bk-Tooltip')].flatMap("
        "t => [...t.shadowRoot.querySelectorAll('span, b')].map(e => e.textContent))"
    )
    notebook.wait(f"(told => arg.every(text => told.includes(text)))({told})", said)
    notebook.page.mouse.move(0, 0)


def point(notebook: Notebook, kind: str, across: float, value: float) -> tuple[float, float]:
    """Where on the page a value is drawn, at a share of the picture's width."""
    x, bottom, width = notebook.evaluate(
        "((view, plot) => { const box = view.body.querySelector('.livebatch-figure')"
        ".getBoundingClientRect();"
        " const axis = Object.values(window.Bokeh.index).find(v => v.model === plot)"
        ".frame.y_scale.compute(arg);"
        " return [box.x, box.y + axis, box.width] })"
        f"(window.__livebatch.views.{kind}, "
        f"window.__livebatch.views.{kind}.source.document.roots()[0])",
        value,
    )
    return x + across * width, bottom


def test_pictures_are_described_now_and_then(notebook: Notebook) -> None:
    assert label(notebook, "line").startswith("Lines over time of line: a ")
    assert label(notebook, "bar").startswith("Bars of bar, largest first: z 9, ")
    assert label(notebook, "number").startswith("Numbers of number: cpu ")
    assert label(notebook, "bands").startswith("Percentiles over time of bands: p5 ")
    assert label(notebook, "gantt").startswith("Bars over time of gantt: ")
    assert "most of them 5 to 6" in label(notebook, "histogram")
    assert "most at 5 to 6" in label(notebook, "heatmap")
    notebook.evaluate(
        f"(window.__said = 0, new MutationObserver(() => __said++).observe("
        f"{body('line')}.querySelector('[role=img]'), {{attributeFilter: ['aria-label']}}), true)"
    )
    for _ in range(10):
        feed(notebook, "line")
    assert notebook.evaluate("window.__said") <= 2


def nodes(notebook: Notebook) -> Any:
    return notebook.evaluate(
        "[window.Bokeh.documents.length, "
        "...arg.map(kind => window.__livebatch.views[kind].body.querySelectorAll('*').length)]",
        KINDS,
    )


def test_three_hundred_frames_leave_nothing_behind(notebook: Notebook) -> None:
    notebook.ask("feed_all(1100)")
    for kind in KINDS:
        feed(notebook, kind)
    before = nodes(notebook)
    assert before[0] == FIGURES
    frames = {kind: notebook.view(kind)["frames"] for kind in KINDS}
    notebook.ask("stream(400)")
    for kind in KINDS:
        notebook.wait("window.__livebatch.views[arg[0]].frames > arg[1]", [kind, frames[kind] + 35])
    notebook.ask("streaming.join()")
    for kind in KINDS:
        feed(notebook, kind)
    assert nodes(notebook) == before
    assert all(notebook.view(kind)["gaps"] == 0 for kind in KINDS)


@pytest.mark.parametrize("theme", ["Dark", "Light"])
def test_pictures_stand_on_any_ground(notebook: Notebook, theme: str) -> None:
    ramp = f"{body('heatmap')}.querySelector('.livebatch-scale i').style.background"
    before = notebook.evaluate(ramp)
    notebook.theme(f"JupyterLab {theme}")
    notebook.wait(f"{ramp} !== arg", before)
    notebook.screenshot(f"kinds-{theme.lower()}")
