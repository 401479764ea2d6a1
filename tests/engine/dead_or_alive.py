"""Processes that own what an engine owns, to be killed; and the files they leave."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path
from typing import Self

import msgspec

from livebatch.engine.process import ProcessIdentity
from livebatch.engine.runtime import ConnectionFile

ME = ProcessIdentity.current()
# Makes a directory of blocks, prints it with its own identity, then lives until its input ends.
ENGINE = """
import sys
from pathlib import Path
import msgspec
from livebatch.engine.process import ProcessIdentity
from livebatch.engine.runtime import shared_memory_dir
blocks = shared_memory_dir("demo", Path("/nowhere"), Path(sys.argv[1]))
identity = msgspec.json.encode(ProcessIdentity.current()).decode()
print(blocks, identity, sep="\\t", flush=True)
sys.stdin.read()
"""


class Engine:
    """A process that owns a directory of blocks."""

    def __init__(self, temporary: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", ENGINE, str(temporary)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout
        blocks, identity = self.process.stdout.readline().split("\t")
        self.blocks = Path(blocks)
        self.identity = msgspec.json.decode(identity, type=ProcessIdentity)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.kill()

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()


def connection(
    name: str = "demo",
    owner: ProcessIdentity = ME,
    started: int = 1,
    root: Path = Path("/nowhere"),
    blocks: Path = Path("/nowhere/blocks"),
) -> ConnectionFile:
    return ConnectionFile(
        name=name,
        owner=owner,
        router=f"ipc://{root}/{name}.router",
        publisher=f"ipc://{root}/{name}.pub",
        key="secret",
        shared_memory=str(blocks),
        started=started,
        version="0.1.0",
    )


def bind(address: str) -> socket.socket:
    bound = socket.socket(socket.AF_UNIX)
    bound.bind(address.removeprefix("ipc://"))
    bound.listen(1)
    return bound


def dead(owner: ProcessIdentity = ME) -> ProcessIdentity:
    """An identity whose number now belongs to another process, namely this one."""
    return msgspec.structs.replace(owner, started=owner.started + 3600)
