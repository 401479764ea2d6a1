"""Limits on memory and CPUs, read from imitated trees of control groups."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import psutil
import pytest

from livebatch.engine.limits import cpu_count, free_space, memory_limit, mounts, oom_kills

MIB = 1 << 20
UNLIMITED_V1 = "9223372036854771712"
V2_MOUNT = "30 23 0:26 {root} /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate"
V1_MOUNT = "32 31 0:29 {root} /sys/fs/cgroup/{name} rw shared:9 - cgroup cgroup rw,{name}"
OTHER_MOUNT = "27 1 254:0 / / rw,relatime - ext4 /dev/root rw"


class Machine:
    """A tree of files as the kernel shows them."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def write(self, path: str, text: str) -> None:
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_text(f"{text}\n")

    def mount(self, *lines: str) -> None:
        self.write("proc/self/mountinfo", "\n".join([OTHER_MOUNT, *lines]))

    def enter(self, *lines: str) -> None:
        self.write("proc/self/cgroup", "\n".join(lines))


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_the_system_counts_whom_it_kills_for_want_of_memory(machine: Machine) -> None:
    assert oom_kills(machine.root) == 0
    machine.write("proc/vmstat", "pgfault 12\noom_kill 3\nunevictable_pgs_culled 1")
    assert oom_kills(machine.root) == 3


@pytest.fixture
def v2(machine: Machine) -> Machine:
    machine.mount(V2_MOUNT.format(root="/"))
    machine.enter("0::/user.slice/job")
    return machine


@pytest.fixture
def v1(machine: Machine) -> Machine:
    machine.mount(*(V1_MOUNT.format(root="/", name=name) for name in ("memory", "cpu")))
    machine.enter("4:memory:/job", "1:cpu,cpuacct:/job", "0::/")
    return machine


@pytest.fixture
def many_cpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(16)), raising=False)


def test_without_control_groups_the_machine_is_the_limit(machine: Machine, many_cpus: None) -> None:
    assert memory_limit(machine.root) == psutil.virtual_memory().total
    assert cpu_count(machine.root) == 16


def test_memory_of_a_v2_group(v2: Machine) -> None:
    v2.write("sys/fs/cgroup/user.slice/job/memory.max", str(512 * MIB))
    assert memory_limit(v2.root) == 512 * MIB


def test_the_tightest_group_around_it_counts(v2: Machine) -> None:
    v2.write("sys/fs/cgroup/user.slice/job/memory.max", "max")
    v2.write("sys/fs/cgroup/user.slice/memory.max", str(300 * MIB))
    v2.write("sys/fs/cgroup/memory.max", str(400 * MIB))
    assert memory_limit(v2.root) == 300 * MIB


def test_throttling_of_memory_counts(v2: Machine) -> None:
    v2.write("sys/fs/cgroup/user.slice/job/memory.max", str(512 * MIB))
    v2.write("sys/fs/cgroup/user.slice/job/memory.high", str(256 * MIB))
    assert memory_limit(v2.root) == 256 * MIB


@pytest.mark.parametrize(
    ("quota", "cpus"),
    [("150000 100000", 2), ("200000 100000", 2), ("10000 100000", 1), ("max 100000", 16)],
)
def test_cpus_of_a_v2_group(v2: Machine, many_cpus: None, quota: str, cpus: int) -> None:
    v2.write("sys/fs/cgroup/user.slice/job/cpu.max", quota)
    assert cpu_count(v2.root) == cpus


def test_affinity_counts_where_it_is_tighter(v2: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    v2.write("sys/fs/cgroup/user.slice/job/cpu.max", "800000 100000")
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {3, 5}, raising=False)
    assert cpu_count(v2.root) == 2


def test_a_system_without_affinity(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 6)
    assert cpu_count(machine.root) == 6


def test_memory_of_a_v1_group(v1: Machine) -> None:
    v1.write("sys/fs/cgroup/memory/job/memory.limit_in_bytes", str(128 * MIB))
    v1.write("sys/fs/cgroup/memory/memory.limit_in_bytes", UNLIMITED_V1)
    assert memory_limit(v1.root) == 128 * MIB


def test_an_unlimited_v1_group(v1: Machine) -> None:
    v1.write("sys/fs/cgroup/memory/job/memory.limit_in_bytes", UNLIMITED_V1)
    assert memory_limit(v1.root) == psutil.virtual_memory().total


@pytest.mark.parametrize(("quota", "cpus"), [("250000", 3), ("-1", 16)])
def test_cpus_of_a_v1_group(v1: Machine, many_cpus: None, quota: str, cpus: int) -> None:
    v1.write("sys/fs/cgroup/cpu/job/cpu.cfs_quota_us", quota)
    v1.write("sys/fs/cgroup/cpu/job/cpu.cfs_period_us", "100000")
    assert cpu_count(v1.root) == cpus


def test_a_controller_is_looked_up_in_its_own_v1_group(machine: Machine) -> None:
    machine.mount(V1_MOUNT.format(root="/", name="memory"))
    machine.enter("4:memory:/mine", "3:cpuset:/other")
    machine.write("sys/fs/cgroup/memory/other/memory.limit_in_bytes", str(MIB))
    machine.write("sys/fs/cgroup/memory/mine/memory.limit_in_bytes", str(64 * MIB))
    assert memory_limit(machine.root) == 64 * MIB


def test_a_group_does_not_limit_its_siblings(v2: Machine) -> None:
    v2.write("sys/fs/cgroup/user.slice/job2/memory.max", str(MIB))
    assert memory_limit(v2.root) == psutil.virtual_memory().total


@pytest.mark.parametrize(
    ("mount_root", "group"),
    [("/docker/abc", "/docker/abc"), ("/", "/"), ("/docker/abc", "/"), ("/", "/../elsewhere")],
)
def test_a_container_finds_its_own_group(machine: Machine, mount_root: str, group: str) -> None:
    machine.mount(V1_MOUNT.format(root=mount_root, name="memory"))
    machine.enter(f"4:memory:{group}")
    machine.write("sys/fs/cgroup/memory/memory.limit_in_bytes", str(96 * MIB))
    machine.write("sys/fs/cgroup/elsewhere/memory.limit_in_bytes", str(MIB))
    assert memory_limit(machine.root) == 96 * MIB


def test_both_versions_at_once(machine: Machine) -> None:
    machine.mount(V1_MOUNT.format(root="/", name="memory"), V2_MOUNT.format(root="/"))
    machine.enter("4:memory:/job", "0::/unified")
    machine.write("sys/fs/cgroup/memory/job/memory.limit_in_bytes", str(200 * MIB))
    machine.write("sys/fs/cgroup/unified/memory.max", str(100 * MIB))
    assert memory_limit(machine.root) == 100 * MIB


def test_mounts_are_read_with_and_without_optional_fields(machine: Machine) -> None:
    machine.mount(V2_MOUNT.format(root="/"))
    root, groups = mounts(machine.root)
    assert (root.point, root.kind) == ("/", "ext4")
    assert groups.kind == "cgroup2"
    assert groups.options == {"rw", "nsdelegate"}


def test_this_machine_has_limits_that_make_sense() -> None:
    assert 16 * MIB < memory_limit() <= psutil.virtual_memory().total
    assert 1 <= cpu_count() <= (os.cpu_count() or 1)
    assert bool(mounts()) == (sys.platform == "linux")


def test_free_space_of_a_path_and_of_an_open_file(tmp_path: Path) -> None:
    usage = psutil.disk_usage(str(tmp_path)).free
    with (tmp_path / "file").open("w") as file:
        for where in (tmp_path, file.fileno()):
            assert free_space(where) == pytest.approx(usage, abs=256 * MIB)


def test_a_file_system_without_a_limit(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    unlimited = os.statvfs_result((4096, 4096, 0, 0, 0, 0, 0, 0, 0, 255))
    monkeypatch.setattr(os, "statvfs", lambda where: unlimited)
    assert free_space(tmp_path) == sys.maxsize
