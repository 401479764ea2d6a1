"""RDDs: immutable, partitioned datasets with lineage."""

from __future__ import annotations

from livebatch.rdd.base import JobRunner
from livebatch.rdd.dataset import RDD, stored
from livebatch.rdd.lineage import (
    Lineage,
    RDDRecord,
    ancestors,
    blocks_of,
    from_lineage,
    operations,
    record,
    to_lineage,
)
from livebatch.rdd.partitioner import Partitioner, stable_hash

__all__ = [
    "RDD",
    "JobRunner",
    "Lineage",
    "Partitioner",
    "RDDRecord",
    "ancestors",
    "blocks_of",
    "from_lineage",
    "operations",
    "record",
    "stable_hash",
    "stored",
    "to_lineage",
]
