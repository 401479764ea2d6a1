"""Engines where memory is small: as in a container, with 64 MB of shared memory."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.engine import small_machine

pytestmark = [pytest.mark.process, pytest.mark.slow]

MOUNT = "mount -t tmpfs -o size=64m tmpfs /dev/shm"


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_old_batches_go_to_disk_and_can_be_asked_for(end: str, tmp_path: Path) -> None:
    alone = ["unshare", "--mount", "sh", "-c"]
    if subprocess.run([*alone, MOUNT], capture_output=True, check=False).returncode:
        pytest.skip("it takes root to have a /dev/shm of one's own")
    ran = subprocess.run(
        [*alone, f'{MOUNT} && exec "$@"', "sh", sys.executable, small_machine.__file__, end],
        env={**os.environ, "TMPDIR": str(tmp_path), "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.splitlines() == [
        "fallback True",
        "kept True",
        "within budget True",
        "spilled True",
        "oldest True",
        "all True",
        "sql True",
        "left []",
    ]
