"""``%stream explain``: the picture of a stream's graph."""

from __future__ import annotations

from xml.etree import ElementTree

from livebatch.errors import NotRunning
from livebatch.events import StreamNode
from livebatch.kernel_ext.drawing import Drawing, place
from livebatch.testing import ManualContext
from tests.kernel_ext.notebook import Notebook

SVG = "{http://www.w3.org/2000/svg}"


def test_the_graph_of_a_stream_is_drawn(notebook: Notebook, ssc: ManualContext) -> None:
    notebook.works("%%stream words --show none\nssc.queue_stream(default=['a<b', 'c'])")
    notebook.works("%%stream short --show none\nwords.filter(lambda w: len(w) < 3).union(words)")
    ssc.advance("2s")
    ssc.pause("words")
    drawing = notebook.works("%stream explain short").value
    assert isinstance(drawing, Drawing)
    assert repr(drawing).startswith("short = union()  [3 rows at ")
    html = drawing._repr_html_()
    picture = ElementTree.fromstring(html).find(f"{SVG}svg")
    assert picture is not None
    boxes = picture.findall(f"{SVG}g")
    assert len(boxes) == 3
    texts = [[text.text or "" for text in box.iter(f"{SVG}text")] for box in boxes]
    assert [said for said, _ in texts] == [
        "words = queue_stream()", "filter(lambda w: len(w) < 3)", "short = union()",
    ]  # fmt: skip
    assert texts[0][1].startswith("paused · 2 rows at ")
    assert texts[0][1].endswith(" · stage 1")
    assert len(picture.findall(f"{SVG}path")) == 3


def test_boxes_do_not_overlap_and_stand_below_their_parents() -> None:
    tree = {"a": "", "b": "", "c": "a", "d": "a", "e": "ab", "f": "cde", "g": "bf", "h": "a"}
    nodes = [StreamNode(id, f"map({id * 20})", None, tuple(of), 1000) for id, of in tree.items()]
    boxes = place(nodes)
    assert set(boxes) == set(tree)
    for id, parents in tree.items():
        assert all(boxes[parent].y < boxes[id].y for parent in parents)
    for one in boxes.values():
        assert one.x > 0
        for other in boxes.values():
            apart = one.x + one.width < other.x or other.x + other.width < one.x
            assert one is other or one.y != other.y or apart


def test_a_stream_that_is_not_there_cannot_be_explained(notebook: Notebook) -> None:
    ran = notebook.run("%stream explain nothing")
    assert isinstance(ran.error, NotRunning)
