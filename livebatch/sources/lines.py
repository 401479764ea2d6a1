"""Bytes that arrive in pieces, as lines of text."""

from __future__ import annotations

import codecs

from livebatch.errors import DefinitionError


def check_encoding(encoding: str) -> None:
    """Make sure that Python can decode text of this encoding.

    Raises:
        DefinitionError: it cannot.
    """
    try:
        "".encode(encoding)
    except (LookupError, TypeError, ValueError):
        raise DefinitionError(
            f'encoding must be one that Python has, such as "utf-8" or "latin-1", not {encoding!r}'
        ) from None


class LineDecoder:
    """Makes lines of bytes, wherever the bytes are cut.

    Lines end with a newline; a carriage return before it belongs to the end. Bytes that are not
    text of the encoding become U+FFFD.

    >>> lines = LineDecoder("utf-8")
    >>> lines.feed(b"one\\r\\ntw"), lines.feed(b"o\\nthr"), lines.finish()
    (['one'], ['two'], ['thr'])
    """

    def __init__(self, encoding: str) -> None:
        self._decoder = codecs.getincrementaldecoder(encoding)(errors="replace")
        self._partial: list[str] = []
        self.held = 0
        """How many characters there are of a line whose end has not come yet."""

    def feed(self, data: bytes) -> list[str]:
        """Return the lines that end in the next piece of bytes."""
        return self._add(self._decoder.decode(data))

    def finish(self) -> list[str]:
        """Return what is left after the last piece: one line, or none."""
        lines = self._add(self._decoder.decode(b"", final=True))
        last = "".join(self._partial)
        self._partial, self.held = [], 0
        return [*lines, last.removesuffix("\r")] if last else lines

    def _add(self, text: str) -> list[str]:
        if "\n" not in text:  # not joined yet: a long line in many pieces would cost its square
            self._partial.append(text)
            self.held += len(text)
            return []
        begun, cut = "".join(self._partial), text.startswith("\n")
        if "\r" in text:  # which is found much faster than both
            text = text.replace("\r\n", "\n")
        lines = text.split("\n")
        lines[0] = begun.removesuffix("\r") if cut else begun + lines[0]
        last = lines.pop()
        self._partial, self.held = [last], len(last)
        return lines
