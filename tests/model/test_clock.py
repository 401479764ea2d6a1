"""Clocks: time that only goes on, whatever happens to the wall clock."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livebatch.clock import ManualClock, SystemClock, Timer, deadline


class Machine:
    """A machine whose clocks are moved by hand."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.wall, self.monotonic = 1_700_000_000.0, 50.0
        monkeypatch.setattr(time, "time", lambda: self.wall)
        monkeypatch.setattr(time, "monotonic", lambda: self.monotonic)

    def pass_(self, seconds: float) -> None:
        self.wall += seconds
        self.monotonic += seconds


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(monkeypatch)


def test_the_system_clock_tells_the_time(machine: Machine) -> None:
    clock = SystemClock()
    assert clock.now() == 1_700_000_000_000
    machine.pass_(1.25)
    assert clock.now() == 1_700_000_001_250
    assert clock.drift() == 0


@pytest.mark.parametrize("jump", [3600, -3600, 0.5])
def test_a_jump_of_the_wall_clock_does_not_move_it(machine: Machine, jump: float) -> None:
    clock = SystemClock()
    machine.wall += jump
    machine.pass_(1)
    assert clock.now() == 1_700_000_001_000
    assert clock.drift() == jump * 1000


def test_it_waits_for_what_is_to_come_only(machine: Machine) -> None:
    clock = SystemClock()
    assert clock.wait(clock.now() + 1500) == pytest.approx(1.5)
    assert clock.wait(clock.now() - 1500) == 0


@given(st.lists(st.integers(0, 10**9)))
def test_a_manual_clock_stands_still_until_it_is_moved(steps: list[int]) -> None:
    clock = ManualClock(start=7)
    for done, step in enumerate(steps):
        assert clock.now() == clock.now() == 7 + sum(steps[:done])
        clock.advance(step)
        assert clock.wait(clock.now() + 1000) == 0


def test_deadlines(machine: Machine) -> None:
    never, soon = deadline(None), deadline(2)
    assert never.left() is None
    assert (soon.left(), soon.passed()) == (2, False)
    machine.pass_(1.5)
    assert (soon.left(), soon.passed()) == (0.5, False)
    machine.pass_(0.5)
    assert (soon.left(), soon.passed(), never.passed()) == (0, True, False)


def test_a_timer_does_not_drift(machine: Machine) -> None:
    timer = Timer(1)
    machine.pass_(1.25)
    assert timer.due()
    assert not timer.due()
    assert timer.left() == 0.75


def test_a_timer_that_was_held_up_does_not_catch_up(machine: Machine) -> None:
    timer = Timer(1)
    machine.pass_(10.5)
    assert [timer.due(), timer.due()] == [True, True]
    assert not timer.due()
