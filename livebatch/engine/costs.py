"""What the newest batches cost, stage by stage."""

from __future__ import annotations

from collections.abc import Iterable

from livebatch.engine.dag import Stage
from livebatch.events import StageCost
from livebatch.rdd.operation import Shuffled, Stored
from livebatch.tasks import Done


def streams_in(stage: Stage) -> frozenset[str]:
    """Return the ids of the streams whose batches a stage computes, record by record."""
    found: set[str] = set()
    stack, seen = [stage.rdd], {stage.rdd.id}
    while stack:
        rdd = stack.pop()
        if isinstance(rdd.operation, Stored) or (rdd.persisted and rdd is not stage.rdd):
            continue  # read from blocks
        id, _, time = rdd.id.partition("@")
        if time:
            found.add(id)
        if isinstance(rdd.operation, Shuffled) and not rdd.operation.is_narrow(rdd.parents):
            continue
        fresh = [parent for parent in rdd.parents if parent.id not in seen]
        seen.update(parent.id for parent in fresh)
        stack.extend(fresh)
    return frozenset(found)


def known_as(stage: Stage) -> str:
    """Return what a stage is known by, the same in every batch."""
    id, dot, purpose = stage.id.rpartition(".")
    return f"{id.partition('@')[0]}{dot}{purpose}"


def cost_of(stage: Stage, outcomes: Iterable[Done]) -> StageCost:
    """Return what a stage cost."""
    done = list(outcomes)
    return StageCost(
        stage=known_as(stage),
        tasks=len(done),
        rows=sum(outcome.rows for outcome in done),
        seconds=sum(outcome.seconds for outcome in done),
    )
