"""Messages as frames, and back. No I/O happens here.

A message is msgpack. The code of the user's functions goes beside it, as frames of its own, and
to each peer only once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from livebatch.closures import codes, digests
from livebatch.events import Message
from livebatch.wire import AnyMessage

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(AnyMessage)


class Channel:
    """One peer's side of a conversation: remembers which code the peer has."""

    def __init__(self) -> None:
        self._sent: set[str] = set()

    def keep_only(self, digests: set[str]) -> None:
        """Take it that the peer has no code but this."""
        self._sent &= digests

    def pack(self, message: Message) -> list[bytes]:
        """Return the frames of a message: itself, then code that the peer does not have."""
        fresh = set(digests(message)) - self._sent
        self._sent |= fresh
        return [_encoder.encode(message), *(codes.blob(digest) for digest in sorted(fresh))]


def unpack(frames: Sequence[Any]) -> AnyMessage:
    """Return the message of frames, and take note of the code that came with it.

    Raises:
        msgspec.DecodeError: they are not a message.
    """
    for blob in frames[1:]:
        codes.add(bytes(blob))
    message: AnyMessage = _decoder.decode(frames[0])
    return message
