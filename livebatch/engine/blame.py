"""Whose function it was that workers died of, in words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from livebatch.closures import Builtin, Code, revive
from livebatch.failure import Failure
from livebatch.tasks import Task

ADVICE = "run its function on a few records in the notebook, or look into the engine's log"


def worker_died(task: Task, times: int, reason: str) -> Failure:
    """Return why a task is given up that so many workers have died of, the last for a reason."""
    names = list(dict.fromkeys(code.name for step in task.steps for code in _code(step.operation)))
    what = f", which calls {', '.join(names)}" if names else ""
    message = f"{times} workers died while they ran one task{what}: the last {reason}"
    return Failure("WorkerDied", f"{message}; {ADVICE}" if names else message)


def _code(value: Any) -> Iterator[Code]:
    """Yield the functions of the user's in a structure."""
    if isinstance(value, Code):
        yield value
    elif isinstance(value, Builtin):
        yield from _code(revive(value.args))
    elif isinstance(value, msgspec.Struct):
        for field in value.__struct_fields__:
            yield from _code(getattr(value, field))
    elif isinstance(value, (tuple, list)):
        for item in value:
            yield from _code(item)
