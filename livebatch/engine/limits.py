"""How much memory and how many CPUs this process may use.

In a container or a batch system's job the machine's own figures are far too high: what counts is
the tightest limit of the process's cgroup and of all the groups around it.
"""

from __future__ import annotations

import math
import mmap
import os
import sys
from collections.abc import Iterator
from ctypes import CDLL
from functools import cache
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import psutil

_MEMORY_FILES = ("memory.max", "memory.high", "memory.limit_in_bytes")


class Mount(NamedTuple):
    """A mounted file system: the part of it that is mounted, where, its kind and its options."""

    root: str
    point: str
    kind: str
    options: frozenset[str]


def memory_limit(root: Path = Path("/")) -> int:
    """Return how many bytes this process and its children may use together.

    Files in shared memory count against it.

    Args:
        root: where ``proc`` and ``sys`` are mounted.

    >>> memory_limit() > 0
    True
    """
    limits = [
        int(text)
        for group in _groups("memory", root)
        for name in _MEMORY_FILES
        if (text := _read(group / name).strip()).isdigit()
    ]
    return min([psutil.virtual_memory().total, *limits])


def own_memory() -> int:
    """Return how many bytes this process takes for itself; files that it has mapped do not count.

    >>> own_memory() > 0
    True
    """
    pages = _pages(os.getpid())
    if pages is None:  # macOS does not tell how much is shared
        return int(psutil.Process().memory_info().rss)
    _, resident, shared, *_ = os.pread(pages, 128, 0).split()
    return (int(resident) - int(shared)) * mmap.PAGESIZE


def oom_kills(root: Path = Path("/")) -> int:
    """Return how many processes the system has killed for want of memory since it started.

    Args:
        root: where ``proc`` is mounted; 0 where there is no Linux.
    """
    counts = dict(line.split(" ") for line in _read(root / "proc/vmstat").splitlines())
    return int(counts.get("oom_kill", 0))


def give_back() -> None:
    """Return to the system what this process has freed and its C library holds on to."""
    trim = getattr(CDLL(None), "malloc_trim", None)  # glibc's alone
    if trim is not None:
        trim(0)


@cache
def _pages(pid: int) -> int | None:
    """Return the open file of Linux's that tells how many pages this process takes; a look at it
    takes a twentieth of the time that psutil's does, and tasks look often.

    Args:
        pid: this process's: a file that a forked one has inherited is its parent's.
    """
    try:
        return os.open("/proc/self/statm", os.O_RDONLY)
    except OSError:
        return None


def cpu_count(root: Path = Path("/")) -> int:
    """Return how many CPUs this process may use; a part of one counts as a whole one.

    Args:
        root: where ``proc`` and ``sys`` are mounted.

    >>> cpu_count() >= 1
    True
    """
    quotas = filter(None, (_cpu_quota(group) for group in _groups("cpu", root)))
    return max(1, min([_usable_cpus(), *map(math.ceil, quotas)]))


def free_space(where: int | Path) -> int:
    """Return how many bytes can still be written to the file system of a path or an open file."""
    status = os.statvfs(where)
    # A tmpfs without a size limit reports no blocks at all.
    return status.f_bavail * status.f_frsize if status.f_blocks else sys.maxsize


def mounts(root: Path = Path("/")) -> list[Mount]:
    """Return what is mounted, in the order of mounting; nothing where there is no Linux."""
    return [_mount(line) for line in _read(root / "proc/self/mountinfo").splitlines()]


def _mount(line: str) -> Mount:
    place, _, what = line.partition(" - ")
    _, _, _, root, point, *_ = place.split(" ")
    kind, _, options = what.split(" ", 2)
    return Mount(root, point, kind, frozenset(options.split(",")))


def _groups(controller: str, root: Path) -> Iterator[Path]:
    """Yield the directories of this process's groups and of all the groups around them."""
    mounted = mounts(root)
    for line in _read(root / "proc/self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        for mount in mounted:
            if _governs(mount, controllers, controller):
                yield from _path_of_groups(root / mount.point.lstrip("/"), mount, path)


def _governs(mount: Mount, controllers: str, controller: str) -> bool:
    if not controllers:
        return mount.kind == "cgroup2"
    return (
        mount.kind == "cgroup"
        and controller in controllers.split(",")
        and controller in mount.options
    )


def _path_of_groups(point: Path, mount: Mount, path: str) -> list[Path]:
    inside = PurePosixPath(path)
    # A container sees its own group as the root of the mount, under whatever name it has outside.
    if ".." in inside.parts or not inside.is_relative_to(mount.root):
        return [point]
    inside = inside.relative_to(mount.root)
    return [point / part for part in (inside, *inside.parents)]


def _cpu_quota(group: Path) -> float | None:
    quota, _, period = _read(group / "cpu.max").strip().partition(" ")
    if not quota:
        quota = _read(group / "cpu.cfs_quota_us").strip()
        period = _read(group / "cpu.cfs_period_us").strip()
    # No quota is "max" in version 2 and -1 in version 1.
    return int(quota) / int(period) if quota.isdigit() and period.isdigit() else None


def _usable_cpus() -> int:
    # macOS has no affinity.
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
