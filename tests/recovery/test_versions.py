"""A checkpoint of another version is refused, with what to do."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from livebatch.engine import checkpoints
from livebatch.engine.files import Files
from livebatch.errors import EngineError
from livebatch.session import StreamingContext
from livebatch.testing import ManualContext


def rewrite(folder: Path, **versions: object) -> None:
    """Have the snapshots of a folder say that others have written them."""
    files = Files(str(folder / "snapshots"))
    for name in files.names():
        written = checkpoints._decoder.decode(files.read(name))
        said = msgspec.structs.replace(written.snapshot.versions, **versions)
        snapshot = msgspec.structs.replace(written.snapshot, versions=said)
        files.write(
            name, msgspec.msgpack.encode(msgspec.structs.replace(written, snapshot=snapshot))
        )


@pytest.mark.parametrize(
    ("versions", "said"),
    [
        ({"format": 99, "livebatch": "9.9"}, "livebatch 9.9, in a form that .* does not read"),
        ({"python": "3.99"}, r"functions of Python 3\.99, which Python 3\.\d+ cannot load"),
    ],
)
def test_what_another_version_has_written_is_refused(
    tmp_path: Path, versions: dict[str, object], said: str
) -> None:
    with ManualContext("1s", checkpoint=tmp_path) as ssc:
        ssc.register("numbers", ssc.queue_stream([[1], [2]]))
        ssc.start()
        ssc.advance("2s")
    rewrite(tmp_path, **versions)
    match = rf"the checkpoint in {tmp_path} .*{said}: go on with that.*, or give another folder"
    with pytest.raises(EngineError, match=match):
        StreamingContext("1s", engine="embedded", workers=1, checkpoint=tmp_path)
    with pytest.raises(EngineError, match=match):
        ManualContext.get_or_create(tmp_path, ManualContext)
