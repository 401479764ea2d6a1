"""However bytes are cut, the same lines come out."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livebatch.errors import DefinitionError
from livebatch.sources.lines import LineDecoder, check_encoding

ODD = "a\r\n\u2028\x0b\x85é€😀\ufeff\ufffd "
texts = st.lists(st.one_of(st.sampled_from(ODD), st.text(max_size=5))).map("".join)
junk = st.lists(st.sampled_from([b"\n", b"\r\n", b"\xe2\x82", b"\xff", b"\xf0\x9f", b"ab"]))


def whole(data: bytes, encoding: str) -> list[str]:
    """The oracle: all the bytes at once."""
    lines = data.decode(encoding, errors="replace").split("\n")
    if not lines[-1]:
        lines.pop()
    return [line.removesuffix("\r") for line in lines]


def in_pieces(data: bytes, cuts: list[int], encoding: str) -> list[str]:
    lines, found = LineDecoder(encoding), []
    bounds = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    for start, end in pairwise(bounds):
        found += lines.feed(data[start:end])
    return found + lines.finish()


@given(texts, st.lists(st.integers(min_value=0)), st.sampled_from(["utf-8", "utf-16", "gb18030"]))
def test_text_cut_anywhere(text: str, cuts: list[int], encoding: str) -> None:
    data = text.encode(encoding, errors="ignore")
    assert in_pieces(data, cuts, encoding) == whole(data, encoding)


@given(junk.map(b"".join), st.lists(st.integers(min_value=0)))
def test_bytes_that_are_not_text_cut_anywhere(data: bytes, cuts: list[int]) -> None:
    assert in_pieces(data, cuts, "utf-8") == whole(data, "utf-8")


@pytest.mark.parametrize("size", range(1, 8))
def test_characters_of_several_bytes_in_pieces_of_one_size(size: int) -> None:
    data = "é€😀\r\n\r\n😀€é\n€".encode()
    cuts = list(range(0, len(data), size))
    assert in_pieces(data, cuts, "utf-8") == ["é€😀", "", "😀€é", "€"]


def test_a_line_that_has_not_ended_is_held_and_counted() -> None:
    lines = LineDecoder("utf-8")
    assert [lines.feed(b"ab"), lines.feed(b"c\xc3")] == [[], []]
    assert lines.held == 3
    assert lines.feed(b"\xa9\nd") == ["abcé"]
    assert lines.held == 1
    assert (lines.finish(), lines.held, lines.finish()) == (["d"], 0, [])


@pytest.mark.parametrize("encoding", ["no-such", "hex", "", "utf\0", None, 8])
def test_what_is_no_encoding_of_text_is_refused(encoding: str) -> None:
    with pytest.raises(DefinitionError, match="utf-8"):
        check_encoding(encoding)
